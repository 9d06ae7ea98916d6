//! What a run is made from.

use std::path::{Path, PathBuf};

use stockade_spec::policy::{Overrides, Source};
use stockade_spec::{Policy, Request};

/// One run: the policy's texts, what is asked for, and where to keep what outlives it.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Trusted policy texts, weakest first, on top of a built-in profile.
    pub layers: Vec<Source<'a>>,
    /// The workspace's own policy, which is not trusted and can only narrow.
    pub workspace: Option<Source<'a>>,
    /// The strongest trusted layer, as data.
    pub overrides: &'a Overrides,
    /// The command, where, and for whom.
    pub request: &'a Request,
    /// Files and directories that must not become writable inside, whatever the policy says: where the caller's own
    /// policies lie. Absolute; [`Job::state`] need not be repeated.
    pub own: &'a [PathBuf],
    /// The directory of journals and quarantined files. It is made when it is first needed, outlives runs, and is the
    /// same for all runs of a user. Absolute, outside the workspace.
    pub state: &'a Path,
}

/// A job with its policy merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) request: &'a Request,
    pub(crate) own: &'a [PathBuf],
    pub(crate) state: &'a Path,
}

impl<'a> Work<'a> {
    pub(crate) const fn of(job: &Job<'a>, policy: &'a Policy) -> Self {
        Self { policy, request: job.request, own: job.own, state: job.state }
    }
}
