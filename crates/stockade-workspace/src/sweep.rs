//! Looks through the workspace once a run has ended, and puts away what it planted.

mod catching;

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use stockade_spec::glob::Rules;

use crate::before::{self, Before, REFERENCE_RULE};
use crate::directory;
use crate::error::ScanError;
use crate::git;
use crate::identity::{self, Identity};
use crate::listing::Hit;
use crate::quarantine::{Catch, Quarantine, Reason};
use crate::replaced::{self, Place};
use crate::swept::{Finding, Hold, Left, Options, Swept};
use crate::walk::{self, Visitor, to_path};

/// Most findings, and most failures, that one sweep lists; what is beyond is put away all the same and counted.
const MAX_LISTED: usize = 10_000;

/// Most directories whose permissions are put back as sandboxed code left them.
const MAX_OPENED: usize = 4_096;

/// File times come from a clock that may lag by a tick of at most 10 milliseconds.
const TICK: i64 = 10_000_000;

/// Sweeps the workspace of a run whose processes are all gone: puts away every protected file that is new or changed.
///
/// What could not be done is in the result, never left out: see [`Swept::failures`] and [`Swept::incomplete`].
#[must_use]
pub fn sweep(before: &Before, rules: &Rules, options: &Options, quarantine: &mut Quarantine) -> Swept {
    let mut sweeper = Sweeper::new(before, rules, *options, quarantine);
    if let Err(error) = sweeper.run() {
        sweeper.leave(error.left());
        sweeper.swept.incomplete = Some(error);
    }
    sweeper.swept
}

pub(crate) struct Sweeper<'a> {
    before: &'a Before,
    rules: &'a Rules,
    options: Options,
    quarantine: &'a mut Quarantine,
    seen: BTreeSet<Vec<u8>>,
    /// Directories that were opened against their permissions, with those permissions.
    opened: Vec<(Vec<u8>, Mode)>,
    pub(crate) swept: Swept,
}

impl<'a> Sweeper<'a> {
    pub(crate) fn new(before: &'a Before, rules: &'a Rules, options: Options, quarantine: &'a mut Quarantine) -> Self {
        let (seen, opened, swept) = (BTreeSet::new(), Vec::new(), Swept::default());
        Self { before, rules, options, quarantine, seen, opened, swept }
    }

    fn run(&mut self) -> Result<(), ScanError> {
        let root = self.before.open_again()?;
        let result = walk::walk(root.as_fd(), self.rules, self);
        for (path, mode) in std::mem::take(&mut self.opened).into_iter().rev() {
            // A directory that was put away meanwhile is not there any more; its permissions went with it.
            if let Ok(dir) = directory::open_below(root.as_fd(), &path) {
                self.note_failure(&path, "put back the permissions of", rustix::fs::fchmod(&dir, mode));
            }
        }
        self.references(root.as_fd());
        self.contents(root.as_fd())?;
        result?;
        self.unseen(root.as_fd());
        Ok(())
    }

    /// Judges one protected entry, and puts it away where it must be.
    pub(crate) fn judge(&mut self, dir: BorrowedFd<'_>, parent: Option<&Identity>, path: &[u8], hit: &Hit) {
        let identity = match directory::status(dir, &hit.name) {
            Ok(status) => Identity::of(&status),
            Err(Errno::NOENT) => return,
            Err(error) => return self.note_failure(path, "look at", Err(error)),
        };
        let known = self.before.find(&to_path(path));
        if known.is_some() {
            self.seen.insert(path.to_vec());
        }
        let reason = match known {
            Some(known) => {
                let place = Place { dir, name: &hit.name, path, in_git: hit.in_git };
                self.difference(known, &identity, parent, &place)
            }
            None if hit.in_git && git::is_harmless(dir, directory::split(path).0, &hit.name, identity.kind()) => None,
            None if self.is_moved(&identity) => None,
            None => Some(Reason::Appeared),
        };
        if let Some(reason) = reason {
            let rule = before::rule_text(self.rules, hit.protector);
            self.put_away(&Catch { dir, path, identity, rule: &rule, reason });
        }
    }

