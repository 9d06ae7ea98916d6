//! What a sandbox is in the midst of, said before it begins, so that an interruption at any point can be undone or completed.
//!
//! It is the text of a symbolic link `pending`, since a link is there with its whole text or not at all, and needs nothing
//! forced to disk. It names the generation that the manifest will have once the change has taken place. A manifest of that
//! generation means that what is left is to be completed; an older one, that everything is to be put back.

use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::error::SandboxError;
use super::folder::Folder;
use super::id::Id;

pub(super) const LINK: &str = "pending";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `upper` becomes a layer, and an empty one takes its place.
    Seal,
    /// An empty `upper` with other attributes takes the place of an empty one.
    Replace,
    /// A layer is made anew.
    Make,
}

/// A change that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) step: Step,
    /// The generation that completes it.
    pub(super) generation: u64,
    /// The layer that it makes.
    pub(super) layer: Option<Id>,
    /// Permission bits of `upper` that have to be put back, as moving it took others.
    pub(super) mode: Option<u32>,
}

impl Pending {
    /// Says that it begins.
    pub(super) fn begin(&self, folder: &Folder) -> Result<(), SandboxError> {
        let step = match self.step {
            Step::Seal => "seal",
            Step::Replace => "replace",
            Step::Make => "make",
        };
        let layer = self.layer.map_or_else(|| "-".to_owned(), |layer| layer.to_string());
        let mode = self.mode.map_or_else(|| "-".to_owned(), |mode| format!("{mode:o}"));
        let text = format!("{step} {} {layer} {mode}", self.generation);
        write(folder, LINK, &text)
    }

    /// What the folder's sandbox was in the midst of.
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, SandboxError> {
        let Some(text) = read(folder.fd(), LINK).map_err(|error| folder.failed("read", LINK, error))? else {
            return Ok(None);
        };
        let damaged = |NoPending| SandboxError::Damaged {
            path: folder.path().join(LINK),
            what: format!("{text:?} is nothing that a sandbox can be in the midst of"),
        };
        text.parse().map(Some).map_err(damaged)
    }

    /// Says that it is over.
    pub(super) fn end(folder: &Folder) -> Result<(), SandboxError> {
        folder.unlink(LINK, AtFlags::empty())
    }
}

/// A text that says nothing of the kind.
#[derive(Debug)]
pub(super) struct NoPending;

impl FromStr for Pending {
    type Err = NoPending;

    fn from_str(text: &str) -> Result<Self, NoPending> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(NoPending);
        let step = match word()? {
            "seal" => Step::Seal,
            "replace" => Step::Replace,
            "make" => Step::Make,
            _ => return Err(NoPending),
        };
        let generation = word()?.parse().map_err(|_| NoPending)?;
        let layer = Some(word()?).filter(|word| *word != "-").map(str::parse).transpose().map_err(|_| NoPending)?;
        let mode = Some(word()?).filter(|word| *word != "-");
        let mode = mode.map(|mode| u32::from_str_radix(mode, 8)).transpose().map_err(|_| NoPending)?;
        if layer.is_none() && step != Step::Replace {
            return Err(NoPending);
        }
        Ok(Self { step, generation, layer, mode })
    }
}

/// Writes a text that is there as a whole or not at all.
pub(super) fn write(folder: &Folder, link: &str, text: &str) -> Result<(), SandboxError> {
    rustix::fs::symlinkat(text, folder.fd(), link).map_err(|error| folder.failed("create", link, error))
}

/// Reads a text that was so written; `None` where there is none.
pub(super) fn read(folder: BorrowedFd<'_>, link: &str) -> Result<Option<String>, Errno> {
    match rustix::fs::readlinkat(folder.as_fd(), link, Vec::new()) {
        Ok(text) => Ok(Some(text.to_string_lossy().into_owned())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_is_read_as_it_was_written() {
        let place = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700)).tempdir();
        let place = place.expect("a directory");
        let folder = Folder::open(place.path()).expect("a folder");
        assert_eq!(Pending::read(&folder).expect("read"), None);
        for pending in [
            Pending { step: Step::Seal, generation: 7, layer: Some(Id::random().expect("an id")), mode: Some(0o40) },
            Pending { step: Step::Make, generation: 1, layer: Some(Id::random().expect("an id")), mode: None },
            Pending { step: Step::Replace, generation: u64::MAX, layer: None, mode: None },
        ] {
            pending.begin(&folder).expect("begun");
            assert_eq!(Pending::read(&folder).expect("read"), Some(pending));
            Pending::end(&folder).expect("ended");
        }
    }

    #[test]
    fn anything_else_is_damage() {
        let id = "0123456789abcdef0123456789abcdef";
        for text in ["", "seal", "seal 1 - -", "seal x - -", "seal 1 ../.. -", "undo 1 - -", &format!("seal 1 {id} 9")]
        {
            assert!(text.parse::<Pending>().is_err(), "{text}");
        }
        assert!(format!("seal 1 {id} 700").parse::<Pending>().is_ok());
    }
}
