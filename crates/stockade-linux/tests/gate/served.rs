//! Sockets that init makes for the supervisor.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::Duration;

use stockade_linux::{ServiceError, SocketService};

use crate::Test;
use crate::keeper::Keeper;
use crate::run::{follow, plan, routes, run};

pub(crate) const TESTS: &[Test] = &[
    ("served::ports_inside_are_reached", published),
    ("served::a_port_that_a_program_holds_is_left_to_it", held),
    ("served::the_command_gets_nothing_of_it", leaks),
    ("served::a_run_without_gate_has_no_service", without),
];

/// Connects until somebody listens.
fn fetch(service: &SocketService, to: &str) -> String {
    for _ in 0..1000 {
        let mut stream = TcpStream::from(service.connect(to.parse().unwrap()).unwrap());
        stream.set_nonblocking(false).unwrap();
        let mut text = String::new();
        match stream.read_to_string(&mut text) {
            Ok(_) => return text,
            Err(_) => sleep(Duration::from_millis(2)),
        }
    }
    panic!("nobody listens at {to}");
}

fn published() {
    let seen = run(&["publish 127.0.0.1:8080", "publish [::1]:8080"], |inside| {
        Keeper::new(inside, &[]).beside(|inside, _| {
            let service = Arc::clone(&inside.service);
            spawn(move || {
                assert_eq!(fetch(&service, "127.0.0.1:8080"), "from inside");
                assert_eq!(fetch(&service, "[::1]:8080"), "from inside");
            })
        })
    });
    assert_eq!(
        seen.lines,
        ["listening", "publish 127.0.0.1:8080: served 127.0.0.1", "listening", "publish [::1]:8080: served ::1"]
    );
}

/// A connection to that port elsewhere does not arrive at the program itself.
fn held() {
    let seen =
        run(&["hold 198.18.0.5:8080", "tcp 198.18.0.5:8080"], |inside| Keeper::new(inside, &["198.18.0.5:8080"]));
    let refused = format!("hold 198.18.0.5:8080: errno {}", libc::EADDRINUSE);
    assert_eq!(seen.lines, [refused.as_str(), "tcp 198.18.0.5:8080: at 198.18.0.5:8080"]);
    assert_eq!(seen.denials[0].rule.as_deref(), Some("cannot listen"));
}

fn leaks() {
    let settings = [("ip_unprivileged_port_start", "0"), ("tcp_fastopen", "0"), ("tcp_congestion_control", "reno")];
    let asked = settings.map(|(name, _)| format!("setting ipv4/{name}"));
    let actions: Vec<&str> = std::iter::once("descriptors").chain(asked.iter().map(String::as_str)).collect();
    let seen = run(&actions, |inside| Keeper::new(inside, &[]));
    let told = settings.map(|(name, value)| format!("setting ipv4/{name}: {value}"));
    assert_eq!(seen.lines[0], "descriptors: 0 1 2");
    assert_eq!(seen.lines[1..], told);
    // The service outlives the run only as an error.
    let mut service = None;
    follow(&plan(Some(routes()), &["descriptors"]), |running| {
        service = running.take_gate().map(|parts| parts.service);
        (Vec::new(), None)
    });
    let refused = service.unwrap().listen("198.18.0.5:443".parse().unwrap());
    assert!(matches!(refused, Err(ServiceError::Gone)), "{refused:?}");
}

fn without() {
    let seen = follow(&plan(None, &["descriptors"]), |running| {
        assert!(running.take_gate().is_none());
        (Vec::new(), None)
    });
    assert_eq!(seen.lines, ["descriptors: 0 1 2"]);
}
