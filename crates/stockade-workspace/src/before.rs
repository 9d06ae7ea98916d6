//! What was protected when a run started.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::FileType;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use stockade_spec::glob::Rules;

use crate::directory;
use crate::error::ScanError;
use crate::identity::{Identity, Known, find};
use crate::leads::{Gatherer, Leads};
use crate::listing::{self, Hit, Protector};
use crate::originals::{Gathered, Originals};
use crate::walk::{self, Visitor, to_path};
use crate::{git, os_text};

/// Most protected files and directories of one workspace, their contents included where those are recorded.
pub(crate) const MAX_PROTECTED: usize = 20_000;

/// What protects an entry of a git directory that no rule names.
pub(crate) const GIT_RULE: &str = "configuration or hooks of a git directory";

/// What protects a file that a git configuration names, or a protected link leads to.
pub(crate) const REFERENCE_RULE: &str = "where a git configuration or a protected link leads";

/// The protected files of a workspace at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    #[serde(with = "os_text")]
    pub(crate) workspace: PathBuf,
    pub(crate) root: Identity,
    /// Nanoseconds since 1970.
    pub(crate) started: i64,
    /// The top-most ones, by path.
    pub(crate) entries: Vec<Known>,
    /// The directories in which they lie.
    pub(crate) parents: Vec<Known>,
    /// What lies in those that are directories, once [`Before::record_contents`] was called.
    pub(crate) contents: Option<Vec<Known>>,
    /// Paths to which a git configuration or a protected link leads, and that are not there; in order.
    #[serde(with = "os_text::list")]
    pub(crate) absent: Vec<PathBuf>,
    /// Working trees of git's that no link may come to lie on the way to; in order.
    #[serde(default, with = "os_text::list")]
    pub(crate) ways: Vec<PathBuf>,
    /// The entries themselves. A run whose supervisor was killed has lost them.
    #[serde(skip)]
    pub(crate) originals: Originals,
}

/// Finds the protected files and directories of a workspace: absolute paths, in order; where a directory is protected, it
/// and nothing below it. A protected name that is a symbolic link is found as the link.
///
/// # Errors
/// When the workspace or a directory in it cannot be read, or holds more than can be handled; see [`ScanError`].
/// Directories that the caller may not enter are passed over.
pub fn scan(workspace: &Path, rules: &Rules, home: &Path) -> Result<Vec<PathBuf>, ScanError> {
    Ok(Before::take(workspace, rules, home)?.paths())
}

struct Collector<'a> {
    entries: BTreeMap<Vec<u8>, Identity>,
    parents: BTreeMap<Vec<u8>, Identity>,
    leads: Gatherer<'a>,
    originals: Gathered,
}

impl Visitor for Collector<'_> {
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &[u8], hits: Vec<Hit>) -> Result<(), ScanError> {
        let error = |source| ScanError::Read { path: to_path(path), source };
        self.parents.insert(path.to_vec(), Identity::of(&directory::own_status(dir).map_err(error)?));
        for hit in hits {
            let whole = directory::join(path, hit.name.as_bytes());
            // Git removes it in ordinary work; one that leads elsewhere or runs something is found at the end.
            if hit.is_passing() && git::is_harmless(dir, path, &hit.name, hit.kind) {
                continue;
            }
            match directory::status(dir, &hit.name) {
                Ok(status) => {
                    self.originals.hold(dir, &hit.name, &whole, &status);
                    self.entries.insert(whole, Identity::of(&status));
                }
                Err(Errno::NOENT) => continue,
                Err(source) => return Err(ScanError::Read { path: to_path(&whole), source }),
            };
            if hit.kind == FileType::Symlink {
                self.leads.link(&to_path(&directory::join(path, hit.name.as_bytes())));
            } else if git::is_configuration(hit.name.as_bytes())
                && let Some(text) = git::read(dir, &hit.name)
            {
                self.leads.configuration(&to_path(path), &text);
            }
            if self.entries.len() > MAX_PROTECTED {
                return Err(ScanError::TooManyProtected(MAX_PROTECTED));
            }
        }
        Ok(())
    }

    /// What the caller may not enter, the command may not either. Anything else would leave protected files unknown.
    fn closed(
        &mut self,
        _: Option<BorrowedFd<'_>>,
        _: &CStr,
        path: &[u8],
        source: Errno,
    ) -> Result<Option<OwnedFd>, ScanError> {
        match source {
            Errno::ACCESS | Errno::PERM | Errno::NOENT => Ok(None),
            source => Err(ScanError::Read { path: to_path(path), source }),
        }
    }
}

impl Before {
    /// Opens the workspace, if it still is the directory that was looked at.
    pub(crate) fn open_again(&self) -> Result<OwnedFd, ScanError> {
        let root = walk::open_workspace(&self.workspace)?;
        let status = directory::own_status(root.as_fd());
        let same = status.is_ok_and(|status| Identity::of(&status).is_same_file(&self.root));
        if same { Ok(root) } else { Err(ScanError::Replaced(self.workspace.clone())) }
    }

