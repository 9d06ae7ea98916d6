//! Any bytes as DNS messages, each with its length in front: nothing panics, every response is small and is itself not
//! answered, only allowed names get addresses, and what is told of a denial is printable.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use stockade_egress::names::{Names, RESERVED};
use stockade_egress::resolver::{MAX_RESPONSE, answer};
use stockade_egress::rules::{NetworkDefault, Rules};

const RANGE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

fuzz_target!(|data: &[u8]| {
    let rule = |text: &str| text.parse().expect("a rule");
    let rules = Rules::new(
        &["api.example.com", "*.example.org:443"].map(rule),
        &[rule("no.example.org")],
        NetworkDefault::Deny,
    );
    let ranges = ("198.18.0.0/15".parse().expect("IPv4"), "fd53:746f:636b::/64".parse().expect("IPv6"));
    let mut names = Names::new(ranges.0, Some(ranges.1));
    let mut rest = data;
    while let Some((length, behind)) = rest.split_first() {
        let (message, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        let seen = answer(message, &mut names, &rules);
        if let Some(denial) = seen.denial {
            assert!(denial.name.len() <= 1_011 && denial.name.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let Some(response) = seen.response else { continue };
        assert!((12..=MAX_RESPONSE).contains(&response.len()));
        assert_eq!(response[..2], message[..2]);
        assert_eq!(answer(&response, &mut names, &rules).response, None);
    }
    for place in 0..names.len() {
        let offset = RESERVED + u32::try_from(place).expect("few");
        let address = IpAddr::V4(Ipv4Addr::from_bits(RANGE.to_bits() + offset));
        let name = names.name_of(address).expect("a name for each place").as_str();
        let below =
            name.strip_suffix(".example.org").is_some_and(|below| !below.is_empty() && name != "no.example.org");
        assert!(name == "api.example.com" || below, "{name}");
    }
});
