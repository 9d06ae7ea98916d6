//! Many rules at once, for a walk over many names.

use std::path::Path;

use super::component::Component;
use super::fold::fold;
use super::{Glob, GlobError, names};

/// Most rules of one set.
pub const MAX_RULES: usize = 4096;

/// Whether letter case counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// Names differ when their bytes do.
    #[default]
    Exact,
    /// Names are compared as by [`Glob::matches_folded`].
    Folded,
}

/// A set of rules, in order. Cloning copies the rules.
#[derive(Clone, Debug)]
pub struct Rules {
    globs: Box<[Glob]>,
    case: Case,
    /// Rules `**/NAME…` wait for their first name in every directory; those whose name has no wildcard, by name.
    anywhere: Box<[(Box<[u8]>, State)]>,
    /// The others of them.
    anywhere_wild: Box<[State]>,
    /// By first byte, the lengths of the names in `anywhere`: bit n for length n, the last bit for all longer ones. Tells
    /// most names apart without looking at more of them.
    lengths: Box<[u64; 256]>,
    /// What waits in the root directory only.
    relative: Box<[State]>,
    absolute: Box<[State]>,
}

/// A rule that waits for a name to match one of its components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    rule: u16,
    at: u16,
}

/// The rules as they stand in one directory of a walk.
#[derive(Clone, Debug)]
pub struct Cursor<'r> {
    rules: &'r Rules,
    /// Sorted, without repetition; besides what waits in every directory.
    states: Vec<State>,
    relative: bool,
}

impl Rules {
    /// Reads rules, in order.
    ///
    /// # Errors
    /// As [`Glob::new`], for the first text that is not a rule; and when there are more than [`MAX_RULES`].
    pub fn new<S: AsRef<str>>(texts: impl IntoIterator<Item = S>, case: Case) -> Result<Self, GlobError> {
        let globs = texts.into_iter().map(|text| Glob::new(text.as_ref())).collect::<Result<Box<[_]>, _>>()?;
        Self::from_globs(globs, case)
    }

    fn from_globs(globs: Box<[Glob]>, case: Case) -> Result<Self, GlobError> {
        if globs.len() > MAX_RULES {
            return Err(GlobError::TooMany(globs.len()));
        }
        let (mut anywhere, mut anywhere_wild) = (Vec::new(), Vec::new());
        let (mut relative, mut absolute) = (Vec::new(), Vec::new());
        let mut lengths = Box::new([0_u64; 256]);
        for (rule, glob) in (0_u16..).zip(&globs) {
            let components = glob.components(case);
            match components {
                _ if glob.absolute => wait(components, State { rule, at: 0 }, &mut absolute),
                [Component::Deep, Component::Literal(name), ..] => {
                    lengths[usize::from(first(name))] |= length_bit(name);
                    anywhere.push((name.clone(), State { rule, at: 1 }));
                }
                [Component::Deep, ..] => anywhere_wild.push(State { rule, at: 1 }),
                _ => relative.push(State { rule, at: 0 }),
            }
        }
        anywhere.sort_unstable();
        Ok(Self {
            globs,
            case,
            anywhere: anywhere.into(),
            anywhere_wild: anywhere_wild.into(),
            lengths,
            relative: relative.into(),
            absolute: absolute.into(),
        })
    }

    /// The rules, in order.
    #[must_use]
    pub fn globs(&self) -> &[Glob] {
        &self.globs
    }

    /// The first rule that covers `path`: one that matches it or a directory above it. Paths are taken as by
    /// [`Glob::matches`].
    #[must_use]
    pub fn first_match(&self, path: &Path) -> Option<&Glob> {
        let mut cursor = if path.has_root() { self.walk_absolute() } else { self.walk() };
        let mut found = usize::MAX;
        for name in names(path) {
            found = found.min(cursor.matches_bytes(name).unwrap_or(usize::MAX));
            cursor = cursor.enter_bytes(name);
        }
        self.globs.get(found)
    }

