//! The socket at which callers knock.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with};
use rustix::process::{Resource, getrlimit};

use crate::sandbox::conversation::address;

/// The name of the socket in a sandbox's folder.
pub(crate) const NAME: &str = "control";

/// Callers that wait to be let in.
const BACKLOG: i32 = 128;

/// Descriptors that callers cannot take: those with which limits are looked at, without which the sandbox would have to end.
const RESERVED: u64 = 16;

/// A listening socket, whose name goes with it.
#[derive(Debug)]
pub(crate) struct Door {
    socket: OwnedFd,
    folder: OwnedFd,
    /// The supervisor's process namespace, as `/proc` names it.
    namespace: PathBuf,
    /// A descriptor to give up where there is no other one for a caller.
    spare: Option<OwnedFd>,
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
        let folder = folder.try_clone_to_owned()?;
        let spare = Some(folder.try_clone()?);
        Ok(Self { socket, folder, namespace, spare })
    }

    /// The next caller, if there is one. Callers from inside a sandbox, which see other processes, are let go.
    pub(super) fn accept(&mut self) -> io::Result<Option<OwnedFd>> {
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) if leaves_room(&socket) && self.is_our_own(&socket) => return Ok(Some(socket)),
                Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::MFILE | Errno::NFILE) if self.refuse() => {}
                Err(Errno::MFILE | Errno::NFILE) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets a caller go for whom there is no descriptor: the socket would be ready for as long as one waits. Whether one did.
    fn refuse(&mut self) -> bool {
        self.spare = None;
        let refused = accept_with(&self.socket, SocketFlags::CLOEXEC).is_ok();
        self.spare = self.folder.try_clone().ok();
        refused
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

/// Whether there are descriptors left besides this one. The kernel gives the lowest that is free.
fn leaves_room(socket: &OwnedFd) -> bool {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(socket.as_raw_fd()).is_ok_and(|number| number.saturating_add(RESERVED) < most)
}

fn namespace_of(process: &str) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/pid"))
}
