//! What happens to the bytes of a connection, and to its end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use stockade_egress::inspect::Protocol;
use stockade_egress::{Direction, End, Event, GateError, Published};

use crate::world::{Build, OUTSIDE, PUBLISHING, echo, exchange, is_broken_off, serve, world};

#[test]
fn a_connection_by_name_reaches_the_host_and_is_told_of() {
    let (world, port) = (world(), echo());
    let mut socket = world.connect("a.test", port);
    exchange(&mut socket, "hello");
    drop(socket);
    let told = world.connection();
    assert_eq!((told.host.as_str(), told.port, told.address), ("a.test", port, Some(OUTSIDE)));
    assert_eq!((told.sent, told.received, told.end), (6, 6, End::Closed));
    assert_eq!((told.direction, told.protocol), (Direction::Outward, Protocol::Other));
    assert_eq!(told.rule, "a.test:1-65535");
    assert_eq!(told.process.map(|process| process.pid), Some(77));
    let summary = world.gate.finish();
    assert_eq!((summary.connections, summary.sent, summary.received), (1, 6, 6));
}

#[test]
fn a_server_may_speak_first() {
    let port = serve(|mut socket| {
        socket.write_all(b"220 ready\r\n").unwrap();
        drop(socket.read(&mut [0]));
    });
    let world = world();
    let mut greeting = [0; 11];
    world.connect("a.test", port).read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
}

#[test]
fn a_client_that_has_finished_still_hears_the_answer() {
    let port = serve(|mut socket| {
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        socket.write_all(format!("{} bytes", all.len()).as_bytes()).unwrap();
    });
    let world = world();
    let mut socket = world.connect("a.test", port);
    socket.write_all(&[0; 100_000]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "100000 bytes");
    let told = world.connection();
    assert_eq!((told.sent, told.received, told.end), (100_000, 12, End::Closed));
}

#[test]
fn a_server_that_has_finished_still_hears_the_client() {
    let (heard, hears) = std::sync::mpsc::channel();
    let port = serve(move |mut socket| {
        socket.write_all(b"bye").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut all = String::new();
        socket.read_to_string(&mut all).unwrap();
        heard.send(all).unwrap();
    });
    let world = world();
    let mut socket = world.connect("a.test", port);
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert_eq!(said, "bye");
    socket.write_all(b"still here").unwrap();
    drop(socket);
    assert_eq!(hears.recv_timeout(Duration::from_secs(5)).unwrap(), "still here");
    assert_eq!(world.connection().end, End::Closed);
}

