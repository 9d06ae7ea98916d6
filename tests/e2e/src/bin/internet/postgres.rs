//! A host that speaks as much of PostgreSQL's protocol, version 3, as `psql -c` needs: everybody may come in, and every query
//! has the same answer.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::record::Record;

/// Longest message that is taken.
const LONGEST: usize = 64 << 10;

/// What the first message says in place of a version where the client would rather have TLS, or Kerberos.
const ENCRYPTIONS: [u32; 2] = [80_877_103, 80_877_104];

/// The number of the type `text`.
const TEXT: u32 = 25;

pub(crate) fn serve(mut peer: TcpStream, record: &Record) {
    drop(greet(&mut peer).and_then(|()| answer(&mut peer, record)));
}

/// No encryption, and no password.
fn greet(peer: &mut TcpStream) -> io::Result<()> {
    loop {
        let first = message(peer)?;
        let version = first.first_chunk().map_or(0, |version| u32::from_be_bytes(*version));
        if !ENCRYPTIONS.contains(&version) {
            break;
        }
        peer.write_all(b"N")?;
    }
    peer.write_all(&[tell(b'R', &0_u32.to_be_bytes()), ready()].concat())
}

fn answer(peer: &mut TcpStream, record: &Record) -> io::Result<()> {
    loop {
        let mut kind = [0];
        peer.read_exact(&mut kind)?;
        let text = message(peer)?;
        if kind != *b"Q" {
            return Ok(());
        }
        record.line("postgres", &text);
        let value = b"welcome to / postgres";
        let column = [b"line\0".as_slice(), &[0; 6], &TEXT.to_be_bytes(), &[0xff; 6], &[0; 2]].concat();
        let row = [&1_u16.to_be_bytes()[..], &length(value, 0), value].concat();
        peer.write_all(
            &[
                tell(b'T', &[&1_u16.to_be_bytes()[..], &column].concat()),
                tell(b'D', &row),
                tell(b'C', b"SELECT 1\0"),
                ready(),
            ]
            .concat(),
        )?;
    }
}

/// A message's content.
fn message(peer: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    peer.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().and_then(|length| length.checked_sub(4));
    let mut content = vec![0; length.filter(|&length| length <= LONGEST).ok_or(io::ErrorKind::InvalidData)?];
    peer.read_exact(&mut content)?;
    Ok(content)
}

/// A message: its kind, its length with that of the length, and its content.
fn tell(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &length(content, 4), content].concat()
}

fn length(of: &[u8], more: usize) -> [u8; 4] {
    u32::try_from(of.len() + more).unwrap_or(u32::MAX).to_be_bytes()
}

/// The next query may come.
fn ready() -> Vec<u8> {
    tell(b'Z', b"I")
}
