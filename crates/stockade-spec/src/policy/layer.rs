//! One policy text, read and checked on its own, before it is merged with others: every field may be absent.
//!
//! Values keep their place in the text, so that a layer which may not say what it says can be told where.

use std::ops::Range;

use super::endpoint::EndpointRule;
use super::{Checkpoints, NetworkDefault, WorkspaceAccess};
use crate::report::Protection;
use crate::tier::Tier;
use crate::units::{ByteSize, Span};

/// A value with its place in the text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A field that may be absent.
pub(super) type Field<T> = Option<Located<T>>;

/// A list that may be absent, which is not the same as an empty one: an untrusted layer's empty list takes all away.
pub(super) type List<T> = Option<Vec<Located<T>>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) extends: Field<&'static str>,
    pub(super) filesystem: FilesystemLayer,
    pub(super) network: NetworkLayer,
    pub(super) unix: List<String>,
    pub(super) limits: LimitsLayer,
    pub(super) environment: EnvironmentLayer,
    pub(super) nested_namespaces: Field<bool>,
    pub(super) sandbox: LastingLayer,
    /// `Some(None)` is the strongest tier that the machine has.
    pub(super) isolation: Field<Option<Tier>>,
    pub(super) accept_degraded: List<Protection>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilesystemLayer {
    pub(super) workspace: Field<WorkspaceAccess>,
    pub(super) read: List<String>,
    pub(super) write: List<String>,
    pub(super) deny: List<String>,
    pub(super) protect: List<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NetworkLayer {
    pub(super) allow: List<EndpointRule>,
    pub(super) deny: List<EndpointRule>,
    pub(super) default: Field<NetworkDefault>,
    pub(super) publish: List<u16>,
    pub(super) sent: Field<ByteSize>,
    pub(super) received: Field<ByteSize>,
    pub(super) connections: Field<u32>,
    pub(super) connections_at_once: Field<u32>,
    pub(super) connections_per_second: Field<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LimitsLayer {
    pub(super) memory: Field<ByteSize>,
    pub(super) milli_cpus: Field<u32>,
    pub(super) processes: Field<u32>,
    pub(super) files: Field<u32>,
    pub(super) disk: Field<ByteSize>,
    pub(super) time: Field<Span>,
    pub(super) output: Field<ByteSize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LastingLayer {
    pub(super) checkpoint: Field<Checkpoints>,
    pub(super) linger: Field<Span>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvironmentLayer {
    pub(super) pass: List<String>,
    pub(super) set: List<(String, String)>,
}
