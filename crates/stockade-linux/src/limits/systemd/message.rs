//! D-Bus messages: just what one method call and its answers need.
//!
//! Format: "D-Bus Specification", sections "Marshaling" and "Message Format". Values are aligned to their size from the
//! start of the message; the body starts at a multiple of 8.

use super::error::ScopeError;

/// The largest message that is accepted. systemd's own signals about units stay far below.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

/// The fixed part of a header, with the length of the fields that follow.
pub(super) const FIXED: usize = 16;

/// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const SIGNATURE: u8 = 8;

/// A value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `s`
    Text(String),
    /// `t`
    Number(u64),
    /// `au`
    Numbers(Vec<u32>),
}

/// Writes the call of `StartTransientUnit(in s name, in s mode, in a(sv) properties, in a(sa(sv)) aux)`.
pub(super) fn start_transient_unit(serial: u32, name: &str, properties: &[(&str, Value)]) -> Vec<u8> {
    let mut body = Writer::default();
    body.text(name);
    body.text("fail");
    body.array(8, |body| {
        for (name, value) in properties {
            body.align(8);
            body.text(name);
            body.variant(value);
        }
    });
    body.array(8, |_| {});
    let fields = [
        (PATH, "o", "/org/freedesktop/systemd1"),
        (INTERFACE, "s", "org.freedesktop.systemd1.Manager"),
        (MEMBER, "s", "StartTransientUnit"),
        (SIGNATURE, "g", "ssa(sv)a(sa(sv))"),
    ];
    call(serial, &fields, &body.0)
}

fn call(serial: u32, fields: &[(u8, &str, &str)], body: &[u8]) -> Vec<u8> {
    let mut message = Writer::default();
    // Little endian, a method call, no flags, version 1 of the protocol.
    message.0.extend([b'l', 1, 0, 1]);
    message.length(body.len());
    message.number(serial);
    message.array(8, |message| {
        for (code, kind, value) in fields {
            message.align(8);
            message.0.push(*code);
            message.signature(kind);
            if *kind == "g" { message.signature(value) } else { message.text(value) }
        }
    });
    message.align(8);
    message.0.extend_from_slice(body);
    message.0
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    /// All that is written here is short, so the lengths fit.
    fn length(&mut self, length: usize) {
        self.number(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    /// The length counts the elements, not the padding before the first.
    fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.align(4);
        let place = self.0.len();
        self.length(0);
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(field) = self.0.get_mut(place..place + length.len()) {
            field.copy_from_slice(&length);
        }
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.signature("s");
                self.text(text);
            }
            Value::Number(number) => {
                self.signature("t");
                self.align(8);
                self.0.extend(number.to_le_bytes());
            }
            Value::Numbers(numbers) => {
                self.signature("au");
                self.array(4, |writer| numbers.iter().for_each(|&number| writer.number(number)));
            }
        }
    }
}

/// What an answer or a signal says, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The call with that serial number succeeded.
    Returned {
        /// The serial number.
        serial: u32,
    },
    /// The call with that serial number failed.
    Failed {
        /// The serial number.
        serial: u32,
        /// The error's name.
        name: String,
        /// The error's text.
        text: String,
    },
    /// A job of the manager is done.
    JobRemoved {
        /// The unit.
        unit: String,
        /// `done`, or what else became of it.
        result: String,
    },
    /// Something else.
    Other,
}

/// The whole length of the message that starts with `fixed`.
pub(super) fn length(fixed: &[u8]) -> Result<usize, ScopeError> {
    let reader = Reader { bytes: fixed, at: 0 };
    if fixed.first() != Some(&b'l') {
        return Err(ScopeError::Malformed("a message that is not little endian"));
    }
    let (body, fields) = (reader.number_at(4)?, reader.number_at(12)?);
    let header = FIXED.saturating_add(fields).checked_next_multiple_of(8);
    let whole = header.and_then(|header| header.checked_add(body));
    whole.filter(|&length| length <= MAX_MESSAGE).ok_or(ScopeError::Malformed("a message of more than a megabyte"))
}

/// Reads a whole message.
pub(super) fn parse(message: &[u8]) -> Result<Incoming, ScopeError> {
    let mut reader = Reader { bytes: message, at: 12 };
    let end = FIXED + reader.number()?;
    let (mut member, mut error, mut serial) = (String::new(), String::new(), 0);
    while reader.at < end {
        reader.align(8);
        let code = reader.byte()?;
        let kind = reader.signature()?;
        match (code, kind) {
            (MEMBER, "s") => member = reader.text()?.to_owned(),
            (ERROR_NAME, "s") => error = reader.text()?.to_owned(),
            (REPLY_SERIAL, "u") => serial = u32::try_from(reader.number()?).unwrap_or(0),
            (_, "s" | "o") => drop(reader.text()?.len()),
            (_, "g") => drop(reader.signature()?.len()),
            (_, "u") => drop(reader.number()?),
            _ => return Err(ScopeError::Malformed("a header field of an unknown type")),
        }
    }
    reader.align(8);
    match message.get(1) {
        Some(2) => Ok(Incoming::Returned { serial }),
        Some(3) => {
            // An error may come without a text.
            let text = reader.text().unwrap_or("").to_owned();
            Ok(Incoming::Failed { serial, name: error, text })
        }
        Some(4) if member == "JobRemoved" => {
            // u id, o job, s unit, s result
            reader.number()?;
            reader.text()?;
            Ok(Incoming::JobRemoved { unit: reader.text()?.to_owned(), result: reader.text()?.to_owned() })
        }
        _ => Ok(Incoming::Other),
    }
}

struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&'m [u8], ScopeError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        self.at = self.at.saturating_add(count);
        taken.ok_or(ScopeError::Malformed("a message that ends too early"))
    }

    fn byte(&mut self) -> Result<u8, ScopeError> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    fn number(&mut self) -> Result<usize, ScopeError> {
        self.align(4);
        let number = self.number_at(self.at)?;
        self.at += 4;
        Ok(number)
    }

    fn number_at(&self, at: usize) -> Result<usize, ScopeError> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
        let bytes = bytes.ok_or(ScopeError::Malformed("a message that ends too early"))?;
        usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| ScopeError::Malformed("a number that is too large"))
    }

    fn text(&mut self) -> Result<&'m str, ScopeError> {
        let length = self.number()?;
        self.terminated(length)
    }

    fn signature(&mut self) -> Result<&'m str, ScopeError> {
        let length = usize::from(self.byte()?);
        self.terminated(length)
    }

    fn terminated(&mut self, length: usize) -> Result<&'m str, ScopeError> {
        let text = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|_| ScopeError::Malformed("a text that is not UTF-8"))
    }
}

#[cfg(test)]
mod tests;
