//! The file system as seen inside: what lies at which path, before it becomes mounts or Landlock rules.
//!
//! Parts of the policy put nodes in, in order of precedence; the last one put at a path wins. [`View::settle`] then orders
//! them so that a directory comes before what lies below it, and leaves out what changes nothing: each mount costs tens
//! of microseconds at every start.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::paths::{is_below, normal};
use crate::plan::BindAccess;
use crate::report::Protection;

/// What lies at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A directory of the new root.
    Directory { mode: u32 },
    /// A private, writable directory.
    Private { mode: u32 },
    /// A file with fixed content.
    File { content: String, mode: u32 },
    /// A file with fixed content, in the place of the host's where that is seen. [`View::settle`] makes it a
    /// [`Node::File`] where it is not.
    Cover { content: String, mode: u32 },
    /// A symbolic link.
    Link { text: PathBuf },
    /// The host's file or directory of the same path.
    Host(BindAccess),
    /// The host's Unix socket of the same path.
    Socket,
    /// The host's directory of the same path; writes vanish.
    CopyOnWrite,
    /// Hidden.
    Mask { directory: bool },
    /// What is visible there, held read-only.
    ReadOnly,
    /// What is visible there, held in place.
    Pin,
    /// A fresh `/proc`.
    Proc,
    /// A fresh `/dev/pts`.
    DevPts,
}

/// A node with its place and purpose.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) node: Node,
    pub(super) protection: Protection,
}

/// Every node of the view.
#[derive(Debug, Default)]
pub(super) struct View {
    entries: Vec<Entry>,
}

/// A view in its final order.
#[derive(Debug)]
pub(super) struct Settled {
    entries: Vec<Entry>,
}

impl View {
    /// Puts a node in place of any that is there.
    pub(super) fn put(&mut self, path: impl Into<PathBuf>, node: Node, protection: Protection) {
        self.entries.push(Entry { path: path.into(), node, protection });
    }

    /// Orders the nodes and leaves out those that change nothing.
    pub(super) fn settle(mut self) -> Settled {
        // The sort is stable, so the last node put at a path is the last of its run.
        self.entries.sort_by(|a, b| order(&a.path, &b.path));
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        let mut above: Vec<usize> = Vec::new();
        let mut entries = self.entries.into_iter().peekable();
        while let Some(mut entry) = entries.next() {
            if entries.peek().is_some_and(|next| next.path.as_os_str() == entry.path.as_os_str()) {
                continue;
            }
            while above.last().is_some_and(|&i| !is_below(&entry.path, &kept[i].path)) {
                above.pop();
            }
            let nearest = above.last().map(|&i| &kept[i].node);
            if let (false, Node::Cover { content, mode }) = (nearest.is_some_and(shows_the_host), &mut entry.node) {
                entry.node = Node::File { content: std::mem::take(content), mode: *mode };
            }
            if changes_something(&entry.node, nearest) {
                above.push(kept.len());
                kept.push(entry);
            }
        }
        Settled { entries: kept }
    }
}

/// Whether what lies below a node is the host's.
const fn shows_the_host(node: &Node) -> bool {
    matches!(node, Node::Host(_) | Node::CopyOnWrite | Node::ReadOnly | Node::Pin)
}

/// Whether a node changes what is seen, given the nearest node above it.
fn changes_something(node: &Node, above: Option<&Node>) -> bool {
    let Some(above) = above else {
        return !matches!(node, Node::Mask { .. } | Node::ReadOnly | Node::Pin);
    };
    match (above, node) {
        // Deny wins over whatever is allowed below it; and below a link lies what it leads to, put there itself.
        (Node::Mask { .. } | Node::Link { .. }, _) => false,
        // Nothing lies there that could be hidden or held.
        (
            Node::Directory { .. } | Node::Private { .. } | Node::File { .. } | Node::DevPts,
            Node::Mask { .. } | Node::ReadOnly | Node::Pin,
        ) => false,
        // It is seen already, with at least the same access.
        (Node::Host(_) | Node::CopyOnWrite | Node::ReadOnly | Node::Pin, Node::Host(BindAccess::ReadOnly)) => false,
        (Node::Host(BindAccess::Write) | Node::Pin, Node::Host(BindAccess::Write) | Node::CopyOnWrite) => false,
        // Protected files stay protected.
        (Node::ReadOnly, Node::Host(BindAccess::Write) | Node::CopyOnWrite) => false,
        // It is held already; a read-only mount cannot be renamed in either.
        (Node::Host(BindAccess::ReadOnly) | Node::ReadOnly, Node::ReadOnly | Node::Pin) => false,
        // The host's own link or file of that name is seen.
        (Node::Host(_) | Node::CopyOnWrite, Node::Link { .. } | Node::File { .. }) => false,
        _ => true,
    }
}

impl Settled {
    /// The nodes, each directory before what lies below it.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The nearest node at or above a path.
    fn nearest(&self, path: &Path) -> Option<&Entry> {
        path.ancestors().find_map(|ancestor| {
            let found = self.entries.binary_search_by(|entry| order(&entry.path, ancestor));
            found.ok().map(|i| &self.entries[i])
        })
    }

    /// Whether the host's file or directory of that path, should it exist, is seen inside, or a private directory is
    /// just there.
    pub(super) fn shows(&self, path: &Path) -> bool {
        self.nearest(path).is_some_and(|entry| match &entry.node {
            Node::Host(_) | Node::CopyOnWrite | Node::ReadOnly | Node::Pin => true,
            Node::Directory { .. }
            | Node::Private { .. }
            | Node::File { .. }
            | Node::Cover { .. }
            | Node::Socket
            | Node::Proc
            | Node::DevPts => entry.path == path,
            Node::Link { text } => {
                let target = entry.path.parent().unwrap_or(&entry.path).join(text);
                let rest = path.strip_prefix(&entry.path).unwrap_or(Path::new(""));
                // A link that leads to a link is not followed: the survey resolves links to their end.
                normal(&target.join(rest)).is_some_and(|end| {
                    self.nearest(&end).is_some_and(|at| matches!(at.node, Node::Host(_) | Node::CopyOnWrite))
                })
            }
            Node::Mask { .. } => false,
        })
    }
}

/// Orders paths so that a directory comes right before everything below it: byte by byte, with the slash first.
fn order(a: &Path, b: &Path) -> Ordering {
    let (a, b) = (a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes());
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    match a.iter().zip(b).find(|(x, y)| x != y) {
        Some((x, y)) => rank(*x).cmp(&rank(*y)),
        None => a.len().cmp(&b.len()),
    }
}
