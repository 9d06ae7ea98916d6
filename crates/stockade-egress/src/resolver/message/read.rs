//! Reading queries.

use super::{Code, HEADER, kind};

/// Most records behind the question that are looked at. Clients send one (EDNS) or two (and a signature).
const MAX_RECORDS: u16 = 8;
/// Longest name, in bytes as they are sent.
const MAX_NAME: usize = 255;
/// The two bits that make a length a pointer, or something that nobody uses.
const NOT_A_LENGTH: u8 = 0xc0;

/// A query with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::resolver) struct Query {
    /// The first bytes of the message.
    pub(super) start: Start,
    /// The question as it was sent, to be sent back: name, type, class. Letters keep their case, in which some clients
    /// hide random bits.
    pub(super) question: Vec<u8>,
    /// The labels of the name, the root's empty one left out.
    pub(in crate::resolver) labels: Vec<Vec<u8>>,
    pub(in crate::resolver) kind: u16,
    pub(in crate::resolver) class: u16,
    /// The version of EDNS, where the client speaks it.
    pub(in crate::resolver) edns: Option<u8>,
}

/// What of a query's header goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resolver) struct Start {
    pub(super) id: u16,
    pub(super) flags: u16,
}

/// A message that is no query with one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resolver) enum Unreadable {
    /// Too short to be answered, or itself an answer: answering could go on for ever.
    Silence,
    /// It is answered with a header only.
    Answer(Start, Code),
}

impl Start {
    const fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    const fn operation(self) -> u16 {
        self.flags >> 11 & 0xf
    }
}

/// Reads a message that a client sent.
pub(in crate::resolver) fn read(message: &[u8]) -> Result<Query, Unreadable> {
    let header: &[u8; HEADER] = message.first_chunk().ok_or(Unreadable::Silence)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let start = Start { id: word(0), flags: word(2) };
    if start.is_response() {
        return Err(Unreadable::Silence);
    }
    if start.operation() != 0 {
        return Err(Unreadable::Answer(start, Code::NotImplemented));
    }
    let malformed = Unreadable::Answer(start, Code::FormatError);
    let [questions, answers, authorities, additional] = [word(4), word(6), word(8), word(10)];
    if questions != 1 || answers != 0 || authorities != 0 || additional > MAX_RECORDS {
        return Err(malformed);
    }
    let mut rest = Cursor(&message[HEADER..]);
    read_question(&mut rest, start, additional).ok_or(malformed)
}

fn read_question(rest: &mut Cursor<'_>, start: Start, additional: u16) -> Option<Query> {
    let whole = rest.0;
    let labels = rest.labels()?;
    let (kind, class) = (rest.word()?, rest.word()?);
    let question = whole[..whole.len() - rest.0.len()].to_vec();
    let mut edns = None;
    for _ in 0..additional {
        if let Some(version) = rest.record()? {
            if edns.is_some() {
                return None;
            }
            edns = Some(version);
        }
    }
    rest.0.is_empty().then_some(Query { start, question, labels, kind, class, edns })
}

/// What is left of a message.
struct Cursor<'m>(&'m [u8]);

impl<'m> Cursor<'m> {
    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn word(&mut self) -> Option<u16> {
        self.take(2).map(|taken| u16::from_be_bytes([taken[0], taken[1]]))
    }

    /// A name that is written out, up to its root.
    fn labels(&mut self) -> Option<Vec<Vec<u8>>> {
        let (mut labels, mut length) = (Vec::new(), 1);
        loop {
            let count = self.byte()?;
            if count & NOT_A_LENGTH != 0 {
                return None;
            }
            if count == 0 {
                return Some(labels);
            }
            length += usize::from(count) + 1;
            if length > MAX_NAME {
                return None;
            }
            labels.push(self.take(usize::from(count))?.to_vec());
        }
    }

    /// Passes a record; the version of EDNS is in one whose type is OPT (RFC 6891, section 6.1.2).
    #[expect(clippy::option_option, reason = "outside is whether there is a record, inside whether it is EDNS's")]
    fn record(&mut self) -> Option<Option<u8>> {
        let is_root = self.pass_name()?;
        let kind = self.word()?;
        self.word()?;
        let life = self.take(4)?;
        let length = self.word()?;
        self.take(usize::from(length))?;
        match kind {
            kind::OPT if is_root => Some(Some(life[1])),
            kind::OPT => None,
            _ => Some(None),
        }
    }

    /// Passes a name, which may end in a pointer, and says whether it is the root.
    fn pass_name(&mut self) -> Option<bool> {
        let mut is_root = true;
        loop {
            let count = self.byte()?;
            match count & NOT_A_LENGTH {
                0 if count == 0 => return Some(is_root),
                0 => self.take(usize::from(count))?,
                NOT_A_LENGTH => {
                    self.byte()?;
                    return Some(false);
                }
                _ => return None,
            };
            is_root = false;
        }
    }
}
