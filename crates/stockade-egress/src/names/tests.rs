use super::*;

fn name(text: &str) -> HostName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn table(ipv4: &str, ipv6: Option<&str>) -> Names {
    Names::new(ipv4.parse().expect("IPv4"), ipv6.map(|text| text.parse().expect("IPv6")))
}

#[test]
fn a_name_keeps_its_own_addresses() {
    let mut names = table("198.18.0.0/15", Some("fd53:746f:636b::/64"));
    let first = names.give(&name("api.example.com")).expect("room");
    let second = names.give(&name("b.example")).expect("room");
    assert_eq!(first.ipv4, Ipv4Addr::new(198, 18, 1, 0));
    assert_eq!(first.ipv6, Some("fd53:746f:636b::100".parse().expect("IPv6")));
    assert_eq!(second.ipv4, Ipv4Addr::new(198, 18, 1, 1));
    assert_eq!(names.give(&name("API.example.COM")), Ok(first));
    assert_eq!(names.len(), 2);
    for address in [IpAddr::V4(second.ipv4), second.ipv6.expect("a range").into(), second.ipv4.to_ipv6_mapped().into()]
    {
        assert_eq!(names.name_of(address), Some(&name("b.example")), "{address}");
        assert!(names.is_fake(address));
    }
}

#[test]
fn other_addresses_stand_for_nothing() {
    let mut names = table("198.18.0.0/15", Some("fd53:746f:636b::/64"));
    names.give(&name("a.example")).expect("room");
    for address in ["198.18.0.0", "198.18.0.1", "198.18.0.255", "198.18.1.1", "198.19.255.255", "fd53:746f:636b::1"] {
        let address = address.parse().expect("an address");
        assert!(names.is_fake(address), "{address}");
        assert_eq!(names.name_of(address), None, "{address}");
    }
    for address in ["198.17.1.0", "198.20.1.0", "10.0.0.1", "fd53:746f:636b:1::100", "::100", "::1:0:0:100"] {
        let address = address.parse().expect("an address");
        assert!(!names.is_fake(address), "{address}");
        assert_eq!(names.name_of(address), None, "{address}");
    }
}

#[test]
fn a_full_table_says_so_and_keeps_what_it_has() {
    let mut names = table("198.18.0.0/15", None);
    for index in 0..MAX_NAMES {
        assert_eq!(names.give(&name(&format!("n{index}.example"))).map(|given| given.ipv6), Ok(None));
    }
    assert_eq!(names.give(&name("one-more.example")), Err(Full(MAX_NAMES)));
    let kept = names.give(&name("n7.example")).expect("given before");
    assert_eq!(names.name_of(kept.ipv4.into()), Some(&name("n7.example")));
    let last = names.give(&name("n32767.example")).expect("given before");
    assert_eq!(last.ipv4, Ipv4Addr::new(198, 18, 128, 255));
}

#[test]
fn small_ranges_bound_the_table() {
    let mut narrow = table("10.0.0.0/24", None);
    assert_eq!(narrow.give(&name("a.example")), Err(Full(0)));
    let mut two = table("10.0.0.0/23", Some("fd00::/127"));
    for index in 0..255 {
        let given = two.give(&name(&format!("n{index}.example"))).expect("room");
        assert_eq!(given.ipv6, None, "the IPv6 range is too small");
    }
    assert_eq!(two.give(&name("a.example")), Err(Full(255)));
    assert_eq!(table("0.0.0.0/0", None).room, MAX_NAMES);
}
