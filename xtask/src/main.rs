//! Development tasks: `cargo xtask TASK`.

mod bench;
mod dist;
mod machines;

use std::process::ExitCode;

const USAGE: &str =
    "usage: cargo xtask dist [DIRECTORY]\n\n  dist  write manual pages and shell completions (to target/dist)\n";

#[expect(clippy::print_stderr, reason = "a development tool that talks to whoever runs it")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["bench", ref rest @ ..] => bench::run(rest),
        ["machines", ref rest @ ..] => machines::run(rest),
        ["dist"] => dist::write("target/dist".as_ref()).map_err(Into::into),
        ["dist", directory] => dist::write(directory.as_ref()).map_err(Into::into),
        _ => {
            eprint!("{USAGE}{}{}", bench::USAGE, machines::USAGE);
            return ExitCode::FAILURE;
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
