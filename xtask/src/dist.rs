//! Manual pages and shell completions, generated from the command line's own definition.

use std::io;
use std::path::Path;

use clap_complete::Shell;

/// Writes `man/*.1` and `completions/*` below `directory`.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    let manual = directory.join("man");
    let completions = directory.join("completions");
    std::fs::create_dir_all(&manual)?;
    std::fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(stockade_cli::command(), &manual)?;
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut stockade_cli::command(), "stockade", &completions)?;
    }
    Ok(())
}
