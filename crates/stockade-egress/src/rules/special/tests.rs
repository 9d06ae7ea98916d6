use proptest::prelude::*;

use super::*;

fn special(text: &str) -> Option<SpecialRange> {
    range_of(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[test]
fn addresses_that_lead_back_are_special() {
    for (address, network) in [
        ("0.0.0.0", "0.0.0.0/32"),
        ("0.1.2.3", "0.0.0.0/8"),
        ("10.255.255.255", "10.0.0.0/8"),
        ("100.64.0.1", "100.64.0.0/10"),
        ("100.127.255.255", "100.64.0.0/10"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("127.255.0.9", "127.0.0.0/8"),
        ("168.63.129.16", "168.63.129.16/32"),
        ("169.254.1.1", "169.254.0.0/16"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("172.16.0.1", "172.16.0.0/12"),
        ("172.31.255.255", "172.16.0.0/12"),
        ("192.0.0.170", "192.0.0.0/24"),
        ("192.168.1.1", "192.168.0.0/16"),
        ("198.18.0.1", "198.18.0.0/15"),
        ("198.19.255.255", "198.18.0.0/15"),
        ("224.0.0.251", "224.0.0.0/4"),
        ("240.0.0.1", "240.0.0.0/4"),
        ("255.255.255.255", "255.255.255.255/32"),
        ("::", "::/128"),
        ("::1", "::1/128"),
        ("::7f00:1", "::/96"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("::ffff:a9fe:a9fe", "169.254.169.254/32"),
        ("::ffff:0:10.0.0.1", "::ffff:0:0:0/96"),
        ("64:ff9b::127.0.0.1", "64:ff9b::7f00:0/104"),
        ("64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe/128"),
        ("64:ff9b:1::1", "64:ff9b:1::/48"),
        ("64:ff9b:1:ffff::808:808", "64:ff9b:1::/48"),
        ("100::1", "100::/64"),
        ("2001::1", "2001::/32"),
        ("2001:2::1", "2001:2::/48"),
        ("2002:7f00:1::1", "2002::/16"),
        ("2002:808:808::1", "2002::/16"),
        ("fc00::1", "fc00::/7"),
        ("fd00:ec2::254", "fd00:ec2::254/128"),
        ("fd53:746f:636b::1", "fc00::/7"),
        ("fe80::1", "fe80::/10"),
        ("febf::1", "fe80::/10"),
        ("fec0::1", "fec0::/10"),
        ("ff02::fb", "ff00::/8"),
    ] {
        let found = special(address).unwrap_or_else(|| panic!("{address} is ordinary"));
        assert_eq!(found.network.to_string(), network, "{address}");
    }
}

#[test]
fn ordinary_addresses_and_documentation_are_not() {
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "168.63.129.15",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.0.2.7",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.100.1",
        "203.0.113.9",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2001:4860:4860::8888",
        "2001:db8::1",
        "2003::1",
        "3fff::1",
        "2606:4700::1111",
    ] {
        assert_eq!(special(address), None, "{address}");
    }
}

#[test]
fn rows_are_networks_and_none_is_given_twice() {
    let four = IPV4.iter().map(|row| IpNet::new_assert(row.0.into(), row.1));
    let networks: Vec<IpNet> = four.chain(IPV6.iter().map(|row| IpNet::new_assert(row.0.into(), row.1))).collect();
    for (index, network) in networks.iter().enumerate() {
        assert_eq!(*network, network.trunc(), "bits are set outside the prefix");
        assert!(!networks[index + 1..].contains(network), "{network} is there twice");
    }
}

/// What the standard library knows of an address, which is less, and was written by others.
fn known_to_the_library(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_unspecified()
}

fn edges() -> impl Strategy<Value = u32> {
    let near = (proptest::sample::select(IPV4.to_vec()), -2_i64..3, any::<bool>()).prop_map(|(row, offset, end)| {
        let network = ipnet::Ipv4Net::new_assert(row.0, row.1);
        let base = if end { network.broadcast() } else { network.network() };
        u32::try_from((i64::from(base.to_bits()) + offset).rem_euclid(1 << 32)).expect("reduced")
    });
    prop_oneof![any::<u32>(), near]
}

proptest! {
    #[test]
    fn every_form_of_an_address_is_as_special_as_the_address(bits in edges()) {
        let address = Ipv4Addr::from_bits(bits);
        let plain = range_of(address.into());
        if known_to_the_library(address) {
            prop_assert!(plain.is_some(), "{}", address);
        }
        let translated = Ipv6Addr::from_bits(TRANSLATED.to_bits() | u128::from(bits));
        prop_assert_eq!(range_of(address.to_ipv6_mapped().into()), plain);
        prop_assert_eq!(range_of(translated.into()).map(|range| range.what), plain.map(|range| range.what));
        let [high, low] = [(bits >> 16) as u16, (bits & 0xffff) as u16];
        for other in [
            address.to_ipv6_compatible(),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !high, !low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        ] {
            prop_assert!(range_of(other.into()).is_some(), "{}", other);
            prop_assert_eq!(carried(other), Some(address));
        }
        prop_assert_eq!(carried(translated), Some(address));
    }

    #[test]
    fn the_range_holds_the_address(bits in any::<u128>(), prefix in proptest::sample::select(IPV6.to_vec()), keep in any::<bool>()) {
        let mask = ipnet::Ipv6Net::new_assert(prefix.0, prefix.1).hostmask().to_bits();
        let address = Ipv6Addr::from_bits(if keep { prefix.0.to_bits() | bits & mask } else { bits });
        let found = range_of(address.into());
        prop_assert!(!keep || found.is_some() || address.to_ipv4_mapped().is_some());
        if let Some(range) = found {
            prop_assert!(range.network.contains(&IpAddr::V6(address).to_canonical()));
        }
    }
}
