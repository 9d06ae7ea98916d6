use std::net::IpAddr;

use super::*;
use crate::rules::NetworkDefault;

fn checked(allow: &[&str], deny: &[&str], found: &[&str]) -> Result<Vec<String>, String> {
    let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    let rules = Rules::new(&rules(allow), &rules(deny), NetworkDefault::Deny);
    let found = found.iter().map(|text| SocketAddr::new(text.parse::<IpAddr>().unwrap(), 443)).collect();
    match usable(&rules, found, 443) {
        Ok(left) => Ok(left.iter().map(|address| address.ip().to_string()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn addresses_of_this_machine_and_its_network_are_left_out() {
    let found =
        ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1", "0.0.0.0", "1.1.1.1"];
    assert_eq!(checked(&["a.example"], &[], &found), Ok(vec!["1.1.1.1".into()]));
    for address in &found[..7] {
        let refused = checked(&["a.example"], &[], &[address]).unwrap_err();
        assert!(refused.contains(address), "{refused}");
    }
}

#[test]
fn a_rule_that_names_the_address_opens_it_and_one_that_denies_it_closes_it() {
    assert_eq!(checked(&["a.example", "127.0.0.1:443"], &[], &["127.0.0.1"]), Ok(vec!["127.0.0.1".into()]));
    assert!(checked(&["a.example", "127.0.0.1:80"], &[], &["127.0.0.1"]).is_err());
    assert!(checked(&["a.example"], &["1.1.1.0/24"], &["1.1.1.1"]).is_err());
}

#[test]
fn addresses_of_the_hosts_interfaces_are_refused_even_where_they_are_public() {
    // The address that this host would send from is its own, whatever range it is in.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.77:9").is_err() {
        return;
    }
    let own = socket.local_addr().unwrap().ip().to_string();
    let refused = checked(&["a.example"], &[], &[&own]).unwrap_err();
    assert!(refused.contains(&own), "{refused}");
    assert_eq!(checked(&["a.example", &format!("{own}:443")], &[], &[&own]), Ok(vec![own]));
}
