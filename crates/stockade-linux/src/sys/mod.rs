//! The only files of the project that hold `unsafe`: thin layers over system calls that rustix does not offer.

pub(crate) mod alarm;
#[cfg(target_env = "musl")]
pub(crate) mod allocator;
pub(crate) mod clone;
pub(crate) mod descriptors;
pub(crate) mod exec;
pub(crate) mod janitor;
pub(crate) mod kill;
pub(crate) mod landlock;
pub(crate) mod loopback;
pub(crate) mod maker;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod notify;
pub(crate) mod ptrace;
pub(crate) mod seccomp;
pub(crate) mod signals;
pub(crate) mod stack;
pub(crate) mod title;
pub(crate) mod usage;
pub(crate) mod user_namespace;
pub(crate) mod wait;
