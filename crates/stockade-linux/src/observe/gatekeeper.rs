//! Who decides about connections that leave through the gate.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use stockade_spec::report::ProcessRef;

/// Decides whether programs may connect by TCP to addresses beyond loopback.
///
/// It is asked while the program waits and nothing else is answered, so it answers soon. Saying yes lets the kernel carry
/// on, which reads the address again: so a yes must be harmless for every address. It is, since a connection arrives only
/// where something listens inside, and only what may be reached has a listener.
pub trait Gatekeeper: Debug {
    /// Whether a program may connect to an address. Addresses of IPv4 in IPv6 form are given as IPv4. The process is
    /// missing when it has ended meanwhile.
    fn admit(&mut self, to: SocketAddr, process: Option<&ProcessRef>) -> Admission;

    /// Whether a program may connect to an address, where it has no network: `socket` is the other end of its stream socket,
    /// which does not block. Where the answer is [`Admission::Continue`], the gatekeeper has made a copy of it, and carries what
    /// comes from it.
    fn carry(&mut self, to: SocketAddr, process: Option<&ProcessRef>, socket: BorrowedFd<'_>) -> Admission;

    /// Answers questions for names that come from a socket, which keeps messages apart (`SOCK_SEQPACKET`) and does not block.
    ///
    /// # Errors
    /// When there are too many of them, or nobody answers any more.
    fn answer_names(&mut self, socket: OwnedFd) -> io::Result<()>;

    /// What an address is called in records of attempts about which nobody was asked, such as the name for which it
    /// stands.
    fn describe(&self, address: SocketAddr) -> String {
        address.to_string()
    }
}

/// What a [`Gatekeeper`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The connection may be made: something listens at the address.
    Continue,
    /// It may not. It fails, and is recorded as a denial.
    Refuse(Refusal),
    /// Somebody has to be asked first. The program waits, and the gatekeeper is asked again whenever something that is watched
    /// has happened.
    Later,
}

/// Why a connection may not be made, as programs and people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number with which the call fails; from 1 to 4095.
    pub errno: i32,
    /// What was to be reached, such as `example.com:443`.
    pub target: String,
    /// The rule that refused it, if one did.
    pub rule: Option<String>,
    /// The option that would allow it.
    pub suggestion: Option<String>,
}
