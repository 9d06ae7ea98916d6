//! What does not get out, and what is known of it.

use stockade_linux::{LaunchError, cgroups};
use stockade_spec::report::Area;

use crate::Test;
use crate::keeper::Keeper;
use crate::run::{Seen, follow, plan, routes, run, start};

pub(crate) const TESTS: &[Test] = &[
    ("refused::the_keeper_has_its_say", keeper),
    ("refused::nothing_leaves_without_a_keeper", no_keeper),
    ("refused::descriptors_that_are_no_sockets_fail_as_ever", other_descriptors),
    ("refused::what_cannot_be_set_up_fails_the_launch", launch_fails),
    ("refused::datagrams_reach_nobody_and_are_seen", datagrams),
    ("refused::the_kernel_prohibits_what_nobody_was_asked_about", kernel),
];

fn errno(action: &str, number: i32) -> String {
    format!("{action}: errno {number}")
}

fn keeper() {
    let actions = ["tcp 198.18.0.6:443", "tcp 192.0.2.1:80", "tcp [2001:db8::1]:80", "tcp [::ffff:192.0.2.1]:80"];
    let seen = run(&actions, |inside| Keeper::new(inside, &["198.18.0.5:443"]));
    assert_eq!(seen.lines, actions.map(|action| errno(action, libc::EACCES)));
    assert_eq!(
        seen.denied(),
        ["connect name-of.198.18.0.6:443", "connect name-of.192.0.2.1:80", "connect name-of.2001:db8::1:80",]
    );
    let first = &seen.denials[0];
    assert_eq!((first.area, first.rule.as_deref()), (Area::Network, Some("nothing allows it")));
    assert_eq!(first.suggestion.as_deref(), Some("--allow 198.18.0.6:443"));
    assert!(first.process.is_some());
    assert_eq!(seen.denials[1].count, 2, "an IPv4 address in IPv6 form is the same address");
}

fn no_keeper() {
    let actions = ["tcp 198.18.0.5:443", "tcp 192.0.2.1:80"];
    for routes in [Some(routes()), None] {
        let seen = follow(&plan(routes, &actions), |_| (Vec::new(), None));
        assert_eq!(seen.lines, actions.map(|action| errno(action, libc::EACCES)));
        assert_eq!(seen.denied(), ["connect 198.18.0.5:443", "connect 192.0.2.1:80"]);
    }
}

fn datagrams() {
    let actions = [
        // As `getaddrinfo` does, to sort addresses.
        "udp-connect 198.18.0.5:443",
        "udp-connect [fd53:746f:636b::5]:443",
        // As QUIC does.
        "udp-connect-send 198.18.0.7:443",
        "udp-connect-send [fd53:746f:636b::7]:443",
        "udp 198.18.0.8:53",
        "udp-connect-send 198.18.0.8:53",
        "udp 192.0.2.1:53",
        "udp-connect 192.0.2.2:53",
        "udp-connect [2001:db8::2]:53",
    ];
    let Seen { lines, mut denials } = run(&actions, |inside| Keeper::new(inside, &[]));
    assert!(lines[0].starts_with("udp-connect 198.18.0.5:443: from "), "{lines:?}");
    assert!(lines[1].starts_with("udp-connect [fd53:746f:636b::5]:443: from "), "{lines:?}");
    assert!(lines[2].ends_with(": sent") && lines[3].ends_with(": sent"), "{lines:?}");
    assert!(lines[5].ends_with(": sent"), "{lines:?}");
    let refused: Vec<&String> = [4, 6, 7, 8].iter().map(|&at| &lines[at]).collect();
    assert_eq!(refused, [4, 6, 7, 8].map(|at| errno(actions[at], libc::EACCES)).each_ref());
    denials.sort_by(|one, other| (&one.operation, &one.target).cmp(&(&other.operation, &other.target)));
    let denied = Seen { lines, denials }.denied();
    assert_eq!(
        denied,
        [
            "connect 192.0.2.2:53",
            "connect [2001:db8::2]:53",
            "send 198.18.0.7:443 (udp)",
            "send [fd53:746f:636b::7]:443 (udp)",
            "send known.example:53 (udp)",
            "sendto 192.0.2.1:53",
            "sendto known.example:53",
        ]
    );
}

fn other_descriptors() {
    let seen = run(&["no-socket 198.18.0.5:443"], |inside| Keeper::new(inside, &["198.18.0.5:443"]));
    assert_eq!(seen.lines, [errno("no-socket 198.18.0.5:443", libc::ENOTSOCK)]);
    assert_eq!(seen.denied(), [""; 0]);
}

/// What cannot be set up is an error with its place, and nothing has run.
fn launch_fails() {
    let facts = cgroups();
    for (servers, errno, words) in [
        (r#"["198.18.0.1", "198.18.0.1"]"#, libc::EADDRINUSE, "UDP socket at 198.18.0.1:53"),
        (r#"["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]"#, libc::EIO, "and not at 5"),
    ] {
        let routes = serde_json::from_str(&format!(r#"{{"local": [], "name_servers": {servers}}}"#)).unwrap();
        let plan = plan(Some(routes), &["descriptors"]);
        match start(&plan, &facts, std::fs::File::open("/dev/null").unwrap().into()).map(drop) {
            Err(LaunchError::Step { source, detail, .. }) => {
                assert_eq!(source.raw_os_error(), Some(errno), "{detail}");
                assert!(detail.contains(words), "{detail}");
            }
            done => panic!("{servers}: {done:?}"),
        }
    }
}

/// Without a filter that asks, as for a process whose memory cannot be read.
fn kernel() {
    let actions = [
        "tcp 192.0.2.1:80",
        "udp-connect 192.0.2.1:53",
        "tcp [2001:db8::1]:80",
        "udp-connect [2001:db8::1]:53",
        "tcp 198.18.0.5:443",
        "tcp [fd53:746f:636b::5]:443",
        "fast-open 198.18.0.5:443",
    ];
    let mut plan = plan(Some(routes()), &actions);
    plan.steps.pop();
    let seen = follow(&plan, |_| (Vec::new(), None));
    let expected = [
        libc::EACCES,
        libc::EACCES,
        libc::EACCES,
        libc::EACCES,
        libc::ECONNREFUSED,
        libc::ECONNREFUSED,
        libc::EOPNOTSUPP,
    ];
    let expected: Vec<String> = actions.iter().zip(expected).map(|(action, number)| errno(action, number)).collect();
    assert_eq!(seen.lines, expected);
    assert_eq!(seen.denied(), [""; 0]);
}
