//! The `stockade` program from outside: what it prints and how it exits.

mod bad_input;
mod help;
mod plan;
mod policy;
mod program;
mod run;
mod sandboxes;
mod threaded;