    /// Why a file that was there must be put away, if it must.
    fn difference(
        &self,
        known: &Identity,
        now: &Identity,
        parent: Option<&Identity>,
        place: &Place<'_>,
    ) -> Option<Reason> {
        let above = self.before.parent(&to_path(directory::split(place.path).0));
        let swapped = above.zip(parent).is_some_and(|(then, now)| !then.is_same_file(now));
        let is_directory = now.kind() == FileType::Directory;
        match self.options.hold {
            _ if now.kind() != known.kind() => Some(Reason::Replaced),
            // Whoever put it there, the hold did not come with it.
            Hold::ReadOnly if swapped || !known.is_same_file(now) => {
                let is_harmless = replaced::is_harmless(&self.before.originals, place, now.kind());
                (!is_harmless).then_some(Reason::Replaced)
            }
            Hold::ReadOnly if is_directory || known.links == 1 || known.changed == now.changed => None,
            Hold::ReadOnly => Some(Reason::ChangedThroughLink),
            Hold::Open if swapped || !known.is_same_file(now) => Some(Reason::Replaced),
            Hold::Open if is_directory => None,
            Hold::Open => (known.changed != now.changed).then_some(Reason::Changed),
        }
    }

    /// Whether a file is one that was protected before, untouched, at another path: a directory above it was renamed.
    fn is_moved(&self, identity: &Identity) -> bool {
        self.options.hold == Hold::ReadOnly && self.before.entries.iter().any(|known| known.identity == *identity)
    }

    /// Puts away what has appeared where a git configuration or a protected link of before leads, and links on the way there.
    fn references(&mut self, root: BorrowedFd<'_>) {
        for path in &self.before.absent {
            self.links_above(root, path);
            self.put_away_path(root, path, REFERENCE_RULE, Reason::Appeared);
        }
        for path in &self.before.ways {
            self.links_above(root, path);
            self.new_link(root, path);
        }
    }

    /// Puts away the link that a way now goes over, and did not before.
    fn links_above(&mut self, root: BorrowedFd<'_>, path: &Path) {
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
        above.into_iter().rev().for_each(|above| self.new_link(root, above));
    }

    fn new_link(&mut self, root: BorrowedFd<'_>, path: &Path) {
        if self.before.find(path).is_none() {
            self.put_away_if(root, path, REFERENCE_RULE, Reason::Appeared, |now| now.kind() == FileType::Symlink);
        }
    }

    /// Compares what lies in protected directories that could not be held with what lay there.
    fn contents(&mut self, root: BorrowedFd<'_>) -> Result<(), ScanError> {
        let Some(then) = self.before.contents.as_ref().filter(|_| self.options.hold == Hold::Open) else {
            return Ok(());
        };
        let directories = self.before.entries.iter().filter(|known| known.identity.kind() == FileType::Directory);
        for directory in directories {
            let rule = self.rules.first_match(&directory.path).map_or(before::GIT_RULE, |glob| glob.as_str());
            for now in before::contents_of(root, &directory.path)? {
                let known = identity::find(then, &now.path);
                let is_directory = now.identity.kind() == FileType::Directory;
                let reason = match known {
                    None => Reason::Appeared,
                    Some(known) if !known.is_same_file(&now.identity) => Reason::Replaced,
                    Some(known) if !is_directory && known.changed != now.identity.changed => Reason::Changed,
                    Some(_) => continue,
                };
                self.put_away_path(root, &now.path, rule, reason);
            }
        }
        Ok(())
    }

    /// Reports what was there and is not any more. A path that no rule leads to, because a git configuration named it, is
    /// looked up, and judged where something else lies there.
    fn unseen(&mut self, root: BorrowedFd<'_>) {
        for known in &self.before.entries {
            let path = known.path.as_os_str().as_bytes();
            if self.seen.contains(path) {
                continue;
            }
            let (parents, name) = directory::split(path);
            let dir = directory::open_below(root, parents);
            let found = dir.and_then(|dir| {
                let name = directory::c_name(name)?;
                Ok((Identity::of(&directory::status(dir.as_fd(), &name)?), dir, name))
            });
            let (now, dir, name) = match found {
                Ok(found) => found,
                Err(error) if Left::after(error) == Left::ForNow => {
                    self.note_failure(path, "look at", Err(error));
                    continue;
                }
                Err(_) => {
                    self.links_above(root, &known.path);
                    self.note(Finding::Removed { path: known.path.clone() });
                    continue;
                }
            };
            let place = Place { dir: dir.as_fd(), name: &name, path, in_git: false };
            if let Some(reason) = self.difference(&known.identity, &now, None, &place) {
                let rule = REFERENCE_RULE;
                self.put_away(&Catch { dir: dir.as_fd(), path, identity: now, rule, reason });
            }
        }
    }

