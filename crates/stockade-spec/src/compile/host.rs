//! What lies at which path of the host, arranged for looking up: a plan asks some hundred times.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::path::{Path, PathBuf};

use super::paths::is_below;
use crate::facts::{HostFacts, PathFact};

/// The surveyed paths. The hasher has no random state, so that compiling needs nothing of the system; the paths come from
/// Stockade's own tables and the caller's policy.
pub(super) struct Host<'a> {
    facts: HashMap<&'a [u8], &'a PathFact, BuildHasherDefault<DefaultHasher>>,
    /// Symbolic links, each before what lies below it.
    links: Vec<Link<'a>>,
}

/// A symbolic link of the host.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a Path,
    pub(super) resolved: Option<&'a Path>,
}

impl<'a> Host<'a> {
    pub(super) fn new(facts: &'a HostFacts) -> Self {
        let mut host =
            Self { facts: HashMap::with_capacity_and_hasher(facts.paths.len(), <_>::default()), links: Vec::new() };
        for (path, fact) in &facts.paths {
            host.facts.insert(path.as_os_str().as_encoded_bytes(), fact);
            if let PathFact::Symlink { text, resolved, .. } = fact {
                host.links.push(Link { path, text, resolved: resolved.as_deref() });
            }
        }
        host
    }

    /// What lies at a path; one that was not surveyed counts as missing.
    pub(super) fn at(&self, path: &Path) -> &'a PathFact {
        self.facts.get(path.as_os_str().as_encoded_bytes()).copied().unwrap_or(&PathFact::Missing)
    }

    /// The last symbolic link on the way to a path, or at it.
    pub(super) fn link_to(&self, path: &Path) -> Option<Link<'a>> {
        self.links.iter().rev().find(|link| is_below(path, link.path)).copied()
    }

    /// The path that a path leads to, as far as the survey knows; `None` when a link on the way leads nowhere.
    pub(super) fn real(&self, path: &Path) -> Option<PathBuf> {
        let Some(link) = self.link_to(path) else { return Some(path.to_path_buf()) };
        let resolved = link.resolved?;
        Some(match path.strip_prefix(link.path) {
            Ok(rest) if !rest.as_os_str().is_empty() => resolved.join(rest),
            _ => resolved.to_path_buf(),
        })
    }
}
