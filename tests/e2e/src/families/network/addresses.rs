//! Going by address: past the names, or by a name that leads where no rule lets anyone go.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::super::files::any;
use super::BASE;
use super::client::{at, connect_to, exchange, steal};
use crate::attack::{Attack, Attempt, Event, Failed, Native, Trace};
use crate::internet::{BRIDGE, DENIED, METADATA, OWN, PRIVATE, WEB};
use crate::scene::{holds_canary, put};

/// The metadata service's address in the ways that the C library reads addresses (`inet_aton(3)`).
const SPELLINGS: [&str; 5] = ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"];

/// Names that lead to closed addresses.
const CLOSED: [&str; 4] = ["loopback.example", "metadata.example", "private.example", "mapped.example"];

/// An allowed name that leads to a closed address.
macro_rules! leads_to {
    ($name:literal, $host:literal, $where:literal) => {
        Attack {
            name: $name,
            techniques: &[50],
            about: concat!("Connect to an allowed name that leads to ", $where, "."),
            attempt: |_| steal($host, 80),
            options: &["--allow", $host],
            trace: Trace::Event(&[Event("network", "", $host)]),
            ..BASE
        }
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "direct-address",
        techniques: &[47],
        about: "Connect to a host by its address, without asking any name server or proxy.",
        attempt: |_| by_address(DENIED, 80),
        trace: Trace::Event(&[Event("network", "", "203.0.113.20:80")]),
        ..BASE
    },
    Attack {
        name: "address-of-allowed-host",
        techniques: &[47, 49],
        about: "Connect to the address of an allowed host, at which other hosts are served as well.",
        attempt: |_| {
            let mut peer = connect_to(at(WEB, 80))?;
            holds_canary(&exchange(&mut peer, b"GET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n", 1)?)
        },
        trace: Trace::Event(&[Event("network", "", "203.0.113.10:80")]),
        ..BASE
    },
    Attack {
        name: "address-in-other-spellings",
        techniques: &[48, 50],
        about: "Write the address of the metadata service in decimal, octal, hexadecimal and short forms.",
        attempt: |_| any(SPELLINGS.map(|spelling| steal(spelling, 80))),
        trace: Trace::Event(&[Event("network", "", "169.254.169.254:80")]),
        ..BASE
    },
    Attack {
        name: "address-in-newer-form",
        techniques: &[48, 50],
        about: "Write an address of the older protocol as one of the newer (::ffff:169.254.169.254).",
        attempt: |_| {
            let mut peer = connect_to((METADATA.to_ipv6_mapped(), 80).into())?;
            holds_canary(&exchange(&mut peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1)?)
        },
        trace: Trace::Event(&[Event("network", "", "169.254.169.254")]),
        ..BASE
    },
    Attack {
        name: "denied-name",
        techniques: &[47],
        about: "Connect to a host that no rule allows, without regard to proxy variables.",
        attempt: |_| steal("denied.example", 80),
        trace: Trace::Event(&[Event("network", "", "denied.example")]),
        ..BASE
    },
    Attack {
        name: "denied-name-beats-allowed-suffix",
        techniques: &[47, 59],
        about: "Connect to a host that a wider rule allows and a rule denies.",
        prepare: |scene| {
            let rule = "version = 1\n[network]\ndeny = [\"denied.example\"]\n";
            Ok(put(&scene.workspace().join(".stockade.toml"), rule)?)
        },
        attempt: |_| steal("denied.example", 80),
        options: &["--allow", "denied.example"],
        trace: Trace::Event(&[Event("network", "", "denied.example")]),
        ..BASE
    },
    Attack {
        name: "denied-port",
        techniques: &[47],
        about: "Connect to an allowed host at a port that its rule does not name.",
        attempt: |_| {
            let mut peer = super::client::connect("allowed.example", 8080)?;
            holds_canary(&exchange(&mut peer, b"GET / HTTP/1.1\r\nHost: hidden.example\r\n\r\n", 1)?)
        },
        trace: Trace::Event(&[Event("network", "", "allowed.example:8080")]),
        ..BASE
    },
    Attack {
        name: "metadata-service-beside-network",
        techniques: &[50, 58],
        about: "Ask the cloud's metadata service for credentials.",
        attempt: |_| by_address(METADATA, 80),
        trace: Trace::Event(&[Event("network", "", "169.254.169.254:80")]),
        ..BASE
    },
    Attack {
        name: "private-network",
        techniques: &[50, 58],
        about: "Connect to a host of the private network.",
        attempt: |_| by_address(PRIVATE, 80),
        trace: Trace::Event(&[Event("network", "", "10.77.0.1:80")]),
        ..BASE
    },
    Attack {
        name: "own-address",
        techniques: &[58],
        about: "Connect to a service of the machine by the machine's own address.",
        attempt: |_| any([by_address(OWN, 80), by_address(BRIDGE, 80)]),
        trace: Trace::Event(&[Event("network", "", "192.0.2.1:80"), Event("network", "", "172.17.0.1:80")]),
        ..BASE
    },
    Attack {
        name: "loopback-beside-network",
        techniques: &[58],
        about: "Connect to a service on the machine's loopback address while a host is allowed.",
        attempt: |_| any([by_address(Ipv4Addr::LOCALHOST, 80), steal("localhost", 80)]),
        trace: Trace::Silent("loopback inside is another one, where nothing listens"),
        ..BASE
    },
    Attack {
        name: "loopback-beside-an-allowed-port",
        techniques: &[58],
        about: "Connect to a service on the machine's loopback address next to one that is allowed.",
        attempt: |_| any([by_address(Ipv4Addr::LOCALHOST, 80), steal("localhost", 80), steal("loopback.example", 80)]),
        options: &["--allow", "127.0.0.1:5432", "--allow", "loopback.example"],
        trace: Trace::Event(&[Event("network", "connect", "loopback.example:80")]),
        ..BASE
    },
    Attack {
        name: "name-of-the-machine",
        techniques: &[58],
        about: "Connect to the machine by the name that container engines give it.",
        attempt: |_| steal("host.docker.internal", 80),
        trace: Trace::Event(&[Event("network", "", "host.docker.internal")]),
        ..BASE
    },
    Attack {
        name: "closed-addresses-of-an-open-network",
        techniques: &[50, 58],
        about: "Connect to the metadata service, the private network and the machine where every public address is open.",
        attempt: |_| any([METADATA, PRIVATE, OWN, BRIDGE].map(|address| by_address(address, 80))),
        options: &["--profile", "research"],
        trace: Trace::Event(&[
            Event("network", "connect", "169.254.169.254:80"),
            Event("network", "connect", "10.77.0.1:80"),
            Event("network", "connect", "192.0.2.1:80"),
            Event("network", "connect", "172.17.0.1:80"),
        ]),
        ..BASE
    },
    Attack {
        name: "closed-names-of-an-open-network",
        techniques: &[50, 51, 58],
        about: "Connect to names that lead to such addresses where every public address is open.",
        attempt: |_| any(CLOSED.map(|name| steal(name, 80))),
        options: &["--profile", "research"],
        trace: Trace::Event(&[
            Event("network", "connect", "loopback.example"),
            Event("network", "connect", "metadata.example"),
            Event("network", "connect", "private.example"),
            Event("network", "connect", "mapped.example"),
        ]),
        ..BASE
    },
    Attack {
        name: "question-that-nobody-answers",
        techniques: &[47, 90],
        about: "Connect to a host about which someone is to be asked, where there is no terminal to ask on.",
        prepare: |scene| Ok(put(&scene.outside().join("ask.toml"), "version = 1\n[network]\ndefault = \"ask\"\n")?),
        attempt: |_| any([steal("denied.example", 80), by_address(DENIED, 80)]),
        options: &["--policy", "OUTSIDE/ask.toml"],
        trace: Trace::Event(&[Event("network", "", "denied.example"), Event("network", "", "203.0.113.20:80")]),
        ..BASE
    },
    leads_to!("name-to-loopback", "loopback.example", "loopback"),
    leads_to!("name-to-newer-loopback", "loopback6.example", "loopback of the newer protocol"),
    leads_to!("name-to-metadata-service", "metadata.example", "the metadata service"),
    leads_to!("name-to-private-network", "private.example", "the private network"),
    leads_to!("name-to-own-address", "own.example", "one of the machine's own addresses"),
    leads_to!("name-to-bridge", "bridge.example", "the machine's bridge to containers"),
    leads_to!("name-to-unspecified-address", "unspecified.example", "the unspecified address"),
    leads_to!("name-to-mapped-address", "mapped.example", "loopback, written in the newer form"),
    leads_to!("name-to-nat64-address", "nat64.example", "loopback by way of NAT64"),
    leads_to!("name-to-6to4-address", "sixtofour.example", "loopback by way of 6to4"),
    Attack {
        name: "rebinding",
        techniques: &[51],
        about: "Have an allowed name lead to a public address when it is first looked up, and to loopback afterwards.",
        attempt: |_| {
            let mut first = super::client::connect("rebind.example", 80)?;
            let welcome = exchange(&mut first, b"GET / HTTP/1.1\r\nHost: rebind.example\r\n\r\n", 1)?;
            if !String::from_utf8_lossy(&welcome).contains("welcome") {
                return Err(Failed::untried("the name did not lead to the public address at first"));
            }
            // Whoever keeps the first answer for a while is not to be taken for one that checks the second.
            thread::sleep(Duration::from_millis(2_500));
            any([0, 1, 2].map(|_| steal("rebind.example", 80)))
        },
        options: &["--allow", "rebind.example"],
        trace: Trace::Event(&[Event("network", "", "rebind.example")]),
        ..BASE
    },
    Attack {
        name: "wide-rule-for-addresses",
        techniques: &[50],
        about: "Connect to the metadata service next to a rule for another private network.",
        attempt: |_| any([by_address(METADATA, 80), by_address(BRIDGE, 80)]),
        options: &["--allow", "10.0.0.0/8:80"],
        trace: Trace::Event(&[Event("network", "", "169.254.169.254:80"), Event("network", "", "172.17.0.1:80")]),
        native: Native::Succeeds,
        ..BASE
    },
];

fn by_address(address: Ipv4Addr, port: u16) -> Attempt {
    let mut peer = connect_to(at(address, port))?;
    holds_canary(&exchange(&mut peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1)?)
}
