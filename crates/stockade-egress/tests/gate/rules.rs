//! Who is let through, and what is told of the others.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use stockade_egress::inspect::{Protocol, Refusal};
use stockade_egress::rules::NetworkDefault;
use stockade_egress::{Admission, Decision, End, Event, Reason, Upstream};

use crate::world::{Build, OUTSIDE, World, echo, exchange, hold, is_broken_off, serve, world};

fn refusal(admission: Admission) -> (i32, Reason, Option<String>) {
    match admission {
        Admission::Refuse { errno, denial } => (errno, denial.reason, denial.suggestion),
        Admission::Continue => panic!("it was let through"),
    }
}

#[test]
fn names_that_no_rule_allows_do_not_exist() {
    let world = world();
    assert_eq!(world.resolve("b.test"), None);
    let denial = world.denial();
    assert_eq!((denial.host.as_str(), denial.port, denial.reason), ("b.test", None, Reason::NotAllowed));
}

#[test]
fn ports_and_addresses_that_no_rule_allows_are_refused_before_the_connection() {
    let world = Build::new(&["a.test:443"]).start();
    let ip = world.resolve("a.test").unwrap();
    let refused = refusal(world.admit(SocketAddr::new(ip, 22)));
    assert_eq!(refused, (13, Reason::NotAllowed, Some("--allow a.test:22".into())));
    let refused = refusal(world.admit("[2001:db8::1]:443".parse().unwrap()));
    assert_eq!(refused, (13, Reason::NotAllowed, Some("--allow [2001:db8::1]:443".into())));
    let Admission::Refuse { denial, .. } = world.admit(SocketAddr::new(ip, 22)) else { panic!("refused before") };
    assert_eq!(denial.process.unwrap().command(), "test");
    let nobody = refusal(world.admit(SocketAddr::new(world.reserved(77), 443)));
    assert_eq!(nobody, (13, Reason::NoSuchAddress, None));
    let nothing = refusal(world.admit(SocketAddr::new(ip, 0)));
    assert_eq!(nothing.0, 13);
}

#[test]
fn the_sandboxs_own_loopback_and_name_server_are_no_concern_of_the_gate() {
    let world = world();
    for to in ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:8080", "[::ffff:127.0.0.1]:80"] {
        assert_eq!(world.admit(to.parse().unwrap()), Admission::Continue, "{to}");
    }
    let name_server = SocketAddr::new(world.reserved(1), 53);
    assert_eq!(world.admit(name_server), Admission::Continue);
    assert!(TcpStream::connect(name_server).is_err(), "no door was made");
}

#[test]
fn a_name_that_leads_to_this_machine_is_refused_unless_a_rule_names_the_address() {
    let (port, reached) = hold();
    let build = || Build::with(&["a.test:1-65535"], &[], NetworkDefault::Deny);
    for address in ["127.0.0.2", "169.254.169.254", "10.0.0.1", "::1", "0.0.0.0"] {
        let address: IpAddr = address.parse().unwrap();
        let world = build().name("a.test", &[&[address]]).start();
        assert!(is_broken_off(world.connect("a.test", port)));
        assert!(matches!(world.denial().reason, Reason::Address(told, _) if told == address), "{address}");
        assert_eq!(world.connection().end, End::Refused);
    }
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn an_address_of_the_host_is_refused_where_public_ones_are_open() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.77:9").is_err() {
        return;
    }
    let own = socket.local_addr().unwrap().ip();
    let world = Build::with(&[], &[], NetworkDefault::Public).start();
    let to = SocketAddr::new(own, 20_443);
    if matches!(world.admit(to), Admission::Continue) {
        assert!(is_broken_off(TcpStream::connect(to).unwrap()));
        assert!(matches!(world.denial().reason, Reason::Address(address, _) if address == own));
    }
}

#[test]
fn a_name_that_changes_its_address_gains_nothing() {
    // What is checked is what is connected to; each connection looks anew, so that the second answer is checked as well.
    let (port, reached) = hold();
    let public: IpAddr = OUTSIDE;
    let build = Build::with(&["a.test:1-65535"], &["127.0.0.2:1-65535"], NetworkDefault::Deny);
    let world = build.name("a.test", &[&[public], &["127.0.0.1".parse().unwrap()]]).start();
    let first = world.connect("a.test", port);
    // The first answer is used again for two seconds.
    std::thread::sleep(Duration::from_millis(2100));
    let second = world.connect("a.test", port);
    let told = world.wait(|event| match event {
        Event::Denied(denial) => Some(denial.reason.clone()),
        _ => None,
    });
    assert!(matches!(told, Reason::Address(address, _) if address.is_loopback()));
    assert_eq!(reached.load(std::sync::atomic::Ordering::SeqCst), 1, "only the first answer was connected to");
    drop((first, second));
}

