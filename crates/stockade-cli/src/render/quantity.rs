//! Numbers as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `1 file`, `2 files`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// How long ago a moment was, in nanoseconds since 1970, in its largest unit.
pub(super) fn ago(moment: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let seconds = now.saturating_sub(u128::try_from(moment).unwrap_or(0)) / 1_000_000_000;
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "min")] {
        if seconds >= length {
            return format!("{}{unit} ago", seconds / length);
        }
    }
    format!("{seconds}s ago")
}

/// Bytes with one decimal in their largest decimal unit.
pub(super) fn size(bytes: u64) -> String {
    for (factor, unit) in [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")] {
        if bytes >= factor {
            return format!("{}.{} {unit}", bytes / factor, bytes % factor / (factor / 10));
        }
    }
    format!("{bytes} B")
}

/// Milliseconds since 1970, as events have them, of nanoseconds.
pub(super) const fn milliseconds(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_999, "1.9 kB"), (12_345_678, "12.3 MB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "18446744.0 TB");
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let before = |seconds: i64| i64::try_from(now).expect("fits") - seconds * 1_000_000_000;
        for (seconds, text) in [(0, "0s ago"), (90, "1min ago"), (7_200, "2h ago"), (200_000, "2d ago")] {
            assert_eq!(ago(before(seconds)), text);
        }
        assert_eq!(ago(i64::MAX), "0s ago");
    }
}
