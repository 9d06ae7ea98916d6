//! Writing responses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::read::{Query, Start};
use super::{Code, class, kind};
use crate::rules::HostName;

/// Seconds that an answer holds. The address of a name is the same for the whole run.
const LIFE: u32 = 60;
/// Seconds that the absence of an answer holds. Somebody may be asked about a name, and say yes.
const ABSENCE_LIFE: u32 = 2;
/// Bytes that a client may send us by UDP, as EDNS wants it told (RFC 6891, section 6.2.3).
const UDP_SIZE: u16 = 1_232;
/// A pointer to the name in the question, which begins at byte 12, behind the header.
const POINTER: u16 = 0xc00c;
/// The flag that says: a response.
const RESPONSE: u16 = 0x8000;
/// The flag that says: names are looked up on the client's behalf.
const RECURSION: u16 = 0x0080;
/// Flags of the query that come back: the operation, and whether looking up and unchecked data are wanted.
const KEPT: u16 = 0x7910;

/// One answer to the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::resolver) enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ptr(HostName),
}

/// What a query is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::resolver) struct Response {
    pub(in crate::resolver) code: Code,
    /// Without any, and without an error, the name exists and has nothing of this type.
    pub(in crate::resolver) records: Vec<Record>,
}

impl Response {
    /// The bytes of the response.
    pub(in crate::resolver) fn to_bytes(&self, query: &Query) -> Vec<u8> {
        let absent = self.records.is_empty() && matches!(self.code, Code::NoError | Code::NoSuchName);
        let counts = [1, self.records.len(), usize::from(absent), usize::from(query.edns.is_some())];
        let mut bytes = header(query.start, self.code, counts);
        bytes.extend(&query.question);
        for record in &self.records {
            record.write(&mut bytes);
        }
        if absent {
            write_authority(&mut bytes);
        }
        if query.edns.is_some() {
            write_edns(&mut bytes, self.code);
        }
        bytes
    }
}

/// A response to a message whose question was not read.
pub(in crate::resolver) fn header_only(start: Start, code: Code) -> Vec<u8> {
    header(start, code, [0; 4])
}

fn header(start: Start, code: Code, counts: [usize; 4]) -> Vec<u8> {
    let flags = RESPONSE | RECURSION | start.flags & KEPT | code.number() & 0xf;
    let mut bytes = [start.id.to_be_bytes(), flags.to_be_bytes()].concat();
    for count in counts {
        // No section has more than two records.
        bytes.extend([0, u8::try_from(count).unwrap_or(u8::MAX)]);
    }
    bytes
}

impl Record {
    fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, data) = match self {
            Self::A(address) => (kind::A, address.octets().to_vec()),
            Self::Aaaa(address) => (kind::AAAA, address.octets().to_vec()),
            Self::Ptr(name) => (kind::PTR, wire_name(name)),
        };
        bytes.extend(POINTER.to_be_bytes());
        write_fields(bytes, kind, LIFE, &data);
    }
}

/// What lets clients remember that there is nothing (RFC 2308, section 3). The zone is the root: it is the one that every
/// name lies in.
fn write_authority(bytes: &mut Vec<u8>) {
    // Primary server and mailbox are the root; serial, refresh, retry, expiry, life of absence.
    let mut data = vec![0, 0];
    for number in [1, 3_600, 600, 86_400, ABSENCE_LIFE] {
        data.extend(number.to_be_bytes());
    }
    bytes.push(0);
    write_fields(bytes, kind::SOA, ABSENCE_LIFE, &data);
}

fn write_fields(bytes: &mut Vec<u8>, kind: u16, life: u32, data: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class::IN.to_be_bytes());
    bytes.extend(life.to_be_bytes());
    // A name, the longest data there is, has at most 255 bytes.
    bytes.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(data);
}

fn write_edns(bytes: &mut Vec<u8>, code: Code) {
    bytes.push(0);
    bytes.extend(kind::OPT.to_be_bytes());
    bytes.extend(UDP_SIZE.to_be_bytes());
    let [_, upper] = (code.number() >> 4).to_be_bytes();
    // Version 0, no flags, no options.
    bytes.extend([upper, 0, 0, 0, 0, 0]);
}

fn wire_name(name: &HostName) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.as_str().split('.') {
        // A label of a host name has at most 63 bytes.
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
