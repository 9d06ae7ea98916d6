//! Faults on demand, for tests: fails a chosen step of the plan, or holds or ends the process that reaches a chosen place.
//!
//! Only builds with the feature `fault-injection` have any of this; in others, what takes its place does nothing and is
//! compiled away (`fault_absent.rs`). Even then nothing happens until a program calls [`arm`], which the `stockade`
//! program never does: tests have a program of their own for that.

use std::io;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stockade_spec::plan::{Operation, Plan, Side};
use thiserror::Error;

use crate::supervisor::LaunchError;

/// How long a process is held at its place: long enough for a test to notice, and to act meanwhile.
const HELD: Duration = Duration::from_millis(400);

/// What a process that is held is called meanwhile (`comm` in `proc_pid_comm(5)`).
const HELD_NAME: &std::ffi::CStr = c"held";

/// The fault of this process and of those that it starts.
static ARMED: OnceLock<Fault> = OnceLock::new();

/// Places of the supervisor that were passed.
static PASSED: AtomicU32 = AtomicU32::new(0);

/// A fault: what happens, and where. As text: `fail 12`, `hold 12` (a step of the plan, by its number from 0), `fail gate`,
/// `kill 3`, `stop 3` (a place on the supervisor's way, by its number from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The step fails with `EIO`.
    Fail(u32),
    /// The gate, which is started when the command runs already, fails with `EIO` after the command has had some time.
    FailGate,
    /// The process that carries the step out waits before it does.
    Hold(u32),
    /// The supervisor is ended by SIGKILL there.
    Kill(u32),
    /// The supervisor waits there.
    Stop(u32),
}

/// A text that is no fault.
#[derive(Debug, Error)]
#[error("a fault is `fail gate`, or `fail`, `hold`, `kill` or `stop` and a number, not `{0}`")]
pub struct NoFault(String);

impl FromStr for Fault {
    type Err = NoFault;

    fn from_str(text: &str) -> Result<Self, NoFault> {
        let wrong = || NoFault(text.to_owned());
        if text == "fail gate" {
            return Ok(Self::FailGate);
        }
        let (kind, number) = text.split_once(' ').ok_or_else(wrong)?;
        let number = number.parse().map_err(|_| wrong())?;
        match kind {
            "fail" => Ok(Self::Fail(number)),
            "hold" => Ok(Self::Hold(number)),
            "kill" => Ok(Self::Kill(number)),
            "stop" => Ok(Self::Stop(number)),
            _ => Err(wrong()),
        }
    }
}

/// Sets the fault of this process; the first one counts.
pub fn arm(fault: Fault) {
    ARMED.get_or_init(|| fault);
}

/// A step of the plan is about to be carried out.
pub(crate) fn step(index: usize) -> io::Result<()> {
    match ARMED.get() {
        Some(Fault::Fail(number)) if u32::try_from(index) == Ok(*number) => {
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
        Some(Fault::Hold(number)) if u32::try_from(index) == Ok(*number) => {
            hold();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The supervisor has carried out its steps of one kind: fails as if one of them had, after the fact, so that there is
/// something to undo.
pub(crate) fn steps(plan: &Plan, kind: impl Fn(&Operation) -> bool) -> Result<(), LaunchError> {
    for (index, found) in plan.steps.iter().enumerate() {
        if found.operation.side() == Side::Supervisor && kind(&found.operation) {
            step(index).map_err(|source| LaunchError::step(&found.operation, String::new(), source))?;
        }
    }
    Ok(())
}

/// The gate is about to be started.
///
/// # Errors
/// `EIO` where it is to fail.
pub fn gate() -> io::Result<()> {
    if ARMED.get() == Some(&Fault::FailGate) {
        hold();
        return Err(io::Error::from_raw_os_error(libc::EIO));
    }
    Ok(())
}

/// The supervisor passes a place.
pub fn place() {
    let passed = PASSED.fetch_add(1, Ordering::Relaxed);
    match ARMED.get() {
        Some(Fault::Kill(number)) if *number == passed => {
            // Nothing can be done about a signal that cannot be sent; the test then sees a run that ended well.
            drop(
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                    .map_err(io::Error::from),
            );
        }
        Some(Fault::Stop(number)) if *number == passed => hold(),
        _ => {}
    }
}

/// Waits under a name that tells of it.
fn hold() {
    let named = rustix::thread::name().and_then(|name| rustix::thread::set_name(HELD_NAME).map(|()| name));
    std::thread::sleep(HELD);
    if let Ok(name) = named {
        drop(rustix::thread::set_name(&name).map_err(io::Error::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_text() {
        assert_eq!("fail 12".parse::<Fault>().expect("fail"), Fault::Fail(12));
        assert_eq!("stop 0".parse::<Fault>().expect("stop"), Fault::Stop(0));
        assert_eq!("fail gate".parse::<Fault>().expect("gate"), Fault::FailGate);
        for wrong in ["", "fail", "kill gate", "fail x", "fail -1", "break 1", "kill 1 2"] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }
}
