//! Any text as a host: it is read in one way or refused, the same by each reader, and no name is an address to anybody.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use stockade_egress::rules::{Host, HostName};
use stockade_spec::policy::endpoint::{EndpointRule, HostRule};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = text.parse::<HostName>().ok();
    let host = text.parse::<Host>().ok();
    if let Some(name) = &name {
        assert_eq!(host, Some(Host::Name(name.clone())));
        assert_eq!(name.as_str(), text.to_ascii_lowercase());
        assert_eq!(name.as_str().parse().as_ref(), Ok(name));
        assert!(text.parse::<IpAddr>().is_err());
        let bytes = name.as_str().as_bytes();
        assert!(bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(byte)));
        let last = name.as_str().rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(last.parse::<u64>().is_err() && !hexadecimal, "{name}: a number to some");
        assert!(name.parent().is_none_or(|parent| name.is_below(parent.as_str())));
    }
    if let Some(host) = &host {
        assert_eq!(host.to_string().parse().as_ref(), Ok(host));
    }
    let rule = text.parse::<EndpointRule>().ok().filter(|rule| rule.ports.is_none());
    let in_rule = rule.and_then(|rule| match rule.host {
        HostRule::Name(name) => Some(name),
        _ => None,
    });
    assert_eq!(name.map(|name| name.to_string()), in_rule);
});
