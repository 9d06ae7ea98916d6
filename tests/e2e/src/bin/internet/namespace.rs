//! Namespaces, addresses and routes.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::internet::{BRIDGE, NAME_SERVER, OUTSIDE, OUTSIDE6, OWN, ROUTER, TRANSLATED};
use e2e::scene::put;
use e2e::sys::{self, Arg};
use rustix::process::{getgid, getuid};
use rustix::thread::{
    CapabilitySet, capabilities, clear_ambient_capability_set, configure_capability_in_ambient_set, set_capabilities,
};

/// Enters namespaces for the machine on which the command runs; a user namespace only where it takes one, so that what root
/// runs is run by root.
pub(crate) fn enter() -> io::Result<()> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let mut flags = libc::CLONE_NEWNET | libc::CLONE_NEWNS;
    if uid != 0 {
        flags |= libc::CLONE_NEWUSER;
    }
    sys::call(libc::SYS_unshare, &mut [Arg::Number(flags.into())])?;
    if uid != 0 {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
        keep_for_programs()?;
    }
    make_private()?;
    fs::write("/proc/sys/net/ipv4/ping_group_range", format!("{gid} {gid}"))
}

/// Lets `ip` keep what it needs, though it is not root that executes it.
fn keep_for_programs() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::NET_ADMIN;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(CapabilitySet::NET_ADMIN, true)?)
}

/// Programs started from here on have no capability, unless root starts them.
pub(crate) fn give_up_ambient() -> io::Result<()> {
    Ok(clear_ambient_capability_set()?)
}

/// Takes the calling thread to namespaces of everything outside.
pub(crate) fn leave() -> io::Result<()> {
    sys::call(libc::SYS_unshare, &mut [Arg::Number((libc::CLONE_NEWNET | libc::CLONE_NEWNS).into())])?;
    make_private()
}

fn make_private() -> io::Result<()> {
    let flags = Arg::Number(i64::try_from(libc::MS_REC | libc::MS_PRIVATE).map_err(io::Error::other)?);
    sys::call(libc::SYS_mount, &mut [Arg::Null, Arg::Text(c"/"), Arg::Null, flags, Arg::Null]).map(drop)
}

/// Puts files of the suite's own in the place of those that say how names are looked up.
pub(crate) fn replace_files(base: &Path) -> io::Result<()> {
    let files = [
        ("resolv.conf", format!("nameserver {NAME_SERVER}\noptions timeout:1 attempts:3\n")),
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
    ];
    for (name, content) in files {
        let own = base.join("outside/etc").join(name);
        put(&own, content)?;
        bind(&own, &Path::new("/etc").join(name))?;
    }
    Ok(())
}

/// Binds a file over another in the calling thread's mount namespace.
pub(crate) fn bind(from: &Path, to: &Path) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (source, target) = (text(from)?, text(to)?);
    let flags = Arg::Number(i64::try_from(libc::MS_BIND).map_err(io::Error::other)?);
    sys::call(libc::SYS_mount, &mut [Arg::Text(&source), Arg::Text(&target), Arg::Null, flags, Arg::Null])
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", to.display())))
        .map(drop)
}

/// Lays the cable from this machine to the thread that is everything outside.
pub(crate) fn join(outside: &str) -> io::Result<()> {
    ip(&format!(
        "link set lo up\nlink add up0 type veth peer name down0\nlink set down0 netns {outside}\n\
         addr add {OWN}/24 dev up0\nlink set up0 up\nroute add default via {ROUTER}\naddr add {BRIDGE}/16 dev lo\n"
    ))?;
    let translated = TRANSLATED.map(|network| format!("route add local {network} dev lo\n")).concat();
    ip6(&format!("addr add 2001:db8:ffff::1/64 dev up0 nodad\nroute add default via 2001:db8:ffff::2\n{translated}"))
}

/// Gives the calling thread's network every address outside.
pub(crate) fn furnish() -> io::Result<()> {
    let addresses: String = OUTSIDE.iter().map(|address| format!("addr add {address}/32 dev lo\n")).collect();
    ip(&format!("link set lo up\n{addresses}addr add {ROUTER}/24 dev down0\nlink set down0 up\n"))?;
    let addresses: String = OUTSIDE6.iter().map(|address| format!("addr add {address}/128 dev lo\n")).collect();
    ip6(&format!("{addresses}addr add 2001:db8:ffff::2/64 dev down0 nodad\n"))
}

/// The same for the newer protocol, which a kernel may lack.
fn ip6(commands: &str) -> io::Result<()> {
    if Path::new("/proc/sys/net/ipv6").exists() { ip(commands) } else { Ok(()) }
}

fn ip(commands: &str) -> io::Result<()> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let mut ip = Command::new("ip");
    ip.args(["-batch", "-"]).env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = ip.spawn().map_err(|error| io::Error::other(format!("ip, of iproute2: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(commands.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(io::Error::other(format!("ip: {}", errors.trim()))) }
}
