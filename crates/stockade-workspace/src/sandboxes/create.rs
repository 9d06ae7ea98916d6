//! Makes sandboxes.
//!
//! A sandbox is made under a name that nobody looks for and gets its own by one rename, so that it is there as a whole or
//! not at all, whenever the process that makes it is killed. Nothing of it is forced to disk: it holds nothing yet. After a
//! failure of power within the kernel's time for writing back, it is gone, or its manifest is empty and it is called
//! damaged; the first checkpoint makes it last, and so does [`super::Sandbox::settle`].

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::io::Errno;
use serde_json::Value;

use super::error::SandboxError;
use super::folder::Folder;
use super::home::{Home, MAKING};
use super::id::Id;
use super::manifest::{self, Durable, Manifest};
use super::sandbox::Sandbox;
use super::upper::{self, UPPER, WORK};
use super::workspace::Workspace;
use super::{filesystem, name, removal, window};
use crate::fault;

/// A sandbox that is to be made.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// Its name; if none is given, that of the workspace and a number.
    pub name: Option<&'a str>,
    /// The directory of the host that it lies on: an absolute path without links.
    pub workspace: &'a Path,
    /// What its user wants to keep with it.
    pub settings: Value,
    /// Whether it is for one run that is to be reviewed.
    pub once: bool,
}

/// Makes a sandbox that holds nothing.
pub(super) fn create(home: &Arc<Home>, new: New<'_>) -> Result<Sandbox, SandboxError> {
    let New { name, workspace: path, settings, once } = new;
    let names = Names::choose(name, path)?;
    let (workspace, directory) = Workspace::note(path)?;
    home.state().check_outside(path)?;
    if path.starts_with(home.state().path()) {
        return Err(SandboxError::WorkspaceInState(path.to_owned()));
    }
    filesystem::check(&home.sandboxes)?;
    let id = Id::random().map_err(|error| home.sandboxes.failed("name a sandbox in", "", error))?;
    let manifest = Manifest { settings, once, ..Manifest::new(id, workspace, window::now()) };
    make(home, manifest, &names, Durable::No, Some(directory.as_fd()))
}

/// Makes the folder of a sandbox with this manifest, whose `upper` looks like a directory.
pub(super) fn make(
    home: &Arc<Home>,
    manifest: Manifest,
    names: &Names,
    durable: Durable,
    like: Option<BorrowedFd<'_>>,
) -> Result<Sandbox, SandboxError> {
    let _layers = home.share_layers()?;
    let temporary = format!("{MAKING}{}", manifest.id);
    let folder = home.sandboxes.make_child(&temporary)?;
    fault::place();
    let made = fill(&folder, &manifest, durable, like).and_then(|()| names.give(home, &temporary));
    match made {
        Ok(name) => {
            let folder = folder.renamed(home.sandboxes.path().join(&name));
            Ok(Sandbox { home: Arc::clone(home), folder, name, manifest })
        }
        Err(error) => {
            // Why it failed is what there is to tell; what cannot be removed now goes with the next tidying.
            drop(removal::remove(&home.sandboxes, &temporary));
            Err(error)
        }
    }
}

fn fill(
    folder: &Folder,
    manifest: &Manifest,
    durable: Durable,
    like: Option<BorrowedFd<'_>>,
) -> Result<(), SandboxError> {
    upper::make(folder, UPPER, like)?;
    let work = rustix::fs::mkdirat(folder.fd(), WORK, Mode::RWXU);
    work.map_err(|error| folder.failed("make the directory", WORK, error))?;
    fault::place();
    manifest.write_temporary(folder, manifest::FILE, durable)?;
    fault::place();
    Ok(())
}

/// The name that a sandbox may get.
#[derive(Clone, Debug)]
pub(super) enum Names {
    /// This one.
    Given(String),
    /// This stem and a number.
    Numbered(String),
}

impl Names {
    /// The name that was given, or else one after the workspace.
    pub(super) fn choose(given: Option<&str>, workspace: &Path) -> Result<Self, SandboxError> {
        match given {
            Some(name) => name::check(name).map(|()| Self::Given(name.to_owned())),
            None => Ok(Self::Numbered(name::stem(workspace))),
        }
    }

    /// Gives a finished folder its name.
    fn give(&self, home: &Home, temporary: &str) -> Result<String, SandboxError> {
        let mut number = 0;
        loop {
            let name = match self {
                Self::Given(name) => name.clone(),
                Self::Numbered(stem) => {
                    number = free_number(home, stem, number)?;
                    format!("{stem}-{number}")
                }
            };
            if home.sandboxes.rename_new(temporary, &home.sandboxes, &name)? {
                fault::place();
                return Ok(name);
            }
            // Of one that was made up, somebody else has been quicker.
            if let Self::Given(name) = self {
                return Err(SandboxError::Exists(name.clone()));
            }
        }
    }
}

/// A number that no sandbox of this stem has, above one that is taken: looked for by doubling and then halving steps, so that
/// the thousandth sandbox costs twenty questions.
fn free_number(home: &Home, stem: &str, taken: u32) -> Result<u32, SandboxError> {
    let is_taken = |number: u32| home.sandboxes.has(&format!("{stem}-{number}"));
    let (mut taken, mut step) = (taken, 1);
    while taken < u32::MAX && is_taken(taken.saturating_add(step))? {
        taken = taken.saturating_add(step);
        step = step.saturating_mul(2);
    }
    let mut free = taken.saturating_add(step);
    if free == taken {
        return Err(home.sandboxes.failed("find a name in", "", Errno::OVERFLOW));
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle)? {
            taken = middle;
        } else {
            free = middle;
        }
    }
    Ok(free)
}
