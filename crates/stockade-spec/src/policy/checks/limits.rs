//! Bounds on resources: what is too little to run anything, and what no machine has.

use std::fmt::Display;

use super::{Fault, quoted};
use crate::policy::network::{MOST_AT_ONCE, MOST_PER_SECOND};
use crate::policy::print::Processors;
use crate::units::{ByteSize, Span};

/// No machine has more; larger values are slips of the pen.
const MOST_BYTES: u64 = 1 << 60;

fn within<T: PartialOrd + Display>(value: T, what: &str, least: T, most: T) -> Result<T, Fault> {
    if value < least {
        Err(Fault::new(format!("{value} is too little for `{what}`"), format!("the least is {least}")))
    } else if value > most {
        Err(Fault::new(format!("{value} is too much for `{what}`"), format!("the most is {most}")))
    } else {
        Ok(value)
    }
}

/// A program and its libraries do not load in less than a few MiB.
pub(in crate::policy) fn memory(value: ByteSize) -> Result<ByteSize, Fault> {
    within(value, "memory", ByteSize(4 << 20), ByteSize(MOST_BYTES))
}

pub(in crate::policy) fn disk(value: ByteSize) -> Result<ByteSize, Fault> {
    within(value, "disk", ByteSize(1 << 20), ByteSize(MOST_BYTES))
}

pub(in crate::policy) fn output(value: ByteSize) -> Result<ByteSize, Fault> {
    within(value, "output", ByteSize(1), ByteSize(MOST_BYTES))
}

pub(in crate::policy) fn sent(value: ByteSize) -> Result<ByteSize, Fault> {
    within(value, "sent", ByteSize(1), ByteSize(MOST_BYTES))
}

pub(in crate::policy) fn received(value: ByteSize) -> Result<ByteSize, Fault> {
    within(value, "received", ByteSize(1), ByteSize(MOST_BYTES))
}

pub(in crate::policy) fn connections(value: u32) -> Result<u32, Fault> {
    within(value, "connections", 1, 1_000_000_000)
}

/// The most is what one process has descriptors for, two and more for each connection.
pub(in crate::policy) fn connections_at_once(value: u32) -> Result<u32, Fault> {
    within(value, "connections_at_once", 1, MOST_AT_ONCE)
}

pub(in crate::policy) fn connections_per_second(value: u32) -> Result<u32, Fault> {
    within(value, "connections_per_second", 1, MOST_PER_SECOND)
}

/// The least is the command and one child; the most is the kernel's `PID_MAX_LIMIT` (`include/linux/threads.h`).
pub(in crate::policy) fn process_count(value: u32) -> Result<u32, Fault> {
    within(value, "processes", 2, 4 << 20)
}

/// The least lets a dynamic loader work; the most is the highest value of `fs.nr_open` (`fs/file.c`).
pub(in crate::policy) fn file_count(value: u32) -> Result<u32, Fault> {
    within(value, "files", 16, 1 << 30)
}

pub(in crate::policy) fn time(value: Span) -> Result<Span, Fault> {
    within(value, "time", Span { milliseconds: 10 }, Span { milliseconds: 3650 * 86_400_000 })
}

pub(in crate::policy) fn linger(value: Span) -> Result<Span, Fault> {
    within(value, "linger", Span { milliseconds: 0 }, Span { milliseconds: 3650 * 86_400_000 })
}

/// A hundredth of a processor is the least that the kernel's bandwidth control takes with its usual period
/// (`min_cfs_quota_period`, 1 ms of 100 ms).
pub(in crate::policy) fn milli_cpus(value: u32) -> Result<u32, Fault> {
    if (10..=8_192_000).contains(&value) {
        return Ok(value);
    }
    let shown = Processors(value);
    Err(Fault::new(format!("{shown} is no number of processors"), "write 0.01 to 8192: `cpus = 2` or `cpus = 0.5`"))
}

/// Thousandths of a processor from a decimal number, without floating point.
pub(in crate::policy) fn cpus(text: &str) -> Result<u32, Fault> {
    let wrong = || {
        let message = format!("{} is no number of processors", quoted(text));
        Fault::new(message, "write 2 or 0.5, with at most three decimals")
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| wrong())?;
    let milli = whole.checked_mul(1_000).and_then(|milli| milli.checked_add(thousandths));
    milli_cpus(milli.ok_or_else(wrong)?)
}
