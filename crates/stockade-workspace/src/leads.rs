//! Where git's configuration and protected links lead in a workspace, links on the way included.
//!
//! All of this is the host's own, from before sandboxed code ran: it is read by path, as git reads it.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::git;
use crate::git_config::{self, Reference};

/// Most files of configuration that are read; git itself follows includes ten deep.
const MAX_FILES: usize = 256;

/// Most links that one path may lead over, as for the kernel.
const MAX_LINKS: usize = 40;

/// Paths relative to the workspace.
#[derive(Debug, Default)]
pub(crate) struct Leads {
    /// What tools would execute or obey, be it there or not, and links that lead to it.
    pub(crate) named: BTreeSet<PathBuf>,
    /// Working trees that git would write to. What is in them may change, and links may not come to lie on the way.
    pub(crate) ways: BTreeSet<PathBuf>,
}

/// Gathers them.
#[derive(Debug)]
pub(crate) struct Gatherer<'a> {
    workspace: &'a Path,
    home: &'a Path,
    /// Directories of repositories in the workspace, and their working trees.
    bases: BTreeSet<PathBuf>,
    read: BTreeSet<PathBuf>,
    leads: Leads,
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(workspace: &'a Path, home: &'a Path) -> Self {
        Self { workspace, home, bases: BTreeSet::new(), read: BTreeSet::new(), leads: Leads::default() }
    }

    /// Takes note of a git directory, relative to the workspace, and of what a configuration in it says.
    pub(crate) fn configuration(&mut self, own: &Path, text: &str) {
        let own = self.workspace.join(own);
        let work = own.parent().map(Path::to_owned).unwrap_or_default();
        self.text(text, &own, &[own.clone(), work.clone()], &own);
        self.bases.extend([own, work]);
    }

    /// Takes note of a protected link.
    pub(crate) fn link(&mut self, path: &Path) {
        let found = self.follow(&self.workspace.join(path));
        self.leads.named.extend(found);
    }

    /// Reads what configures every repository in the workspace, and gives all that was found.
    pub(crate) fn finish(mut self) -> Leads {
        for above in self.workspace.ancestors().skip(1) {
            let own = above.join(".git");
            self.file(&own.join("config"), &[own.clone(), above.to_owned()], &own);
        }
        self.bases.insert(self.workspace.to_owned());
        let bases: Vec<_> = self.bases.iter().cloned().collect();
        for file in global(self.home) {
            self.file(&file, &bases, Path::new("/"));
        }
        self.leads
    }

    /// Reads one file of configuration, once.
    fn file(&mut self, path: &Path, bases: &[PathBuf], own: &Path) {
        if self.read.len() >= MAX_FILES || !self.read.insert(path.to_owned()) {
            return;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let text = rustix::fs::open(path, flags, Mode::empty()).ok().and_then(git::read_open);
        if let Some((text, dir)) = text.zip(path.parent()) {
            self.text(&text, dir, bases, own);
        }
    }

    /// Follows what a configuration in `dir` names. Hooks are relative to each of `bases`, working trees to `own`.
    fn text(&mut self, text: &str, dir: &Path, bases: &[PathBuf], own: &Path) {
        for reference in git_config::references(text) {
            match reference {
                Reference::Include(path) => {
                    let path = dir.join(self.expanded(&path));
                    let found = self.follow(&path);
                    self.leads.named.extend(found);
                    self.file(&path, bases, own);
                }
                Reference::Hooks(path) => {
                    for base in bases {
                        let found = self.follow(&base.join(self.expanded(&path)));
                        self.leads.named.extend(found);
                    }
                }
                Reference::WorkTree(path) => {
                    let found = self.follow(&own.join(path));
                    self.leads.ways.extend(found);
                }
            }
        }
    }

    /// The links on the way to a path, and where it leads, as far as these lie in the workspace.
    fn follow(&self, path: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut links = 0;
        let mut at = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = names(path).collect();
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let Ok(target) = std::fs::read_link(&next) else {
                at = next;
                continue;
            };
            found.push(next);
            links += 1;
            if links > MAX_LINKS {
                return self.inside(found);
            }
            if target.has_root() {
                at = PathBuf::from("/");
            }
            names(&target).rev().for_each(|name| rest.push_front(name));
        }
        found.push(at);
        self.inside(found)
    }

    /// A path as git reads it from its configuration: `~/` is the home.
    fn expanded(&self, path: &str) -> PathBuf {
        path.strip_prefix("~/").map_or_else(|| path.into(), |rest| self.home.join(rest))
    }

    fn inside(&self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let relative = |path: PathBuf| path.strip_prefix(self.workspace).ok().map(Path::to_owned);
        paths.into_iter().filter_map(relative).filter(|path| !path.as_os_str().is_empty()).collect()
    }
}

/// The names of a path and its `..`.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

/// Configuration of every repository of a user (`git-config(1)`, "FILES").
fn global(home: &Path) -> [PathBuf; 3] {
    ["/etc/gitconfig".into(), home.join(".config/git/config"), home.join(".gitconfig")]
}
