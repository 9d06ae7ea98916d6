//! How fast one stream, and new connections, go through the gate, beside the same over plain loopback, in one run.
//!
//! The sandbox is this machine's loopback: names stand for addresses of 127.64.0.0/16, and the server is at 127.0.0.2.
//! `cargo run -p stockade-egress --example throughput`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement for people, which ends where something is odd"
)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use stockade_egress::rules::{NetworkDefault, Rules};
use stockade_egress::{Admission, Gate, GateConfig, Inside, Lookup};

const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The address of the first name in the range.
const NAME: Ipv4Addr = Ipv4Addr::new(127, 64, 1, 0);
const STREAM: usize = 512 << 20;
const CONNECTIONS: u32 = 2_000;
const ROUNDS: usize = 3;

struct Loopback;

impl Inside for Loopback {
    fn listen(&mut self, at: SocketAddr) -> io::Result<OwnedFd> {
        TcpListener::bind(at).map(OwnedFd::from)
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<OwnedFd> {
        TcpStream::connect(to).map(OwnedFd::from)
    }
}

struct Table;

impl Lookup for Table {
    fn lookup(&self, _name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![(SERVER, port).into()])
    }
}

/// A server that takes a stream of bytes, or gives one, as the first byte says; any other byte is sent back.
fn serve() -> u16 {
    let listener = TcpListener::bind((SERVER, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut wish = [0];
            if socket.read_exact(&mut wish).is_err() {
                continue;
            }
            match wish[0] {
                0 => take(&mut socket),
                1 => give(&mut socket),
                _ => socket.write_all(&wish).unwrap(),
            }
        }
    });
    port
}

fn take(socket: &mut TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    let mut left = STREAM;
    while left > 0 {
        left -= socket.read(&mut buffer).unwrap();
    }
    socket.write_all(&[1]).unwrap();
}

fn give(socket: &mut TcpStream) {
    let buffer = vec![0; 256 << 10];
    for _ in 0..STREAM / buffer.len() {
        socket.write_all(&buffer).unwrap();
    }
}

fn up(to: SocketAddr) -> f64 {
    let mut socket = TcpStream::connect(to).unwrap();
    let begun = Instant::now();
    socket.write_all(&[0]).unwrap();
    give(&mut socket);
    socket.read_exact(&mut [0]).unwrap();
    mib_per_second(begun)
}

fn down(to: SocketAddr) -> f64 {
    let mut socket = TcpStream::connect(to).unwrap();
    let begun = Instant::now();
    socket.write_all(&[1]).unwrap();
    take(&mut socket);
    mib_per_second(begun)
}

fn mib_per_second(begun: Instant) -> f64 {
    f64::from(u32::try_from(STREAM >> 20).unwrap()) / begun.elapsed().as_secs_f64()
}

fn connections(admit: &dyn Fn(), to: SocketAddr) -> f64 {
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        admit();
        let mut socket = TcpStream::connect(to).unwrap();
        socket.write_all(&[2]).unwrap();
        socket.read_exact(&mut [0]).unwrap();
    }
    f64::from(CONNECTIONS) / begun.elapsed().as_secs_f64()
}

fn start(port: u16) -> Gate {
    let rules = ["a.test:1-65535", "127.0.0.2:1-65535"].map(|rule| rule.parse().unwrap());
    let rules = Rules::new(&rules, &[], NetworkDefault::Deny);
    let mut config = GateConfig::new(rules, "127.64.0.0/16".parse().unwrap(), None);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name_server = socket.local_addr().unwrap();
    config.name_server.push(socket.into());
    config.lookup = Arc::new(Table);
    config.limits.per_second = 1_000_000;
    let gate = Gate::start(config, Box::new(Loopback)).unwrap();
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(query, name_server).unwrap();
    client.recv(&mut [0; 512]).unwrap();
    assert_eq!(gate.admit(SocketAddr::new(IpAddr::V4(NAME), port), None), Admission::Continue);
    gate
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn compare(what: &str, unit: &str, plain: impl Fn() -> f64, gated: impl Fn() -> f64) {
    let (mut beside, mut through) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        beside.push(plain());
        through.push(gated());
    }
    let (plain, gated) = (median(beside), median(through));
    println!("{what}: plain {plain:.0} {unit}, gate {gated:.0} {unit}, ratio {:.2}", gated / plain);
}

fn main() {
    let port = serve();
    let gate = start(port);
    let (plain, gated) = (SocketAddr::new(SERVER.into(), port), SocketAddr::new(NAME.into(), port));
    let admit = || assert_eq!(gate.admit(gated, None), Admission::Continue);
    compare("stream up", "MiB/s", || up(plain), || up(gated));
    compare("stream down", "MiB/s", || down(plain), || down(gated));
    compare("connections", "/s", || connections(&|| (), plain), || connections(&admit, gated));
    drop(gate.finish());
}
