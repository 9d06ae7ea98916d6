//! Removes sandboxes.

use super::error::SandboxError;
use super::folder::{Folder, Wait};
use super::home::Home;
use super::id::Id;
use super::locked::LOCK;
use super::{garbage, name, sandbox, supervisor};
use crate::fault;

/// Removes a sandbox, also one whose manifest is damaged, and the layers that no other names.
pub(super) fn remove(home: &Home, name: &str) -> Result<(), SandboxError> {
    let unknown = || sandbox::unknown(home, name);
    let Ok(()) = name::check(name) else { return Err(unknown()?) };
    let Some(folder) = home.sandboxes.child(name)? else { return Err(unknown()?) };
    let named = take_away(home, &folder, name)?;
    fault::place();
    // What others name is looked for only where it matters.
    if !named {
        return Ok(());
    }
    home.mark_unnamed()?;
    garbage::collect(home, Wait::Yes).map(drop)
}

/// Removes its folder; gives whether it may have named layers.
fn take_away(home: &Home, folder: &Folder, name: &str) -> Result<bool, SandboxError> {
    let lock = folder.lock_alone(LOCK, Wait::Yes);
    if !folder.is_named() {
        return Err(SandboxError::Removed(name.to_owned()));
    }
    let _lock = lock?;
    // Whose supervisor it is does not matter here: it is let go of with the folder.
    let id = Id::random().map_err(|error| folder.failed("name", "", error))?;
    let Some(_held) = supervisor::hold(folder, id)? else { return Err(SandboxError::Running(name.to_owned())) };
    let named = garbage::named_by(folder).map_or(true, |layers| !layers.is_empty());
    if named {
        home.mark_unnamed()?;
    }
    fault::place();
    Home::remove(&home.sandboxes, name)?;
    Ok(named)
}
