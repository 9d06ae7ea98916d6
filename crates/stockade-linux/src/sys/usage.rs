#![allow(unsafe_code, reason = "getrusage(2) has no safe wrapper")]
//! What the reaped children used (`getrusage(2)`).

use std::io;
use std::mem::MaybeUninit;

/// Resources used by the children that have ended and were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildUsage {
    /// User time in microseconds.
    pub(crate) user_us: u64,
    /// System time in microseconds.
    pub(crate) system_us: u64,
    /// Largest resident size of any one of them, in bytes.
    pub(crate) peak_resident: u64,
}

/// Asks the kernel.
pub(crate) fn of_children() -> io::Result<ChildUsage> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the buffer has the type that the call fills.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the buffer.
    Ok(ChildUsage::of(unsafe { usage.assume_init_ref() }))
}

impl ChildUsage {
    /// As the kernel states it.
    pub(super) fn of(usage: &libc::rusage) -> Self {
        let microseconds = |time: libc::timeval| {
            u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
        };
        Self {
            user_us: microseconds(usage.ru_utime),
            system_us: microseconds(usage.ru_stime),
            // ru_maxrss is in kilobytes (getrusage(2)).
            peak_resident: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
        }
    }
}
