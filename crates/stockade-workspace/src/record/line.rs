//! One line of a record: its form, its hash, and how it is read.
//!
//! ```text
//! {"version":1,"sequence":7,"at_ms":1767225600000,"event":"command.ended","payload":{…},"prev":"…","hash":"…"}
//! ```
//!
//! Every byte of a line has to be as it was written: the keys stand in this order, numbers have no leading zeros, and there is no
//! white space between them. `hash` is the SHA-256 of [`TAG`], the 32 bytes of `prev`, and the exact bytes of the line
//! before `,"prev"`; nothing is parsed and written again for it. `prev` is the hash of the line before, and for the first
//! line the SHA-256 of [`START_TAG`] and the sandbox's id. A payload that does not fit a line has its JSON text cut to a
//! string, and the key `cut` before it says how many bytes the text had.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::damage::Damage;
use super::error::RecordError;
use super::hex;
use super::payload::{Payload, is_json};

/// The most bytes of a line, its line end included.
pub const MAX_LINE: usize = 64 << 10;

/// The version of the form.
const VERSION: u64 = 1;

/// What the hash of a line begins with, so that it is no hash of anything else.
const TAG: &[u8] = b"stockade record line 1\0";

/// The same for the start of a chain.
const START_TAG: &[u8] = b"stockade record start 1\0";

const BEFORE_PREV: &[u8] = b",\"prev\":\"";
const BEFORE_HASH: &[u8] = b"\",\"hash\":\"";
const END: &[u8] = b"\"}";
/// What follows the bytes that are hashed; always as long.
const SUFFIX: usize = BEFORE_PREV.len() + 64 + BEFORE_HASH.len() + 64 + END.len();

/// Bytes of a line that are not its payload: the suffix, the line end, and the longest form of the rest.
pub(super) const OVERHEAD: usize = SUFFIX + 1 + 256;

/// A hash of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(pub(super) [u8; 32]);

/// An id of a sandbox: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SandboxId(String);

impl SandboxId {
    pub(super) fn new(text: &str) -> Result<Self, RecordError> {
        let well_formed = hex::decode::<16>(text.as_bytes()).is_some();
        if well_formed { Ok(Self(text.to_owned())) } else { Err(RecordError::Id(text.to_owned())) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the first line of its record carries as the hash of the line before.
    pub(super) fn start(&self) -> Hash {
        Hash(Sha256::new().chain_update(START_TAG).chain_update(self.0.as_bytes()).finalize().into())
    }
}

/// One event of a record, as [`super::Reader`] shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The line's number, from 1.
    pub sequence: u64,
    /// When: milliseconds since 1970-01-01T00:00:00Z, by the clock of the machine.
    pub at_ms: u64,
    /// What kind of event.
    pub event: String,
    /// Where the payload was too long for a line: how many bytes its JSON text had. The payload is a string then, the
    /// beginning of that text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<u64>,
    /// What the event is about.
    pub payload: Value,
}

/// A line that was read, its hash not looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'l> {
    body: &'l [u8],
    pub(super) sequence: u64,
    at_ms: u64,
    pub(super) event: &'l str,
    cut: Option<u64>,
    payload: &'l [u8],
    pub(super) prev: Hash,
    pub(super) hash: Hash,
}

/// Whether an event can be called that.
pub(super) fn is_event(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    matches!(name.len(), 1..=64) && name.bytes().all(allowed)
}

/// Writes a line with its line end. `event` is a name by [`is_event`].
pub(super) fn encode(sequence: u64, at_ms: u64, event: &str, payload: &Payload, prev: Hash) -> (Vec<u8>, Hash) {
    let cut = payload.cut.map(|bytes| format!(r#","cut":{bytes}"#)).unwrap_or_default();
    let text = &payload.text;
    let line = format!(
        r#"{{"version":{VERSION},"sequence":{sequence},"at_ms":{at_ms},"event":"{event}"{cut},"payload":{text}"#
    );
    let hash = hash(prev, line.as_bytes());
    let mut line = line.into_bytes();
    line.extend(BEFORE_PREV);
    line.extend(hex::encode(&prev.0).as_bytes());
    line.extend(BEFORE_HASH);
    line.extend(hex::encode(&hash.0).as_bytes());
    line.extend(END);
    line.push(b'\n');
    (line, hash)
}

fn hash(prev: Hash, body: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update(TAG).chain_update(prev.0).chain_update(body).finalize().into())
}

impl<'l> Line<'l> {
    /// Reads a line, given without its line end.
    pub(super) fn parse(line: &'l [u8]) -> Result<Self, Damage> {
        let (body, suffix) = line.split_at(line.len().checked_sub(SUFFIX).ok_or(Damage::NotALine)?);
        let mut suffix = Rest(suffix);
        let mut hash = |before: &[u8]| {
            suffix.expect(before)?;
            hex::decode(suffix.take(64)?).map(Hash).ok_or(Damage::NotALine)
        };
        let (prev, hash) = (hash(BEFORE_PREV)?, hash(BEFORE_HASH)?);
        suffix.expect(END)?;
        let mut rest = Rest(body);
        rest.expect(b"{\"version\":")?;
        match rest.number()? {
            VERSION => {}
            other => return Err(Damage::Version(other)),
        }
        rest.expect(b",\"sequence\":")?;
        let sequence = rest.number()?;
        rest.expect(b",\"at_ms\":")?;
        let at_ms = rest.number()?;
        rest.expect(b",\"event\":\"")?;
        let event = rest.event()?;
        let cut = if rest.expect(b"\",\"cut\":").is_ok() {
            Some(rest.number()?)
        } else {
            rest.expect(b"\"").map(|()| None)?
        };
        rest.expect(b",\"payload\":")?;
        Ok(Self { body, sequence, at_ms, event, cut, payload: rest.0, prev, hash })
    }

    /// Whether the line has the hash that it says.
    pub(super) fn is_unchanged(&self) -> bool {
        hash(self.prev, self.body) == self.hash
    }

    /// Whether the payload can be read.
    pub(super) fn is_readable(&self) -> bool {
        is_json(self.payload)
    }

    /// The event, with its payload.
    pub(super) fn entry(&self) -> Result<Entry, Damage> {
        let payload = serde_json::from_slice(self.payload).map_err(|_| Damage::NotALine)?;
        let (sequence, at_ms, cut) = (self.sequence, self.at_ms, self.cut);
        Ok(Entry { sequence, at_ms, event: self.event.to_owned(), cut, payload })
    }
}

/// What is still to be read of a line.
struct Rest<'l>(&'l [u8]);