fn request(world: &World, port: u16, bytes: &[u8]) -> TcpStream {
    let mut socket = world.connect("a.test", port);
    socket.write_all(bytes).unwrap();
    socket
}

#[test]
fn a_request_for_another_host_is_broken_off_before_it_is_passed_on() {
    let (heard, hears) = channel();
    let port = serve(move |mut socket| {
        let mut all = Vec::new();
        drop(socket.read_to_end(&mut all));
        heard.send(all).unwrap();
    });
    let world = world();
    let socket = request(&world, port, b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    assert!(is_broken_off(socket));
    // The server hears of a connection, or not even that: its answer is acknowledged with what would be sent first.
    let heard = hears.recv_timeout(Duration::from_millis(500));
    assert!(heard.as_ref().map_or(true, Vec::is_empty), "{heard:?}");
    let named = Reason::Content(Refusal::RequestHost { named: "b.test".into() });
    assert_eq!(world.denial().reason, named);
    let connection = world.connection();
    assert_eq!((connection.protocol, connection.sent, connection.end), (Protocol::Http, 0, End::Refused));
}

#[test]
fn a_later_request_for_another_host_is_not_passed_on_either() {
    let port = echo();
    let world = world();
    let good = format!("GET / HTTP/1.1\r\nHost: a.test:{port}\r\n\r\n");
    let mut socket = request(&world, port, good.as_bytes());
    let mut back = vec![0; good.len()];
    socket.read_exact(&mut back).unwrap();
    assert_eq!(back, good.as_bytes());
    socket.write_all(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").unwrap();
    assert!(is_broken_off(socket));
    assert_eq!(world.connection().sent, good.len() as u64);
}

/// A ClientHello with a server name and nothing else that matters.
fn hello(name: &str) -> Vec<u8> {
    let short = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let entry = [&[0][..], &short(name.as_bytes())].concat();
    let extension = [&[0, 0][..], &short(&short(&entry))].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &short(&[0x13, 0x01]), &[1, 0], &short(&extension)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &short(&handshake)].concat()
}

#[test]
fn a_tls_connection_names_the_host_that_was_looked_up() {
    let (world, port) = (world(), echo());
    let good = hello("a.test");
    let mut socket = request(&world, port, &good);
    let mut back = vec![0; good.len()];
    socket.read_exact(&mut back).unwrap();
    drop(socket);
    assert_eq!(world.connection().protocol, Protocol::Tls);
    assert!(is_broken_off(request(&world, port, &hello("b.test"))));
    let named = Reason::Content(Refusal::ServerName { named: "b.test".into() });
    assert_eq!(world.denial().reason, named);
}

#[test]
fn a_program_that_never_ends_its_request_is_broken_off_after_seconds() {
    let (world, port) = (world(), echo());
    let mut socket = world.connect("a.test", port);
    let begun = Instant::now();
    let mut steps = b"GET / HTTP/1.1\r\nHost: a.test\r\nX: ".iter().chain(std::iter::repeat(&b'a'));
    while socket.write_all(&[*steps.next().unwrap()]).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(15));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(world.denial().reason, Reason::Content(Refusal::Slow));
    assert_eq!(world.connection().sent, 0);
}

#[test]
fn what_a_program_leaves_incomplete_is_decided_when_it_ends() {
    let (world, port) = (world(), echo());
    let mut socket = request(&world, port, b"no line");
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = String::new();
    socket.read_to_string(&mut back).unwrap();
    assert_eq!(back, "no line");
    let socket = request(&world, port, b"GET / HTTP/1.1\r\nHost:");
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(is_broken_off(socket));
    assert_eq!(world.denial().reason, Reason::Content(Refusal::Incomplete));
}

fn asking(decide: impl FnMut(stockade_egress::Question) -> Decision + Send + 'static) -> World {
    let build = Build::with(&[], &[], NetworkDefault::Ask).name("a.test", &[&[OUTSIDE]]);
    let world = build.name("b.test", &[&[OUTSIDE]]).configured(|config| config.decider = Some(Box::new(decide)));
    world.start()
}

/// What became of connections, as far as the gate decides: with nobody outside that may be reached, each that was let
/// through is told as refused for its address.
fn outcomes(world: &World, ports: &[u16]) -> Vec<bool> {
    let ip = world.resolve("a.test").unwrap();
    ports.iter().map(|port| world.admit(SocketAddr::new(ip, *port)) == Admission::Continue).collect()
}

