//! Counting refused names, in bounded memory.

use std::collections::BTreeMap;

use super::Denial;

/// Most names that are counted one by one. A program that hides data in labels asks for a new name each time.
pub const MAX_COUNTED: usize = 256;

/// How often which names were refused.
#[derive(Debug, Default)]
pub struct Tally {
    counted: BTreeMap<String, u64>,
    /// Refusals of names that came after the bound.
    beyond: u64,
}

impl Tally {
    /// Counts a refusal, and gives it back if it is to be told: the first one of each of the first [`MAX_COUNTED`] names.
    pub fn note(&mut self, denial: Denial) -> Option<Denial> {
        if let Some(count) = self.counted.get_mut(&denial.name) {
            *count = count.saturating_add(1);
            return None;
        }
        if self.counted.len() >= MAX_COUNTED {
            self.beyond = self.beyond.saturating_add(1);
            return None;
        }
        self.counted.insert(denial.name.clone(), 1);
        Some(denial)
    }

    /// Names with the number of their refusals, by name.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counted.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Refusals of names that are not in [`counts`](Self::counts), because there were too many.
    #[must_use]
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;

    #[test]
    fn names_are_told_once_and_counted_up_to_a_bound() {
        let mut tally = Tally::default();
        let denial = |name: String| Denial { name, reason: Reason::Rules { rule: None } };
        for round in 0..3 {
            for index in 0..MAX_COUNTED {
                let told = tally.note(denial(format!("{index}.example"))).is_some();
                assert_eq!(told, round == 0);
            }
        }
        for index in 0..100_000 {
            assert_eq!(tally.note(denial(format!("secret-{index}.example"))), None);
        }
        assert_eq!(tally.counts().count(), MAX_COUNTED);
        assert!(tally.counts().all(|(_, count)| count == 3));
        assert_eq!(tally.beyond(), 100_000);
    }
}
