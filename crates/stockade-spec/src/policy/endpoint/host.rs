//! Reads the host of an endpoint rule: what is left when the ports are off.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{EndpointError, HostRule};

/// Longest host name, in bytes (RFC 1035, section 2.3.4, less the root's dot and length).
const MAX_NAME: usize = 253;
/// Longest label, in bytes.
const MAX_LABEL: usize = 63;

pub(super) fn parse(text: &str) -> Result<HostRule, EndpointError> {
    if let Some((address, prefix)) = text.split_once('/') {
        return network(address, prefix, text);
    }
    if let Some(suffix) = text.strip_prefix("*.") {
        return below(suffix, text);
    }
    if text == "*" {
        return Err(EndpointError::TooBroad(text.to_owned()));
    }
    if text.contains('*') {
        return Err(EndpointError::Wildcard);
    }
    if text.contains(':') || is_numeric(text) {
        let address = address(text)?;
        return if address.is_unspecified() {
            Err(EndpointError::Unspecified(text.to_owned()))
        } else {
            Ok(HostRule::Address(address))
        };
    }
    name(text).map(HostRule::Name)
}

fn below(suffix: &str, whole: &str) -> Result<HostRule, EndpointError> {
    if suffix.contains('*') {
        return Err(EndpointError::Wildcard);
    }
    if is_numeric(suffix) {
        return Err(EndpointError::Numeric(whole.to_owned()));
    }
    name(suffix).map(HostRule::Below)
}

/// Whether some reader would take the text for an IPv4 address: its last label is a decimal, octal or hexadecimal number
/// (URL Standard, "ends in a number checker").
fn is_numeric(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or(text);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    digits || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn address(text: &str) -> Result<IpAddr, EndpointError> {
    if !text.contains(':') {
        // The standard library takes four decimal numbers without leading zeros and nothing else.
        let address: Result<Ipv4Addr, _> = text.parse();
        return address.map(IpAddr::V4).map_err(|_| EndpointError::Numeric(text.to_owned()));
    }
    let address: Ipv6Addr = text.parse().map_err(|_| EndpointError::Ipv6(text.to_owned()))?;
    if address.to_ipv4_mapped().is_some() {
        return Err(EndpointError::Mapped(text.to_owned()));
    }
    Ok(IpAddr::V6(address))
}

fn network(text: &str, prefix: &str, whole: &str) -> Result<HostRule, EndpointError> {
    if !text.contains(':') && !is_numeric(text) {
        return Err(EndpointError::Path);
    }
    let wrong = || EndpointError::Prefix(whole.to_owned());
    let plain = prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let bits: u8 = prefix.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    let address = address(text)?;
    let network = IpNet::new(address, bits).map_err(|_| wrong())?;
    if network.trunc() != network {
        return Err(EndpointError::HostBits { network: whole.to_owned(), meant: network.trunc().to_string() });
    }
    let whole_address = network.prefix_len() == network.max_prefix_len();
    match whole_address {
        true if address.is_unspecified() => Err(EndpointError::Unspecified(whole.to_owned())),
        true => Ok(HostRule::Address(address)),
        false => Ok(HostRule::Network(network)),
    }
}

fn name(text: &str) -> Result<String, EndpointError> {
    if text.len() > MAX_NAME {
        return Err(EndpointError::NameTooLong(text.len()));
    }
    match text.split('.').find(|label| !is_label(label)) {
        Some(label) => Err(EndpointError::Label(label.to_owned())),
        None => Ok(text.to_ascii_lowercase()),
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
