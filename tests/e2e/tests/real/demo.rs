//! The example of untrusted code: everything that it attempts has to be kept out, and would work natively.

use std::fs;

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
    let name = format!("untrusted-{}", mode.name());
    let _one_at_a_time = place::lock(&format!("{name}-{}", user.name))?;
    let stockade = place::stockade()?;
    let directory = place::fresh(&name, user)?;
    // A copy that every user can read, wherever the repository lies.
    let example = directory.join("example");
    let copy = || {
        fs::create_dir(&example)?;
        for entry in fs::read_dir(place::repository().join("examples/untrusted"))? {
            let entry = entry?;
            fs::copy(entry.path(), example.join(entry.file_name()))?;
        }
        Ok(())
    };
    copy().map_err(|error: std::io::Error| format!("cannot copy the example to {}: {error}", example.display()))?;

    let mut command = user.command("/bin/sh", &directory);
    command.arg(example.join("run.sh")).env("STOCKADE_BIN", stockade).current_dir(&directory);
    if mode == Mode::Native {
        command.arg("--native");
    }
    let run = command.output().map_err(|error| format!("cannot start the example: {error}"))?;
    let text = String::from_utf8_lossy(&run.stdout);
    if !run.status.success() || !text.contains("read the SSH key") {
        let errors = String::from_utf8_lossy(&run.stderr);
        return Err(format!("the example ended with {}\n{text}\n{errors}", run.status));
    }
    fs::remove_dir_all(&directory).map_err(|error| format!("cannot remove {}: {error}", directory.display()))
}
