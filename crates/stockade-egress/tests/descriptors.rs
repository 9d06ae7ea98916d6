//! The gate where the process has no descriptor left. A process of its own, since the limit is the whole process's.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stockade_egress::rules::{NetworkDefault, Rules};
use stockade_egress::{Admission, Event, Gate, GateConfig, Inside, Lookup, Reason};

const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

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

fn start() -> (Gate, IpAddr) {
    let rules = ["a.test:1-65535", "127.0.0.2:1-65535"].map(|rule| rule.parse().unwrap());
    let rules = Rules::new(&rules, &[], NetworkDefault::Deny);
    let mut config = GateConfig::new(rules, "127.63.0.0/16".parse().unwrap(), None);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name_server = socket.local_addr().unwrap();
    config.name_server.push(socket.into());
    config.lookup = Arc::new(Table);
    let gate = Gate::start(config, Box::new(Loopback)).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
    client.send_to(query, name_server).unwrap();
    client.recv(&mut [0; 512]).unwrap();
    (gate, Ipv4Addr::new(127, 63, 1, 0).into())
}

fn set_limit(descriptors: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(descriptors), maximum }).unwrap();
}

/// The processor time that the process has used, in clock ticks.
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn without_descriptors_connections_are_broken_off_and_nothing_spins() {
    let server = TcpListener::bind((SERVER, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let (gate, ip) = start();
    let to = SocketAddr::new(ip, port);
    assert_eq!(gate.admit(to, None), Admission::Continue);
    // The door is open. What programs inside connect with is made beforehand, since it is not from the gate's share.
    let clients: Vec<_> = (0..5).map(|_| socket()).collect();
    let others: Vec<_> = (0..5).map(|_| socket()).collect();
    std::thread::sleep(Duration::from_millis(50));
    let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let before = getrlimit(Resource::Nofile).current.unwrap();
    let (begun, used) = (Instant::now(), processor_time());
    set_limit(u64::try_from(next).unwrap());
    for client in &clients {
        rustix::net::connect(client, &to).unwrap();
    }
    let clients: Vec<_> = clients.into_iter().map(TcpStream::from).collect();
    for mut client in &clients {
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(begun.elapsed() < Duration::from_secs(5));
    set_limit(before);
    assert!(processor_time() - used < 20, "the gate spins");
    let told = gate.events();
    let is_told =
        |event: &Event| matches!(event, Event::Denied(denial) if matches!(denial.reason, Reason::Unserved(_)));
    assert!(told.iter().any(is_told), "{told:#?}");

    // With descriptors, it goes on.
    for client in others {
        rustix::net::connect(&client, &to).unwrap();
        let (mut served, _) = server.accept().unwrap();
        served.write_all(b"!").unwrap();
        TcpStream::from(client).read_exact(&mut [0]).unwrap();
    }
}

fn socket() -> OwnedFd {
    use rustix::net::{AddressFamily, SocketType, socket};
    socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()
}
