//! Other protocols than TCP, and sockets of the machine itself.

use std::io::{IoSlice, Read};
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;

use rustix::net::{AddressFamily, SendAncillaryBuffer, SendFlags, SocketType, sendmsg_addr};

use super::super::files::any;
use super::super::ipc;
use super::BASE;
use super::client::{PATIENCE, arrived, at, datagram, label};
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Proof, Trace};
use crate::internet::{ABSTRACT, DENIED, WEB};
use crate::scene::holds_canary;
use crate::sys::{self, Arg};

/// An echo request (RFC 792); the kernel fills in the checksum of a socket that is made for it.
const PING: &[u8] = b"\x08\0\0\0\0\0\0\x01canary-7f3a";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "quic",
        techniques: &[53],
        about: "Speak QUIC, that is, send datagrams to the port of HTTPS.",
        attempt: |_| Ok(datagram(at(WEB, 443), label("quic").as_bytes()).map(drop)?),
        proof: Proof::Host(|scene| arrived(scene, "udp-443", &label("quic"))),
        trace: Trace::Event(&[Event("network", "", "203.0.113.10:443")]),
        ..BASE
    },
    Attack {
        name: "quic-by-allowed-name",
        techniques: &[53],
        about: "Send datagrams to a host that is allowed for TCP.",
        attempt: |_| {
            let socket = UdpSocket::bind("0.0.0.0:0").map_err(Failed::untried)?;
            socket.connect(("allowed.example", 443))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.send(label("udp").as_bytes())?;
            Ok(socket.recv(&mut [0; 64]).map(drop)?)
        },
        proof: Proof::Host(|scene| arrived(scene, "udp-443", &label("udp"))),
        trace: Trace::Event(&[Event("network", "", ":443")]),
        landlock: Landlock::Trace(Trace::Silent("the socket that stands in for one of UDP leads nowhere")),
        ..BASE
    },
    Attack {
        name: "datagram-by-message",
        techniques: &[47, 53],
        about: "Send a datagram by sendmsg, whose address lies behind two pointers.",
        attempt: |_| {
            let socket = UdpSocket::bind("0.0.0.0:0").map_err(Failed::untried)?;
            let (bytes, mut control) = (label("message"), SendAncillaryBuffer::default());
            let parts = [IoSlice::new(bytes.as_bytes())];
            sendmsg_addr(&socket, &at(WEB, 443), &parts, &mut control, SendFlags::empty()).map_err(Failed::refused)?;
            // A refusal comes back as an error of the next call.
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket.recv(&mut [0; 64]).map(drop)?)
        },
        proof: Proof::Host(|scene| arrived(scene, "udp-443", &label("message"))),
        trace: Trace::Silent("the kernel refuses; what a message is sent to is not put to the supervisor"),
        ..BASE
    },
    Attack {
        name: "connection-without-connect",
        techniques: &[47],
        about: "Make a connection by sending to it (TCP fast open), by sendto and by sendmsg.",
        attempt: |_| any([fast_open(false), fast_open(true)]),
        proof: Proof::Host(|scene| arrived(scene, "http", "/fast-open")),
        trace: Trace::Event(&[Event("network", "", "203.0.113.20:80")]),
        landlock: Landlock::Trace(Trace::Silent("the socket that stands in for one of TCP knows no addresses")),
        ..BASE
    },
    Attack {
        name: "echo-requests",
        techniques: &[53],
        about: "Carry data out in echo requests.",
        attempt: |_| ping(libc::SOCK_DGRAM),
        trace: Trace::Event(&[Event("sockets", "socket", "AF_INET")]),
        ..BASE
    },
    Attack {
        name: "raw-packets",
        techniques: &[53],
        about: "Make packets of one's own.",
        attempt: |_| ping(libc::SOCK_RAW),
        native: Native::NeedsRoot,
        trace: Trace::Event(&[Event("", "socket", "")]),
        ..BASE
    },
    Attack {
        name: "abstract-socket-beside-network",
        techniques: &[27, 58],
        about: "Connect to an abstract socket of the machine while a host is allowed.",
        attempt: |_| ipc::stream(&SocketAddr::from_abstract_name(ABSTRACT)?),
        trace: Trace::Event(&[Event("sockets", "connect", "@stockade-e2e-internet")]),
        ..BASE
    },
    Attack {
        name: "sockets-beside-an-allowed-one",
        techniques: &[25, 26, 58],
        about: "Connect to the sockets of a container engine and of the message bus next to one that is allowed.",
        attempt: |scene| any([ipc::connect(scene, "run/docker.sock"), ipc::connect(scene, "run/bus")]),
        options: &["--allow", "allowed.example", "--unix", "OUTSIDE/run/wayland-0"],
        trace: Trace::Event(&[Event("sockets", "connect", "run/docker.sock"), Event("sockets", "connect", "run/bus")]),
        landlock: Landlock::Trace(Trace::Refused("`unix.allow`")),
        ..BASE
    },
];

/// `MSG_FASTOPEN` (`tcp(7)`), which connects and sends in one call.
const FAST_OPEN: u32 = 0x2000_0000;

fn fast_open(by_message: bool) -> Attempt {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).map_err(Failed::untried)?;
    let (flags, to) = (SendFlags::from_bits_retain(FAST_OPEN), at(DENIED, 80));
    let request = b"GET /fast-open HTTP/1.1\r\nHost: denied.example\r\n\r\n";
    let sent = if by_message {
        sendmsg_addr(&socket, &to, &[IoSlice::new(request)], &mut SendAncillaryBuffer::default(), flags)
    } else {
        rustix::net::sendto(&socket, request, flags, &to)
    };
    sent.map_err(Failed::refused)?;
    let mut peer = TcpStream::from(socket);
    peer.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 256];
    let length = peer.read(&mut answer)?;
    holds_canary(&answer[..length])
}

/// Sends an echo request to the allowed host and waits for the answer.
fn ping(kind: i32) -> Attempt {
    let words = [libc::AF_INET, kind | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP].map(|word| Arg::Number(word.into()));
    let socket = UdpSocket::from(sys::descriptor(libc::SYS_socket, &mut { words })?);
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut packet = PING.to_vec();
    if kind == libc::SOCK_RAW {
        packet[2..4].copy_from_slice(&checksum(PING).to_be_bytes());
    }
    socket.send_to(&packet, at(WEB, 0))?;
    let mut answer = [0; 256];
    let (length, from) = socket.recv_from(&mut answer)?;
    let whole = answer[..length].ends_with(&PING[8..]) && from.ip() == WEB;
    if whole { Ok(()) } else { Err(Failed::refused("another packet came")) }
}

/// The internet checksum (RFC 1071) of bytes that are padded to a whole number of words.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}
