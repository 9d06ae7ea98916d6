//! Which changes are held back: those to files that a person's own tools execute or obey later.
//!
//! The rules are those of a workspace that is written directly, where such files are held read-only, and are put away when
//! they appear: the patterns, what git would obey wherever it lies, and what the host's git configuration names. Git's
//! ordinary work is not in the way of them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use stockade_spec::glob::Cursor;

use super::error::ApplyError;
use super::git_shape::Shapes;
use super::host::Host;
use super::request::{Named, Request};
use crate::before::{Before, GIT_RULE, REFERENCE_RULE};
use crate::layers::{Change, Kind, Stack};

/// Tells what is protected. Faster when it is asked in the order of paths.
pub(super) struct Protection<'a> {
    request: &'a Request<'a>,
    changes: &'a [Change],
    before: Before,
    named: Named<'a>,
    shapes: Shapes<'a>,
    /// The directory that was entered last.
    path: PathBuf,
    /// It and those above it, from the top, each with the length of its path.
    above: Vec<(usize, Directory<'a>)>,
}

/// What is known of the paths in a directory.
#[derive(Clone)]
enum Directory<'a> {
    /// They are as protected as it is: by this, or not at all.
    Same(Option<String>),
    /// The rules, as they stand in it.
    Rules(Cursor<'a>),
}

impl<'a> Protection<'a> {
    /// Looks through the workspace for what is protected in it. `changes` are in order.
    pub(super) fn new(
        stack: &'a Stack,
        request: &'a Request<'a>,
        changes: &'a [Change],
        host: &'a Host,
    ) -> Result<Self, ApplyError> {
        Ok(Self {
            request,
            changes,
            before: Before::take(request.workspace, request.rules, request.home)?,
            named: Named::new(&request.options.protected)?,
            shapes: Shapes::new(host, stack, changes),
            path: PathBuf::new(),
            above: Vec::new(),
        })
    }

    /// Whether the caller wants this path though it is protected.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        self.named.covers(path)
    }

    /// What protects the path of a change, unless the caller wants it all the same.
    pub(super) fn rule(&mut self, change: &Change) -> Option<String> {
        if self.is_named(&change.path) {
            return None;
        }
        match self.enter(change.path.parent().unwrap_or(Path::new(""))) {
            Directory::Same(rule) => rule,
            Directory::Rules(cursor) => self.judge(&cursor, &change.path, Some(change)).flatten(),
        }
    }

    /// Goes to a directory, from the nearest one above it that was entered for the last path.
    fn enter(&mut self, path: &Path) -> Directory<'a> {
        let mut whole = std::mem::take(&mut self.path).into_os_string().into_vec();
        while self.above.last().is_some_and(|(length, _)| !is_at_or_below(path, &whole[..*length])) {
            self.above.pop();
        }
        let (length, mut directory) = match self.above.last() {
            Some((length, directory)) => (*length, directory.clone()),
            None => (0, Directory::Rules(self.request.rules.walk())),
        };
        whole.truncate(length);
        let mut whole = PathBuf::from(OsString::from_vec(whole));
        let rest = path.as_os_str().as_bytes().get(length..).unwrap_or_default();
        for name in rest.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let name = OsStr::from_bytes(name);
            whole.push(name);
            if let Directory::Rules(cursor) = &directory {
                directory = match self.judge(cursor, &whole, self.change(&whole)) {
                    Some(rule) => Directory::Same(rule),
                    None => Directory::Rules(cursor.enter(name)),
                };
            }
            self.above.push((whole.as_os_str().len(), directory.clone()));
        }
        self.path = whole;
        directory
    }

    fn change(&self, path: &Path) -> Option<&'a Change> {
        let at = self.changes.binary_search_by(|change| change.path.as_path().cmp(path)).ok()?;
        Some(&self.changes[at])
    }

    /// What protects an entry of a directory, where the rules stand at `cursor`: `None` where nothing does, `Some(None)` where
    /// something would but what is there is harmless.
    #[expect(clippy::option_option, reason = "two questions, of which the second is asked only after the first")]
    fn judge(&self, cursor: &Cursor<'_>, path: &Path, change: Option<&Change>) -> Option<Option<String>> {
        let bytes = path.as_os_str().as_bytes();
        let (dir, name) = crate::directory::split(bytes);
        let is_link = change.is_some_and(|change| change.new.is_some_and(|new| new.kind == Kind::Symlink));
        let text = OsStr::from_bytes(name);
        let rule = cursor.matches(text).or_else(|| if is_link { cursor.leads_on(text) } else { None });
        let rule = match rule {
            Some(rule) => self.request.rules.globs().get(rule).map_or("", |glob| glob.as_str()),
            None if self.shapes.obeys(dir, name) => GIT_RULE,
            None if is_link && self.shapes.is_in_repository(dir) => GIT_RULE,
            None if self.is_referred_to(path) || is_link && self.before.leads_over(path) => REFERENCE_RULE,
            None => return None,
        };
        let is_passing = |change: &Change| {
            change.new.is_none() && rule == GIT_RULE && self.shapes.is_passing(name) || self.shapes.is_harmless(change)
        };
        let passes = change.is_some_and(is_passing);
        Some((!passes).then(|| rule.to_owned()))
    }

    /// Whether a git configuration or a protected link of the host's leads to it.
    fn is_referred_to(&self, path: &Path) -> bool {
        self.before.find(path).is_some()
            || self.before.absent.binary_search_by(|absent| absent.as_path().cmp(path)).is_ok()
    }
}

fn is_at_or_below(path: &Path, above: &[u8]) -> bool {
    let rest = path.as_os_str().as_bytes().strip_prefix(above);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}
