//! Every bound of a run, reached.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use stockade_egress::{Admission, End, Event, Limit, Limits, Reason};

use crate::world::{Build, OUTSIDE, World, echo, exchange, hold, is_broken_off, serve};

fn world_with(limits: Limits) -> World {
    let build = Build::new(&["a.test:1-65535"]).name("a.test", &[&[OUTSIDE]]);
    build.configured(|config| config.limits = limits).start()
}

fn refused_for(admission: Admission) -> Limit {
    match admission {
        Admission::Refuse { errno: 13, denial } => match denial.reason {
            Reason::Limit(limit) => limit,
            reason => panic!("{reason:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_sent_end_exactly_at_the_bound() {
    let (told, tells) = std::sync::mpsc::channel();
    let port = serve(move |mut socket| {
        let mut all = Vec::new();
        let ended = socket.read_to_end(&mut all);
        told.send((all.len(), ended.is_err())).unwrap();
    });
    let world = world_with(Limits { sent: Some(100_000), ..Limits::default() });
    let mut socket = world.connect("a.test", port);
    // The peer may have broken it off before all is written.
    drop(socket.write_all(&[0; 300_000]));
    let (arrived, was_broken_off) = tells.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(arrived <= 100_000 && was_broken_off, "{arrived} bytes");
    assert!(is_broken_off(socket));
    let connection = world.connection();
    assert_eq!((connection.sent, connection.end), (100_000, End::Refused));
    assert_eq!(world.denial().reason, Reason::Limit(Limit::Sent));
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), port);
    assert_eq!(refused_for(world.admit(to)), Limit::Sent);
    assert_eq!(world.gate.finish().sent, 100_000);
}

#[test]
fn what_is_sent_in_full_is_not_broken_off() {
    let world = world_with(Limits { sent: Some(6), received: Some(6), ..Limits::default() });
    let mut socket = world.connect("a.test", echo());
    exchange(&mut socket, "hello");
    drop(socket);
    assert_eq!(world.connection().end, End::Closed);
}

#[test]
fn bytes_received_end_at_the_bound() {
    let port = serve(|mut socket| drop(socket.write_all(&[0; 300_000])));
    let world = world_with(Limits { received: Some(100_000), ..Limits::default() });
    assert!(is_broken_off(world.connect("a.test", port)));
    assert_eq!(world.connection().received, 100_000);
    assert_eq!(world.denial().reason, Reason::Limit(Limit::Received));
}

#[test]
fn connections_in_total_at_once_and_within_a_second() {
    let port = echo();
    let total = world_with(Limits { connections: Some(3), ..Limits::default() });
    for _ in 0..3 {
        exchange(&mut total.connect("a.test", port), "hello");
    }
    let to = SocketAddr::new(total.resolve("a.test").unwrap(), port);
    assert_eq!(refused_for(total.admit(to)), Limit::Connections);
    assert!(is_broken_off(TcpStream::connect(to).unwrap()), "also without having asked");

    let at_once = world_with(Limits { at_once: 2, ..Limits::default() });
    let mut held = [at_once.connect("a.test", port), at_once.connect("a.test", port)];
    held.iter_mut().for_each(|socket| exchange(socket, "hello"));
    let to = SocketAddr::new(at_once.resolve("a.test").unwrap(), port);
    assert_eq!(refused_for(at_once.admit(to)), Limit::AtOnce);
    drop(held);
    at_once.wait_for(2, |event| matches!(event, Event::Connection(_)).then_some(()));
    exchange(&mut at_once.connect_to(to), "there is room again");

    let pace = world_with(Limits { per_second: 5, ..Limits::default() });
    let begun = Instant::now();
    for _ in 0..5 {
        exchange(&mut pace.connect("a.test", port), "hello");
    }
    let to = SocketAddr::new(pace.resolve("a.test").unwrap(), port);
    if begun.elapsed() < Duration::from_millis(150) {
        assert_eq!(refused_for(pace.admit(to)), Limit::PerSecond);
    }
    std::thread::sleep(Duration::from_millis(250));
    exchange(&mut pace.connect_to(to), "there is time again");
}

#[test]
fn endpoints_beyond_the_bound_are_refused_while_all_others_are_in_use_and_then_replace_them() {
    let world = world_with(Limits { per_second: 1_000_000, ..Limits::default() });
    let ip = world.resolve("a.test").unwrap();
    let admitted = |port: u16| world.admit(SocketAddr::new(ip, port));
    let begun = Instant::now();
    for port in 20_000..21_024 {
        assert_eq!(admitted(port), Admission::Continue);
    }
    let took = begun.elapsed();
    let beyond = admitted(21_024);
    if took < Duration::from_millis(900) {
        assert_eq!(refused_for(beyond), Limit::Endpoints);
    }
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(admitted(21_024), Admission::Continue);
    // The gate's thread closes them.
    std::thread::sleep(Duration::from_millis(200));
    let closed = (20_000..20_020).filter(|port| TcpStream::connect((ip, *port)).is_err()).count();
    assert!(closed >= 1, "the oldest was closed");
}

#[test]
fn a_door_that_nobody_uses_leaves_its_port_to_a_server_inside() {
    let (world, port) = (world_with(Limits::default()), echo());
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), port);
    let mut open = world.connect_to(to);
    std::thread::sleep(Duration::from_millis(2300));
    assert!(TcpStream::connect(to).is_err(), "the door is closed");
    exchange(&mut open, "connections go on without it");
    exchange(&mut world.connect_to(to), "and it opens again");
}

#[test]
fn admitting_to_a_door_that_is_open_takes_no_time() {
    let world = world_with(Limits { per_second: 1_000_000, ..Limits::default() });
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), 20_000);
    assert_eq!(world.admit(to), Admission::Continue);
    let mut times: Vec<_> = (0..1000)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(world.admit(to), Admission::Continue);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    assert!(times[500] < Duration::from_micros(100), "{:?}", times[500]);
}

#[test]
fn ten_thousand_connections_that_get_no_answer_are_bounded() {
    let (port, reached) = hold();
    let world = Build::new(&["a.test:1-65535"]);
    let world = world.name("a.test", &[&[OUTSIDE]]).configured(|config| {
        config.limits = Limits { at_once: 100, per_second: 1_000_000, ..Limits::default() };
    });
    let world = world.start();
    let to = SocketAddr::new(world.resolve("a.test").unwrap(), port);
    assert_eq!(world.admit(to), Admission::Continue);
    let begun = Instant::now();
    let mut open = std::collections::VecDeque::new();
    for _ in 0..10_000 {
        // Those beyond the bound may be broken off before `connect` has returned.
        open.extend(TcpStream::connect(to));
        if open.len() > 300 {
            open.pop_front();
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(open);
    world.wait(|event| match event {
        Event::Denied(denial) => (denial.reason == Reason::Limit(Limit::AtOnce)).then_some(()),
        _ => None,
    });
    let summary = world.gate.finish();
    assert!(summary.connections < 10_000 && reached.load(Ordering::SeqCst) as u64 <= summary.connections);
}
