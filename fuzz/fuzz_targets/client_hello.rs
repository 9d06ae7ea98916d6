//! Any bytes as the start of a TLS connection, in pieces: where they are cut changes nothing, they go on unchanged, and a
//! name that stands in a ClientHello which passes as a whole is the connection's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_egress::inspect::Protocol;

#[path = "../pieces.rs"]
mod pieces;

fuzz_target!(|data: &[u8]| {
    let Some((_, (passed, Ok(protocol)))) = pieces::outcome(data) else { return };
    if protocol != Some(Protocol::Tls) {
        return;
    }
    // An extension of type 0 with one host name looks like this, wherever it stands in a first record that holds it all.
    let [0x16, 3, _, high, low, record @ ..] = passed.as_slice() else { return };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let Some(named) = record.get(..length).and_then(only_name_in_plain_sight) else { return };
    assert!(named.eq_ignore_ascii_case(pieces::NAME.as_bytes()));
});

/// The name of a hello whose session is empty, with one cipher, one compression, and the name as its first extension.
fn only_name_in_plain_sight(hello: &[u8]) -> Option<&[u8]> {
    let behind = hello.get(4 + 34..)?.strip_prefix(&[0, 0, 2])?.get(2..)?.strip_prefix(&[1, 0])?;
    let name = behind.get(2..)?.strip_prefix(&[0, 0])?.get(2 + 2..)?.strip_prefix(&[0])?;
    let length = usize::from(u16::from_be_bytes([*name.first()?, *name.get(1)?]));
    name.get(2..2 + length)
}