fn break_off(socket: &TcpStream) {
    set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_break_on_one_side_is_a_break_on_the_other() {
    let port = serve(|mut socket| {
        socket.read_exact(&mut [0; 6]).unwrap();
        break_off(&socket);
    });
    let first = world();
    let mut socket = first.connect("a.test", port);
    socket.write_all(b"hello\n").unwrap();
    assert!(is_broken_off(socket));
    assert_eq!(first.connection().end, End::Reset);

    let (heard, hears) = std::sync::mpsc::channel();
    let port = serve(move |mut socket| {
        socket.read_exact(&mut [0; 6]).unwrap();
        heard.send(is_broken_off(socket)).unwrap();
    });
    let second = world();
    let mut socket = second.connect("a.test", port);
    socket.write_all(b"hello\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    break_off(&socket);
    drop(socket);
    assert!(hears.recv_timeout(Duration::from_secs(5)).unwrap());
    assert_eq!(second.connection().end, End::Reset);
}

#[test]
fn what_breaks_after_a_half_close_is_noticed() {
    let (heard, hears) = std::sync::mpsc::channel();
    let port = serve(move |mut socket| {
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        heard.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(30));
    });
    let world = world();
    let socket = world.connect("a.test", port);
    socket.shutdown(Shutdown::Write).unwrap();
    hears.recv_timeout(Duration::from_secs(5)).unwrap();
    break_off(&socket);
    drop(socket);
    assert_eq!(world.connection().end, End::Reset);
}

#[test]
fn much_goes_through_unchanged_while_the_receiver_is_slow() {
    const LENGTH: usize = 32 << 20;
    let (world, port) = (world(), echo());
    let mut socket = world.connect("a.test", port);
    let mut sending = socket.try_clone().unwrap();
    let byte_at = |at: usize| u8::try_from(at.wrapping_mul(2_654_435_761) >> 11 & 0xff).unwrap();
    let sender = std::thread::spawn(move || {
        let all: Vec<u8> = (0..LENGTH).map(byte_at).collect();
        sending.write_all(&all).unwrap();
        sending.shutdown(Shutdown::Write).unwrap();
    });
    std::thread::sleep(Duration::from_millis(300));
    let mut all = Vec::with_capacity(LENGTH);
    socket.read_to_end(&mut all).unwrap();
    sender.join().unwrap();
    assert_eq!(all.len(), LENGTH);
    assert!(all.iter().enumerate().all(|(at, byte)| *byte == byte_at(at)));
    assert_eq!(world.connection().sent, LENGTH as u64);
}

#[test]
fn a_thousand_connections_at_once() {
    let port = echo();
    let build = Build::new(&["a.test:1-65535"]).name("a.test", &[&[OUTSIDE]]);
    let world = build.configured(|config| config.limits.per_second = 100_000).start();
    let mut sockets: Vec<_> = (0..1000).map(|_| world.connect("a.test", port)).collect();
    for (number, socket) in sockets.iter_mut().enumerate() {
        exchange(socket, &format!("connection {number}"));
    }
    for (number, socket) in sockets.iter_mut().enumerate().rev() {
        exchange(socket, &format!("again {number}"));
    }
    drop(sockets);
    let ends = world.wait_for(1000, |event| match event {
        Event::Connection(connection) => Some(connection.end.clone()),
        _ => None,
    });
    assert!(ends.iter().all(|end| *end == End::Closed));
}

#[test]
fn a_host_that_does_not_answer_breaks_the_connection_off_and_is_told() {
    let world = world();
    let free = TcpListener::bind((OUTSIDE, 0)).unwrap().local_addr().unwrap().port();
    assert!(is_broken_off(world.connect("a.test", free)));
    assert!(matches!(world.connection().end, End::Unreachable(_)));
}

#[test]
fn a_connection_that_the_end_of_the_run_cuts_off_does_not_look_complete() {
    let (world, port) = (world(), echo());
    let mut socket = world.connect("a.test", port);
    exchange(&mut socket, "hello");
    let summary = world.gate.finish();
    assert!(is_broken_off(socket));
    assert!(matches!(&summary.events[..], [Event::Connection(told)] if told.end == End::RunEnded), "{summary:?}");
}

#[test]
fn a_published_port_is_reached_from_the_hosts_loopback() {
    let inside = TcpListener::bind((PUBLISHING, 0)).unwrap();
    let port = inside.local_addr().unwrap().port();
    let world = Build::new(&[]).configured(|config| config.publish = Published::bind(&[port]).unwrap()).start();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut server, _) = inside.accept().unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    server.read_exact(&mut [0; 18]).unwrap();
    server.write_all(b"hello").unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
    drop(client);
    let told = world.connection();
    assert_eq!((told.direction, told.port, told.end), (Direction::Published, port, End::Closed));
    assert_eq!((told.sent, told.received), (18, 5));
    assert_eq!(world.gate.finish().connections, 0, "only those to the outside count");

    drop(inside);
    let world = Build::new(&[]).configured(|config| config.publish = Published::bind(&[port]).unwrap()).start();
    assert!(is_broken_off(TcpStream::connect(("127.0.0.1", port)).unwrap()), "nobody listens inside");
    assert!(matches!(world.connection().end, End::Unreachable(_)));
}

#[test]
fn a_port_of_the_host_that_is_taken_is_not_published() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Published::bind(&[port]).unwrap_err();
    assert!(matches!(&error, GateError::Publish { address, .. } if address.port() == port), "{error}");
}
