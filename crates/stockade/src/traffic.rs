//! Turns what the gate tells into the words of reports and events.

use std::time::Instant;

use stockade_egress::inspect::Protocol;
use stockade_egress::{Connection, Denial, Direction, End, Process, Reason};
use stockade_linux::denials::Attempt;
use stockade_spec::report::{self, Area, ProcessRef};

/// A connection that has just ended, of a run that began then.
pub(crate) fn connection(connection: Connection, started: Instant) -> report::Connection {
    let since = connection.begun.saturating_duration_since(started);
    let milliseconds = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    report::Connection {
        direction: match connection.direction {
            Direction::Outward => report::Direction::Out,
            Direction::Published => report::Direction::In,
        },
        host: connection.host,
        address: connection.address,
        port: connection.port,
        protocol: match connection.protocol {
            Protocol::Tls => report::Protocol::Tls,
            Protocol::Http | Protocol::Http2 => report::Protocol::Http,
            Protocol::Ssh => report::Protocol::Ssh,
            _ => report::Protocol::Other,
        },
        sent: connection.sent,
        received: connection.received,
        duration_ms: milliseconds(connection.duration),
        rule: Some(connection.rule),
        process: connection.process.as_ref().map(process),
        at_ms: milliseconds(since),
        failed: failure(connection.end),
    }
}

fn failure(end: End) -> Option<String> {
    match end {
        End::Closed => None,
        End::Reset => Some("it was broken off".to_owned()),
        End::Refused => Some("what it carried was refused".to_owned()),
        End::Unreachable(reason) => Some(reason),
        End::RunEnded => Some("the run ended first".to_owned()),
    }
}

/// A refused attempt that no system call told of.
pub(crate) fn attempt(denial: Denial) -> Attempt {
    let operation = if denial.port.is_some() { "connect" } else { "resolve" };
    let mut attempt = Attempt::new(Area::Network, operation, target(&denial)).by(denial.process.as_ref().map(process));
    if let Some(rule) = rule(&denial) {
        attempt = attempt.rule(rule);
    }
    if let Some(suggestion) = denial.suggestion {
        attempt = attempt.suggestion(suggestion);
    }
    attempt
}

/// What was to be reached.
pub(crate) fn target(denial: &Denial) -> String {
    match denial.port {
        Some(port) if denial.host.contains(':') => format!("[{}]:{port}", denial.host),
        Some(port) => format!("{}:{port}", denial.host),
        None => denial.host.clone(),
    }
}

/// What refused it: a rule of the policy, or what the gate refuses whatever the rules; `None` where no rule allows it.
pub(crate) fn rule(denial: &Denial) -> Option<String> {
    let reason = match &denial.reason {
        Reason::NotAllowed | Reason::Denied => None,
        Reason::Declined => Some("nobody allowed it when asked".to_owned()),
        Reason::NotAHost => Some("not the name of a host".to_owned()),
        Reason::NoSuchAddress => Some("the address stands for no name".to_owned()),
        Reason::Address(address, why) => Some(format!("it leads to {address}: {why}")),
        Reason::Content(refusal) => Some(refusal.to_string()),
        Reason::Limit(limit) => Some(limit.to_string()),
        Reason::Unserved(why) => Some(why.clone()),
        Reason::Failed => Some("the gate has ended".to_owned()),
    };
    denial.rule.clone().or(reason)
}

fn process(process: &Process) -> ProcessRef {
    ProcessRef { pid: process.pid, name: process.command().to_owned() }
}
