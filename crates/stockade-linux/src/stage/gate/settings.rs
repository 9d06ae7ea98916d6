//! Settings of the network namespace (kernel `ip-sysctl.rst`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::GateError;

/// Paths below `/proc/sys/net`, and values.
///
/// Listeners for the gate are made by init, which has no capability, and at any port. "Fast open" is off because it
/// connects by `sendmsg(2)`, which is not put to the supervisor: nobody would listen. Programs that ask for it fall back to
/// `connect(2)`.
const SETTINGS: [(&str, &str); 2] = [("ipv4/ip_unprivileged_port_start", "0"), ("ipv4/tcp_fastopen", "0")];

/// Writes the settings.
pub(super) fn write() -> Result<(), GateError> {
    let [(name, _), ..] = SETTINGS;
    match openat(CWD, "/proc/sys/net", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(net) => match write_below(net.as_fd()) {
            // Containers often show these settings read-only. They are the new namespace's own in a new `/proc`.
            Err(GateError::Setting { source, .. }) if may_be_shown_otherwise(&source) => write_in_new_proc(),
            done => done,
        },
        Err(error) if may_be_shown_otherwise(&error.into()) => write_in_new_proc(),
        Err(error) => Err(GateError::Setting { name, source: error.into() }),
    }
}

fn may_be_shown_otherwise(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::NOENT))
}

fn write_in_new_proc() -> Result<(), GateError> {
    let [(name, _), ..] = SETTINGS;
    let net = mount_proc()
        .and_then(|proc| openat(&proc, "sys/net", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()));
    write_below(net.map_err(|error| GateError::Setting { name, source: error.into() })?.as_fd())
}

/// A `/proc` that is attached nowhere, and gone with its descriptor.
fn mount_proc() -> Result<OwnedFd, Errno> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn write_below(net: BorrowedFd<'_>) -> Result<(), GateError> {
    for (name, value) in SETTINGS {
        write_one(net, name, value).map_err(|error| GateError::Setting { name, source: error.into() })?;
    }
    Ok(())
}

fn write_one(net: BorrowedFd<'_>, name: &str, value: &str) -> Result<(), Errno> {
    let setting = openat(net, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    // The kernel takes a setting whole or not at all.
    rustix::io::write(setting, value.as_bytes())?;
    Ok(())
}
