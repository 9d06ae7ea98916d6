//! Reads the host of an endpoint rule: what is left when the ports are off.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::name::{HostName, is_numeric};
use super::{EndpointError, HostRule};

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
    text.parse().map(|name: HostName| HostRule::Name(name.to_string()))
}

fn below(suffix: &str, whole: &str) -> Result<HostRule, EndpointError> {
    if suffix.contains('*') {
        return Err(EndpointError::Wildcard);
    }
    if is_numeric(suffix) {
        return Err(EndpointError::Numeric(whole.to_owned()));
    }
    Ok(HostRule::Below(suffix.parse::<HostName>()?.to_string()))
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