impl<'l> Rest<'l> {
    fn expect(&mut self, text: &[u8]) -> Result<(), Damage> {
        self.0 = self.0.strip_prefix(text).ok_or(Damage::NotALine)?;
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<&'l [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Damage::NotALine)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number as it is written here: without leading zeros.
    fn number(&mut self) -> Result<u64, Damage> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(self.take(digits)?).map_err(|_| Damage::NotALine)?;
        if text.len() > 1 && text.starts_with('0') {
            return Err(Damage::NotALine);
        }
        text.parse().map_err(|_| Damage::NotALine)
    }

    fn event(&mut self) -> Result<&'l str, Damage> {
        let length = self.0.iter().take(65).take_while(|byte| **byte != b'"').count();
        let name = std::str::from_utf8(self.take(length)?).map_err(|_| Damage::NotALine)?;
        if is_event(name) { Ok(name) } else { Err(Damage::NotALine) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Hash = Hash([7; 32]);

    fn entry(payload: &Value) -> (usize, Entry) {
        let (text, hash) = encode(u64::MAX, u64::MAX, &"e".repeat(64), &Payload::new(payload), START);
        assert!(text.len() <= MAX_LINE, "{}", text.len());
        let line = Line::parse(text.strip_suffix(b"\n").unwrap()).unwrap();
        assert!(line.is_unchanged() && line.is_readable());
        assert_eq!((line.hash, line.prev), (hash, START));
        (text.len(), line.entry().unwrap())
    }

    #[test]
    fn what_fits_is_kept_and_what_does_not_is_cut_and_says_so() {
        let short = serde_json::json!({ "text": "a\nb", "number": 1.5 });
        assert_eq!(
            entry(&short).1,
            Entry { sequence: u64::MAX, at_ms: u64::MAX, event: "e".repeat(64), cut: None, payload: short }
        );
        for character in ["x", "é", "\u{1}", "\n", "\"", "\u{10000}"] {
            let long = Value::from(character.repeat(MAX_LINE));
            let (length, cut) = entry(&long);
            assert_eq!(cut.cut, Some(u64::try_from(long.to_string().len()).unwrap()));
            assert!(long.to_string().starts_with(cut.payload.as_str().unwrap()), "{character:?}");
            assert!(length > MAX_LINE / 2, "{character:?}: {length}");
        }
        let edge = |length: usize| entry(&Value::from("x".repeat(MAX_LINE - OVERHEAD - 2 + length))).1.cut.is_some();
        assert!(!edge(0) && edge(1));
    }

    #[test]
    fn what_is_nested_too_deeply_to_be_read_is_kept_as_text() {
        let deep = (0..300).fold(Value::Null, |inner, _| Value::from(vec![inner]));
        let cut = entry(&deep).1;
        assert_eq!(cut.payload, Value::from(deep.to_string()));
        assert_eq!(cut.cut, Some(604));
    }

    #[test]
    fn another_form_is_no_line() {
        let (text, _) = encode(1, 2, "a", &Payload::new(&Value::Null), START);
        let text = String::from_utf8(text).unwrap();
        let text = text.trim_end();
        Line::parse(text.as_bytes()).unwrap();
        for (from, to) in [
            ("\"sequence\":1", "\"sequence\":01"),
            ("\"sequence\":1", "\"sequence\": 1"),
            ("\"sequence\":1", "\"sequence\":99999999999999999999"),
            ("\"sequence\":1", "\"sequence\":"),
            ("\"event\":\"a\"", "\"event\":\"A\""),
            ("\"event\":\"a\"", "\"event\":\"\""),
            ("\"prev\":\"07", "\"prev\":\"0G"),
            ("\"hash\"", "\"Hash\""),
            ("{\"version\":1,", "{\"version\":1,\"version\":1,"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(Line::parse(changed.as_bytes()), Err(Damage::NotALine), "{changed}");
        }
        assert_eq!(Line::parse(text.replacen(":1,", ":2,", 1).as_bytes()), Err(Damage::Version(2)));
        assert_eq!(Line::parse(b""), Err(Damage::NotALine));
    }
}
