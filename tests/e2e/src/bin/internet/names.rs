//! The name server outside: it answers anything that can be read, however odd the name.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::sync::{Mutex, OnceLock};

use e2e::internet::{self, SILENT};
use e2e::scene::CANARY;

use crate::hosts::spawn;
use crate::record::Record;

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;

/// Answers datagrams, one after the other.
pub(crate) fn serve_datagrams(socket: UdpSocket, record: &Record) -> io::Result<()> {
    let record = record.clone();
    spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
            if let Some(answer) = answer(&bytes[..length], &record) {
                drop(socket.send_to(&answer, peer));
            }
        }
    })
}

/// Answers the messages of a connection, each after its length (RFC 1035, 4.2.2).
pub(crate) fn serve_stream(mut peer: TcpStream, record: &Record) {
    let mut serve = || -> io::Result<()> {
        loop {
            let mut length = [0; 2];
            peer.read_exact(&mut length)?;
            let mut message = vec![0; u16::from_be_bytes(length).into()];
            peer.read_exact(&mut message)?;
            if let Some(answer) = answer(&message, record) {
                peer.write_all(&u16::try_from(answer.len()).unwrap_or_default().to_be_bytes())?;
                peer.write_all(&answer)?;
            }
        }
    };
    drop(serve());
}

/// A question: its labels as they came, joined by dots; its kind; and where it ends.
fn question(message: &[u8]) -> Option<(Vec<u8>, u16, usize)> {
    let mut labels: Vec<&[u8]> = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(message.get(at..at + length)?);
        at += length;
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    message.get(at + 4 - 1)?;
    Some((labels.join(&b'.').to_ascii_lowercase(), kind, at + 4))
}

fn answer(message: &[u8], record: &Record) -> Option<Vec<u8>> {
    let (name, kind, end) = question(message)?;
    record.line(&format!("dns-{kind}"), &name);
    let text = String::from_utf8_lossy(&name).into_owned();
    if text == SILENT {
        return None;
    }
    let found =
        internet::addresses(&text, asked(&text, kind)).or_else(|| is_odd(&text).then(|| vec![internet::DENIED.into()]));
    let data: Vec<Vec<u8>> = match (kind, &found) {
        (A, Some(found)) => found.iter().filter_map(v4).collect(),
        (AAAA, Some(found)) => found.iter().filter_map(v6).collect(),
        (TXT, Some(_)) => vec![[&[u8::try_from(CANARY.len()).ok()?], CANARY.as_bytes()].concat()],
        _ => Vec::new(),
    };
    // A response with recursion; "no such name" where there is none.
    let flags: u16 = 0x8180 | if found.is_some() { 0 } else { 3 };
    let mut bytes = message.get(..2)?.to_vec();
    for word in [flags, 1, u16::try_from(data.len()).ok()?, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(message.get(12..end)?);
    for data in data {
        // The name is that of the question, at offset 12; class IN; it may not be kept for a second.
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 0]);
        bytes.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        bytes.extend(data);
    }
    Some(bytes)
}

fn v4(address: &IpAddr) -> Option<Vec<u8>> {
    if let IpAddr::V4(address) = address { Some(address.octets().to_vec()) } else { None }
}

fn v6(address: &IpAddr) -> Option<Vec<u8>> {
    if let IpAddr::V6(address) = address { Some(address.octets().to_vec()) } else { None }
}

/// Whether a name is none that a host may have.
fn is_odd(name: &str) -> bool {
    !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

/// How often this question was asked before. The table is bounded: names that come later count as new.
fn asked(name: &str, kind: u16) -> usize {
    static ASKED: OnceLock<Mutex<HashMap<(String, u16), usize>>> = OnceLock::new();
    let mut asked = match ASKED.get_or_init(Mutex::default).lock() {
        Ok(asked) => asked,
        Err(poisoned) => poisoned.into_inner(),
    };
    if asked.len() > 1_000 {
        return 0;
    }
    let count = asked.entry((name.to_owned(), kind)).or_default();
    *count += 1;
    *count - 1
}
