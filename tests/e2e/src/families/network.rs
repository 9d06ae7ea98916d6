//! Ways past the gate, tried in the suite's own internet (`crate::internet`), where they work for whoever has no gate.

mod addresses;
mod client;
mod names;
mod sockets;
mod tls;
mod web;

use crate::attack::{Attack, Landlock, Trace};

/// The attacks of each file.
pub const ATTACKS: &[&[Attack]] = &[addresses::ATTACKS, names::ATTACKS, web::ATTACKS, tls::ATTACKS, sockets::ATTACKS];

/// What all of them have: one host is allowed, and the tier that cannot enforce such a rule refuses to run anything.
const BASE: Attack = Attack {
    options: &["--allow", "allowed.example"],
    landlock: Landlock::Trace(Trace::Refused("rules for hosts need tier `namespaces`")),
    internet: true,
    ..Attack::BASE
};
