//! The ClientHello of TLS (RFC 8446, section 4.1.2; RFC 6066, section 3), which may be spread over several records.

use super::Refusal;
use crate::rules::HostName;

/// Longest ClientHello, in bytes. Those with keys for the time after quantum computers have some two thousand.
const MAX_HELLO: usize = 16 << 10;
/// Most bytes in a record that is not encrypted (RFC 8446, section 5.1).
const MAX_RECORD: usize = 1 << 14;
/// Bytes in front of a record's content.
const RECORD_HEADER: usize = 5;
/// Bytes in front of a handshake message's content.
const MESSAGE_HEADER: usize = 4;

/// Most bytes of early data that are followed. Servers that turn them down skip about a record of them, and give up on more.
pub(super) const MAX_EARLY_DATA: usize = 64 << 10;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const EARLY_DATA: u16 = 42;
const HOST_NAME: u8 = 0;

/// Whether bytes are the start of a handshake over TLS of any version, or may become it.
pub(super) fn is_start(bytes: &[u8]) -> bool {
    bytes.first() == Some(&HANDSHAKE) && bytes.get(1).is_none_or(|major| *major == 3)
}

/// Whether bytes are another record of TLS, or may become it. No client begins with one, and some servers pass over it: alerts
/// that are only warnings, for one.
pub(super) fn is_stray_record(bytes: &[u8]) -> bool {
    let kinds = [CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA];
    bytes.first().is_some_and(|kind| kinds.contains(kind)) && bytes.get(1).is_none_or(|major| *major == 3)
}

/// A ClientHello that names the right server, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// The bytes of its records.
    pub(super) length: usize,
    /// Whether data may follow at once, encrypted with keys of an earlier connection (RFC 8446, section 4.2.10).
    pub(super) has_early_data: bool,
}

/// Looks at records that hold a ClientHello; `None` where more are needed.
pub(super) fn look(held: &[u8], host: &HostName) -> Result<Option<Hello>, Refusal> {
    let (mut message, mut rest) = (Vec::new(), held);
    while let Some((header, behind)) = rest.split_at_checked(RECORD_HEADER) {
        let length = record_length(header)?;
        let content = behind.get(..length).unwrap_or(behind);
        message.extend(content);
        let wanted = message_length(&message)?;
        if content.len() < length {
            return Ok(None);
        }
        rest = &behind[length..];
        if wanted.is_some_and(|wanted| message.len() > wanted) {
            return Err(Refusal::Hello("something follows it in the same record"));
        }
        if wanted == Some(message.len()) {
            let has_early_data = check(&message[MESSAGE_HEADER..], host)?;
            return Ok(Some(Hello { length: held.len() - rest.len(), has_early_data }));
        }
    }
    // What there is of a header has to be one's start.
    if rest.is_empty() || is_start(rest) { Ok(None) } else { Err(Refusal::Hello("a record of another type")) }
}

fn record_length(header: &[u8]) -> Result<usize, Refusal> {
    if !is_start(header) {
        return Err(Refusal::Hello("a record of another type"));
    }
    match usize::from(u16::from_be_bytes([header[3], header[4]])) {
        0 => Err(Refusal::Hello("a record is empty")),
        length if length > MAX_RECORD => Err(Refusal::Hello("a record is too long")),
        length => Ok(length),
    }
}

/// The length of the whole handshake message that begins here, once it is known.
fn message_length(message: &[u8]) -> Result<Option<usize>, Refusal> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(Refusal::Hello("it is another message"));
    }
    let Some(header) = message.first_chunk::<MESSAGE_HEADER>() else { return Ok(None) };
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    match usize::try_from(length) {
        Ok(length) if length <= MAX_HELLO => Ok(Some(MESSAGE_HEADER + length)),
        _ => Err(Refusal::Hello("it is too long")),
    }
}

/// What follows a ClientHello.
pub(super) enum Behind {
    /// Not told yet.
    More,
    /// A record that means nothing, of so many bytes.
    Padding(usize),
    /// A record of early data, of so many bytes.
    EarlyData(usize),
    /// A handshake message that is, or may be, another ClientHello.
    Hello,
    /// Anything else: nothing names a server any more.
    Unseen,
}

/// The largest first byte of the three of its length that a ClientHello has: no server takes one of 256 KiB.
const MAX_LENGTH_BYTE: u8 = 3;

