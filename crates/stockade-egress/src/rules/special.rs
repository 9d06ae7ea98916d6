//! Addresses that are never dialled unless a rule names them.
//!
//! A name that anybody owns can lead anywhere, so what it leads to is checked: an address that means this machine, its
//! network, its provider's services, or an IPv4 address in a form that a router takes apart again, is refused. The table
//! follows the IANA registries of special-purpose addresses (RFC 6890 and its successors). The ranges for documentation
//! (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20) are left out: some networks use them, and
//! nothing of this machine answers there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// A range of addresses that only a rule which names it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialRange {
    /// Its addresses.
    pub network: IpNet,
    /// What they are for, as in «198.18.0.7 is … ».
    pub what: &'static str,
    /// Where that is laid down.
    pub source: &'static str,
}

impl fmt::Display for SpecialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address is {} ({}, {})", self.what, self.network, self.source)
    }
}

/// One row of the tables.
type Row<A> = (A, u8, &'static str, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// A group of an IPv6 prefix each; the rest is zero.
const fn v6(a: u16, b: u16, c: u16, d: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

/// Ranges of IPv4. Where they lie in one another, the longest prefix counts.
const IPV4: [Row<Ipv4Addr>; 19] = [
    (v4(0, 0, 0, 0), 8, "on this network", "RFC 791, section 3.2"),
    (v4(0, 0, 0, 0), 32, "unspecified, which means this machine", "RFC 1122, section 3.2.1.3"),
    (v4(10, 0, 0, 0), 8, "private", "RFC 1918"),
    (v4(100, 64, 0, 0), 10, "shared by a provider's customers", "RFC 6598"),
    (v4(100, 100, 100, 200), 32, "the metadata service of Alibaba Cloud", "Alibaba Cloud, instance metadata"),
    (v4(127, 0, 0, 0), 8, "this machine", "RFC 1122, section 3.2.1.3"),
    (v4(168, 63, 129, 16), 32, "the platform service of Azure", "Azure, what is IP address 168.63.129.16"),
    (v4(169, 254, 0, 0), 16, "link-local", "RFC 3927"),
    (v4(169, 254, 169, 254), 32, "a cloud's metadata service", "EC2, instance metadata"),
    (v4(169, 254, 170, 2), 32, "the credentials of a container", "ECS, task IAM role"),
    (v4(172, 16, 0, 0), 12, "private", "RFC 1918"),
    (v4(192, 0, 0, 0), 24, "set aside for protocols", "RFC 6890"),
    (v4(192, 0, 0, 192), 32, "a metadata service of Oracle Cloud", "Oracle Cloud, instance metadata"),
    (v4(192, 88, 99, 0), 24, "a relay of 6to4", "RFC 7526"),
    (v4(192, 168, 0, 0), 16, "private", "RFC 1918"),
    (v4(198, 18, 0, 0), 15, "for benchmarks, and stands for a name inside the sandbox", "RFC 2544"),
    (v4(224, 0, 0, 0), 4, "multicast", "RFC 5771"),
    (v4(240, 0, 0, 0), 4, "reserved", "RFC 1112, section 4"),
    (v4(255, 255, 255, 255), 32, "broadcast", "RFC 919"),
];

/// Ranges of IPv6. Where they lie in one another, the longest prefix counts. `::ffff:0:0/96` is not among them: its
/// addresses are looked up as what they are, IPv4.
const IPV6: [Row<Ipv6Addr>; 20] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified, which means this machine", "RFC 4291, section 2.5.2"),
    (Ipv6Addr::LOCALHOST, 128, "this machine", "RFC 4291, section 2.5.3"),
    (v6(0, 0, 0, 0), 96, "an IPv4 address in the clothes of IPv6", "RFC 4291, section 2.5.5.1"),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, "a translated IPv4 address", "RFC 2765"),
    (v6(0x64, 0xff9b, 1, 0), 48, "a translated address of a local network", "RFC 8215"),
    (v6(0x100, 0, 0, 0), 64, "discarded", "RFC 6666"),
    (v6(0x100, 0, 0, 1), 64, "a dummy", "RFC 9780"),
    (v6(0x2001, 0, 0, 0), 32, "an IPv4 address in a Teredo tunnel", "RFC 4380"),
    (v6(0x2001, 2, 0, 0), 48, "for benchmarks", "RFC 5180"),
    (v6(0x2001, 0x10, 0, 0), 28, "an identifier and no address", "RFC 4843"),
    (v6(0x2001, 0x20, 0, 0), 28, "an identifier and no address", "RFC 7343"),
    (v6(0x2002, 0, 0, 0), 16, "an IPv4 address in a 6to4 tunnel", "RFC 3056"),
    (v6(0x5f00, 0, 0, 0), 16, "a segment of a provider's network", "RFC 9602"),
    (v6(0xfc00, 0, 0, 0), 7, "private", "RFC 4193"),
    (v6(0xfe80, 0, 0, 0), 10, "link-local", "RFC 4291, section 2.5.6"),
    (v6(0xfec0, 0, 0, 0), 10, "site-local", "RFC 3879"),
    (v6(0xff00, 0, 0, 0), 8, "multicast", "RFC 4291, section 2.7"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, "the metadata service of EC2", "EC2, instance metadata"),
    (
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        128,
        "the metadata service of Google Cloud",
        "Compute Engine, metadata",
    ),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253), 128, "the name server of EC2", "VPC, DNS attributes"),
];

