//! The part of a policy that is about sandboxes that last.

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// How a sandbox that lasts is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastingPolicy {
    /// When checkpoints are taken.
    pub checkpoint: Checkpoints,
    /// How long the sandbox stays ready when nothing runs in it any more.
    pub linger: Span,
}

impl Default for LastingPolicy {
    fn default() -> Self {
        Self { checkpoint: Checkpoints::default(), linger: Span { milliseconds: 30_000 } }
    }
}

/// When checkpoints of a sandbox are taken. The one that keeps less comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Checkpoints {
    /// When somebody asks for one.
    #[default]
    Asked,
    /// Before each command as well.
    EachCommand,
}

impl Checkpoints {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Asked, Self::EachCommand];

    /// The word in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::EachCommand => "each-command",
        }
    }
}
