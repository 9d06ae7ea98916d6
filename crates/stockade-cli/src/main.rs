//! The `stockade` command; see [`stockade_cli`].

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: stockade::Allocator = stockade::Allocator::new();

fn main() -> ExitCode {
    stockade_cli::main()
}
