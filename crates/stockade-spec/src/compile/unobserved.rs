//! Tier `landlock` where no supervisor can be asked about system calls: inside another sandbox, which has the only listener
//! that a process can have.

use super::confined::{Supervision, plain};
use super::error::CompileError;
use super::view::{Node, Settled};
use super::{Input, limits, rules};
use crate::plan::{Degradation, FileObservation, LandlockRuleset, NetworkFilter, SystemCallFilter};
use crate::policy::WorkspaceAccess;
use crate::report::Protection;
use crate::request::Trace;

const IPC: &str = "no Unix socket can be connected to, not even those of programs inside; and since another sandbox around \
                   this one has the only listener for system calls, refused calls do not become events";
const PROTECTED: &str = "protected files can be planted or changed while the command runs, which is found by a watch and when \
                         it ends; they are put into quarantine then, but what was overwritten is not brought back";
const SIGNALS: &str = "no signal can be sent to another process, not even between programs inside: this kernel's Landlock \
                       does not tell those from others (ABI 6, Linux 6.12)";

/// A filter that asks nobody, and what is weaker for it.
pub(super) fn supervision(
    view: &Settled,
    ruleset: &LandlockRuleset,
    input: Input<'_>,
) -> Result<Supervision, CompileError> {
    if input.request.trace != Trace::Off {
        return Err(CompileError::TraceUnavailable);
    }
    rules::refuse_partial_denials(ruleset.rules.iter().map(|rule| rule.path.as_path()), input)?;
    let mut weaker = vec![(Protection::Ipc, IPC)];
    if input.policy.filesystem.workspace == WorkspaceAccess::Write {
        weaker.push((Protection::ProtectedFiles, PROTECTED));
    }
    if !ruleset.scope_signals {
        weaker.push((Protection::Processes, SIGNALS));
    }
    let weaker = plain(weaker).chain(readable_secrets(view, ruleset)).collect();
    let filter = SystemCallFilter {
        nested_namespaces: input.policy.kernel.nested_namespaces,
        notify: false,
        network: NetworkFilter::UnixOnly,
        files: FileObservation { trace_writes: false, trace_reads: false, deny: Vec::new(), protect: Vec::new() },
        // Without a listener this refuses every signal; the domain is more exact where it can be.
        decide_signals: !ruleset.scope_signals,
        keep_processors: limits::keeps_processors(input),
    };
    Ok(Supervision { filter, weaker })
}

/// Files of the system that the caller's permissions do not close, in directories that have to be open. (Deny rules of the
/// policy for such files were refused before.)
fn readable_secrets(view: &Settled, ruleset: &LandlockRuleset) -> Option<Degradation> {
    let is_open = |path: &std::path::Path| ruleset.rules.iter().any(|rule| path.starts_with(&rule.path));
    let open: Vec<_> = view
        .entries()
        .iter()
        .filter(|entry| matches!(entry.node, Node::Mask { .. }) && entry.protection == Protection::Files)
        .filter(|entry| is_open(&entry.path))
        .map(|entry| format!("{:?}", entry.path))
        .collect();
    let reason =
        || format!("your permissions let you read {}, and nothing can refuse single files here", open.join(", "));
    (!open.is_empty()).then(|| Degradation { protection: Protection::Files, reason: reason() })
}
