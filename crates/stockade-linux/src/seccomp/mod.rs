//! The system-call filter: which calls pass, which are refused, and which the supervisor is asked about.
//!
//! [`program`] turns the plan's [`SystemCallFilter`](stockade_spec::plan::SystemCallFilter) into a BPF program for
//! `seccomp(2)`; [`meaning`] and [`refusal`] explain a notified call to whoever answers it. The calls are data, in
//! `table`. Everything here is pure; installing the program and talking to the kernel about notifications are in `sys`.
//!
//! Arguments that the kernel reads as 32 bits (file descriptors, flags, families, process ids) are compared in their
//! low half only, because the kernel ignores the high half and a filter that looked at it could be fooled with it.

#![forbid(unsafe_code)]

mod architecture;
mod block;
mod checks;
mod meaning;
mod program;
mod table;
#[cfg(test)]
mod tests;

pub use architecture::Architecture;
pub use meaning::{Kind, Meaning, internet_socket, meaning, refusal};
pub use program::program;
