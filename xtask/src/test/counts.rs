//! What a step counted, read from what it printed.

use std::fmt;

/// Tests that passed and failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Lines that say what was not run, and why.
    pub(super) not_run: Vec<String>,
}

impl Counts {
    /// Of the output of a step. Two forms of sums count: `test result: ok. 3 passed; 0 failed; …` of libtest, and lines that
    /// begin with `3 passed, 0 failed`. Without either, lines `test NAME ... ok` and `... FAILED` are counted, and a step
    /// without those is one test. One whose status says that it failed has a failure, whatever it printed.
    pub(super) fn of(output: &str, succeeded: bool) -> Self {
        let mut counts = Self::default();
        for line in output.lines() {
            if let Some((passed, failed)) = summary(line) {
                counts.passed += passed;
                counts.failed += failed;
            }
            if is_not_run(line) {
                counts.not_run.push(line.trim().to_owned());
            }
        }
        if counts.passed + counts.failed == 0 {
            let ending = |end: &str| {
                output.lines().filter(|line| line.starts_with("test ") && line.contains(end)).count() as u64
            };
            (counts.passed, counts.failed) = (ending(" ... ok"), ending(" ... FAILED"));
        }
        if !succeeded && counts.failed == 0 {
            counts.failed = 1;
        } else if succeeded && counts.passed + counts.failed == 0 {
            counts.passed = 1;
        }
        counts
    }

    /// Adds those of another step.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_run.extend(other.not_run);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn summary(line: &str) -> Option<(u64, u64)> {
    // An indented one belongs to something of which the step itself gives the sum.
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    let rest = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map_or(line, |(_, rest)| rest);
    let words: Vec<&str> = rest.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).collect();
    match words[..] {
        [passed, "passed", failed, "failed", ..] => Some((passed.parse().ok()?, failed.parse().ok()?)),
        _ => None,
    }
}

/// `not run: WHAT` of our own steps, `test NAME ... ignored, WHY` of libtest, and sums that end in `, 3 not run WHY`.
fn is_not_run(line: &str) -> bool {
    let in_sum = line.split(", ").any(|part| part.contains(" not run") && !part.starts_with("0 "));
    line.starts_with("not run: ") || (line.starts_with("test ") && line.contains(" ... ignored")) || in_sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_count() {
        let output = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n7 passed, 2 failed, 0 not run\n  1 passed, 1 failed\n";
        let counts = Counts::of(output, false);
        assert_eq!((counts.passed, counts.failed), (10, 2));
    }

    #[test]
    fn a_step_without_counts_is_one_test() {
        assert_eq!(Counts::of("fine", true), Counts { passed: 1, ..Counts::default() });
        assert_eq!(Counts::of("", false), Counts { failed: 1, ..Counts::default() });
    }

    #[test]
    fn tests_without_a_sum_are_counted() {
        let counts = Counts::of("test a ... ok\ntest b ... ok (0.1 s)\ntest c ... FAILED\n", false);
        assert_eq!((counts.passed, counts.failed), (2, 1));
    }

    #[test]
    fn a_failed_step_counts_even_where_it_printed_no_failure() {
        assert_eq!(Counts::of("test result: ok. 3 passed; 0 failed", false).failed, 1);
        assert_eq!(Counts::of("test result: ok. 3 passed; 0 failed", true).failed, 0);
    }

    #[test]
    fn what_was_not_run_is_kept() {
        let counts = Counts::of(
            "test java::root ... ignored, needs a JDK\nnot run: advisories\n1 passed, 0 failed, 2 not run for want of root\n1 passed, 0 failed, 0 not run\n",
            true,
        );
        assert_eq!(
            counts.not_run,
            [
                "test java::root ... ignored, needs a JDK",
                "not run: advisories",
                "1 passed, 0 failed, 2 not run for want of root"
            ]
        );
        assert_eq!(counts.passed, 2);
    }
}
