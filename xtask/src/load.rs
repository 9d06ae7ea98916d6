//! The load of the gate's benchmark: a server on the host's loopback, and a client that runs in each contestant.
//!
//! Both end by themselves: the server with the benchmark, the client after a fixed amount of work, or when a socket has been
//! silent for [`PATIENCE`].

mod client;
mod server;

use std::error::Error;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

pub(crate) use server::Server;

/// Bytes of a stream.
pub(crate) const STREAM: usize = 256 << 20;
/// Connections that are open at once in [`Job::AtOnce`].
pub(crate) const AT_ONCE: usize = 1_000;

/// Bytes that each of them carries in each direction.
const SHARE: usize = 16 << 10;
/// Bytes that are written or read at once.
const CHUNK: usize = 256 << 10;
/// How long a socket may be silent before the load gives up.
const PATIENCE: Duration = Duration::from_secs(8);

/// What stops the load.
type Failure = Box<dyn Error>;

/// What a client asks of the server, in the first byte of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Wish {
    /// Send the byte back.
    Echo = b'e',
    /// Take [`STREAM`] bytes, and say when they are there.
    Take = b't',
    /// Give as many.
    Give = b'g',
    /// Send [`SHARE`] bytes back, beside the other connections.
    Share = b's',
}

impl Wish {
    const ALL: [Self; 4] = [Self::Echo, Self::Take, Self::Give, Self::Share];

    fn read(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|wish| *wish as u8 == byte)
    }
}

/// A part of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// One stream each way, new connections, and the time to the first byte.
    Speed,
    /// [`AT_ONCE`] connections that are open at once and all transfer something.
    AtOnce,
}

impl Job {
    /// Its name as an argument.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::AtOnce => "at-once",
        }
    }
}

/// What a client has measured; what its job does not measure is empty, or zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Microseconds from the call that connects to the first byte of the server, for each of several connections.
    pub(crate) first_byte: Vec<f64>,
    /// Connections per second, each of which carries a byte in both directions, several being made at once.
    pub(crate) per_second: f64,
    /// MiB per second to the server.
    pub(crate) up: f64,
    /// MiB per second from the server.
    pub(crate) down: f64,
    /// Milliseconds from the first of the connections at once to the end of the last.
    pub(crate) at_once: f64,
}

/// The client: `xtask load JOB ADDRESS`, which prints [`Measured`] in JSON.
#[expect(clippy::print_stdout, reason = "the result goes to the benchmark by standard output")]
pub(crate) fn run(job: &str, server: &str) -> Result<(), Failure> {
    let job = [Job::Speed, Job::AtOnce].into_iter().find(|known| known.name() == job);
    raise_descriptor_limit();
    let measured = client::run(job.ok_or("load takes speed or at-once")?, server.parse()?)?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// As far as it goes; where that is not enough, connections fail, and the benchmark says so.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_at_once_are_all_served() {
        raise_descriptor_limit();
        let server = Server::start().expect("a server on loopback");
        let measured = client::run(Job::AtOnce, server.address).expect("all connections end well");
        assert!(measured.at_once > 0.0 && measured.first_byte.is_empty(), "{measured:?}");
    }

    #[test]
    fn wishes_read_as_they_are_written() {
        for wish in Wish::ALL {
            assert_eq!(Wish::read(wish as u8), Some(wish));
        }
        assert_eq!(Wish::read(0), None);
    }
}
