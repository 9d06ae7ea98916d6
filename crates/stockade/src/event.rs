//! What happens during a run, as it happens.

use std::path::Path;

use stockade_spec::report::{Connection, Denial, Quarantined};
use stockade_spec::{Plan, Report};

/// One event of a run, in this order: any number of [`Event::Recovered`], [`Event::Started`], any number of
/// [`Event::Denied`] and [`Event::Connected`], [`Event::Ended`]. A run that fails stops short.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An earlier run was interrupted; its sweep was made up for.
    Recovered {
        /// The workspace of that run, where its journal says it.
        workspace: Option<&'a Path>,
        /// Protected files that were moved away.
        quarantined: &'a [Quarantined],
        /// What could not be done.
        failures: &'a [String],
    },
    /// Every step of the plan was carried out and the command is being executed.
    Started(&'a Plan),
    /// Something was refused for the first time; repetitions are only counted, in the report.
    Denied(&'a Denial),
    /// A connection through the gate has ended.
    Connected(&'a Connection),
    /// The run is over and nothing of it is left.
    Ended(&'a Report),
}
