//! Unix sockets: attempts to reach the host's, and, without namespaces, connecting on a process's behalf.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use rustix::net::sockopt::socket_domain;
use rustix::net::{AddressFamily, SocketAddrUnix, connect, connect_unspec};
use stockade_spec::report::Area;

use super::address::Address;
use super::asker::Asker;
use super::walk::{self, LastLink};
use super::{Answer, Observer};
use crate::denials::{Attempt, DenialLog};

/// Bytes of `/proc/net/unix` that are looked at.
const MAX_SOCKET_LIST: u64 = 1 << 20;

/// Records an attempt at a socket of the host that the view does not show.
pub(super) fn observe_path(asker: &Asker<'_>, operation: &'static str, path: &Path, log: &mut DenialLog<'_>) {
    let inside = walk::resolve(asker, libc::AT_FDCWD, path.as_os_str().as_bytes(), LastLink::Follow);
    if inside.is_ok_and(|found| found.object.is_some()) {
        return;
    }
    let Ok(directory) = asker.directory_path() else { return };
    let path = directory.join(path);
    if fs::metadata(&path).is_ok_and(|data| data.file_type().is_socket()) {
        log.record(Attempt::new(Area::Sockets, operation, &path).rule("hidden").by(asker.process()));
    }
}

/// Records an attempt at an abstract name that the host uses. The kernel looks names up in the private network only.
pub(super) fn observe_abstract(asker: &Asker<'_>, operation: &'static str, name: &[u8], log: &mut DenialLog<'_>) {
    if !name.is_empty() && host_has_abstract(name) {
        record_abstract(asker, operation, name, log);
    }
}

fn record_abstract(asker: &Asker<'_>, operation: &'static str, name: &[u8], log: &mut DenialLog<'_>) {
    let target = format!("@{}", String::from_utf8_lossy(name).replace('\0', "@"));
    log.record(Attempt::new(Area::Sockets, operation, target).rule("hidden").by(asker.process()));
}

/// Looks a name up in `/proc/net/unix`, which shows it in the last column, with `@` for each NUL.
fn host_has_abstract(name: &[u8]) -> bool {
    let Ok(list) = fs::File::open("/proc/net/unix") else { return false };
    let mut shown = vec![b'@'];
    shown.extend(name.iter().map(|&byte| if byte == 0 { b'@' } else { byte }));
    let lines = BufReader::new(list.take(MAX_SOCKET_LIST)).split(b'\n').map_while(Result::ok);
    lines.into_iter().any(|line| line.strip_suffix(shown.as_slice()).is_some_and(|before| before.ends_with(b" ")))
}

/// Without namespaces: connects a copy of the process's socket to the socket file that its path leads to, provided that
/// the plan lets that file be written.
///
/// The path is resolved once, the result is checked, and the connection is made to just that file: the process cannot
/// change any of it meanwhile. A connection that would have to wait, because the other side's queue is full, fails with
/// `EAGAIN`, since nothing may hold the supervisor up.
pub(super) fn connect_on_behalf(
    observer: &Observer,
    asker: &Asker<'_>,
    address: &Address,
    log: &mut DenialLog<'_>,
) -> Answer {
    let socket = match asker.duplicate(asker.number(0)) {
        Ok(socket) => socket,
        Err(error) => return Answer::Fail(error),
    };
    if socket_domain(&socket) != Ok(AddressFamily::UNIX) {
        log.record(Attempt::new(Area::Sockets, "connect", describe(address)).by(asker.process()));
        return Answer::Fail(Errno::ACCESS);
    }
    match address {
        Address::UnixPath(path) => connect_path(observer, asker, &socket, path, log).into(),
        Address::Unspecified => connect_unspec(&socket).into(),
        Address::UnixAbstract(name) if !name.is_empty() => {
            record_abstract(asker, "connect", name, log);
            Answer::Fail(Errno::ACCESS)
        }
        _ => Answer::Fail(Errno::INVAL),
    }
}

fn connect_path(
    observer: &Observer,
    asker: &Asker<'_>,
    socket: &OwnedFd,
    path: &Path,
    log: &mut DenialLog<'_>,
) -> Result<(), Errno> {
    let found = walk::resolve(asker, libc::AT_FDCWD, path.as_os_str().as_bytes(), LastLink::Follow)?;
    let object = found.object.as_ref().ok_or(Errno::NOENT)?;
    let real = walk::path_of(object.as_fd())?;
    if !observer.files.may_write(&real) {
        log.record(Attempt::new(Area::Sockets, "connect", &real).rule("not writable").by(asker.process()));
        return Err(Errno::ACCESS);
    }
    if FileType::from_raw_mode(fstat(object)?.st_mode) != FileType::Socket {
        return Err(Errno::CONNREFUSED);
    }
    let address = SocketAddrUnix::new(walk::link_of(object.as_fd()).as_str())?;
    without_waiting(socket, || connect(socket, &address))
}

/// Runs `action` while the socket, which the process shares, does not block.
fn without_waiting(socket: &OwnedFd, action: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let flags = fcntl_getfl(socket)?;
    fcntl_setfl(socket, flags | OFlags::NONBLOCK)?;
    let result = action();
    fcntl_setfl(socket, flags)?;
    result
}

fn describe(address: &Address) -> String {
    match address {
        Address::UnixPath(path) => path.to_string_lossy().into_owned(),
        Address::Other(family) => format!("family {family}"),
        Address::Internet(address) => address.to_string(),
        Address::Unspecified | Address::UnixAbstract(_) | Address::UnixUnnamed | Address::Malformed => {
            "socket".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    use super::*;

    #[test]
    fn abstract_names_of_the_host_are_found() {
        let name = format!("stockade-test-{}\0x", std::process::id());
        assert!(!host_has_abstract(name.as_bytes()));
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert!(host_has_abstract(name.as_bytes()));
        assert!(!host_has_abstract(&name.as_bytes()[1..]));
        drop(listener);
    }
}
