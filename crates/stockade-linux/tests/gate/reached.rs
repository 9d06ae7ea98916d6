//! What arrives at the gate.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{sleep, spawn};
use std::time::Duration;

use crate::Test;
use crate::keeper::{Keeper, greet};
use crate::run::{Seen, guarded, plan, run};

pub(crate) const TESTS: &[Test] = &[
    ("reached::admitted_connections_arrive_at_their_own_address", admitted),
    ("reached::every_address_may_lead_to_the_gate", everywhere),
    ("reached::the_name_server_answers", name_server),
    ("reached::loopback_asks_nobody", loopback),
];

fn admitted() {
    let allowed = ["198.18.0.5:443", "198.18.0.6:443", "198.19.255.254:22", "10.9.8.7:5432", "[fd53:746f:636b::5]:443"];
    let actions = [
        "tcp 198.18.0.5:443",
        // An IPv4 address on a socket of IPv6.
        "tcp [::ffff:198.18.0.5]:443",
        "tcp-timeout 198.19.255.254:22",
        "tcp-thread 198.18.0.5:443",
        "tcp-unreadable 198.18.0.6:443",
        "tcp-twice 10.9.8.7:5432",
        "tcp [fd53:746f:636b::5]:443",
    ];
    let seen = run(&actions, |inside| Keeper::new(inside, &allowed));
    assert_eq!(
        seen.lines,
        [
            "tcp 198.18.0.5:443: at 198.18.0.5:443",
            "tcp [::ffff:198.18.0.5]:443: at 198.18.0.5:443",
            "tcp-timeout 198.19.255.254:22: at 198.19.255.254:22",
            "tcp-thread 198.18.0.5:443: at 198.18.0.5:443",
            "tcp-unreadable 198.18.0.6:443: at 198.18.0.6:443",
            "tcp-twice 10.9.8.7:5432: at 10.9.8.7:5432",
            "tcp [fd53:746f:636b::5]:443: at [fd53:746f:636b::5]:443",
        ]
    );
    assert_eq!(seen.denied(), [""; 0]);
}

/// As where a policy lets everything be asked for.
fn everywhere() {
    let everything = r#"{"local": ["0.0.0.0/0", "::/0"], "name_servers": ["198.18.0.1", "fd53:746f:636b::1"]}"#;
    let actions = ["tcp 192.0.2.1:80", "tcp [2001:db8::1]:80", "tcp 192.0.2.2:80", "tcp 127.0.0.1:1"];
    let plan = plan(Some(serde_json::from_str(everything).unwrap()), &actions);
    let seen = guarded(&plan, |inside| Keeper::new(inside, &["192.0.2.1:80", "[2001:db8::1]:80"]));
    assert_eq!(
        seen.lines,
        [
            "tcp 192.0.2.1:80: at 192.0.2.1:80".to_owned(),
            "tcp [2001:db8::1]:80: at [2001:db8::1]:80".to_owned(),
            format!("tcp 192.0.2.2:80: errno {}", libc::EACCES),
            format!("tcp 127.0.0.1:1: errno {}", libc::ECONNREFUSED),
        ]
    );
    assert_eq!(seen.denied(), ["connect name-of.192.0.2.2:80"]);
}

/// Answers over UDP and TCP with what the sockets are that the stage has bound.
fn name_server() {
    let actions = [
        "udp 198.18.0.1:53",
        "tcp 198.18.0.1:53",
        "udp [fd53:746f:636b::1]:53",
        "tcp [fd53:746f:636b::1]:53",
        "udp-connect 198.18.0.1:53",
    ];
    let seen = run(&actions, |inside| {
        assert_eq!(inside.name_server.len(), 4);
        (0..4).fold(Keeper::new(inside, &[]), |keeper, at| {
            keeper.beside(|inside, over| {
                let socket = inside.name_server[at].try_clone().unwrap();
                let over = Arc::clone(over);
                if at % 2 == 1 {
                    return greet(socket, over);
                }
                let socket = UdpSocket::from(socket);
                spawn(move || {
                    let mut question = [0; 64];
                    while !over.load(Ordering::Relaxed) {
                        match socket.recv_from(&mut question) {
                            Ok((_, from)) => assert_eq!(socket.send_to(b"answer", from).unwrap(), 6),
                            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(2)),
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
        })
    });
    assert_eq!(
        seen.lines,
        [
            "udp 198.18.0.1:53: answer from 198.18.0.1:53",
            "tcp 198.18.0.1:53: at 198.18.0.1:53",
            "udp [fd53:746f:636b::1]:53: answer from [fd53:746f:636b::1]:53",
            "tcp [fd53:746f:636b::1]:53: at [fd53:746f:636b::1]:53",
            "udp-connect 198.18.0.1:53: from 198.18.0.1",
        ]
    );
    assert_eq!(seen.denied(), [""; 0]);
}

/// The keeper would refuse everything.
fn loopback() {
    let actions =
        ["tcp 127.0.0.1:1", "tcp [::1]:1", "tcp [::ffff:127.0.0.1]:1", "tcp 0.0.0.0:1", "tcp-listener 0.0.0.0:80"];
    let Seen { lines, denials } = run(&actions, |inside| Keeper::new(inside, &[]));
    let results: Vec<&str> = lines.iter().filter_map(|line| line.rsplit_once(": ")).map(|(_, result)| result).collect();
    let refused = format!("errno {}", libc::ECONNREFUSED);
    assert_eq!(results, [refused.as_str(), &refused, &refused, &refused, "bound"]);
    assert_eq!(denials, []);
}
