//! How many descriptors the observer keeps for programs, which are the supervisor's and not theirs to use up.

use rustix::process::{Resource, getrlimit};

/// One part in so many of what this process may open, `most` at most and one at least.
pub(super) fn of_descriptors(parts: usize, most: usize) -> usize {
    of(getrlimit(Resource::Nofile).current, parts, most)
}

fn of(limit: Option<u64>, parts: usize, most: usize) -> usize {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    (limit / parts).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_few_files_may_be_open_few_are_kept() {
        assert_eq!(of(Some(64), 32, 32), 2);
        assert_eq!(of(Some(1024), 32, 32), 32);
        assert_eq!(of(Some(1024), 4, 1024), 256);
        assert_eq!(of(Some(1), 4, 1024), 1);
        assert_eq!(of(None, 4, 1024), 1024);
    }
}
