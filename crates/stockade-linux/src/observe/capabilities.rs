//! The supervisor's own power, put aside while it looks or acts in the place of a process that has none.

use std::io;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// The capabilities that this thread may use; empty unless it runs as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnCapabilities(CapabilitySets);

impl OwnCapabilities {
    pub(super) fn read() -> io::Result<Self> {
        Ok(Self(capabilities(None)?))
    }

    /// Runs `action` without any effective capability of this thread, so that the kernel checks permissions as it would
    /// for the process, which has the same user and groups.
    pub(super) fn aside<T>(&self, action: impl FnOnce() -> T) -> Result<T, Errno> {
        if self.0.effective.is_empty() {
            return Ok(action());
        }
        set_capabilities(None, CapabilitySets { effective: CapabilitySet::empty(), ..self.0 })?;
        let result = action();
        set_capabilities(None, self.0)?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_put_aside_and_taken_up_again() {
        let own = OwnCapabilities::read().unwrap();
        let during = own.aside(|| capabilities(None).unwrap()).unwrap();
        assert!(during.effective.is_empty());
        assert_eq!(during.permitted, own.0.permitted);
        assert_eq!(capabilities(None).unwrap(), own.0);
    }
}
