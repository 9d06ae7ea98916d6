//! A gate whose inside and outside are addresses of this machine's loopback.
//!
//! Names stand for addresses of 127.64.0.0/16 and the like, servers of the "outside" are at 127.0.0.2, and the name server is a UDP socket at
//! a free port of 127.0.0.1.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stockade_egress::rules::{NetworkDefault, Rules};
use stockade_egress::{Admission, Connection, Denial, Event, Gate, GateConfig, Inside, Lookup, Process};

/// Where servers of the outside are.
pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Where servers "inside" are that listen on their loopback at a published port.
pub(crate) const PUBLISHING: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sockets of this machine in place of a sandbox's.
pub(crate) struct Loopback;

impl Inside for Loopback {
    fn listen(&mut self, at: SocketAddr) -> io::Result<OwnedFd> {
        TcpListener::bind(at).map(OwnedFd::from)
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<OwnedFd> {
        if to.is_ipv6() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        TcpStream::connect((PUBLISHING, to.port())).map(OwnedFd::from)
    }
}

/// Names with the answers that they get, one after another; the last one stays.
#[derive(Default)]
pub(crate) struct Table {
    answers: HashMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Lookup for Table {
    fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let answers = self.answers.get(name).ok_or(io::ErrorKind::NotFound)?;
        let mut asked = self.asked.lock().unwrap();
        let count = asked.entry(name.to_owned()).or_default();
        let answer = &answers[(*count).min(answers.len() - 1)];
        *count += 1;
        Ok(answer.iter().map(|address| SocketAddr::new(*address, port)).collect())
    }
}

/// A gate under test.
pub(crate) struct World {
    pub(crate) gate: Gate,
    name_server: SocketAddr,
    range: Ipv4Net,
    events: Mutex<Vec<Event>>,
}

/// What to start a [`World`] with.
pub(crate) struct Build {
    pub(crate) config: GateConfig,
    table: Table,
}

impl Build {
    /// A gate that allows these rules, and by address everything of the outside.
    pub(crate) fn new(allow: &[&str]) -> Self {
        Self::with(allow, &["127.0.0.2:1-65535"], NetworkDefault::Deny)
    }

    pub(crate) fn with(allow: &[&str], addresses: &[&str], default: NetworkDefault) -> Self {
        let rules: Vec<_> = allow.iter().chain(addresses).map(|rule| rule.parse().unwrap()).collect();
        let rules = Rules::new(&rules, &[], default);
        // Each world has a range of its own: all of them listen on this one machine.
        static RANGES: AtomicU8 = AtomicU8::new(64);
        let range = format!("127.{}.0.0/16", RANGES.fetch_add(1, Ordering::SeqCst));
        Self { config: GateConfig::new(rules, range.parse().unwrap(), None), table: Table::default() }
    }

    /// Has the host's resolver answer for a name.
    pub(crate) fn name(mut self, name: &'static str, answers: &[&[IpAddr]]) -> Self {
        self.table.answers.insert(name, answers.iter().map(|answer| answer.to_vec()).collect());
        self
    }

    pub(crate) fn configured(mut self, change: impl FnOnce(&mut GateConfig)) -> Self {
        change(&mut self.config);
        self
    }

    pub(crate) fn start(mut self) -> World {
        // What a supervisor does too: many descriptors are needed, and the soft limit is low.
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let name_server = socket.local_addr().unwrap();
        self.config.name_server.push(socket.into());
        self.config.lookup = Arc::new(self.table);
        let range = self.config.fake_ipv4;
        let gate = Gate::start(self.config, Box::new(Loopback)).unwrap();
        World { gate, name_server, range, events: Mutex::default() }
    }
}

/// A world with one name, `a.test`, that leads to the outside.
pub(crate) fn world() -> World {
    Build::new(&["a.test:1-65535"]).name("a.test", &[&[OUTSIDE]]).start()
}

impl World {
    /// The address that stands for a name inside; `None` where the name server gives none.
    pub(crate) fn resolve(&self, name: &str) -> Option<IpAddr> {
        let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.bytes());
        }
        query.extend(b"\x00\x00\x01\x00\x01");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&query, self.name_server).unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).unwrap();
        let has_answer = answer[7] == 1;
        let address: [u8; 4] = answer[..length][query.len() + 12..].first_chunk().copied().unwrap_or_default();
        has_answer.then(|| address.into())
    }

    /// An address of the range that stands for no name.
    pub(crate) fn reserved(&self, last: u8) -> IpAddr {
        Ipv4Addr::from_bits(self.range.network().to_bits() | u32::from(last)).into()
    }

    pub(crate) fn admit(&self, to: SocketAddr) -> Admission {
        self.gate.admit(to, Some(Process::new(77, "test")))
    }

    /// Connects the way a program inside does: name, admission, connect.
    pub(crate) fn connect(&self, name: &str, port: u16) -> TcpStream {
        let to = SocketAddr::new(self.resolve(name).expect("a name that is allowed"), port);
        self.connect_to(to)
    }

    pub(crate) fn connect_to(&self, to: SocketAddr) -> TcpStream {
        assert_eq!(self.admit(to), Admission::Continue);
        let socket = TcpStream::connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Waits until an event has come for which `pick` gives something.
    pub(crate) fn wait<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.wait_for(1, pick).remove(0)
    }

    /// Waits until `count` such events have come.
    pub(crate) fn wait_for<T>(&self, count: usize, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        let begun = Instant::now();
        loop {
            let mut events = self.events.lock().unwrap();
            events.extend(self.gate.events());
            let picked: Vec<T> = events.iter().filter_map(&pick).collect();
            if picked.len() >= count {
                return picked;
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {count} events came: {events:#?}", picked.len());
            drop(events);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.wait(|event| match event {
            Event::Connection(connection) => Some(Connection::clone(connection)),
            _ => None,
        })
    }

    pub(crate) fn denial(&self) -> Denial {
        self.wait(|event| match event {
            Event::Denied(denial) => Some(Denial::clone(denial)),
            _ => None,
        })
    }
}

/// Serves each connection in a thread of its own. Gives the port.
pub(crate) fn serve(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((OUTSIDE, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            std::thread::Builder::new().stack_size(64 * 1024).spawn(move || serve(socket)).unwrap();
        }
    });
    port
}

/// A server that sends back what it gets, until the client has finished.
pub(crate) fn echo() -> u16 {
    serve(|socket| {
        let outcome = io::copy(&mut &socket, &mut &socket);
        if outcome.is_ok() {
            drop(socket.shutdown(std::net::Shutdown::Write));
        }
    })
}

/// A server that counts its connections and holds them open.
pub(crate) fn hold() -> (u16, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let port = serve(move |mut socket| {
        counted.fetch_add(1, Ordering::SeqCst);
        drop(socket.read(&mut [0]));
    });
    (port, count)
}

/// Whether a connection has been broken off, rather than ended: reading fails.
pub(crate) fn is_broken_off(mut socket: TcpStream) -> bool {
    let mut rest = Vec::new();
    match socket.read_to_end(&mut rest) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
        Err(error) => panic!("{error}"),
    }
}

/// Sends a line, and expects it back. A whole line, since what could still become HTTP is held.
pub(crate) fn exchange(socket: &mut TcpStream, text: &str) {
    let text = &format!("{text}\n");
    socket.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    socket.read_exact(&mut back).unwrap();
    assert_eq!(back, text.as_bytes());
}