    /// Starts a walk in the directory to which the rules are relative.
    #[must_use]
    pub fn walk(&self) -> Cursor<'_> {
        Cursor { rules: self, states: self.relative.to_vec(), relative: true }
    }

    fn walk_absolute(&self) -> Cursor<'_> {
        Cursor { rules: self, states: self.absolute.to_vec(), relative: false }
    }

    fn component(&self, state: State) -> &Component {
        &self.components(state)[usize::from(state.at)]
    }

    fn components(&self, state: State) -> &[Component] {
        self.globs[usize::from(state.rule)].components(self.case)
    }

    fn is_last(&self, state: State) -> bool {
        usize::from(state.at) + 1 == self.components(state).len()
    }

    /// What waits in every directory for this very name.
    fn anywhere(&self, name: &[u8]) -> &[(Box<[u8]>, State)] {
        if self.lengths[usize::from(first(name))] & length_bit(name) == 0 {
            return &[];
        }
        let from = self.anywhere.partition_point(|(literal, _)| **literal < *name);
        let count = self.anywhere[from..].iter().take_while(|(literal, _)| **literal == *name).count();
        &self.anywhere[from..from + count]
    }
}

impl Cursor<'_> {
    /// The place, in [`Rules::globs`], of the first rule that matches this entry of the directory.
    #[must_use]
    pub fn matches(&self, name: &std::ffi::OsStr) -> Option<usize> {
        self.matches_bytes(name.as_encoded_bytes())
    }

    /// The place of the first rule that goes on below this entry: one that names the entry on the way to something deeper. A
    /// link with such a name can stand in for the directory that the rule means.
    #[must_use]
    pub fn leads_on(&self, name: &std::ffi::OsStr) -> Option<usize> {
        let mut found: Option<u16> = None;
        self.each(name.as_encoded_bytes(), |state| {
            if !self.rules.is_last(state) {
                found = Some(found.map_or(state.rule, |rule| rule.min(state.rule)));
            }
        });
        found.map(usize::from)
    }

    /// The rules as they stand in the subdirectory of this name.
    #[must_use]
    pub fn enter(&self, name: &std::ffi::OsStr) -> Self {
        self.enter_bytes(name.as_encoded_bytes())
    }

    fn matches_bytes(&self, name: &[u8]) -> Option<usize> {
        let mut found: Option<u16> = None;
        self.each(name, |state| {
            if self.rules.is_last(state) {
                found = Some(found.map_or(state.rule, |rule| rule.min(state.rule)));
            }
        });
        found.map(usize::from)
    }

    fn enter_bytes(&self, name: &[u8]) -> Self {
        let mut states = Vec::new();
        for state in self.states.iter().filter(|state| *self.rules.component(**state) == Component::Deep) {
            wait(self.rules.components(*state), *state, &mut states);
        }
        self.each(name, |state| {
            if !self.rules.is_last(state) {
                wait(self.rules.components(state), State { at: state.at + 1, ..state }, &mut states);
            }
        });
        states.sort_unstable();
        states.dedup();
        Self { rules: self.rules, states, relative: self.relative }
    }

    /// Calls `hit` for everything that waits here for this name; not for `**`, which only waits on.
    fn each(&self, name: &[u8], mut hit: impl FnMut(State)) {
        let folded = match self.rules.case {
            Case::Exact => name.into(),
            Case::Folded => fold(name),
        };
        let name = folded.as_ref();
        if self.relative {
            self.rules.anywhere(name).iter().for_each(|(_, state)| hit(*state));
            let wild = self.rules.anywhere_wild.iter();
            wild.filter(|state| self.rules.component(**state).matches(name)).for_each(|state| hit(*state));
        }
        for state in &self.states {
            let component = self.rules.component(*state);
            if *component != Component::Deep && component.matches(name) {
                hit(*state);
            }
        }
    }
}

/// Adds a waiting state, and the next one where this one is `**`.
fn wait(components: &[Component], state: State, states: &mut Vec<State>) {
    states.push(state);
    if components[usize::from(state.at)] == Component::Deep {
        states.push(State { at: state.at + 1, ..state });
    }
}

fn first(name: &[u8]) -> u8 {
    name.first().copied().unwrap_or(0)
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}
