//! Carrying connections: from their acceptance inside to the event that tells of them.

pub(crate) mod accept;
mod carry;
pub(crate) mod doors;
mod first;
pub(crate) mod limits;
mod little;
mod pair;
pub(crate) mod pipes;
mod publish;
mod pump;
pub(crate) mod record;
mod serve;

pub use limits::Limits;
pub(crate) use pair::set_prompt;
pub(crate) use publish::publish;
pub(crate) use serve::{begin, serve};
