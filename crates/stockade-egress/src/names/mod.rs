//! Addresses that stand for names.
//!
//! Inside, every allowed name has an address of its own, which leads to the gate and nowhere else. So the gate knows the
//! name behind each connection for certain, whatever the protocol says, and needs no look-up before somebody connects.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use thiserror::Error;

use crate::rules::HostName;

/// Most names in one run; with names of 253 bytes, some 12 MiB.
pub const MAX_NAMES: usize = 32_768;

/// Addresses at the start of each range that stand for no name: the name server has the first usable one.
pub const RESERVED: u32 = 256;

/// The table. An address, once given, stands for its name until the end of the run.
#[derive(Debug)]
pub struct Names {
    ipv4: Ipv4Net,
    ipv6: Option<Ipv6Net>,
    /// Most names that the range and [`MAX_NAMES`] leave room for.
    room: usize,
    /// The name of each place; its address is the range's first one, and [`RESERVED`], and the place.
    by_place: Vec<Arc<HostName>>,
    places: HashMap<Arc<HostName>, u32>,
}

/// The addresses of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FakeAddresses {
    /// For those who ask for IPv4.
    pub ipv4: Ipv4Addr,
    /// For those who ask for IPv6; `None` where there is no range.
    pub ipv6: Option<Ipv6Addr>,
}

/// Every address is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the {0} addresses that can stand for names are used up; allow fewer names, or end the run")]
pub struct Full(pub usize);

impl Names {
    /// An empty table with addresses of these ranges. A range that holds no more than [`RESERVED`] addresses has room for
    /// no name; there is no IPv6 address for anybody where `ipv6` is `None` or has fewer addresses than `ipv4`.
    #[must_use]
    pub fn new(ipv4: Ipv4Net, ipv6: Option<Ipv6Net>) -> Self {
        let bits = 32 - ipv4.prefix_len();
        let ipv6 = ipv6.filter(|range| 128 - range.prefix_len() >= bits);
        // The last address of a range is a broadcast address to some programs.
        let usable = (1_u64 << bits).saturating_sub(u64::from(RESERVED) + 1);
        let room = usize::try_from(usable).map_or(MAX_NAMES, |usable| usable.min(MAX_NAMES));
        Self { ipv4, ipv6, room, by_place: Vec::new(), places: HashMap::new() }
    }

    /// The addresses of a name, which it gets when it has none.
    ///
    /// # Errors
    /// [`Full`] when it has none and there is none left.
    pub fn give(&mut self, name: &HostName) -> Result<FakeAddresses, Full> {
        if let Some(place) = self.places.get(name) {
            return Ok(self.addresses(*place));
        }
        let full = Full(self.room);
        let place = u32::try_from(self.by_place.len()).map_err(|_| full)?;
        if self.by_place.len() >= self.room {
            return Err(full);
        }
        let name = Arc::new(name.clone());
        self.by_place.push(Arc::clone(&name));
        self.places.insert(name, place);
        Ok(self.addresses(place))
    }

    /// The name that an address stands for; `None` of addresses that stand for none.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<&HostName> {
        let offset = match address.to_canonical() {
            IpAddr::V4(address) if self.ipv4.contains(&address) => {
                u128::from(address.to_bits() - self.ipv4.network().to_bits())
            }
            IpAddr::V6(address) => {
                let range = self.ipv6.filter(|range| range.contains(&address))?;
                address.to_bits() - range.network().to_bits()
            }
            IpAddr::V4(_) => return None,
        };
        let place = offset.checked_sub(u128::from(RESERVED))?;
        self.by_place.get(usize::try_from(place).ok()?).map(AsRef::as_ref)
    }

    /// Whether an address lies in one of the ranges, whether it stands for a name or not.
    #[must_use]
    pub fn is_fake(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.ipv4.contains(&address),
            IpAddr::V6(address) => self.ipv6.is_some_and(|range| range.contains(&address)),
        }
    }

    /// Names that have addresses.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether no name has an address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    fn addresses(&self, place: u32) -> FakeAddresses {
        let offset = RESERVED + place;
        let ipv4 = Ipv4Addr::from_bits(self.ipv4.network().to_bits() | offset);
        let ipv6 = self.ipv6.map(|range| Ipv6Addr::from_bits(range.network().to_bits() | u128::from(offset)));
        FakeAddresses { ipv4, ipv6 }
    }
}

#[cfg(test)]
mod tests;
