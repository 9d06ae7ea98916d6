//! Tier `landlock`: the view becomes Landlock rules on the host's own paths, for machines without user namespaces.

use std::path::{Path, PathBuf};

use super::data::{HOME, entries};
use super::error::CompileError;
use super::namespaces::{Steps, command, explanations, sweep, view};
use super::view::{Entry, Node, Settled};
use super::{Input, degraded, environment, gate, home, landlock, limits, protected, rules, unobserved};
use crate::plan::{
    BindAccess, Degradation, FileObservation, LandlockAccess, LandlockRule, LandlockRuleset, NetworkFilter, Operation,
    PLAN_VERSION, Plan, Side, SystemCallFilter,
};
use crate::policy::WorkspaceAccess;
use crate::report::Protection;
use crate::request::Trace;
use crate::tier::Tier;

/// What this tier leaves weaker, whatever the policy.
const WEAKER: &[(Protection, &str)] = &[
    (
        Protection::FileVisibility,
        "that a file outside exists, its size and its owner can be seen, though not its content; and the machine's id can be read",
    ),
    (Protection::Caches, "caches in home can be read but not written, so some tools work without their cache"),
    (Protection::ProcessVisibility, "names and arguments of other processes can be seen in /proc"),
    (Protection::Lifetime, "descendants can outlive a supervisor that is ended with SIGKILL"),
];
/// What it leaves weaker where the network is closed.
const WEAKER_LOOPBACK: &str = "programs inside cannot reach each other over loopback: no network socket can be made";
/// What it leaves weaker where a gate leads out.
const WEAKER_GATE: &str = "programs inside cannot reach each other over loopback, and cannot listen: their sockets of TCP are \
                           Unix sockets that lead to the gate, on which options of TCP and IP have no effect and a connection \
                           that breaks looks like one that ends; those of UDP carry questions to the name server only";
/// What it leaves weaker where the supervisor can be asked.
const WEAKER_IPC: &str = "System V shared memory, semaphores and message queues are shared with your other programs";
/// What it leaves weaker where the workspace can be written.
const WEAKER_PROTECTED: &str = "the supervisor decides on each change of a protected file, and a program with several \
                                threads may change a path while it decides";
/// What it leaves weaker where the policy denies files.
const WEAKER_DENY: &str = "the supervisor decides on each access to a denied file below an allowed directory, and a program \
                           with several threads may change a path while it decides";

/// The private directories of a run.
struct Private {
    top: PathBuf,
    home: PathBuf,
    temporary: PathBuf,
}

/// Compiles for tier `landlock`.
pub(super) fn plan(input: Input<'_>) -> Result<Plan, CompileError> {
    let request = input.request;
    let gate = gate::outward(input)?;
    let view = view(input, None)?;
    let top = request.temporary.join(format!("stockade-{}", request.run_id));
    let private = Private { home: top.join("home"), temporary: top.join("tmp"), top };
    let places = environment::Places { home: &private.home, temporary: &private.temporary, view: &view };
    let mut environment = environment::compile(input, &places)?;
    add_toolchain_variables(&mut environment, input, &view);
    let ruleset = ruleset(&view, &private, input)?;
    let supervision = supervision(&view, &ruleset, input, gate.is_some())?;
    let mut bounds = Steps::default();
    let mut weaker = limits::put(&mut bounds, input, Tier::Landlock);
    weaker.extend(plain(WEAKER.to_vec()));
    weaker.extend(plain(vec![(Protection::Loopback, if gate.is_some() { WEAKER_GATE } else { WEAKER_LOOPBACK })]));
    weaker.extend(supervision.weaker);
    weaker.sort_by_key(|degradation| degradation.protection);
    let degraded = degraded::accepted(weaker, input.policy, Tier::Landlock)?;

    let mut steps = Steps::default();
    steps.take(&bounds, Side::Supervisor);
    sweep(&mut steps, input);
    if let Some(rules) = gate {
        steps.add(Operation::Gate { rules }, Protection::Network);
    }
    for path in [&private.top, &private.home, &private.temporary] {
        steps.add(Operation::PrivateDirectory { path: path.clone() }, Protection::Home);
    }
    steps.add(Operation::DieWithSupervisor, Protection::Lifetime);
    steps.add(Operation::Subreaper, Protection::Lifetime);
    if let Some(content) = home::git_configuration(input) {
        let target = private.home.join(home::GIT_CONFIGURATION);
        steps.add(Operation::File { target, content, mode: 0o644 }, Protection::Home);
    }
    steps.take(&bounds, Side::Stage);
    steps.add(Operation::CloseDescriptors, Protection::Descriptors);
    steps.add(Operation::DropCapabilities, Protection::Privileges);
    steps.add(Operation::NoNewPrivileges, Protection::Privileges);
    steps.add(Operation::Landlock { ruleset }, Protection::Files);
    steps.add(Operation::SystemCalls { filter: supervision.filter }, Protection::Kernel);

    Ok(Plan {
        version: PLAN_VERSION,
        tier: Tier::Landlock,
        profile: input.policy.profile.clone(),
        command: command(request, environment),
        workspace: request.workspace.clone(),
        home: private.home,
        steps: steps.into_vec(),
        degraded,
        explanations: explanations(&view, input)?,
    })
}

/// How system calls are filtered, and what is weaker for it.
pub(super) struct Supervision {
    pub(super) filter: SystemCallFilter,
    pub(super) weaker: Vec<Degradation>,
}

