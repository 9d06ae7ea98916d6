//! What the plan says about paths.

use std::path::{Path, PathBuf};

use stockade_spec::glob::{Case, Glob, Rules};
use stockade_spec::plan::FileObservation;
use stockade_spec::report::Area;

use crate::observe::{Context, ObserveError};

/// Rules about paths, ready to be asked.
#[derive(Debug)]
pub(in crate::observe) struct FileRules {
    pub(super) observation: FileObservation,
    workspace: PathBuf,
    writable: Vec<PathBuf>,
    readable: Vec<PathBuf>,
    deny: Denied,
    protect: Denied,
    /// What the view already hides or holds read-only, to name the rule in a record.
    denied: Rules,
    protected: Rules,
}

/// What an operation wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

/// Globs, and what they say of directories above what they match.
#[derive(Debug)]
struct Denied {
    rules: Rules,
    /// The rules' beginnings: directories that cannot be renamed without moving what a rule covers out of its reach.
    above: Rules,
}

impl FileRules {
    pub(in crate::observe) fn new(observation: &FileObservation, context: &Context) -> Result<Self, ObserveError> {
        let explanations = &context.explanations;
        Ok(Self {
            observation: observation.clone(),
            workspace: context.workspace.clone(),
            writable: explanations.writable.clone(),
            readable: explanations.readable.clone(),
            deny: Denied::new(&observation.deny)?,
            protect: Denied::new(&observation.protect)?,
            denied: Rules::new(&explanations.denied, Case::Folded)?,
            protected: Rules::new(&explanations.protected, Case::Folded)?,
        })
    }

    /// Whether the plan lets a path of the host be written: the longest of its paths that covers it decides.
    pub(in crate::observe) fn may_write(&self, path: &Path) -> bool {
        let writable = covering(&self.writable, path);
        writable.is_some() && writable >= covering(&self.readable, path)
    }

    /// Whether the plan lets a path of the host be read.
    pub(super) fn may_read(&self, path: &Path) -> bool {
        covering(&self.readable, path).is_some() || covering(&self.writable, path).is_some()
    }

    /// The plan's rule that refuses this use of a path, and what it is about.
    pub(super) fn rule_for(&self, path: &Path, wanted: Use) -> Option<(Area, &str)> {
        let denied = self.covers(&self.denied, path).map(|glob| (Area::Files, glob.as_str()));
        let protected = || self.covers(&self.protected, path).map(|glob| (Area::Protected, glob.as_str()));
        denied.or_else(|| if wanted == Use::Write { protected() } else { None })
    }

    /// The first rule that covers a path; rules without a root are relative to the workspace.
    fn covers<'r>(&self, rules: &'r Rules, path: &Path) -> Option<&'r Glob> {
        let relative = path.strip_prefix(&self.workspace).ok();
        rules.first_match(path).or_else(|| rules.first_match(relative?))
    }
}

impl Denied {
    fn new(globs: &[String]) -> Result<Self, ObserveError> {
        let above = globs.iter().flat_map(|glob| beginnings(glob));
        Ok(Self { rules: Rules::new(globs, Case::Folded)?, above: Rules::new(above, Case::Folded)? })
    }
}

/// The proper beginnings of a glob that end in a name: for `**/.git/hooks/**` just `**/.git`.
fn beginnings(glob: &str) -> Vec<String> {
    let names: Vec<&str> = glob.split('/').collect();
    let ends = 1..names.len();
    let named = ends.filter(|&end| !matches!(names[end - 1], "" | "." | "**"));
    let more = |end: usize| names[end..].iter().any(|name| !matches!(*name, "" | "." | "**"));
    named.filter(|&end| more(end)).map(|end| names[..end].join("/")).collect()
}

/// Components of the longest path that covers `path`.
fn covering(paths: &[PathBuf], path: &Path) -> Option<usize> {
    paths.iter().filter(|above| path.starts_with(above)).map(|above| above.components().count()).max()
}
