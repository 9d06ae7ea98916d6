//! stockade-linux

pub mod relay;
pub mod seccomp;