/// Looks at what follows a ClientHello. A server that wants other keys asks for a second one; in front of it a client may
/// send a change of ciphers that has no meaning (RFC 8446, appendix D.4), and early data, where it announced some. Alerts and
/// empty records, which some servers pass over, mean nothing either.
pub(super) fn look_behind(held: &[u8], may_be_early: bool) -> Behind {
    match held {
        [CHANGE_CIPHER_SPEC, 3, _, 0, 1, 1, ..] => Behind::Padding(RECORD_HEADER + 1),
        [ALERT, 3, _, 0, 2, _, _, ..] => Behind::Padding(RECORD_HEADER + 2),
        [HANDSHAKE, 3, _, 0, 0, ..] => Behind::Padding(RECORD_HEADER),
        [CHANGE_CIPHER_SPEC, ..] if held.len() <= RECORD_HEADER => Behind::More,
        [ALERT] | [ALERT, 3] | [ALERT, 3, _] | [ALERT, 3, _, 0] | [ALERT, 3, _, 0, 2, ..] => Behind::More,
        // What a resumed session of TLS 1.2 sends encrypted looks like this, too, once in 256 times.
        [HANDSHAKE, _, _, high, low, CLIENT_HELLO, rest @ ..] if *high > 0 || *low > 1 => match rest {
            [] => Behind::More,
            [most, ..] if *most > MAX_LENGTH_BYTE => Behind::Unseen,
            _ => Behind::Hello,
        },
        [HANDSHAKE, _, _, _, _, CLIENT_HELLO, ..] => Behind::Hello,
        [HANDSHAKE, ..] if held.len() <= RECORD_HEADER => Behind::More,
        [APPLICATION_DATA, _, _, high, low, ..] if may_be_early => {
            let length = RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
            if held.len() < length { Behind::More } else { Behind::EarlyData(length) }
        }
        [APPLICATION_DATA, ..] if may_be_early => Behind::More,
        _ => Behind::Unseen,
    }
}

/// Checks the name, and says whether early data may follow.
fn check(hello: &[u8], host: &HostName) -> Result<bool, Refusal> {
    let Extensions { named, has_early_data } =
        extensions(hello).ok_or(Refusal::Hello("a field is cut off, empty or given twice"))?;
    let agrees =
        |named: &[u8]| str::from_utf8(named).is_ok_and(|text| text.parse().is_ok_and(|name: HostName| name == *host));
    match named {
        Some(named) if !agrees(named) => Err(Refusal::server_name(named)),
        _ => Ok(has_early_data),
    }
}

/// What matters of a ClientHello.
#[derive(Default)]
struct Extensions<'m> {
    named: Option<&'m [u8]>,
    has_early_data: bool,
}

/// The extensions of a ClientHello; `None` of one that is malformed.
fn extensions(hello: &[u8]) -> Option<Extensions<'_>> {
    let mut fields = Fields(hello);
    // The version and the random number.
    fields.take(2 + 32)?;
    if fields.short_vector()?.len() > 32 {
        return None;
    }
    let suites = fields.vector()?;
    let compression = fields.short_vector()?;
    if suites.is_empty() || suites.len() % 2 != 0 || compression.is_empty() {
        return None;
    }
    // TLS 1.2 may do without extensions at all.
    if fields.0.is_empty() {
        return Some(Extensions::default());
    }
    let mut listed = Fields(fields.vector()?);
    if !fields.0.is_empty() {
        return None;
    }
    let mut found = Extensions::default();
    while !listed.0.is_empty() {
        let (kind, data) = (listed.word()?, listed.vector()?);
        if kind == SERVER_NAME && found.named.replace(only_host_name(data)?).is_some() {
            return None;
        }
        found.has_early_data |= kind == EARLY_DATA;
    }
    Some(found)
}

/// The one entry of a list of server names. Others than one of type host name were never defined.
fn only_host_name(data: &[u8]) -> Option<&[u8]> {
    let mut list = Fields(data);
    let mut entries = Fields(list.vector()?);
    let (kind, name) = (entries.take(1)?[0], entries.vector()?);
    let alone = list.0.is_empty() && entries.0.is_empty();
    (alone && kind == HOST_NAME && !name.is_empty()).then_some(name)
}

/// What is left of a message.
struct Fields<'m>(&'m [u8]);

impl<'m> Fields<'m> {
    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes with their number in two bytes in front.
    fn vector(&mut self) -> Option<&'m [u8]> {
        let count = self.word()?;
        self.take(usize::from(count))
    }

    /// Bytes with their number in one byte in front.
    fn short_vector(&mut self) -> Option<&'m [u8]> {
        let count = self.take(1)?[0];
        self.take(usize::from(count))
    }
}

#[cfg(test)]
pub(super) mod tests;
