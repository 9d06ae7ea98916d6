//! What a query is answered with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{Code, Query, Record, Response, Unreadable, class, header_only, kind, read};
use crate::names::Names;
use crate::rules::{HostName, Rules, Verdict};

mod reverse;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is sent back, at most [`MAX_RESPONSE`](super::MAX_RESPONSE) bytes; `None` is silence.
    pub response: Option<Vec<u8>>,
    /// The name that was refused.
    pub denial: Option<Denial>,
}

/// A name that was asked for and is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The name, as a rule would write it. What is no host name is escaped; at most 1,011 characters, none of which a
    /// terminal obeys.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Why a name is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// By the rules.
    Rules {
        /// The rule that denies it; `None` where no rule names it.
        rule: Option<String>,
    },
    /// It is no host name, so that no rule could allow it.
    NotAHost,
    /// The addresses that can stand for names are used up.
    Full,
}

impl Denial {
    /// The option that would allow it, where one does.
    #[must_use]
    pub fn suggestion(&self) -> Option<String> {
        (self.reason == Reason::Rules { rule: None }).then(|| format!("--allow {}", self.name))
    }
}

/// Answers a message of a client. Nothing is looked up anywhere.
///
/// An allowed name has an A and an AAAA record and nothing else: what other types tell (other ports, other addresses, keys
/// that hide the name from the gate) is not for those who are let through by name. A name that is not allowed does not
/// exist. Nor do the services of a name (`_https._tcp.example.com`), which programs do without.
#[must_use]
pub fn answer(message: &[u8], names: &mut Names, rules: &Rules) -> Answer {
    let query = match read(message) {
        Ok(query) => query,
        Err(Unreadable::Silence) => return Answer { response: None, denial: None },
        Err(Unreadable::Answer(start, code)) => {
            return Answer { response: Some(header_only(start, code)), denial: None };
        }
    };
    let (response, denial) = respond(&query, names, rules);
    Answer { response: Some(response.to_bytes(&query)), denial }
}

type Outcome = (Response, Option<Denial>);

fn respond(query: &Query, names: &mut Names, rules: &Rules) -> Outcome {
    if query.edns.is_some_and(|version| version > 0) {
        return failed(Code::BadVersion);
    }
    if ![class::IN, class::ANY].contains(&query.class) || kind::TRANSFERS.contains(&query.kind) {
        return failed(Code::Refused);
    }
    if query.labels.is_empty() {
        return found(Vec::new());
    }
    let services = query.labels.iter().take_while(|label| label.first() == Some(&b'_')).count();
    match host_name(&query.labels[services..]) {
        Some(name) if reverse::is_reverse(&name) => reverse::respond(query.kind, &name, names),
        Some(name) if is_localhost(&name) => found(local(query.kind)),
        Some(name) if services > 0 => service(&name, rules),
        Some(name) => by_rules(query.kind, &name, names, rules),
        None => denied(Code::NoSuchName, shown(&query.labels), Reason::NotAHost),
    }
}

/// A service of an allowed host does not exist; that is no refusal.
fn service(name: &HostName, rules: &Rules) -> Outcome {
    match rules.may_resolve(name) {
        Verdict::Denied { rule } => denied(Code::NoSuchName, name.to_string(), Reason::Rules { rule }),
        Verdict::Allowed { .. } | Verdict::Ask => failed(Code::NoSuchName),
    }
}

fn by_rules(kind: u16, name: &HostName, names: &mut Names, rules: &Rules) -> Outcome {
    if let Verdict::Denied { rule } = rules.may_resolve(name) {
        return denied(Code::NoSuchName, name.to_string(), Reason::Rules { rule });
    }
    // Only a question for an address takes one.
    if ![kind::A, kind::AAAA, kind::ANY].contains(&kind) {
        return found(Vec::new());
    }
    match names.give(name) {
        Ok(given) => found(addresses(kind, given.ipv4, given.ipv6)),
        Err(_) => denied(Code::ServerFailure, name.to_string(), Reason::Full),
    }
}

/// The addresses of one's own machine, which inside is the sandbox (RFC 6761, section 6.3).
fn local(kind: u16) -> Vec<Record> {
    addresses(kind, Ipv4Addr::LOCALHOST, Some(Ipv6Addr::LOCALHOST))
}

fn addresses(kind: u16, ipv4: Ipv4Addr, ipv6: Option<Ipv6Addr>) -> Vec<Record> {
    let ipv6 = ipv6.map(Record::Aaaa);
    match kind {
        kind::A => vec![Record::A(ipv4)],
        kind::AAAA => ipv6.into_iter().collect(),
        kind::ANY => std::iter::once(Record::A(ipv4)).chain(ipv6).collect(),
        _ => Vec::new(),
    }
}

fn is_localhost(name: &HostName) -> bool {
    name.as_str() == "localhost" || name.is_below("localhost")
}

fn host_name(labels: &[Vec<u8>]) -> Option<HostName> {
    // A dot inside a label would be read as the end of it.
    if labels.iter().any(|label| label.contains(&b'.')) {
        return None;
    }
    str::from_utf8(&labels.join(&b'.')).ok()?.parse().ok()
}

/// The name for people, with everything escaped that is neither a letter, a digit nor a usual sign.
fn shown(labels: &[Vec<u8>]) -> String {
    struct Label<'l>(&'l [u8]);
    impl fmt::Display for Label<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for byte in self.0 {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => write!(f, "{}", char::from(*byte))?,
                    // As in the text form of zones (RFC 1035, section 5.1).
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            Ok(())
        }
    }
    let labels: Vec<String> = labels.iter().map(|label| Label(label).to_string()).collect();
    labels.join(".")
}

fn found(records: Vec<Record>) -> Outcome {
    (Response { code: Code::NoError, records }, None)
}

fn failed(code: Code) -> Outcome {
    (Response { code, records: Vec::new() }, None)
}

fn denied(code: Code, name: String, reason: Reason) -> Outcome {
    (Response { code, records: Vec::new() }, Some(Denial { name, reason }))
}

/// A name for an address that has one inside.
fn name_inside(address: IpAddr, names: &Names) -> Option<HostName> {
    if address.is_loopback() { "localhost".parse().ok() } else { names.name_of(address).cloned() }
}

#[cfg(test)]
mod tests;
