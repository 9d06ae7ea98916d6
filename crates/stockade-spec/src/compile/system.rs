//! The part of the view that is the same for everyone: system directories, devices, `/proc`, private stores.

use std::path::{Path, PathBuf};

use super::Input;
use super::data::{PROC, SYSTEM, entries};
use super::host::{Host, Link};
use super::paths::{is_below, normal};
use super::rules::unreadable;
use super::view::{Node, View};
use crate::facts::PathFact;
use crate::plan::BindAccess;
use crate::report::Protection;

/// The paths of the tables whose existence matters.
pub(super) fn survey(uses: &mut impl FnMut(&'static str)) {
    for (kind, path) in entries(SYSTEM) {
        if matches!(kind, "show" | "hide" | "root" | "identity" | "device") {
            uses(path);
        }
    }
    for (_, rest) in entries(PROC) {
        if let Some((_, path)) = rest.split_once(' ') {
            uses(path);
        }
    }
}

/// Puts the system into the view.
pub(super) fn put(view: &mut View, input: Input<'_>) {
    let host = input.host;
    view.put("/dev", Node::Directory { mode: 0o755 }, Protection::Files);
    for (kind, rest) in entries(SYSTEM) {
        match kind {
            "show" if leads_nowhere_broad(Path::new(rest), input) => {
                place(view, Path::new(rest), host, &Node::Host(BindAccess::ReadOnly), Protection::Files);
            }
            "hide" => hide(view, Path::new(rest), host, Protection::Files),
            "root" if input.facts.uid == 0 => hide(view, Path::new(rest), host, Protection::Files),
            "identity" => hide(view, Path::new(rest), host, Protection::FileVisibility),
            "device" if *host.at(Path::new(rest)) == PathFact::Special => {
                view.put(rest, Node::Host(BindAccess::Device), Protection::Files);
            }
            "link" => {
                if let Some((path, text)) = rest.split_once(' ') {
                    view.put(path, Node::Link { text: text.into() }, Protection::Files);
                }
            }
            "store" => {
                if let Some((path, mode)) = rest.split_once(' ') {
                    // A table with a mode that is not octal fails its test; such an entry is private at any rate.
                    let mode = u32::from_str_radix(mode, 8).unwrap_or(0o700);
                    view.put(path, Node::Private { mode }, Protection::Files);
                }
            }
            _ => {}
        }
    }
    view.put("/dev/pts", Node::DevPts, Protection::Terminal);
    put_proc(view, input);
}

fn put_proc(view: &mut View, input: Input<'_>) {
    view.put("/proc", Node::Proc, Protection::ProcessVisibility);
    for (kind, rest) in entries(PROC) {
        let Some((whom, path)) = rest.split_once(' ') else { continue };
        if whom == "root" && input.facts.uid != 0 {
            continue;
        }
        let fact = input.host.at(Path::new(path));
        let directory = *fact == PathFact::Directory;
        match (kind, fact) {
            (_, PathFact::Missing) | ("hide", PathFact::Sealed) => {}
            ("hide", _) => view.put(path, Node::Mask { directory }, Protection::Kernel),
            _ => view.put(path, Node::ReadOnly, Protection::Kernel),
        }
    }
}

/// Whether an entry is what it is called, or a link to something as narrow: one that leads to the root, to a directory
/// that holds home, or into home is not followed.
fn leads_nowhere_broad(path: &Path, input: Input<'_>) -> bool {
    let Input { request, host, .. } = input;
    let elsewhere = host.link_to(path).and_then(|_| host.real(path));
    elsewhere.is_none_or(|end| {
        let home = is_below(&request.home, &end) || is_below(&end, &request.home);
        !home && unreadable(&end, request).is_none()
    })
}

/// Puts a node of the host's at a path that exists. Where the path leads through a symbolic link, the link is put, and the
/// node at the path's real place: were it put under both names, what is hidden under one would be seen under the other.
pub(super) fn place(view: &mut View, path: &Path, host: &Host<'_>, node: &Node, protection: Protection) {
    // What is missing or cannot be read is not shown; what is neither file nor directory is not data.
    if !matches!(host.at(path), PathFact::Missing | PathFact::Socket | PathFact::Special | PathFact::Sealed) {
        place_existing(view, path, host, node, protection);
    }
}

/// As [`place`], of whatever is there.
pub(super) fn place_existing(view: &mut View, path: &Path, host: &Host<'_>, node: &Node, protection: Protection) {
    let Some(end) = host.real(path) else { return };
    if let Some(Link { path, text, resolved: Some(resolved) }) = host.link_to(path) {
        view.put(path, Node::Link { text: link_text(path, text, resolved) }, protection);
    }
    view.put(end, node.clone(), protection);
}

/// The host's own text of a link where it leads straight to the end, else the end: a link in between would not exist.
fn link_text(path: &Path, text: &Path, resolved: &Path) -> PathBuf {
    let straight = path.parent().and_then(|parent| normal(&parent.join(text)));
    if straight.as_deref() == Some(resolved) { text.to_path_buf() } else { resolved.to_path_buf() }
}

/// Hides a path at its real place, where the caller could read it: a mount cannot be put on a link.
pub(super) fn hide(view: &mut View, path: &Path, host: &Host<'_>, protection: Protection) {
    let directory = match host.at(path) {
        PathFact::Missing | PathFact::Sealed => return,
        PathFact::Directory => true,
        PathFact::Symlink { directory, .. } => *directory,
        PathFact::File | PathFact::Socket | PathFact::Special => false,
    };
    if let Some(end) = host.real(path) {
        view.put(end, Node::Mask { directory }, protection);
    }
}
