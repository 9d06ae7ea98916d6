//! The `stockade` command with the fault that `STOCKADE_FAULT` describes, for tests.

#![allow(clippy::print_stderr, reason = "a program talks to its caller")]

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::var("STOCKADE_FAULT").map(|text| text.parse()) {
        Ok(Ok(fault)) => stockade::fault::arm(fault),
        Ok(Err(error)) => {
            eprintln!("stockade-faults: {error}");
            return ExitCode::from(99);
        }
        Err(_) => {}
    }
    stockade_cli::main()
}
