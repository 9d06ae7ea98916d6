//! Ways past the gate, tried in the suite's own internet (`crate::internet`), where they work for whoever has no gate.

mod addresses;
mod client;
mod names;
mod sockets;
mod tls;
mod web;

use crate::attack::{Attack, Landlock};

/// The attacks of each file.
pub const ATTACKS: &[&[Attack]] = &[addresses::ATTACKS, names::ATTACKS, web::ATTACKS, tls::ATTACKS, sockets::ATTACKS];

/// What all of them have: one host is allowed, and both tiers enforce it.
const BASE: Attack =
    Attack { options: &["--allow", "allowed.example"], landlock: Landlock::Same, internet: true, ..Attack::BASE };
