//! Internet sockets that are stood in for: what works, and that nothing else is reached by them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, connect,
    connect_unspec, listen, recv, recvmsg, sendmsg_addr, sendto, socket, socket_with, sockopt,
};
use stockade_spec::report::ProcessRef;

use super::gatekeeper::{Admission, Refusal};
use super::*;

/// The one address that may be connected to. Nothing is there.
const ALLOWED: &str = "192.0.2.1:443";

/// Lets one address be connected to, answers a greeting there, and gives questions for names back.
#[derive(Debug)]
struct Keeper(Sender<OwnedFd>);

impl Gatekeeper for Keeper {
    fn admit(&mut self, _to: SocketAddr, _process: Option<&ProcessRef>) -> Admission {
        panic!("there is no network inside");
    }

    fn carry(&mut self, to: SocketAddr, _process: Option<&ProcessRef>, socket: BorrowedFd<'_>) -> Admission {
        if to != ALLOWED.parse().unwrap() {
            let suggestion = Some(format!("--allow {to}"));
            return Admission::Refuse(Refusal { errno: libc::EACCES, target: to.to_string(), rule: None, suggestion });
        }
        let socket = socket.try_clone_to_owned().unwrap();
        UnixStream::from(socket.try_clone().unwrap()).write_all(b"hello").unwrap();
        self.0.send(socket).unwrap();
        Admission::Continue
    }

    fn answer_names(&mut self, socket: OwnedFd) -> io::Result<()> {
        rustix::net::send(&socket, b"answer", SendFlags::NOSIGNAL)?;
        self.0.send(socket).unwrap();
        Ok(())
    }
}

fn run<T: Send>(program: impl FnOnce() -> T + Send) -> (T, Vec<Denial>, Vec<OwnedFd>) {
    let mut scene = Scene::new(Tier::Landlock);
    scene.filter.network = NetworkFilter::StandIns;
    scene.context.ranges = Some(FakeRanges::new(true));
    let (sender, receiver) = mpsc::channel();
    let (result, denials) = scene.run_asking(Some(Box::new(Keeper(sender))), program);
    (result, denials, receiver.try_iter().collect())
}

fn code<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_connection_is_the_socket_that_the_program_made() {
    let (_, denials, carried) = run(|| {
        let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        let copy = socket.try_clone().unwrap();
        sockopt::set_tcp_nodelay(&socket, true).unwrap();
        assert_eq!(rustix::net::getpeername(&socket).unwrap_err(), Errno::NOTCONN);
        connect(&socket, &ALLOWED.parse::<SocketAddr>().unwrap()).unwrap();
        assert_eq!(connect(&socket, &ALLOWED.parse::<SocketAddr>().unwrap()), Err(Errno::ISCONN));
        let mut stream = TcpStream::from(copy);
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:443".parse().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), mapped);
        assert!(stream.local_addr().unwrap().port() > 1024 && stream.nodelay().unwrap());
        assert_eq!(sockopt::socket_domain(&stream), Ok(AddressFamily::INET6));
        let mut text = [0; 5];
        stream.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        stream.write_all(b"and back").unwrap();
    });
    let [socket] = carried.try_into().unwrap();
    let mut text = String::new();
    UnixStream::from(socket).read_to_string(&mut text).unwrap();
    assert_eq!(text, "and back");
    assert_eq!(lines(&denials), [""; 0]);
}

#[test]
fn questions_for_names_are_answered_whoever_is_asked() {
    let (_, denials, lines_to_names) = run(|| {
        let server: SocketAddr = "192.0.2.53:53".parse().unwrap();
        let connected = UdpSocket::bind("0.0.0.0:0").unwrap();
        connected.connect(server).unwrap();
        assert_eq!(connected.send(b"question").unwrap(), 8);
        let mut text = [0; 16];
        assert_eq!(connected.recv(&mut text).unwrap(), 6);
        let unconnected = UdpSocket::bind("0.0.0.0:0").unwrap();
        unconnected.set_nonblocking(true).unwrap();
        unconnected.send_to(b"question", server).unwrap();
        assert_eq!(unconnected.recv_from(&mut text).unwrap(), (6, server));
        assert_eq!(unconnected.recv_from(&mut text).unwrap_err().kind(), ErrorKind::WouldBlock);
        let by_message = UdpSocket::bind("[::]:0").unwrap();
        by_message.send_to(b"question", server).unwrap();
        let mut control = RecvAncillaryBuffer::default();
        let got =
            recvmsg(&by_message, &mut [io::IoSliceMut::new(&mut text)], &mut control, RecvFlags::DONTWAIT).unwrap();
        let from = SocketAddr::try_from(got.address.unwrap()).unwrap();
        assert_eq!((got.bytes, from), (6, "[::ffff:192.0.2.53]:53".parse().unwrap()));
    });
    assert_eq!(lines(&denials), [""; 0]);
    assert_eq!(lines_to_names.len(), 3);
    for line in lines_to_names {
        let mut text = [0; 16];
        assert_eq!(recv(&line, &mut text[..], RecvFlags::DONTWAIT).unwrap().0, 8);
    }
}

