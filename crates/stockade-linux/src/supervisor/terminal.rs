//! Signals of the supervisor, and what they mean for the command.

/// Signals that the supervisor takes from a descriptor: those that a caller sends to a command that it started, and what
/// the terminal driver tells.
pub(super) const FORWARDED: &[i32] = &[
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTSTP,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// Signals that end a launch that is under way: there is no command yet that could be told of them.
pub(super) const ENDING: &[i32] = &[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];