#[test]
fn whoever_is_asked_is_asked_once_unless_the_answer_was_for_once() {
    let (asked, asks) = channel();
    let world = asking(move |question| {
        asked.send(question.to_string()).unwrap();
        match question.port {
            21001 => Decision::AllowOnce,
            21002 => Decision::AllowForRun,
            _ => Decision::Deny,
        }
    });
    assert_eq!(outcomes(&world, &[21001, 21001, 21002, 21002, 21003, 21003]), [true, true, true, true, false, false]);
    let questions: Vec<_> = asks.try_iter().collect();
    let about = |port: u16| format!("test (process 77) wants to connect to a.test, port {port}");
    assert_eq!(questions, [about(21001), about(21001), about(21002), about(21003)]);
    let Admission::Refuse { denial, .. } = world.admit(SocketAddr::new(world.resolve("a.test").unwrap(), 21003)) else {
        panic!("a question that was answered with no is not asked again")
    };
    assert_eq!(denial.suggestion.as_deref(), Some("--allow a.test:21003"));
}

#[test]
fn what_was_allowed_once_passes_once() {
    let world = asking(|_| Decision::AllowOnce);
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), 21004);
    assert_eq!(world.admit(to), Admission::Continue);
    let sockets = [TcpStream::connect(to).unwrap(), TcpStream::connect(to).unwrap()];
    sockets.into_iter().for_each(|socket| assert!(is_broken_off(socket)));
    let reasons = world.wait_for(2, |event| match event {
        Event::Denied(denial) => Some(denial.reason.clone()),
        _ => None,
    });
    // The one that passed was stopped by its address.
    assert_eq!(reasons.iter().filter(|reason| **reason == Reason::Declined).count(), 1, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| matches!(reason, Reason::Address(..))).count(), 1, "{reasons:?}");
}

#[test]
fn a_supervisor_need_not_wait_for_an_answer() {
    let (answer, answers) = channel();
    let world = asking(move |_| answers.recv().unwrap());
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), 21005);
    assert_eq!(world.gate.try_admit(to, None), None);
    assert_eq!(world.gate.try_admit(to, None), None, "it is asked only once");
    let other = SocketAddr::new(world.resolve("a.test").unwrap(), 21006);
    assert_eq!(world.gate.try_admit(other, None), None, "and others wait for their turn");
    answer.send(Decision::AllowForRun).unwrap();
    world.wait(|event| (*event == Event::Answered).then_some(()));
    assert_eq!(world.gate.try_admit(to, None), Some(Admission::Continue));
    answer.send(Decision::Deny).unwrap();
    assert_ne!(world.admit(other), Admission::Continue);
    // The decider ends with its channel; whatever is asked afterwards is refused.
    drop(answer);
    let another = SocketAddr::new(world.resolve("a.test").unwrap(), 21007);
    assert_ne!(world.admit(another), Admission::Continue);
}

#[test]
fn without_anybody_to_ask_it_is_refused() {
    let world = Build::with(&[], &[], NetworkDefault::Ask).start();
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), 21008);
    assert_eq!(refusal(world.admit(to)).1, Reason::Declined);
}

#[test]
fn an_upstream_proxy_is_given_the_name() {
    let (asked, asks) = channel();
    let proxy = serve(move |mut socket| {
        let mut head = vec![0; 1024];
        let count = socket.read(&mut head).unwrap();
        asked.send(String::from_utf8(head[..count].to_vec()).unwrap()).unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        drop(std::io::copy(&mut &socket, &mut &socket));
    });
    // Nobody looks the name up; the proxy's own address is not one that a name may lead to.
    let upstream = Upstream::new(&format!("http://127.0.0.2:{proxy}"), "").unwrap();
    let build = Build::with(&["a.test:1-65535"], &[], NetworkDefault::Deny).name("127.0.0.2", &[&[OUTSIDE]]);
    let world = build.configured(|config| config.upstream = Some(upstream)).start();
    let mut socket = world.connect("a.test", 2222);
    exchange(&mut socket, "through the proxy");
    assert!(asks.recv().unwrap().starts_with("CONNECT a.test:2222 HTTP/1.1\r\n"));
    drop(socket);
    assert_eq!(world.connection().address, None);
}

#[test]
fn a_port_that_a_server_inside_holds_is_refused_with_the_reason() {
    let world = world();
    let ip = world.resolve("a.test").unwrap();
    let own = TcpListener::bind((ip, 0)).unwrap();
    let (errno, reason, _) = refusal(world.admit(own.local_addr().unwrap()));
    assert_eq!(errno, 13);
    assert!(matches!(reason, Reason::Unserved(why) if why.contains("127.0.0.1")));
}