/// Servers of the host that nobody may reach.
struct Targets {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Targets {
    fn new() -> Self {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        // They can be reached by whoever may.
        let mut probe = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        probe.write_all(b"x").unwrap();
        tcp.accept().unwrap();
        Self { tcp, udp }
    }

    fn assert_unreached(&self) {
        assert_eq!(self.tcp.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(self.udp.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn no_call_reaches_what_was_not_allowed() {
    let targets = Targets::new();
    let (tcp, udp) = (targets.tcp.local_addr().unwrap(), targets.udp.local_addr().unwrap());
    let (_, denials, _carried) = run(|| {
        assert_eq!(code(TcpStream::connect(tcp)), Some(libc::EACCES));
        let fast_open = SendFlags::from_bits_retain(0x2000_0000) | SendFlags::NOSIGNAL;
        for kind in [SocketType::STREAM, SocketType::DGRAM] {
            let to = if kind == SocketType::STREAM { tcp } else { udp };
            let socket = socket(AddressFamily::INET, kind, None).unwrap();
            let tries = |socket: BorrowedFd<'_>| {
                for flags in [SendFlags::NOSIGNAL, fast_open] {
                    // What these come to does not matter, but where it goes.
                    let _went_nowhere = sendto(socket, b"x", flags, &to);
                    let data = [io::IoSlice::new(b"x")];
                    let _went_nowhere = sendmsg_addr(socket, &to, &data, &mut SendAncillaryBuffer::default(), flags);
                }
            };
            tries(socket.as_fd());
            let _went_nowhere = connect_unspec(&socket);
            tries(socket.as_fd());
            if kind == SocketType::STREAM {
                connect(&socket, &ALLOWED.parse::<SocketAddr>().unwrap()).unwrap();
                tries(socket.as_fd());
                assert_eq!(connect_unspec(&socket), Err(Errno::OPNOTSUPP));
                assert_eq!(connect(&socket, &tcp), Err(Errno::ISCONN));
            } else {
                assert_eq!(connect(&socket, &to), Err(Errno::ACCESS));
                connect(&socket, &"192.0.2.53:53".parse::<SocketAddr>().unwrap()).unwrap();
            }
            tries(socket.as_fd());
        }
    });
    targets.assert_unreached();
    assert_eq!(denials[0].suggestion.as_deref(), Some(format!("--allow {tcp}").as_str()));
    assert!(lines(&denials).contains(&format!("Network sendto {udp}")), "{denials:?}");
}

#[test]
fn nobody_listens() {
    let (_, denials, _) = run(|| {
        assert_eq!(code(TcpListener::bind("127.0.0.1:0")), Some(libc::EINVAL));
        assert_eq!(code(TcpListener::bind("0.0.0.0:8080")), Some(libc::EACCES));
        assert_eq!(code(UdpSocket::bind("192.0.2.7:0")), Some(libc::EACCES));
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        assert_eq!(listen(&socket, 1), Err(Errno::INVAL));
        let other = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::empty(), None);
        assert_eq!(other.unwrap_err(), Errno::PERM);
        let ping =
            socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::empty(), Some(rustix::net::ipproto::ICMP));
        assert_eq!(ping.unwrap_err(), Errno::ACCESS);
    });
    assert_eq!(lines(&denials), ["Network bind 0.0.0.0:8080", "Network bind 192.0.2.7:0", "Sockets socket AF_INET",]);
}

/// One thread changes the address in memory while another connects with it.
#[test]
fn changing_the_address_while_it_is_decided_reaches_nothing_else() {
    let targets = Targets::new();
    let SocketAddr::V4(wrong) = targets.tcp.local_addr().unwrap() else { panic!("an address of IPv4") };
    let SocketAddr::V4(right) = ALLOWED.parse().unwrap() else { panic!("an address of IPv4") };
    let text = |address: SocketAddrV4| [&address.port().to_be_bytes()[..], &address.ip().octets()].concat();
    // The address as the kernel gets it, in memory whose place is known.
    let address = SocketAddr::from((Ipv4Addr::from_octets(right.ip().octets()), right.port()));
    let storage = rustix::net::SocketAddrAny::from(address);
    let place = storage.as_ptr() as u64 + 2;
    let memory = std::fs::OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let stop = AtomicBool::new(false);
    let (connected, _, carried) = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                memory.write_all_at(&text(wrong), place).unwrap();
                memory.write_all_at(&text(right), place).unwrap();
            }
        });
        let outcome = run(|| {
            let tries = (0..2_000).filter(|_| {
                let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
                connect(&socket, &storage).is_ok()
            });
            tries.count()
        });
        stop.store(true, Relaxed);
        outcome
    });
    targets.assert_unreached();
    assert!(connected > 0 && connected < 2_000, "the race has to be lost and won: {connected}");
    assert_eq!(carried.len(), connected);
}
