//! A clock that makes a descriptor readable four times a second.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::error::RelayError;

/// A person who brings a job to the foreground does not notice a delay of this length: a quarter of a second.
const PERIOD: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// The clock.
#[derive(Debug)]
pub(super) struct Ticker(OwnedFd);

impl Ticker {
    pub(super) fn start() -> Result<Self, RelayError> {
        let start = || {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
            let times = Itimerspec { it_interval: PERIOD, it_value: PERIOD };
            timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
            Ok(timer)
        };
        start().map(Self).map_err(|error: rustix::io::Errno| RelayError::Terminal {
            operation: "wait for the terminal's foreground",
            source: error.into(),
        })
    }

    /// Makes the descriptor unreadable until the next tick.
    pub(super) fn take(&self) {
        let mut ticks = [0; 8];
        // Without a tick there is nothing to take, which is as good.
        rustix::io::read(&self.0, &mut ticks).ok();
    }
}

impl AsFd for Ticker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
