//! Any text as endpoint rules, a line each: what is read prints and reads again. Then an address, a port and the rules:
//! whatever they are, a special address is allowed only by a rule of which everything lies in the special range.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use stockade_egress::rules::{Host, NetworkDefault, Rules, special};
use stockade_spec::policy::endpoint::{EndpointRule, HostRule};

fuzz_target!(|data: &[u8]| {
    let Some((numbers, text)) = data.split_first_chunk::<19>() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let rules: Vec<EndpointRule> = text.lines().take(16).filter_map(|line| line.parse().ok()).collect();
    for rule in &rules {
        assert_eq!(rule.to_string().parse().as_ref(), Ok(rule));
        assert!(rule.covers(rule));
    }

    let mut octets = [0; 16];
    octets.copy_from_slice(&numbers[..16]);
    let port = u16::from_be_bytes([numbers[16], numbers[17]]);
    // Half of the addresses are IPv4, in one of the forms that carry one.
    let carrying = [0xffff_u128 << 32, 0x64_ff9b << 96, 0, 0xffff << 48];
    let bits = u128::from_be_bytes(octets);
    let form = usize::from(numbers[18] & 7);
    let address = Ipv6Addr::from_bits(carrying.get(form).map_or(bits, |prefix| prefix | bits & 0xffff_ffff));
    let address = IpAddr::V6(address);

    for default in [NetworkDefault::Deny, NetworkDefault::Ask, NetworkDefault::Public] {
        decided(&Rules::new(&rules, &[], default), &rules, address, port);
        let denied = Rules::new(&rules, &rules, default);
        assert!(!denied.names_address(address, port));
    }
});

fn decided(decide: &Rules, rules: &[EndpointRule], address: IpAddr, port: u16) {
    let Some(range) = special::range_of(address) else { return };
    let address = address.to_canonical();
    let names = |rule: &EndpointRule| match rule.host {
        HostRule::Address(own) => own == address,
        HostRule::Network(network) => network.contains(&address) && range.network.contains(&network),
        HostRule::Name(_) | HostRule::Below(_) => false,
    };
    let named = port != 0 && rules.iter().any(|rule| names(rule) && rule.allows_port(port));
    assert_eq!(decide.names_address(address, port), named);
    assert_eq!(decide.may_lead_to(address, port).is_ok(), named);
    assert_eq!(!decide.decide(&Host::Address(address), port).is_denied(), named);
}
