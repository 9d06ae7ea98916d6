//! A checkpoint before a command, so that undoing the last command is one step.

use std::ffi::OsString;

use stockade_workspace::sandboxes::{Checkpoint, Taken};

use super::handle::Sandbox;
use crate::error::Error;

/// Characters of the command that the label quotes.
const MAX_QUOTED: usize = 40;

impl Sandbox {
    /// Whether it was made to have a checkpoint taken before each command, which [`Self::exec`] and [`Self::spawn`] do then.
    #[must_use]
    pub const fn takes_checkpoints(&self) -> bool {
        self.settings.checkpoint_each
    }

    /// Keeps the state before a command is run. When nothing has changed since the last checkpoint, it is that one.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn checkpoint_before(&mut self, command: &[OsString]) -> Result<Checkpoint, Error> {
        let Taken { checkpoint, is_new } = self.checkpoint_for(&label(command))?;
        if is_new {
            self.record_checkpoint(&checkpoint)?;
        }
        Ok(checkpoint)
    }
}

/// What to call it.
fn label(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let shown = |character: char| if character.is_control() { ' ' } else { character };
    let mut quoted: String = words.join(" ").chars().map(shown).take(MAX_QUOTED + 1).collect();
    if quoted.chars().count() > MAX_QUOTED {
        quoted.pop();
        quoted.push('…');
    }
    format!("before {quoted}")
}

#[cfg(test)]
mod tests {
    use stockade_workspace::sandboxes::Label;

    use super::*;

    #[test]
    fn every_command_gives_a_label() {
        let long = "é".repeat(1_000);
        for (command, expected) in [
            (vec!["make", "test"], "before make test".to_owned()),
            (vec!["sh", "-c", "a\nb\u{1b}[2J"], "before sh -c a b [2J".to_owned()),
            (vec![long.as_str()], format!("before {}…", "é".repeat(MAX_QUOTED))),
        ] {
            let command: Vec<OsString> = command.iter().map(Into::into).collect();
            let label = label(&command);
            assert_eq!(label, expected);
            assert!(label.parse::<Label>().is_ok(), "{label}");
        }
    }
}
