//! Following what one program sends on one connection.

use super::body::{self, Body};
use super::first::{self, First};
use super::head::{self, Head};
use super::hello::{self, Behind, Hello, MAX_EARLY_DATA};
use super::{MAX_HELD, Protocol, Refusal};
use crate::rules::HostName;

/// Most bytes of a first line that could still be several things; servers take request lines of half as many.
const MAX_FIRST: usize = 16 << 10;

/// The port of HTTP (RFC 9110, section 4.2.1).
const HTTP_PORT: u16 = 80;

/// What a program sends on a connection to a name. Everything goes through [`push`](Self::push), in order, until it says
/// that the rest may pass unseen.
#[derive(Debug)]
pub struct Inspection {
    host: HostName,
    port: u16,
    stage: Stage,
    protocol: Protocol,
    held: Vec<u8>,
    /// Bytes of `held` in which the end of a line or head was looked for in vain.
    searched: usize,
    /// Why nothing passes any more.
    refused: Option<Refusal>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Anything: the connection has begun, or an upgrade was asked for.
    First { upgraded: bool },
    /// A ClientHello.
    Hello,
    /// A record of TLS that may begin a second ClientHello, or hold some of so many bytes of early data in front of it.
    Record { early: usize },
    /// A request of HTTP/1.
    Head,
    /// More of a request's body. Behind it anything may come if an upgrade was asked for, else a request.
    Body { body: Body, upgraded: bool },
    /// Whatever it is, it passes.
    Unseen,
}

/// What becomes of what was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// It is held, because more is needed to tell.
    NeedMore,
    /// These bytes, the next in order and never none, may go on. Others may still be held; push what follows.
    Forward(Vec<u8>),
    /// These bytes, all that were held, may go on, and everything that follows may pass without being pushed.
    Pass {
        /// What the connection speaks.
        protocol: Protocol,
        /// The bytes; never none.
        bytes: Vec<u8>,
    },
    /// The connection is to be ended, and what is held thrown away.
    Refuse(Refusal),
}

/// What a look at the bytes that are held says.
pub(super) enum Look {
    /// More are needed.
    More,
    /// So many bytes, at least one, are settled.
    Settled(usize),
    /// Everything passes from here on.
    Pass(Protocol),
}

impl Inspection {
    /// An inspection of a connection to this name at this port.
    #[must_use]
    pub fn new(host: HostName, port: u16) -> Self {
        let stage = Stage::First { upgraded: false };
        Self { host, port, stage, protocol: Protocol::Other, held: Vec::new(), searched: 0, refused: None }
    }

    /// What the connection speaks, as far as it is known.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether bytes are held. While they are, the program owes the rest, and should have only seconds to send it; see
    /// [`Refusal::Slow`].
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the next bytes, and says what becomes of them and of those that are held. Of no bytes nothing becomes.
    pub fn push(&mut self, bytes: &[u8]) -> Step {
        if let Some(refusal) = &self.refused {
            return Step::Refuse(refusal.clone());
        }
        if bytes.is_empty() {
            return Step::NeedMore;
        }
        self.held.extend(bytes);
        let mut settled = 0;
        loop {
            match self.look(settled) {
                Ok(Look::Settled(count)) => {
                    settled += count;
                    self.searched = 0;
                }
                Ok(Look::More) if self.held.len() - settled > MAX_HELD => return self.refuse(Refusal::TooLong),
                Ok(Look::More) if settled == 0 => return Step::NeedMore,
                Ok(Look::More) => return Step::Forward(self.held.drain(..settled).collect()),
                Ok(Look::Pass(protocol)) => return self.pass(protocol),
                Err(refusal) => return self.refuse(refusal),
            }
        }
    }

    /// Says what becomes of the bytes that are held when the program sends no more. [`Step::NeedMore`] where none are.
    pub fn end(&mut self) -> Step {
        match self.stage {
            _ if self.held.is_empty() => Step::NeedMore,
            // Without a whole line it is no request to anybody.
            Stage::First { .. } if !self.held.contains(&b'\n') => self.pass(Protocol::Other),
            _ => self.refuse(Refusal::Incomplete),
        }
    }

