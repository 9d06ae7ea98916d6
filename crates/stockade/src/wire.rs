//! What a threaded process and the program that supervises for it say to each other, over one stream socket: the order
//! with three descriptors, and then messages, each one line of JSON.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stockade_spec::report::{Connection, Denial, Quarantined};
use stockade_spec::{Plan, Policy, Report, Request};

use crate::error::Error;
use crate::event::Event;
use crate::job::Work;

/// Both sides are built from one version, or do not talk.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bytes of one line that are read at most. A report of a thousand denials with the longest paths has a tenth of it.
const MAX_LINE: u64 = 64 << 20;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    version: String,
    policy: Policy,
    request: Request,
    own: Vec<PathBuf>,
    state: PathBuf,
}

impl Order {
    pub(crate) fn new(work: Work<'_>) -> Self {
        let Work { policy, request, own, state } = work;
        Self {
            version: VERSION.to_owned(),
            policy: policy.clone(),
            request: request.clone(),
            own: own.to_vec(),
            state: state.to_owned(),
        }
    }

    /// The work, if the other side is of the same version.
    pub(crate) fn work(&self) -> Result<Work<'_>, Error> {
        let Self { version, policy, request, own, state } = self;
        if version != VERSION {
            let message = format!("the caller is version {version}, and this program {VERSION}");
            return Err(Error::Conversation(io::Error::other(message)));
        }
        Ok(Work { policy, request, own, state })
    }
}

/// What happened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    Recovered { workspace: Option<String>, quarantined: Vec<Quarantined>, failures: Vec<String> },
    Started(Box<Plan>),
    Denied(Denial),
    Connected(Box<Connection>),
    Ended(Box<Report>),
    Failed { message: String, causes: Vec<String>, hint: Option<String> },
}

impl From<Event<'_>> for Message {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Recovered { workspace, quarantined, failures } => Self::Recovered {
                workspace: workspace.map(|path| path.to_string_lossy().into_owned()),
                quarantined: quarantined.to_vec(),
                failures: failures.to_vec(),
            },
            Event::Started(plan) => Self::Started(Box::new(plan.clone())),
            Event::Denied(denial) => Self::Denied(denial.clone()),
            Event::Connected(connection) => Self::Connected(Box::new(connection.clone())),
            Event::Ended(report) => Self::Ended(Box::new(report.clone())),
        }
    }
}

impl From<&Error> for Message {
    fn from(error: &Error) -> Self {
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Self::Failed { message: error.to_string(), causes, hint: error.hint().map(str::to_owned) }
    }
}

/// Writes one line.
pub(crate) fn write(mut output: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    output.write_all(&line)
}

/// Reads one line; `None` at the end.
pub(crate) fn read<T: DeserializeOwned>(input: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&line)?)) }
}
