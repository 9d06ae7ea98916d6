//! The inspected part of a connection: bytes of the client that go through user space, because they name the host they are for.
//!
//! For most protocols that is one packet; for HTTP/1 it is every request (see [`crate::inspect`]). Memory is held only while
//! bytes are: an idle connection has no buffer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::pump::{Broken, Filled, Leg};
use super::record::Record;
use crate::event::Reason;
use crate::inspect::{Inspection, Protocol, Refusal, Step};
use crate::rules::HostName;

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// How long the client may take to complete what it has begun: a ClientHello, a request's head, a first line. Counted from when
/// bytes are held back, and anew when some could go on. A client that says nothing is not hurried: its server may speak first.
const PATIENCE: Duration = Duration::from_secs(10);

/// Passes on what the client says after looking at it, until the rest needs no look, or the client has finished.
pub(super) async fn inspect(up: &Leg<'_>, name: &HostName, port: u16, record: &Record) -> Result<(), Broken> {
    let mut inspection = Inspection::new(name.clone(), port);
    let mut deadline = None;
    loop {
        let step = match read(up, deadline).await? {
            Read::Some(bytes) => inspection.push(&bytes),
            Read::Finished => inspection.end(),
        };
        if inspection.protocol() != Protocol::Other {
            record.set_protocol(inspection.protocol());
        }
        match step {
            Step::NeedMore if inspection.is_holding() => {
                deadline = deadline.or_else(|| Some(Instant::now() + PATIENCE))
            }
            // The client finished, and nothing is held.
            Step::NeedMore => return Ok(()),
            Step::Forward(bytes) => {
                up.write(&bytes).await?;
                deadline = inspection.is_holding().then(|| Instant::now() + PATIENCE);
            }
            Step::Pass { protocol, bytes } => {
                record.set_protocol(protocol);
                return up.write(&bytes).await;
            }
            Step::Refuse(refusal) => return Err(refused(refusal)),
        }
    }
}

const fn refused(refusal: Refusal) -> Broken {
    Broken::Refused(Reason::Content(refusal))
}

enum Read {
    Some(Vec<u8>),
    Finished,
}

async fn read(up: &Leg<'_>, deadline: Option<Instant>) -> Result<Read, Broken> {
    loop {
        let readable = up.from.readable();
        match deadline {
            Some(deadline) => timeout_at(deadline, readable).await.map_err(|_| refused(Refusal::Slow))?,
            None => readable.await,
        }
        .map_err(|_| Broken::Socket)?;
        match read_some(up) {
            Ok(read) => return Ok(read),
            Err(Filled::Nothing) => {}
            Err(Filled::Broken(broken)) => return Err(broken),
        }
    }
}

fn read_some(up: &Leg<'_>) -> Result<Read, Filled> {
    let mut bytes = vec![0; CHUNK];
    let count = up.read(&mut bytes)?;
    bytes.truncate(count);
    Ok(if bytes.is_empty() { Read::Finished } else { Read::Some(bytes) })
}