/// Degradations with fixed reasons.
pub(super) fn plain(all: Vec<(Protection, &str)>) -> impl Iterator<Item = Degradation> {
    all.into_iter().map(|(protection, reason)| Degradation { protection, reason: reason.to_owned() })
}

/// The filter whose questions the supervisor answers, or where it cannot be asked, one that needs no answers.
fn supervision(
    view: &Settled,
    ruleset: &LandlockRuleset,
    input: Input<'_>,
    has_gate: bool,
) -> Result<Supervision, CompileError> {
    if !input.facts.kernel.seccomp_notify {
        return unobserved::supervision(view, ruleset, input);
    }
    let files = observation(view, input)?;
    let mut weaker = vec![(Protection::Ipc, WEAKER_IPC)];
    if !files.protect.is_empty() {
        weaker.push((Protection::ProtectedFiles, WEAKER_PROTECTED));
    }
    if !files.deny.is_empty() {
        weaker.push((Protection::Files, WEAKER_DENY));
    }
    let nested_namespaces = input.policy.kernel.nested_namespaces;
    let network = if has_gate { NetworkFilter::StandIns } else { NetworkFilter::UnixOnly };
    let keep_processors = limits::keeps_processors(input);
    let filter =
        SystemCallFilter { nested_namespaces, notify: true, network, files, decide_signals: true, keep_processors };
    Ok(Supervision { filter, weaker: plain(weaker).collect() })
}

/// Home has another path than the real one, so toolchains are told where they are.
fn add_toolchain_variables(
    environment: &mut Vec<(std::ffi::OsString, std::ffi::OsString)>,
    input: Input<'_>,
    view: &Settled,
) {
    for (_, rest) in entries(HOME).filter(|(kind, _)| *kind == "variable") {
        let Some((name, below)) = rest.split_once(' ') else { continue };
        let path = input.request.home.join(below);
        let set = environment.iter().any(|(existing, _)| existing == name);
        if !set && view.shows(&path) {
            environment.push((name.into(), path.into()));
        }
    }
    environment.sort();
}

/// The allow-list on the host's paths.
fn ruleset(view: &Settled, private: &Private, input: Input<'_>) -> Result<LandlockRuleset, CompileError> {
    // The tier is not chosen where the kernel has no Landlock; then no domain may be left out either.
    let mut ruleset = landlock::empty(input.facts).ok_or_else(|| CompileError::TierUnavailable {
        tier: Tier::Landlock,
        reason: "this kernel has no Landlock".to_owned(),
    })?;
    ruleset.refuse_tcp = landlock::refuses_tcp(&ruleset);
    let mut rule = |path: &Path, access| ruleset.rules.push(LandlockRule { path: path.to_path_buf(), access });
    for entry in view.entries() {
        match &entry.node {
            Node::Host(BindAccess::ReadOnly) | Node::CopyOnWrite if is_partly_secret(entry, view) => {
                home::parts(&entry.path, input).iter().for_each(|part| rule(part, LandlockAccess::Read));
            }
            Node::Host(BindAccess::ReadOnly) | Node::CopyOnWrite | Node::Proc => {
                rule(&entry.path, LandlockAccess::Read)
            }
            Node::Host(BindAccess::Write) => rule(&entry.path, LandlockAccess::Write),
            Node::Host(BindAccess::Device) => rule(&entry.path, LandlockAccess::Device),
            // The host's own private stores and terminals stay closed; masks and held files are decided one by one.
            _ => {}
        }
    }
    rule(&private.home, LandlockAccess::Write);
    rule(&private.temporary, LandlockAccess::Write);
    Ok(ruleset)
}

/// Whether a toolchain or cache has a credential in it, so that it cannot be shown as a whole.
fn is_partly_secret(entry: &Entry, view: &Settled) -> bool {
    let furniture = matches!(entry.protection, Protection::Home | Protection::Caches);
    furniture && view.entries().iter().any(|other| is_home_secret(other) && other.path.starts_with(&entry.path))
}

/// Whether an entry is a credential below a toolchain or cache.
fn is_home_secret(entry: &Entry) -> bool {
    matches!(entry.node, Node::Mask { .. }) && entry.protection == Protection::Home
}

/// What the mount view of the stronger tier hides or holds read-only is decided by the supervisor at each access.
fn observation(view: &Settled, input: Input<'_>) -> Result<FileObservation, CompileError> {
    let trace = input.request.trace;
    let mut deny = rules::denied_globs(input)?;
    for entry in view.entries() {
        // Credentials of home are left out of the allow-list; the kernel's own interfaces are closed by the capabilities
        // that the command lacks; and what is no secret is not worth a question at every access.
        if matches!(entry.node, Node::Mask { .. }) && entry.protection == Protection::Files {
            let glob = rules::literal(&entry.path);
            if !deny.contains(&glob) {
                deny.push(glob);
            }
        }
    }
    let protect = match input.policy.filesystem.workspace {
        WorkspaceAccess::ReadOnly => Vec::new(),
        WorkspaceAccess::Write => {
            let top = rules::literal(&input.request.workspace);
            let patterns = protected::protected_patterns(input.policy);
            patterns.iter().map(|glob| format!("{top}/{glob}")).chain(protected::existing(view)).collect()
        }
    };
    Ok(FileObservation { trace_writes: trace != Trace::Off, trace_reads: trace == Trace::All, deny, protect })
}
