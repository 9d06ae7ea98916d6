//! Copy-on-write directories of a sandbox that lasts: what is written to them is kept on the host.

use std::ffi::OsString;
use std::path::Path;

use super::Input;
use super::namespaces::Steps;
use super::view::Entry;
use crate::plan::{BindAccess, Operation};
use crate::policy::WorkspaceAccess;
use crate::request::{Layers, Upper};

/// The longest name of a directory that stands for a cache: file systems take 255 bytes.
const LONGEST_NAME: usize = 200;

/// Adds the workspace under its layers, or a cache under its own.
pub(super) fn add(steps: &mut Steps, entry: &Entry, input: Input<'_>) {
    let request = input.request;
    let Some(layers) = &request.layers else { return };
    let (source, target) = (entry.path.clone(), entry.path.clone());
    if entry.path == request.workspace {
        let Layers { sealed, writes, .. } = layers.clone();
        let writes = writes.filter(|_| input.policy.filesystem.workspace == WorkspaceAccess::Write);
        let operation = if sealed.is_empty() && writes.is_none() {
            Operation::Bind { source, target, access: BindAccess::ReadOnly }
        } else {
            Operation::Layered { source, target, sealed, writes }
        };
        return steps.add(operation, entry.protection);
    }
    let operation = match name(&entry.path) {
        Some(name) => {
            let own = layers.caches.join(name);
            let writes = Some(Upper { upper: own.join("upper"), work: own.join("work") });
            Operation::Layered { source, target, sealed: Vec::new(), writes }
        }
        None => Operation::CopyOnWrite { source, target },
    };
    steps.add_degradable(operation, entry.protection);
}

/// A directory name that stands for a path and for no other; `None` where it would be too long.
fn name(path: &Path) -> Option<OsString> {
    let mut name = String::new();
    for part in path.to_str()?.split('/').skip(1) {
        if !name.is_empty() {
            name.push('+');
        }
        name.push_str(&part.replace('%', "%25").replace('+', "%2B"));
    }
    (!name.is_empty() && name.len() <= LONGEST_NAME).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_a_name_of_its_own() {
        let name = |path: &str| name(Path::new(path));
        assert_eq!(name("/home/u/.cargo/registry"), Some("home+u+.cargo+registry".into()));
        assert_ne!(name("/a+b"), name("/a/b"));
        assert_ne!(name("/a%2Bb"), name("/a+b"));
        assert_eq!(name(&format!("/{}", "x".repeat(LONGEST_NAME + 1))), None);
    }
}
