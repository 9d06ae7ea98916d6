//! The private home: empty but for toolchains, caches and the caller's name in git.

use std::path::{Path, PathBuf};

use super::Input;
use super::data::{HOME, entries};
use super::paths::real;
use super::system::{hide, place, show};
use super::view::{Node, View};
use crate::facts::PathFact;
use crate::report::Protection;
use crate::request::Request;

/// Where git looks for its user's configuration, below home.
pub(super) const GIT_CONFIGURATION: &str = ".gitconfig";

/// The paths whose existence matters: also the directories on the way to them, since one may be a symbolic link.
pub(super) fn survey(request: &Request, uses: &mut impl FnMut(PathBuf)) {
    let mut last = PathBuf::new();
    let mut way_to = |path: PathBuf| {
        for ancestor in path.ancestors().skip(1).take_while(|ancestor| *ancestor != request.home) {
            if *ancestor != last {
                uses(ancestor.to_path_buf());
            }
        }
        if let Some(parent) = path.parent() {
            last = parent.to_path_buf();
        }
        uses(path);
    };
    for (kind, below) in entries(HOME) {
        if matches!(kind, "show" | "cache" | "secret" | "part") {
            way_to(request.home.join(below));
        }
    }
    path_directories(request).for_each(way_to);
}

/// Puts the home into the view.
pub(super) fn put(view: &mut View, input: Input<'_>) {
    let Input { request, facts, .. } = input;
    view.put(&request.home, Node::Private { mode: 0o700 }, Protection::Home);
    for (kind, below) in entries(HOME) {
        let path = request.home.join(below);
        match kind {
            "show" => show(view, &path, facts, Protection::Home),
            "cache" => match facts.at(&path) {
                PathFact::Directory | PathFact::Symlink { directory: true, .. } => {
                    place(view, &path, facts, &Node::CopyOnWrite, Protection::Caches);
                }
                _ => {}
            },
            "secret" => hide(view, &path, facts, Protection::Home),
            _ => {}
        }
    }
    for directory in path_directories(request) {
        let end = real(&directory, facts);
        if end.is_some_and(|end| may_show(&end, request)) {
            show(view, &directory, facts, Protection::Home);
        }
    }
    if let Some(content) = git_configuration(input) {
        view.put(request.home.join(GIT_CONFIGURATION), Node::File { content, mode: 0o644 }, Protection::Home);
    }
}

/// What is seen of a toolchain or cache by a tier that cannot hide what lies below: its known parts that exist.
pub(super) fn parts(top: &Path, input: Input<'_>) -> Vec<PathBuf> {
    let Input { request, facts, .. } = input;
    entries(HOME)
        .filter(|(kind, _)| *kind == "part")
        .filter_map(|(_, below)| {
            let path = request.home.join(below);
            let exists = matches!(facts.at(&path), PathFact::File | PathFact::Directory);
            real(&path, facts).filter(|end| exists && end.starts_with(top))
        })
        .collect()
}

/// The caller's directories of `PATH` that lie below home.
fn path_directories(request: &Request) -> impl Iterator<Item = PathBuf> {
    super::environment::search_path(request)
        .filter(|directory| *directory != request.home && directory.starts_with(&request.home))
}

/// Whether a directory of `PATH` may be shown: not where it is home or above, or is or holds credentials.
fn may_show(directory: &Path, request: &Request) -> bool {
    if request.home.starts_with(directory) {
        return false;
    }
    entries(HOME).filter(|(kind, _)| matches!(*kind, "private" | "secret")).all(|(kind, below)| {
        let credentials = request.home.join(below);
        // A secret below a shown directory is hidden by itself; a private place may not be shown at all.
        if kind == "private" { !credentials.starts_with(directory) } else { credentials != directory }
    })
}

/// A git configuration with the caller's name and address and nothing else (`git-config(1)`, "Syntax").
pub(super) fn git_configuration(input: Input<'_>) -> Option<String> {
    let identity = &input.facts.git_identity;
    let line = |key: &str, value: &Option<String>| {
        let value = value.as_deref().filter(|value| !value.chars().any(char::is_control))?;
        Some(format!("\t{key} = \"{}\"\n", value.replace('\\', "\\\\").replace('"', "\\\"")))
    };
    let lines: String = [line("name", &identity.name), line("email", &identity.email)].into_iter().flatten().collect();
    (!lines.is_empty()).then(|| format!("[user]\n{lines}"))
}
