//! The output limit.

/// How many bytes may still be passed on, over all streams together.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes left; `None` where there is no limit.
    left: Option<u64>,
    /// Whether the command wrote more than the limit.
    exceeded: bool,
    /// Whether that was reported.
    reported: bool,
}

impl Budget {
    pub(super) const fn new(limit: Option<u64>) -> Self {
        Self { left: limit, exceeded: false, reported: false }
    }

    /// How many of `wanted` bytes may be passed on.
    pub(super) fn allow(&self, wanted: usize) -> usize {
        self.left.map_or(wanted, |left| usize::try_from(left).map_or(wanted, |left| left.min(wanted)))
    }

    /// Counts bytes that were taken from the command to be passed on; at most what [`Budget::allow`] said.
    pub(super) fn take(&mut self, bytes: usize) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// Notes that the command wrote more than may be passed on.
    pub(super) fn exceed(&mut self) {
        self.exceeded = true;
    }

    /// Whether the limit was exceeded since the last call; true once in all.
    pub(super) fn report(&mut self) -> bool {
        let news = self.exceeded && !self.reported;
        self.reported |= news;
        news
    }
}
