//! Who the stage is, and giving up what it could do.

use std::fmt;
use std::io::{self, Write};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

/// Highest capability number that any kernel of this century is asked about; the first unknown one ends the loop.
const CAPABILITY_BOUND: u32 = 63;

/// Maps one user and one group to themselves (`user_namespaces(7)`): an unprivileged process may map just its own, after
/// it has given up `setgroups(2)`.
pub(crate) fn map_identity(uid: u32, gid: u32) -> rustix::io::Result<()> {
    write("/proc/self/setgroups", format_args!("deny"))?;
    write("/proc/self/uid_map", format_args!("{uid} {uid} 1\n"))?;
    write("/proc/self/gid_map", format_args!("{gid} {gid} 1\n"))
}

/// Such a file takes its text in one piece.
fn write(path: &str, text: fmt::Arguments<'_>) -> rustix::io::Result<()> {
    let mut buffer = [0; 64];
    let mut rest = buffer.as_mut_slice();
    rest.write_fmt(text).map_err(|_| Errno::NOBUFS)?;
    let free = rest.len();
    let text = &buffer[..buffer.len() - free];
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::io::write(file, text)? == text.len() { Ok(()) } else { Err(Errno::IO) }
}

/// Drops every capability from every set, and locks the rules by which a program of user 0 would get them back. The bounding
/// set is left as it is where `is_bound` says that nothing is in it any more.
pub(crate) fn drop_capabilities(is_bound: bool) -> io::Result<()> {
    // Without CAP_SETPCAP (tier `landlock`, ordinary user) the bounding set cannot be changed; there is nothing in the
    // other sets then, and no_new_privs keeps it so.
    let may_change = rustix::thread::capabilities(None)?.effective.contains(CapabilitySet::SETPCAP);
    if may_change {
        if !is_bound {
            drop_bounding_set()?;
        }
        let locked = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        rustix::thread::set_capabilities_secure_bits(locked)?;
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

/// Empties the bounding set, which limits what executing a program could give.
pub(crate) fn drop_bounding_set() -> rustix::io::Result<()> {
    for number in 0..=CAPABILITY_BOUND {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // EINVAL: the kernel has no capability of that number, nor of any higher one.
            Err(Errno::INVAL) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
