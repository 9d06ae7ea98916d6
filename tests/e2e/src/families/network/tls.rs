//! TLS: one name for the name server and another in the handshake.

use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use super::super::files::any;
use super::BASE;
use super::client::connect;
use crate::attack::{Attack, Attempt, Event, Failed, Trace};
use crate::scene::Scene;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "other-name-in-handshake",
        techniques: &[49],
        about: "Begin a TLS handshake for another host than the one that was connected to.",
        prepare,
        attempt: |_| handshake(&records(&hello("hidden.example"), 16_384), 16_384),
        trace: Trace::Event(&[Event("network", "connect", "allowed.example:443")]),
        ..BASE
    },
    Attack {
        name: "handshake-in-small-pieces",
        techniques: &[49],
        about: "The same, with the handshake split into tiny records and tiny packets.",
        prepare,
        attempt: |_| {
            any([
                handshake(&records(&hello("hidden.example"), 16_384), 7),
                handshake(&records(&hello("hidden.example"), 5), 16_384),
            ])
        },
        trace: Trace::Event(&[Event("network", "connect", "allowed.example:443")]),
        ..BASE
    },
    Attack {
        name: "other-name-in-capitals",
        techniques: &[48, 49],
        about: "The same, with the other host's name in capitals and with a trailing dot.",
        prepare,
        attempt: |_| {
            any(["HIDDEN.EXAMPLE", "hidden.example."].map(|name| handshake(&records(&hello(name), 16_384), 16_384)))
        },
        trace: Trace::Event(&[Event("network", "connect", "allowed.example:443")]),
        ..BASE
    },
];

/// Asks for a TLS server.
fn prepare(scene: &Scene) -> Attempt {
    Ok(fs::create_dir_all(scene.outside().join("tls"))?)
}

/// Begins a handshake with the allowed host, in packets of that size. A server that goes on with it is success.
fn handshake(bytes: &[u8], packet: usize) -> Attempt {
    let mut peer = connect("allowed.example", 443)?;
    peer.set_nodelay(true)?;
    peer.set_read_timeout(Some(Duration::from_secs(4)))?;
    for piece in bytes.chunks(packet) {
        peer.write_all(piece)?;
        if packet < bytes.len() {
            thread::sleep(Duration::from_millis(5));
        }
    }
    let mut first = [0];
    let length = peer.read(&mut first)?;
    // 22 is a handshake, 21 an alert (RFC 8446, 5.1).
    if (length, first[0]) == (1, 22) { Ok(()) } else { Err(Failed::refused("the server does not go on")) }
}

/// Splits a handshake message into records of that many bytes.
fn records(message: &[u8], length: usize) -> Vec<u8> {
    message.chunks(length).flat_map(|part| [&[22, 3, 1][..], &sized(part)].concat()).collect()
}

/// A `ClientHello` for a host (RFC 8446, 4.1.2), with what any server of TLS 1.2 needs.
fn hello(host: &str) -> Vec<u8> {
    let name = [&[0][..], &sized(host.as_bytes())].concat();
    let extensions = [
        extension(0, &sized(&name)),
        extension(10, &sized(&[0, 23, 0, 29])),
        extension(11, &[1, 0]),
        extension(13, &sized(&[4, 3, 8, 4, 4, 1, 5, 3])),
    ]
    .concat();
    let ciphers = sized(&[0xc0, 0x2b, 0xc0, 0x2c, 0xc0, 0x2f, 0xc0, 0x30]);
    let body = [&[3, 3][..], &[7; 32], &[0], &ciphers, &[1, 0], &sized(&extensions)].concat();
    [&[1, 0][..], &sized(&body)].concat()
}

fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[0, kind][..], &sized(content)].concat()
}

/// Bytes after their length in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()[..], bytes].concat()
}
