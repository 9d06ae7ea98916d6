//! The exit statuses of the `stockade` command: a contract that scripts rely on.
//!
//! A run has the command's own status, unless one of these says that it did not end by itself. They follow `env(1)` and
//! `timeout(1)`, so that a wrapped command can be swapped for a bare one.

/// The command ran into the time limit.
pub const TIME_LIMIT: u8 = 124;

/// Stockade could not do what was asked, and nothing was run: bad arguments, a policy that cannot be read or enforced, a
/// launch that failed. Or a command has run, and protected files may still be where it left them.
pub const FAILED: u8 = 125;

/// The command was found but cannot be executed.
pub const CANNOT_EXECUTE: u8 = 126;

/// The command was not found.
pub const NOT_FOUND: u8 = 127;

/// Added to the number of the signal that ended the command.
pub const SIGNAL_BASE: u8 = 128;

/// The command was ended for a limit on memory, processes, disk or output; the report's outcome names which.
pub const LIMIT: u8 = 137;

/// `doctor`: no tier works without degraded protections, which a policy would have to accept by name.
pub const DOCTOR_DEGRADED: u8 = 1;

/// `plan --check`: an endpoint may not be reached.
pub const PLAN_DENIED: u8 = 1;

/// `apply`: something was refused, held back or failed; the rest was applied.
pub const NOT_ALL_APPLIED: u8 = 1;

/// `audit`: something is not as it was written.
pub const AUDIT_DAMAGED: u8 = 1;

#[cfg(test)]
mod tests {
    use stockade::report::Outcome;

    use super::*;

    #[test]
    fn outcomes_keep_the_contract() {
        for (outcome, status) in [
            (Outcome::Exited { status: 3 }, 3),
            (Outcome::Exited { status: 255 }, 255),
            (Outcome::Signaled { signal: 15 }, SIGNAL_BASE + 15),
            (Outcome::NotFound, NOT_FOUND),
            (Outcome::CannotExecute { errno: 13 }, CANNOT_EXECUTE),
            (Outcome::TimeLimit, TIME_LIMIT),
            (Outcome::MemoryLimit, LIMIT),
            (Outcome::ProcessLimit, LIMIT),
            (Outcome::DiskLimit, LIMIT),
            (Outcome::OutputLimit, LIMIT),
        ] {
            assert_eq!(outcome.exit_status(), status, "{outcome:?}");
        }
    }
}
