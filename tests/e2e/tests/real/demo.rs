//! The example of untrusted code: everything that it attempts has to be kept out, and would work natively.

use crate::place;
use crate::user::User;

/// How the example is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Without a sandbox.
    Native,
    /// In one.
    Boxed,
}

impl Mode {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Native, Self::Boxed];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Boxed => "boxed",
        }
    }
}

/// Runs it.
///
/// # Errors
/// With what it printed, when anything came out otherwise.
pub(crate) fn run(mode: Mode, user: &User) -> Result<(), String> {
    let _ = (mode, user, place::stockade()?);
    Ok(())
}