    /// Looks through a workspace (an absolute path without links) before a run. `home` is where the configuration of git lies that
    /// holds for every repository.
    ///
    /// # Errors
    /// As [`scan`].
    pub fn take(workspace: &Path, rules: &Rules, home: &Path) -> Result<Self, ScanError> {
        let root = walk::open_workspace(workspace)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let status = directory::own_status(root.as_fd());
        let status = status.map_err(|source| ScanError::Open { path: workspace.to_owned(), source })?;
        let leads = Gatherer::new(workspace, home);
        let (entries, parents, originals) = Default::default();
        let mut found = Collector { entries, parents, leads, originals };
        walk::walk(root.as_fd(), rules, &mut found)?;
        let Collector { entries, parents, leads, originals } = found;
        let Leads { named, ways } = leads.finish();
        let mut found = Found { entries, originals };
        let absent = found.add(root.as_fd(), named);
        let known = |(path, identity): (Vec<u8>, Identity)| Known { path: to_path(&path), identity };
        Ok(Self {
            workspace: workspace.to_owned(),
            root: Identity::of(&status),
            started: i64::try_from(now).unwrap_or(i64::MAX),
            entries: found.entries.into_iter().map(known).collect(),
            parents: parents.into_iter().map(known).collect(),
            contents: None,
            absent,
            ways: ways.into_iter().collect(),
            originals: found.originals.finish(),
        })
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The protected files and directories: absolute, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.entries.iter().map(|known| self.workspace.join(&known.path)).collect()
    }

    /// The same, relative to the workspace.
    #[must_use]
    pub fn entries(&self) -> &[Known] {
        &self.entries
    }

    /// Also takes note of everything in protected directories, for a run in which they cannot be held read-only.
    ///
    /// # Errors
    /// When one cannot be read, or there is more than can be handled.
    pub fn record_contents(&mut self) -> Result<(), ScanError> {
        let root = walk::open_workspace(&self.workspace)?;
        let mut contents = Vec::new();
        for known in self.entries.iter().filter(|known| known.identity.kind() == FileType::Directory) {
            contents.append(&mut contents_of(root.as_fd(), &known.path)?);
            if contents.len() > MAX_PROTECTED {
                return Err(ScanError::TooManyProtected(MAX_PROTECTED));
            }
        }
        contents.sort_unstable_by(|one, other| one.path.as_os_str().cmp(other.path.as_os_str()));
        self.contents = Some(contents);
        Ok(())
    }

    pub(crate) fn find(&self, path: &Path) -> Option<&Identity> {
        find(&self.entries, path)
    }

    /// Whether something protected, or a working tree of git's, lies below a path, or a working tree at it: a link there would
    /// lead elsewhere what leads there.
    pub(crate) fn leads_over(&self, path: &Path) -> bool {
        let below = [path.as_os_str().as_bytes(), b"/"].concat();
        let first = self.entries.partition_point(|known| known.path.as_os_str().as_bytes() < below.as_slice());
        let is_below = |known: &Known| known.path.as_os_str().as_bytes().starts_with(&below);
        let next = |all: &[PathBuf]| {
            let first = all.partition_point(|known| known.as_path() < path);
            all.get(first).is_some_and(|known| known.starts_with(path))
        };
        self.entries.get(first).is_some_and(is_below) || next(&self.absent) || next(&self.ways)
    }

    pub(crate) fn parent(&self, path: &Path) -> Option<&Identity> {
        find(&self.parents, path)
    }
}

/// What is protected.
struct Found {
    entries: BTreeMap<Vec<u8>, Identity>,
    originals: Gathered,
}

impl Found {
    /// Adds the named paths that are there, and gives those that are not.
    fn add(&mut self, root: BorrowedFd<'_>, named: BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let mut absent = Vec::new();
        for path in named {
            let covered = path.ancestors().any(|above| self.entries.contains_key(above.as_os_str().as_bytes()));
            if covered || self.entries.len() >= MAX_PROTECTED {
                continue;
            }
            let bytes = path.as_os_str().as_bytes();
            let (parents, name) = directory::split(bytes);
            let found = directory::open_below(root, parents).and_then(|dir| {
                let name = directory::c_name(name)?;
                Ok((directory::status(dir.as_fd(), &name)?, dir, name))
            });
            match found {
                Ok((status, dir, name)) => {
                    self.originals.hold(dir.as_fd(), &name, bytes, &status);
                    self.entries.insert(bytes.to_vec(), Identity::of(&status));
                }
                Err(_) => absent.push(path),
            }
        }
        absent
    }
}

/// What lies at the last name of a path, in the directory that it leads to.
pub(crate) fn look_in(parent: BorrowedFd<'_>, path: &[u8]) -> Result<Identity, Errno> {
    let name = directory::c_name(directory::split(path).1)?;
    Ok(Identity::of(&directory::status(parent, &name)?))
}

/// Everything below a directory, in the order of bytes. Directories that may not be entered count as empty.
pub(crate) fn contents_of(root: BorrowedFd<'_>, path: &Path) -> Result<Vec<Known>, ScanError> {
    let mut found: BTreeMap<Vec<u8>, Identity> = BTreeMap::new();
    let mut waiting = vec![path.as_os_str().as_bytes().to_vec()];
    while let Some(path) = waiting.pop() {
        let dir = match directory::open_below(root, &path) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            Err(source) => return Err(ScanError::Read { path: to_path(&path), source }),
        };
        let error = |source| ScanError::Read { path: to_path(&path), source };
        listing::each(dir.as_fd(), |name, kind| {
            let whole = directory::join(&path, name.to_bytes());
            found.insert(whole.clone(), Identity::of(&directory::status(dir.as_fd(), name)?));
            if kind == FileType::Directory {
                waiting.push(whole);
            }
            if found.len() > MAX_PROTECTED { Err(Errno::OVERFLOW) } else { Ok(()) }
        })
        .map_err(|source| match source {
            Errno::OVERFLOW => ScanError::TooManyProtected(MAX_PROTECTED),
            source => error(source),
        })?;
    }
    Ok(found.into_iter().map(|(path, identity)| Known { path: to_path(&path), identity }).collect())
}

/// The text of what protects a file.
pub(crate) fn rule_text(rules: &Rules, protector: Protector) -> String {
    match protector {
        Protector::Rule(at) => rules.globs().get(at).map_or_else(String::new, |glob| glob.as_str().to_owned()),
        Protector::Git => GIT_RULE.to_owned(),
    }
}
