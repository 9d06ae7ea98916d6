//! What may be done. Everything that is not named here is refused.
//!
//! [`load`] goes the whole way from texts and options to one [`Policy`]; the other modules are its stages, in this order:
//! `text` reads one TOML text into a layer, `checks` and [`endpoint`] say what single values must be like, `layers` merges.

mod checks;
mod diagnostic;
pub mod endpoint;
mod lasting;
mod layer;
mod layers;
mod load;
mod network;
mod overrides;
mod print;
mod profiles;
mod schema;
mod suggest;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use diagnostic::{Diagnostic, Source};
pub use lasting::{Checkpoints, LastingPolicy};
pub use load::{check, check_workspace, load};
pub(crate) use network::{MOST_AT_ONCE, MOST_PER_SECOND};
pub use network::{NetworkDefault, NetworkLimits, NetworkPolicy};
pub use overrides::Overrides;
pub use profiles::{DEFAULT_PROFILE, PROFILES, profile_text};
pub use schema::SCHEMA;
pub use text::{MAX_ENTRIES, MAX_TEXT};

use crate::tier::Tier;
use crate::units::{ByteSize, Span};

/// A complete, validated policy: every layer merged, every value checked.
///
/// Paths in it are still as written (`~/x`, `x/y` below the workspace, `/x`); [`crate::compile`] resolves them against
/// the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The built-in profile that it started from.
    pub profile: String,
    /// Files and directories.
    pub filesystem: FilesystemPolicy,
    /// Endpoints.
    pub network: NetworkPolicy,
    /// Unix sockets of the host that may be connected to, by path.
    pub unix: Vec<String>,
    /// Resources.
    pub limits: Limits,
    /// Environment variables.
    pub environment: EnvironmentPolicy,
    /// System calls that a policy may open.
    pub kernel: KernelPolicy,
    /// Sandboxes that last.
    #[serde(default)]
    pub sandbox: LastingPolicy,
    /// The one tier that the policy accepts; `None` is the strongest that the machine has.
    pub isolation: Option<Tier>,
    /// Protections that a weaker tier may leave unenforced, by [`crate::report::Protection`] name.
    pub accept_degraded: Vec<String>,
}

/// Which files may be read, written, and which never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemPolicy {
    /// How the workspace itself is seen.
    pub workspace: WorkspaceAccess,
    /// Paths that may be read, besides the system and the toolchains.
    pub read: Vec<String>,
    /// Paths that may be read and written, besides the workspace.
    pub write: Vec<String>,
    /// Paths and globs that may be neither read nor written; they win over every allow, and cover files that appear later.
    pub deny: Vec<String>,
    /// Globs below the workspace that may be read but not written, added to the built-in list of protected files.
    pub protect: Vec<String>,
}

/// How the workspace is seen inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkspaceAccess {
    /// Nothing in the workspace can be written. The strictest.
    ReadOnly,
    /// Writes land in the host's workspace at once.
    #[default]
    Write,
}

/// Bounds on resources. `None` means that the policy sets no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes together.
    pub memory: Option<ByteSize>,
    /// Processors, in thousandths of one.
    pub milli_cpus: Option<u32>,
    /// Processes and threads at once.
    pub processes: Option<u32>,
    /// Open files of one process.
    pub files: Option<u32>,
    /// Bytes written to disk: private home, `/tmp`, caches; and the size of any one file.
    pub disk: Option<ByteSize>,
    /// Wall-clock time.
    pub time: Option<Span>,
    /// Bytes on standard output and standard error together.
    pub output: Option<ByteSize>,
}

/// Which environment variables are seen inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentPolicy {
    /// Names taken over from the caller, besides the built-in allow-list; `*` in a name stands for any text. A name that
    /// looks like a secret's passes only when it is written out here.
    pub pass: Vec<String>,
    /// Names set to a value.
    pub set: BTreeMap<String, String>,
}

/// System calls that are closed by default and that a policy may open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPolicy {
    /// Programs that sandbox themselves (Chromium) may create user namespaces.
    pub nested_namespaces: bool,
}
