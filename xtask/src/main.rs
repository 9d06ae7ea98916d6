//! Development tasks: `cargo xtask TASK`.

mod bench;
mod budget;
mod deny;
mod dist;
mod figures;
mod fuzz;
#[cfg(test)]
mod invariants;
mod load;
mod machines;
mod musl;
mod test;

use std::process::ExitCode;

const USAGE: &str =
    "usage: cargo xtask dist [DIRECTORY]\n\n  dist  write manual pages and shell completions (to target/dist)\n";

#[expect(clippy::print_stderr, reason = "a development tool that talks to whoever runs it")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["bench", ref rest @ ..] => bench::run(rest),
        ["budget"] => budget::run(),
        ["deny"] => deny::run(),
        ["figures", ref rest @ ..] => figures::run(rest),
        ["fuzz", ref rest @ ..] => fuzz::run(rest),
        ["load", job, server] => load::run(job, server),
        ["machines", ref rest @ ..] => machines::run(rest),
        ["musl"] => musl::run(),
        ["test", ref rest @ ..] => test::run(rest),
        ["dist"] => dist::write("target/dist".as_ref()).map_err(Into::into),
        ["dist", directory] => dist::write(directory.as_ref()).map_err(Into::into),
        _ => {
            let own = [test::USAGE, budget::USAGE, deny::USAGE, fuzz::USAGE, musl::USAGE];
            let others = [own.concat().as_str(), machines::USAGE, bench::USAGE, figures::USAGE].concat();
            eprint!("{USAGE}{others}");
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
