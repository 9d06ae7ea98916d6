//! What the plan says about paths.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use stockade_spec::glob::{Case, Glob, Rules};
use stockade_spec::plan::FileObservation;
use stockade_spec::report::Area;
use stockade_spec::tier::Tier;

use super::guard::Guard;
use crate::observe::{Context, ObserveError, process};

/// Rules about paths, ready to be asked.
#[derive(Debug)]
pub(in crate::observe) struct FileRules {
    pub(super) observation: FileObservation,
    workspace: PathBuf,
    writable: Vec<PathBuf>,
    readable: Vec<PathBuf>,
    deny: Guard,
    protect: Guard,
    tier: Tier,
    own_umask: u32,
    /// What the view already hides or holds read-only, to name the rule in a record.
    denied: Rules,
    protected: Rules,
}

/// What an operation wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Reading what is there, or executing it.
    Read,
    /// Changing what is there.
    Write,
    /// Making, removing or replacing the name.
    Name,
}

/// Why an operation is refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// By a rule of the plan.
    Rule { area: Area, rule: String, path: PathBuf, error: Errno },
    /// By the kernel, or as the kernel would.
    Error(Errno),
}

impl From<Errno> for Refused {
    fn from(error: Errno) -> Self {
        Self::Error(error)
    }
}

impl FileRules {
    pub(in crate::observe) fn new(observation: &FileObservation, context: &Context) -> Result<Self, ObserveError> {
        let explanations = &context.explanations;
        // Most runs ask about no file, and reading the rules would delay them.
        let asked = !observation.is_off() || context.tier == Tier::Landlock;
        let needed = |globs: &'_ [String]| if asked { globs.to_vec() } else { Vec::new() };
        let mut writable = explanations.writable.clone();
        if context.tier == Tier::Landlock {
            // The run's private directory on the host holds its home and, next to it, its temporary files.
            writable.push(context.home.clone());
            writable.push(context.home.with_file_name("tmp"));
        }
        Ok(Self {
            observation: observation.clone(),
            workspace: context.workspace.clone(),
            writable,
            readable: explanations.readable.clone(),
            deny: Guard::new(&observation.deny)?,
            protect: Guard::new(&observation.protect)?,
            tier: context.tier,
            own_umask: if observation.decides() { own_umask(context)? } else { 0 },
            denied: Rules::new(needed(&explanations.denied), Case::Folded)?,
            protected: Rules::new(needed(&explanations.protected), Case::Folded)?,
        })
    }

    /// Whether the plan lets a path of the host be written: the longest of its paths that covers it decides.
    pub(in crate::observe) fn may_write(&self, path: &Path) -> bool {
        let writable = covering(&self.writable, path);
        writable.is_some() && writable >= covering(&self.readable, path) && self.covers(&self.denied, path).is_none()
    }

    /// Permission bits that files made by the supervisor do not get by themselves.
    pub(super) const fn own_umask(&self) -> u32 {
        self.own_umask
    }

    /// The tier.
    pub(super) const fn tier(&self) -> Tier {
        self.tier
    }

    /// Whether the plan lets a path of the host be read.
    pub(super) fn may_read(&self, path: &Path) -> bool {
        let shown = covering(&self.readable, path).is_some() || covering(&self.writable, path).is_some();
        shown && self.covers(&self.denied, path).is_none()
    }

    /// The plan's rule that refuses this use of a path, and what it is about.
    pub(super) fn rule_for(&self, path: &Path, wanted: Use) -> Option<(Area, &str)> {
        let denied = self.covers(&self.denied, path).map(|glob| (Area::Files, glob.as_str()));
        let protected = || self.covers(&self.protected, path).map(|glob| (Area::Protected, glob.as_str()));
        denied.or_else(|| if wanted != Use::Read { protected() } else { None })
    }

    /// Refuses a use of a file that a deciding rule covers, or, without namespaces, that the plan does not open: acting
    /// on a process's behalf, the supervisor is not held by the process's Landlock domain.
    pub(super) fn check(&self, path: &Path, wanted: Use) -> Result<(), Refused> {
        if let Some(glob) = self.covers(self.deny.rules(), path) {
            return Err(refused(Area::Files, glob, path, Errno::ACCESS));
        }
        if wanted != Use::Read
            && let Some(glob) = self.covers(self.protect.rules(), path)
        {
            return Err(refused(Area::Protected, glob, path, Errno::ACCESS));
        }
        let opened = match wanted {
            _ if self.tier != Tier::Landlock => true,
            Use::Read => self.may_read(path),
            Use::Write => self.may_write(path),
            Use::Name => path.parent().is_some_and(|parent| self.may_write(parent)),
        };
        if opened { Ok(()) } else { Err(Errno::ACCESS.into()) }
    }

    /// Refuses moving a directory whose place matters to a rule. Where the rule is about what may be in it, the answer is
    /// as if the places were on two file systems: programs then copy file by file, and each is decided.
    pub(super) fn check_move(&self, from: &Path, to: &Path) -> Result<(), Refused> {
        for (guard, area) in [(&self.deny, Area::Files), (&self.protect, Area::Protected)] {
            if let Some(glob) = guard.pins(&self.workspace, from, to) {
                return Err(refused(area, glob, from, Errno::ACCESS));
            }
            if let Some(glob) = guard.parts(&self.workspace, from, to) {
                return Err(refused(area, glob, from, Errno::XDEV));
            }
        }
        Ok(())
    }

    /// The first rule that covers a path; rules without a root are relative to the workspace.
    fn covers<'r>(&self, rules: &'r Rules, path: &Path) -> Option<&'r Glob> {
        let relative = path.strip_prefix(&self.workspace).ok();
        rules.first_match(path).or_else(|| rules.first_match(relative?))
    }
}

fn own_umask(context: &Context) -> Result<u32, ObserveError> {
    Ok(process::status(context.supervisor).map_err(ObserveError::Umask)?.umask)
}

fn refused(area: Area, glob: &Glob, path: &Path, error: Errno) -> Refused {
    Refused::Rule { area, rule: glob.as_str().to_owned(), path: path.to_owned(), error }
}

/// Components of the longest path that covers `path`.
fn covering(paths: &[PathBuf], path: &Path) -> Option<usize> {
    paths.iter().filter(|above| path.starts_with(above)).map(|above| above.components().count()).max()
}
