//! Whether a write to a broken connection would kill the process.

use super::error::GateError;

/// `SIGPIPE` as a bit of the masks of `/proc/pid/status` (proc_pid_status(5)).
const SIGPIPE_BIT: u64 = 1 << 12;

/// Refuses processes that neither ignore `SIGPIPE` nor, in the thread that starts the gate and hands its mask on, block it.
/// `splice(2)` knows no flag like `MSG_NOSIGNAL`.
pub(super) fn check() -> Result<(), GateError> {
    let status = std::fs::read_to_string("/proc/thread-self/status").map_err(GateError::Status)?;
    if is_harmless(&status) { Ok(()) } else { Err(GateError::BrokenPipeSignal) }
}

fn is_harmless(status: &str) -> bool {
    let masks = status.lines().filter_map(|line| line.strip_prefix("SigIgn:").or_else(|| line.strip_prefix("SigBlk:")));
    let mut masks = masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    masks.any(|mask| mask & SIGPIPE_BIT != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_or_blocked_is_harmless() {
        assert!(is_harmless("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001000\n"));
        assert!(is_harmless("SigBlk:\t0000000000001000\nSigIgn:\t0000000000000000\n"));
        assert!(!is_harmless("SigBlk:\t0000000000002000\nSigIgn:\t0000000000000800\nSigCgt:\t0000000000001000\n"));
        assert!(check().is_ok(), "programs in Rust ignore it");
    }
}
