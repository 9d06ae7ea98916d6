#![allow(unsafe_code, reason = "POSIX timers have no safe wrapper")]
//! A timer that continues this process when it is stopped (`timer_create(2)`).

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::time::Duration;

/// Sends this process SIGCONT when its time has come; dropped before, it does not.
#[derive(Debug)]
pub(crate) struct Alarm(libc::timer_t);

impl Alarm {
    /// After so long, while the process is stopped as well.
    pub(crate) fn after(time: Duration) -> io::Result<Self> {
        // SAFETY: a structure of numbers and pointers, for which zeros are valid.
        let mut event: libc::sigevent = unsafe { zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGCONT;
        let mut timer = MaybeUninit::uninit();
        // SAFETY: both pointers are valid for the call, which initialises the timer when it succeeds.
        if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded.
        let alarm = Self(unsafe { timer.assume_init() });
        // No time at all would disarm it.
        let time = time.max(Duration::from_nanos(1));
        let value = libc::timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = libc::itimerspec { it_interval: once, it_value: value };
        // SAFETY: the timer is there as long as `alarm` is, the setting is valid for the call, and a null pointer asks for nothing.
        if unsafe { libc::timer_settime(alarm.0, 0, &raw const setting, std::ptr::null_mut()) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(alarm)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer was made by this value, and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}
