//! Which addresses may be dialled for a host that the rules allow.

use std::net::SocketAddr;

use super::error::DialError;
use super::{connect, own};
use crate::rules::Rules;

/// The addresses that may be dialled, at most eight, in the order in which they are tried.
///
/// Refused are those that the rules refuse ([`Rules::may_lead_to`]), and those of the host itself, under any of its names
/// and interfaces, unless a rule names the address.
///
/// # Errors
/// [`DialError::Refused`] with the first address where none is left.
pub(super) fn usable(rules: &Rules, found: Vec<SocketAddr>, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let mut first = None;
    let mut left = Vec::new();
    for address in connect::in_order(found) {
        match refusal(rules, address, port) {
            None => left.push(SocketAddr::new(address.ip(), port)),
            Some(why) => first = first.or(Some(DialError::Refused { address: address.ip(), why })),
        }
    }
    match first {
        Some(refused) if left.is_empty() => Err(refused),
        _ => Ok(left),
    }
}

/// Why an address must not be dialled.
fn refusal(rules: &Rules, address: SocketAddr, port: u16) -> Option<String> {
    if let Err(misled) = rules.may_lead_to(address.ip(), port) {
        return Some(misled.to_string());
    }
    if rules.names_address(address.ip(), port) {
        return None;
    }
    match own::is_own(address.ip()) {
        Ok(false) => None,
        Ok(true) => Some("an address of this host, which only a rule that names the address opens".to_owned()),
        Err(error) => Some(format!("whether it is an address of this host cannot be found out ({error})")),
    }
}

#[cfg(test)]
mod tests;
