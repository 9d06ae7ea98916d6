//! Keeps Stockade's own files out of reach: what runs inside must not be able to write the policy of the next run, or the
//! journals and quarantines of this one.

use std::path::{Path, PathBuf};

use stockade_spec::policy::WorkspaceAccess;

use crate::error::Error;
use crate::job::Work;

/// Refuses a policy under which one of the caller's own files could be written.
pub(crate) fn check(work: Work<'_>) -> Result<(), Error> {
    let Work { policy, request, own, state } = work;
    let written = policy.filesystem.write.iter().map(|path| match path.strip_prefix("~/") {
        Some(below) => request.home.join(below),
        None => request.workspace.join(path),
    });
    let workspace = (policy.filesystem.workspace == WorkspaceAccess::Write).then(|| request.workspace.clone());
    let writable: Vec<PathBuf> = workspace.into_iter().chain(written.map(|path| real(&path))).collect();
    for own in own.iter().map(PathBuf::as_path).chain([state]) {
        let own = real(own);
        if let Some(writable) = writable.iter().find(|writable| own.starts_with(writable) || writable.starts_with(&own))
        {
            return Err(Error::OwnFilesWritable { own, writable: writable.clone() });
        }
    }
    Ok(())
}

/// The path without symbolic links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (std::fs::canonicalize(ancestor), path.strip_prefix(ancestor)) {
            // Joining an empty rest would add a slash, which makes no difference to comparisons but does to messages.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}
