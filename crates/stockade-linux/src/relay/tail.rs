//! The last part of what a command wrote.

/// Bytes of standard error (or of the pseudo-terminal) that are kept, to explain a failure by its own words.
pub const TAIL_BYTES: usize = 16 * 1024;

/// The last [`TAIL_BYTES`] of a stream. At most twice as many are held, so that not every write moves them.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Adds what came last.
    pub(super) fn push(&mut self, new: &[u8]) {
        let new = &new[new.len().saturating_sub(TAIL_BYTES)..];
        if self.bytes.len() + new.len() > 2 * TAIL_BYTES {
            let surplus = self.bytes.len().saturating_sub(TAIL_BYTES - new.len());
            self.bytes.drain(..surplus);
        }
        self.bytes.extend_from_slice(new);
    }

    /// The last bytes, at most [`TAIL_BYTES`].
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(TAIL_BYTES)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_exactly_the_last_bytes_however_they_come() {
        let all: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        for step in [1, 7, 4096, 16_384, 16_385, 50_000, 200_000] {
            let mut tail = Tail::default();
            for part in all.chunks(step) {
                tail.push(part);
                assert!(tail.bytes.len() <= 2 * TAIL_BYTES, "bounded with steps of {step}");
            }
            assert_eq!(tail.as_bytes(), &all[all.len() - TAIL_BYTES..], "steps of {step}");
        }
    }

    #[test]
    fn short_streams_are_kept_whole() {
        let mut tail = Tail::default();
        tail.push(b"cannot open ");
        tail.push(b"file\n");
        assert_eq!(tail.as_bytes(), b"cannot open file\n");
    }
}