/// The prefix of translators between IPv6 and IPv4 (RFC 6052, section 2.1). Networks without IPv4 give public servers such
/// addresses, so they are as special as the IPv4 address that they carry.
const TRANSLATED: Ipv6Addr = v6(0x64, 0xff9b, 0, 0);
/// Bits of that prefix.
const TRANSLATED_BITS: u8 = 96;

/// The smallest special range that an address lies in; `None` of an ordinary address.
#[must_use]
pub fn range_of(address: IpAddr) -> Option<SpecialRange> {
    match address.to_canonical() {
        IpAddr::V4(address) => smallest(&IPV4, address),
        IpAddr::V6(address) => match translated(address) {
            Some(carried) => smallest(&IPV4, carried).map(as_translated),
            None => smallest(&IPV6, address),
        },
    }
}

/// The IPv4 address that an IPv6 address carries, in any of the forms that something on the way may take apart: compatible
/// and mapped (RFC 4291), translated (RFC 6052, RFC 2765), 6to4 (RFC 3056), Teredo (RFC 4380).
#[must_use]
pub fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let last = || from_groups(g, h);
    match (a, b) {
        (0, 0) if [c, d, e] == [0; 3] && (f == 0 || f == 0xffff) => Some(last()),
        (0, 0) if [c, d, e, f] == [0, 0, 0xffff, 0] => Some(last()),
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => Some(last()),
        (0x2002, _) => Some(from_groups(b, c)),
        (0x2001, 0) => Some(from_groups(!g, !h)),
        _ => None,
    }
}

fn from_groups(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let prefix = Ipv6Net::new_assert(TRANSLATED, TRANSLATED_BITS);
    prefix.contains(&address).then(|| carried(address)).flatten()
}

/// A range of IPv4 as the range of IPv6 that carries it.
fn as_translated(range: SpecialRange) -> SpecialRange {
    match range.network {
        IpNet::V4(network) => {
            let address = Ipv6Addr::from_bits(TRANSLATED.to_bits() | u128::from(network.network().to_bits()));
            let network = Ipv6Net::new_assert(address, TRANSLATED_BITS + network.prefix_len()).into();
            SpecialRange { network, ..range }
        }
        IpNet::V6(_) => range,
    }
}

fn smallest<A: Copy + Into<IpAddr>>(table: &[Row<A>], address: A) -> Option<SpecialRange> {
    let ranges = table.iter().map(|row| SpecialRange {
        network: IpNet::new_assert(row.0.into(), row.1),
        what: row.2,
        source: row.3,
    });
    ranges.filter(|range| range.network.contains(&address.into())).max_by_key(|range| range.network.prefix_len())
}

#[cfg(test)]
mod tests;
