//! The `stockade` program from outside: what it prints and how it exits. Nothing here starts a sandbox.

mod bad_input;
mod help;
mod policy;
mod program;
