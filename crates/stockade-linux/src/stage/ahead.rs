//! Steps that need no plan, since every plan with namespaces has them, carried out while it is still to be compiled.
//!
//! The stage reports each of them in its turn, as if it had been carried out then.

use std::io;

use stockade_spec::plan::{Operation, Plan};

use super::privileges;
use crate::sys::maker::{Made, Step};
use crate::sys::{loopback, title};

/// What the maker does when it has made the namespaces; by system calls alone, as [`crate::sys::maker`] asks.
pub(crate) const STEPS: [Step; 4] = [
    privileges::map_identity,
    |_, _| loopback::up(),
    |_, _| privileges::drop_bounding_set(),
    // Not a step of the plan: where it fails, the stage looks itself.
    |_, _| title::find_arguments(),
];

/// What became of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead(Made);

impl Ahead {
    pub(crate) const fn new(made: Made) -> Self {
        Self(made)
    }

    /// This process's user and group are mapped to themselves.
    pub(super) fn identity(self) -> io::Result<()> {
        self.0.step(0)
    }

    /// The loopback interface is up.
    pub(super) fn loopback(self) -> io::Result<()> {
        self.0.step(1)
    }

    /// The bounding set of capabilities is empty.
    pub(super) fn bounding_set(self) -> io::Result<()> {
        self.0.step(2)
    }
}

/// Whether a plan has these steps, and means this process's user and group.
pub(crate) fn suits(plan: &Plan) -> bool {
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let has = |wanted: fn(&Operation) -> bool| plan.steps.iter().any(|step| wanted(&step.operation));
    let maps_own = plan
        .steps
        .iter()
        .any(|step| matches!(step.operation, Operation::MapIdentity { uid, gid } if (uid, gid) == own));
    maps_own
        && has(|operation| *operation == Operation::CreateNamespaces)
        && has(|operation| *operation == Operation::LoopbackUp)
        && has(|operation| *operation == Operation::DropCapabilities)
}
