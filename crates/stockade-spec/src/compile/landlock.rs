//! Landlock domains.

use super::view::{Node, Settled};
use crate::facts::HostFacts;
use crate::plan::{BindAccess, LandlockAccess, LandlockRule, LandlockRuleset};

/// The highest ABI whose rights Stockade knows: all that a newer kernel could refuse besides is not asked for.
const KNOWN_ABI: u32 = 7;
/// The first ABI that refuses TCP.
const TCP_ABI: u32 = 4;
/// The first ABI with scopes for signals and abstract sockets.
const SCOPE_ABI: u32 = 6;

/// The domain on top of the mount view of tier `namespaces`: it holds even if that had a hole. `None` where the kernel has
/// no Landlock.
pub(super) fn second_lock(view: &Settled, facts: &HostFacts) -> Option<LandlockRuleset> {
    let mut ruleset = empty(facts)?;
    ruleset.rules.push(LandlockRule { path: "/".into(), access: LandlockAccess::Read });
    for entry in view.entries() {
        let access = match &entry.node {
            Node::Private { .. } | Node::CopyOnWrite | Node::Host(BindAccess::Write) => LandlockAccess::Write,
            // Programs write below `/proc/self`; the rest of it is held by read-only mounts.
            Node::Proc => LandlockAccess::Write,
            Node::Host(BindAccess::Device) | Node::DevPts => LandlockAccess::Device,
            _ => continue,
        };
        ruleset.rules.push(LandlockRule { path: entry.path.clone(), access });
    }
    Some(ruleset)
}

/// A domain that allows nothing, at the ABI of the host.
pub(super) fn empty(facts: &HostFacts) -> Option<LandlockRuleset> {
    let abi = facts.kernel.landlock_abi.min(KNOWN_ABI);
    (abi > 0).then(|| LandlockRuleset {
        abi,
        rules: Vec::new(),
        refuse_tcp: false,
        scope_abstract_sockets: abi >= SCOPE_ABI,
        scope_signals: abi >= SCOPE_ABI,
    })
}

/// Whether a domain can refuse TCP.
pub(super) const fn refuses_tcp(ruleset: &LandlockRuleset) -> bool {
    ruleset.abi >= TCP_ABI
}
