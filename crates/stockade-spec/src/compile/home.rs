//! The private home: empty but for toolchains, caches and the caller's name in git.

use std::path::{Path, PathBuf};

use super::Input;
use super::data::{HOME, entries};
use super::paths::is_below;
use super::system::{hide, place};
use super::view::{Node, View};
use crate::facts::PathFact;
use crate::plan::BindAccess;
use crate::report::Protection;
use crate::request::Request;

/// Where git looks for its user's configuration, below home.
pub(super) const GIT_CONFIGURATION: &str = ".gitconfig";

/// The paths whose existence matters: also the directories on the way to them, since one may be a symbolic link.
pub(super) fn survey(request: &Request, uses: &mut impl FnMut(PathBuf)) {
    let mut on_the_way = "";
    for (kind, below) in entries(HOME) {
        if !matches!(kind, "show" | "cache" | "secret" | "part") {
            continue;
        }
        let parent = below.rsplit_once('/').map_or("", |(parent, _)| parent);
        if parent != on_the_way {
            on_the_way = parent;
            for (end, _) in parent.match_indices('/') {
                uses(request.home.join(&parent[..end]));
            }
            uses(request.home.join(parent));
        }
        uses(request.home.join(below));
    }
    for directory in path_directories(request) {
        let above = directory.ancestors().skip(1).take_while(|above| above.as_os_str() != request.home.as_os_str());
        above.for_each(|above| uses(above.to_path_buf()));
        uses(directory);
    }
}

/// Puts the home into the view.
pub(super) fn put(view: &mut View, input: Input<'_>) {
    let Input { request, host, .. } = input;
    for (kind, below) in entries(HOME) {
        let path = request.home.join(below);
        match kind {
            "show" => furnish(view, &path, input, &Node::Host(BindAccess::ReadOnly), Protection::Home),
            "cache" => match host.at(&path) {
                PathFact::Directory | PathFact::Symlink { directory: true, .. } => {
                    furnish(view, &path, input, &Node::CopyOnWrite, Protection::Caches);
                }
                _ => {}
            },
            "secret" => hide(view, &path, host, Protection::Home),
            _ => {}
        }
    }
    for directory in path_directories(request) {
        if may_show(&directory, request) {
            furnish(view, &directory, input, &Node::Host(BindAccess::ReadOnly), Protection::Home);
        }
    }
    // Put last, so that nothing that leads home can take its place.
    view.put(&request.home, Node::Private { mode: 0o700 }, Protection::Home);
    if let Some(content) = git_configuration(input) {
        view.put(request.home.join(GIT_CONFIGURATION), Node::File { content, mode: 0o644 }, Protection::Home);
    }
}

/// Puts a toolchain or cache, unless it is a link to what may not be shown.
fn furnish(view: &mut View, path: &Path, input: Input<'_>, node: &Node, protection: Protection) {
    let Input { request, host, .. } = input;
    let elsewhere = host.link_to(path).and_then(|_| host.real(path));
    if elsewhere.is_none_or(|end| may_show(&end, request)) {
        place(view, path, host, node, protection);
    }
}

/// What is seen of a toolchain or cache by a tier that cannot hide what lies below: its known parts that exist.
pub(super) fn parts(top: &Path, input: Input<'_>) -> Vec<PathBuf> {
    let Input { request, host, .. } = input;
    entries(HOME)
        .filter(|(kind, _)| *kind == "part")
        .filter_map(|(_, below)| {
            let path = request.home.join(below);
            let exists = matches!(host.at(&path), PathFact::File | PathFact::Directory);
            host.real(&path).filter(|end| exists && is_below(end, top))
        })
        .collect()
}

/// The caller's directories of `PATH` that lie below home.
fn path_directories(request: &Request) -> impl Iterator<Item = PathBuf> {
    super::environment::search_path(request)
        .filter(|directory| *directory != request.home && is_below(directory, &request.home))
}

/// Whether a directory of `PATH`, or one to which a link leads, may be shown: not where it is home or above, or is or holds credentials.
fn may_show(directory: &Path, request: &Request) -> bool {
    if is_below(&request.home, directory) {
        return false;
    }
    entries(HOME).filter(|(kind, _)| matches!(*kind, "private" | "secret")).all(|(kind, below)| {
        let credentials = request.home.join(below);
        // A secret below a shown directory is hidden by itself; a private place may not be shown at all.
        if kind == "private" { !is_below(&credentials, directory) } else { credentials != directory }
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
