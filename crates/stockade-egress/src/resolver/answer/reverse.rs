//! Names of addresses: `7.1.18.198.in-addr.arpa` (RFC 1035, section 3.5) and `….ip6.arpa` (RFC 3596, section 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Outcome, failed, found, name_inside};
use crate::names::Names;
use crate::resolver::message::{Code, Record, kind};
use crate::rules::HostName;

const IPV4: &str = "in-addr.arpa";
const IPV6: &str = "ip6.arpa";

pub(super) fn is_reverse(name: &HostName) -> bool {
    [IPV4, IPV6].iter().any(|zone| name.as_str() == *zone || name.is_below(zone))
}

/// Only addresses that stand for names, and those of loopback, have a name. Asking for others is nothing that a rule could
/// allow, so it is no denial.
pub(super) fn respond(kind: u16, name: &HostName, names: &Names) -> Outcome {
    match address(name).and_then(|address| name_inside(address, names)) {
        None => failed(Code::NoSuchName),
        Some(name) if [kind::PTR, kind::ANY].contains(&kind) => found(vec![Record::Ptr(name)]),
        Some(_) => found(Vec::new()),
    }
}

fn address(name: &HostName) -> Option<IpAddr> {
    let name = name.as_str();
    if let Some(reversed) = name.strip_suffix(IPV4) {
        let mut numbers: Vec<&str> = reversed.strip_suffix('.')?.split('.').collect();
        numbers.reverse();
        return numbers.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let digits: Vec<&str> = name.strip_suffix(IPV6)?.strip_suffix('.')?.split('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    let bits = u128::from_str_radix(&digits.iter().rev().copied().collect::<String>(), 16).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
}
