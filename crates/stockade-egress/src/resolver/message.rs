//! DNS messages (RFC 1035, section 4), as far as a name server needs them that answers one question from a table.
//!
//! Of a query only the header, the question and the presence of EDNS (RFC 6891) matter. Records are skipped in a bounded
//! number, and pointers are never followed: a question has no earlier name that it could point to.

mod read;
mod write;

pub(super) use read::{Query, Unreadable, read};
pub(super) use write::{Record, Response, header_only};

/// Bytes of a header.
const HEADER: usize = 12;

/// A type of record or question.
pub(super) mod kind {
    pub(in crate::resolver) const A: u16 = 1;
    pub(in crate::resolver) const SOA: u16 = 6;
    pub(in crate::resolver) const PTR: u16 = 12;
    pub(in crate::resolver) const AAAA: u16 = 28;
    pub(in crate::resolver) const OPT: u16 = 41;
    /// Transfers of zones, whole and in part (RFC 5936, RFC 1995).
    pub(in crate::resolver) const TRANSFERS: [u16; 2] = [251, 252];
    pub(in crate::resolver) const ANY: u16 = 255;
}

/// A class.
pub(super) mod class {
    pub(in crate::resolver) const IN: u16 = 1;
    pub(in crate::resolver) const ANY: u16 = 255;
}

/// How a query ended (RFC 1035, section 4.1.1; RFC 6891, section 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoError,
    FormatError,
    ServerFailure,
    NoSuchName,
    NotImplemented,
    Refused,
    BadVersion,
}

impl Code {
    /// All twelve bits; the upper eight are EDNS's.
    const fn number(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormatError => 1,
            Self::ServerFailure => 2,
            Self::NoSuchName => 3,
            Self::NotImplemented => 4,
            Self::Refused => 5,
            Self::BadVersion => 16,
        }
    }
}

#[cfg(test)]
mod tests;