    /// Whether a file may have been made or changed by the run.
    fn is_recent(&self, identity: &Identity) -> bool {
        identity.changed >= self.before.started.saturating_sub(TICK)
    }

    fn clear_bits(&mut self, dir: BorrowedFd<'_>, path: &[u8], name: &CStr) -> Result<(), Errno> {
        let is_new = |identity: &Identity| {
            identity.mode & 0o6000 != 0 && identity.kind() == FileType::RegularFile && self.is_recent(identity)
        };
        if !is_new(&Identity::of(&directory::status(dir, name)?)) {
            return Ok(());
        }
        let file = directory::open_path(dir, name)?;
        let identity = Identity::of(&directory::own_status(file.as_fd())?);
        if is_new(&identity) {
            directory::set_mode(file.as_fd(), Mode::from_raw_mode(identity.mode & 0o1777))?;
            let path = to_path(&directory::join(path, name.to_bytes()));
            self.note(Finding::BitsCleared { path, mode: identity.mode });
        }
        Ok(())
    }

    /// Opens a directory whose permissions sandboxed code took away, and takes note of them.
    fn open_closed(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<OwnedFd, Errno> {
        let child = directory::open_path(dir, name)?;
        let status = directory::own_status(child.as_fd())?;
        if FileType::from_raw_mode(status.stx_mode.into()) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        let mode = Mode::from_raw_mode(status.stx_mode.into());
        directory::set_mode(child.as_fd(), mode | Mode::RWXU)?;
        if self.opened.len() < MAX_OPENED {
            self.opened.push((path.to_vec(), mode));
        }
        directory::open_child(dir, name)
    }
}

impl Visitor for Sweeper<'_> {
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &[u8], hits: Vec<Hit>) -> Result<(), ScanError> {
        let own = directory::own_status(dir).map_err(|source| ScanError::Read { path: to_path(path), source })?;
        let own = Identity::of(&own);
        for hit in hits {
            self.judge(dir, Some(&own), &directory::join(path, hit.name.as_bytes()), &hit);
        }
        Ok(())
    }

    fn file(&mut self, dir: BorrowedFd<'_>, path: &[u8], name: &CStr) {
        if self.options.privilege_bits {
            let result = self.clear_bits(dir, path, name);
            self.note_failure(&directory::join(path, name.to_bytes()), "take set-user-id bits from", result);
        }
    }

    fn git_link(&mut self, dir: BorrowedFd<'_>, path: &[u8], name: &CStr) {
        let whole = directory::join(path, name.to_bytes());
        let Ok(identity) = directory::status(dir, name).map(|status| Identity::of(&status)) else { return };
        if identity.kind() == FileType::Symlink && self.is_recent(&identity) {
            let (rule, reason) = (before::GIT_RULE, Reason::Appeared);
            self.put_away(&Catch { dir, path: &whole, identity, rule, reason });
        }
    }

    fn closed(
        &mut self,
        parent: Option<BorrowedFd<'_>>,
        name: &CStr,
        path: &[u8],
        error: Errno,
    ) -> Result<Option<OwnedFd>, ScanError> {
        let opened = match parent.filter(|_| error == Errno::ACCESS) {
            Some(parent) => self.open_closed(parent, name, path),
            None => Err(error),
        };
        if let Err(error) = opened {
            // What the caller may not enter even as its owner, the run could not either.
            let is_foreign = matches!(error, Errno::ACCESS | Errno::PERM);
            self.leave(if is_foreign { Left::Nothing } else { Left::after(error) });
            if self.swept.closed.len() < MAX_LISTED {
                self.swept.closed.push(to_path(path));
            } else {
                self.swept.unlisted += 1;
            }
        }
        Ok(opened.ok())
    }
}
