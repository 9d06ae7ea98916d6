//! Puts away what a sweep finds, and takes note of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use super::{MAX_LISTED, Sweeper};
use crate::before;
use crate::directory;
use crate::error::QuarantineError;
use crate::identity::Identity;
use crate::originals;
use crate::quarantine::{Catch, Reason};
use crate::swept::{Failure, Finding, Hold, Left};
use crate::walk::to_path;

impl Sweeper<'_> {
    pub(super) fn put_away(&mut self, catch: &Catch<'_>) {
        let path = to_path(catch.path);
        match self.quarantine.take(catch) {
            Ok(Some(kept)) => {
                let put_back = self.put_back(catch);
                let (rule, reason, mode) = (catch.rule.to_owned(), catch.reason, catch.identity.mode);
                self.note(Finding::PutAway { path: path.clone(), rule, reason, mode, kept, put_back });
            }
            Ok(None) => {}
            Err(error) => self.leave_file(&path, error),
        }
        if let Some(error) = self.quarantine.take_unrecorded() {
            self.fail(Failure { path, error });
        }
    }

    /// Writes a file as it was at the start to the place of what was put away. Whether it did.
    fn put_back(&mut self, catch: &Catch<'_>) -> bool {
        let path = to_path(catch.path);
        let (Hold::ReadOnly, Some(known)) = (self.options.hold, self.before.find(&path)) else { return false };
        let Some(content) = self.before.originals.content(catch.path) else { return false };
        let name = directory::c_name(directory::split(catch.path).1);
        match name.and_then(|name| originals::put_back(catch.dir, &name, &content, known.mode)) {
            Ok(put_back) => put_back,
            Err(source) => {
                self.fail(Failure { path: path.clone(), error: QuarantineError::PutBack { path, source } });
                false
            }
        }
    }

    pub(super) fn put_away_path(&mut self, root: BorrowedFd<'_>, path: &Path, rule: &str, reason: Reason) {
        self.put_away_if(root, path, rule, reason, |_| true);
    }

    pub(super) fn put_away_if(
        &mut self,
        root: BorrowedFd<'_>,
        path: &Path,
        rule: &str,
        reason: Reason,
        wanted: impl FnOnce(&Identity) -> bool,
    ) {
        let path = path.as_os_str().as_bytes();
        let (parents, _) = directory::split(path);
        let found = directory::open_below(root, parents).and_then(|dir| Ok((before::look_in(dir.as_fd(), path)?, dir)));
        match found {
            Ok((identity, _)) if !wanted(&identity) => {}
            Ok((identity, dir)) => self.put_away(&Catch { dir: dir.as_fd(), path, identity, rule, reason }),
            Err(error) if Left::after(error) == Left::ForNow => self.note_failure(path, "look at", Err(error)),
            // It is not there.
            Err(_) => {}
        }
    }

    pub(super) fn note(&mut self, finding: Finding) {
        if self.swept.findings.len() < MAX_LISTED {
            self.swept.findings.push(finding);
        } else {
            self.swept.unlisted += 1;
        }
    }

    /// Takes note of a file that stays where it is.
    fn leave_file(&mut self, path: &Path, error: QuarantineError) {
        self.leave(if let QuarantineError::Move { source, .. } = &error {
            Left::after(*source)
        } else {
            Left::ForGood
        });
        self.fail(Failure { path: path.to_owned(), error });
    }

    pub(super) fn leave(&mut self, left: Left) {
        self.swept.left = self.swept.left.max(left);
    }

    fn fail(&mut self, failure: Failure) {
        if self.swept.failures.len() < MAX_LISTED {
            self.swept.failures.push(failure);
        } else {
            self.swept.unlisted += 1;
        }
    }

    /// Takes note of a step that failed; one whose file is gone has not.
    pub(super) fn note_failure(&mut self, path: &[u8], operation: &'static str, result: Result<(), Errno>) {
        if let Err(source) = result.or_else(|error| if error == Errno::NOENT { Ok(()) } else { Err(error) }) {
            let path = to_path(path);
            let error = QuarantineError::Move { operation, path: path.clone(), source };
            self.leave_file(&path, error);
        }
    }
}
