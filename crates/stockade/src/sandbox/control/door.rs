//! The socket at which callers knock.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with};

use crate::sandbox::conversation::address;

/// The name of the socket in a sandbox's folder.
pub(crate) const NAME: &str = "control";

/// Callers that wait to be let in.
const BACKLOG: i32 = 128;

/// A listening socket, whose name goes with it.
#[derive(Debug)]
pub(crate) struct Door {
    socket: OwnedFd,
    folder: OwnedFd,
    /// The supervisor's process namespace, as `/proc` names it.
    namespace: PathBuf,
}

impl Door {
    /// Opens the door in a sandbox's folder. The caller holds the supervisor's lock, so a socket that is there is nobody's.
    pub(crate) fn open(folder: BorrowedFd<'_>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match rustix::fs::unlinkat(folder, NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        // Only its owner may connect, from its first moment on.
        let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = address(folder, NAME).and_then(|address| Ok(bind(&socket, &address)?));
        rustix::process::umask(mask);
        bound?;
        listen(&socket, BACKLOG)?;
        let namespace = namespace_of("self")?;
        Ok(Self { socket, folder: folder.try_clone_to_owned()?, namespace })
    }

    /// The next caller, if there is one. Callers from inside a sandbox, which see other processes, are let go.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) if self.is_our_own(&socket) => return Ok(Some(socket)),
                Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the caller is of the same user and the same process namespace. The folder is closed to sandboxes anyway.
    fn is_our_own(&self, socket: &OwnedFd) -> bool {
        let Ok(peer) = rustix::net::sockopt::socket_peercred(socket) else { return false };
        let theirs = namespace_of(&peer.pid.as_raw_nonzero().to_string());
        peer.uid == rustix::process::getuid() && theirs.is_ok_and(|theirs| theirs == self.namespace)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // One that stays is removed by the next supervisor.
        rustix::fs::unlinkat(&self.folder, NAME, AtFlags::empty()).ok();
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn namespace_of(process: &str) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/pid"))
}
