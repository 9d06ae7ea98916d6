//! Names of one directory, packed and in order.

use std::ffi::CStr;

use rustix::io::{Errno, Result};

/// What a name costs besides its bytes.
const PLACE: usize = size_of::<u32>();

/// Names that wait for their turn, in the order of bytes.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Each name with its NUL.
    bytes: Vec<u8>,
    starts: Vec<u32>,
    next: usize,
}

impl Names {
    /// Adds a name; `OVERFLOW` when all of them take more than `limit` bytes.
    pub(crate) fn add(&mut self, name: &CStr, limit: usize) -> Result<()> {
        self.starts.push(u32::try_from(self.bytes.len()).map_err(|_| Errno::OVERFLOW)?);
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
        if self.cost() > limit { Err(Errno::OVERFLOW) } else { Ok(()) }
    }

    /// Puts them in order, each once.
    pub(crate) fn sort(&mut self) {
        let Self { bytes, starts, .. } = self;
        starts.sort_unstable_by(|one, other| name_at(bytes, *one).cmp(name_at(bytes, *other)));
        starts.dedup_by(|one, other| name_at(bytes, *one) == name_at(bytes, *other));
    }

    /// Bytes of memory that they take.
    pub(crate) const fn cost(&self) -> usize {
        self.bytes.len() + self.starts.len() * PLACE
    }

    /// Whether none waits.
    pub(crate) const fn is_done(&self) -> bool {
        self.next >= self.starts.len()
    }

    /// The next one.
    pub(crate) fn take(&mut self) -> Option<&CStr> {
        let start = *self.starts.get(self.next)?;
        self.next += 1;
        Some(name_at(&self.bytes, start))
    }
}

/// The name that begins there.
fn name_at(bytes: &[u8], start: u32) -> &CStr {
    CStr::from_bytes_until_nul(&bytes[start as usize..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_order_and_once() {
        let mut names = Names::default();
        for name in [c"b", c"a", c"ab", c"b", c"\xff", c"a"] {
            names.add(name, 1000).expect("room");
        }
        names.sort();
        let taken: Vec<_> = std::iter::from_fn(|| names.take().map(CStr::to_owned)).collect();
        assert_eq!(taken, [c"a", c"ab", c"b", c"\xff"].map(CStr::to_owned));
        assert!(names.is_done());
    }

    #[test]
    fn names_are_bounded() {
        let mut names = Names::default();
        assert_eq!(names.add(c"12345", 10), Ok(()));
        assert_eq!(names.add(c"1", 10), Err(Errno::OVERFLOW));
    }
}
