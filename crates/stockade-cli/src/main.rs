//! The `stockade` command; see [`stockade_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade_cli::main()
}