    fn pass(&mut self, protocol: Protocol) -> Step {
        self.stage = Stage::Unseen;
        if protocol != Protocol::Other {
            self.protocol = protocol;
        }
        Step::Pass { protocol: self.protocol, bytes: std::mem::take(&mut self.held) }
    }

    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.refused = Some(refusal.clone());
        self.held = Vec::new();
        Step::Refuse(refusal)
    }

    /// Looks at what is held and not settled yet.
    fn look(&mut self, settled: usize) -> Result<Look, Refusal> {
        let held = &self.held[settled..];
        match self.stage {
            _ if held.is_empty() => Ok(Look::More),
            Stage::First { upgraded } => self.look_first(settled, upgraded),
            Stage::Hello => match hello::look(held, &self.host)? {
                None => Ok(Look::More),
                Some(Hello { length, has_early_data }) => {
                    self.stage = Stage::Record { early: if has_early_data { MAX_EARLY_DATA } else { 0 } };
                    Ok(Look::Settled(length))
                }
            },
            Stage::Record { early } => match hello::look_behind(held, early > 0) {
                Behind::More => Ok(Look::More),
                Behind::Padding(count) => Ok(Look::Settled(count)),
                Behind::EarlyData(count) => {
                    self.stage = Stage::Record { early: early.saturating_sub(count) };
                    Ok(Look::Settled(count))
                }
                Behind::Unseen => Ok(Look::Pass(Protocol::Tls)),
                Behind::Hello => {
                    self.stage = Stage::Hello;
                    self.look(settled)
                }
            },
            Stage::Head => self.look_head(settled),
            Stage::Body { body, upgraded } => {
                let (count, next) = match body::look(body, held)? {
                    None => return Ok(Look::More),
                    Some(found) => found,
                };
                self.stage = match next {
                    Some(body) => Stage::Body { body, upgraded },
                    None => behind_request(upgraded),
                };
                Ok(Look::Settled(count))
            }
            Stage::Unseen => Ok(Look::Pass(self.protocol)),
        }
    }

    fn look_first(&mut self, settled: usize, upgraded: bool) -> Result<Look, Refusal> {
        let held = &self.held[settled..];
        let stage = match first::look(held, upgraded, self.searched)? {
            First::More if held.len() > MAX_FIRST => return Err(Refusal::TooLong),
            First::More => {
                self.searched = held.len();
                return Ok(Look::More);
            }
            First::MorePreface => return Ok(Look::More),
            First::Pass(Protocol::Http2) if self.port == HTTP_PORT => {
                return Err(Refusal::Request("it is HTTP/2 without TLS"));
            }
            First::Pass(protocol) => return Ok(Look::Pass(protocol)),
            First::AsksForTls(count) => return Ok(Look::Settled(count)),
            First::Hello => {
                self.protocol = Protocol::Tls;
                Stage::Hello
            }
            First::Request => {
                self.protocol = Protocol::Http;
                Stage::Head
            }
        };
        (self.stage, self.searched) = (stage, 0);
        self.look(settled)
    }

    fn look_head(&mut self, settled: usize) -> Result<Look, Refusal> {
        let held = &self.held[settled..];
        if let Some(blank) = head::blank_line(held)? {
            return Ok(Look::Settled(blank));
        }
        let Some(length) = head::length(held, self.searched)? else {
            self.searched = held.len();
            return Ok(Look::More);
        };
        let Head { body, upgrade } = head::read(&held[..length], &self.host, self.port)?;
        self.stage = match body {
            Some(body) => Stage::Body { body, upgraded: upgrade },
            None => behind_request(upgrade),
        };
        Ok(Look::Settled(length))
    }
}

const fn behind_request(upgraded: bool) -> Stage {
    if upgraded { Stage::First { upgraded } } else { Stage::Head }
}

#[cfg(test)]
mod tests;
