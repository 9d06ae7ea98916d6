//! Tier `namespaces`: the view becomes mounts.

use std::path::{Path, PathBuf};

use super::error::CompileError;
use super::gate::Gate;
use super::view::{Entry, Node, Settled, View};
use super::{
    Input, degraded, environment, gate, home, landlock, layered, limits, protected, resolution, rules, sockets, system,
    workspace,
};
use crate::plan::{
    BindAccess, Command, Explanations, FileObservation, NetworkFilter, Operation, PLAN_VERSION, Plan, Side, Step,
    SystemCallFilter,
};
use crate::policy::WorkspaceAccess;
use crate::report::Protection;
use crate::request::{Request, Trace};
use crate::tier::Tier;

/// The host name inside.
const HOST_NAME: &str = "stockade";
/// Where programs put temporary files inside.
const TEMPORARY: &str = "/tmp";
/// The private store counts files against the memory that their names and inodes take: one for this many bytes.
const BYTES_PER_FILE: u64 = 8 << 10;
/// Bounds on the number of files, whatever the size: enough to start, and about a gigabyte of kernel memory.
const LEAST_FILES: u64 = 16 << 10;
const MOST_FILES: u64 = 1 << 20;

/// The steps of a plan as they are put together.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
}

impl Steps {
    /// A step whose failure aborts the launch.
    pub(super) fn add(&mut self, operation: Operation, protection: Protection) {
        self.steps.push(Step { operation, protection, degradable: false });
    }

    /// A step without which the run is no less closed, only less furnished.
    pub(super) fn add_degradable(&mut self, operation: Operation, protection: Protection) {
        self.steps.push(Step { operation, protection, degradable: true });
    }

    /// Moves the steps of one side over from another list, in order.
    pub(super) fn take(&mut self, from: &Self, side: Side) {
        self.steps.extend(from.steps.iter().filter(|step| step.operation.side() == side).cloned());
    }

    pub(super) fn into_vec(self) -> Vec<Step> {
        self.steps
    }
}

/// Everything that is seen, as both tiers draw it up.
pub(super) fn view(input: Input<'_>, gate: Option<&Gate>) -> Result<Settled, CompileError> {
    let mut view = View::default();
    system::put(&mut view, input);
    home::put(&mut view, input);
    rules::put_allowed(&mut view, input)?;
    workspace::put(&mut view, input);
    workspace::put_protected(&mut view, input);
    sockets::put(&mut view, input)?;
    if let Some(gate) = gate {
        resolution::put(&mut view, input, gate.rules.ranges, HOST_NAME);
    }
    rules::put_denied(&mut view, input)?;
    let view = view.settle();
    let request = input.request;
    if !view.shows(&request.directory) {
        let (directory, workspace) = (request.directory.clone(), request.workspace.clone());
        return Err(CompileError::DirectoryNotSeen { directory, workspace });
    }
    Ok(view)
}

/// Compiles for tier `namespaces`.
pub(super) fn plan(input: Input<'_>) -> Result<Plan, CompileError> {
    let Input { request, facts, .. } = input;
    let gate = gate::gate(input)?;
    let view = view(input, gate.as_ref())?;
    let places = environment::Places { home: &request.home, temporary: Path::new(TEMPORARY), view: &view };
    let environment = environment::compile(input, &places)?;
    let mut bounds = Steps::default();
    let degraded = limits::put(&mut bounds, input, Tier::Namespaces);
    let degraded = degraded::accepted(degraded, input.policy, Tier::Namespaces)?;

    let mut steps = Steps::default();
    steps.take(&bounds, Side::Supervisor);
    sweep(&mut steps, input);
    enter(&mut steps, input, gate);
    for entry in view.entries() {
        mount(&mut steps, entry, input);
    }
    steps.add(Operation::SwitchRoot, Protection::FileVisibility);
    steps.take(&bounds, Side::Stage);
    steps.add(Operation::CloseDescriptors, Protection::Descriptors);
    steps.add(Operation::DropCapabilities, Protection::Privileges);
    steps.add(Operation::NoNewPrivileges, Protection::Privileges);
    if let Some(ruleset) = landlock::second_lock(&view, facts) {
        steps.add(Operation::Landlock { ruleset }, Protection::Files);
    }
    steps.add(Operation::SystemCalls { filter: filter(input)? }, Protection::Kernel);
    if request.layers.is_some() {
        steps.add(Operation::ServeCommands, Protection::Processes);
    }

    Ok(Plan {
        version: PLAN_VERSION,
        tier: Tier::Namespaces,
        profile: input.policy.profile.clone(),
        command: command(request, environment),
        workspace: request.workspace.clone(),
        home: request.home.clone(),
        steps: steps.into_vec(),
        degraded,
        explanations: explanations(&view, input)?,
    })
}

/// The namespaces, and what is set up in them besides the view.
fn enter(steps: &mut Steps, input: Input<'_>, gate: Option<Gate>) {
    let facts = input.facts;
    let (rules, routes) = gate.map(|gate| (gate.rules, gate.routes)).unzip();
    if let Some(rules) = rules {
        steps.add(Operation::Gate { rules }, Protection::Network);
    }
    steps.add(Operation::CreateNamespaces, Protection::Processes);
    steps.add(Operation::DieWithSupervisor, Protection::Lifetime);
    steps.add(Operation::MapIdentity { uid: facts.uid, gid: facts.gid }, Protection::Privileges);
    steps.add(Operation::LoopbackUp, Protection::Loopback);
    if let Some(routes) = routes {
        steps.add(Operation::GateRoutes { routes }, Protection::Network);
    }
    steps.add(Operation::HostName { name: HOST_NAME.to_owned() }, Protection::Ipc);
    steps.add(mount_root(input), Protection::FileVisibility);
}

/// The command as the request states it.
pub(super) fn command(request: &Request, environment: Vec<(std::ffi::OsString, std::ffi::OsString)>) -> Command {
    Command {
        arguments: request.command.clone(),
        environment,
        directory: request.directory.clone(),
        terminal: request.terminal,
    }
}

/// The sweep of protected files, where the workspace can be written.
pub(super) fn sweep(steps: &mut Steps, input: Input<'_>) {
    if writes_workspace(input) {
        let workspace = input.request.workspace.clone();
        let patterns = protected::protected_patterns(input.policy);
        steps.add(Operation::SweepProtected { workspace, patterns }, Protection::ProtectedFiles);
    }
}

/// The root, as large as the stricter of the limits on disk and memory: what lies in it is memory.
fn mount_root(input: Input<'_>) -> Operation {
    let limits = &input.policy.limits;
    let bounds = [limits.disk, limits.memory];
    let size = bounds.into_iter().flatten().map(|size| size.0).min().unwrap_or(input.facts.memory / 2);
    Operation::MountRoot { size, inodes: (size / BYTES_PER_FILE).clamp(LEAST_FILES, MOST_FILES) }
}

/// Whether what is written to the workspace is there at once.
fn writes_workspace(input: Input<'_>) -> bool {
    input.policy.filesystem.workspace == WorkspaceAccess::Write && input.request.layers.is_none()
}

fn mount(steps: &mut Steps, entry: &Entry, input: Input<'_>) {
    let target = entry.path.clone();
    let source = || entry.path.clone();
    let operation = match &entry.node {
        Node::Directory { mode } => Operation::Directory { target, mode: *mode },
        Node::Private { mode } => Operation::PrivateStore { target, mode: *mode },
        Node::File { content, mode } => Operation::File { target, content: content.clone(), mode: *mode },
        Node::Cover { content, mode } => Operation::CoverFile { target, content: content.clone(), mode: *mode },
        Node::Socket => Operation::Socket { source: source(), target },
        Node::Link { text } => Operation::Symlink { target, text: text.clone() },
        Node::Host(access) => Operation::Bind { source: source(), target, access: *access },
        Node::CopyOnWrite if input.request.layers.is_some() => return layered::add(steps, entry, input),
        Node::CopyOnWrite => {
            let operation = Operation::CopyOnWrite { source: source(), target };
            return steps.add_degradable(operation, entry.protection);
        }
        Node::Mask { directory } => Operation::Mask { target, directory: *directory },
        Node::ReadOnly => Operation::ReadOnly { target },
        Node::Pin => Operation::Pin { target },
        Node::Proc => Operation::MountProc,
        Node::DevPts => Operation::MountDevPts,
    };
    steps.add(operation, entry.protection);
}

fn filter(input: Input<'_>) -> Result<SystemCallFilter, CompileError> {
    let trace = input.request.trace;
    Ok(SystemCallFilter {
        nested_namespaces: input.policy.kernel.nested_namespaces,
        notify: true,
        network: NetworkFilter::Private,
        files: FileObservation {
            trace_writes: trace != Trace::Off,
            trace_reads: trace == Trace::All,
            deny: rules::denied_globs(input)?,
            protect: Vec::new(),
        },
        decide_signals: false,
        keep_processors: limits::keeps_processors(input),
    })
}

/// What the plan knows about paths.
pub(super) fn explanations(view: &Settled, input: Input<'_>) -> Result<Explanations, CompileError> {
    let host = |wanted: fn(&Node) -> bool| -> Vec<PathBuf> {
        view.entries().iter().filter(|entry| wanted(&entry.node)).map(|entry| entry.path.clone()).collect()
    };
    let mut denied = rules::denied_globs(input)?;
    for hidden in host(|node| matches!(node, Node::Mask { .. })) {
        let hidden = rules::literal(&hidden);
        if !denied.contains(&hidden) {
            denied.push(hidden);
        }
    }
    Ok(Explanations {
        writable: {
            let kept = input.request.layers.iter().map(|_| input.request.workspace.clone());
            host(|node| matches!(node, Node::Host(BindAccess::Write))).into_iter().chain(kept).collect()
        },
        readable: host(|node| matches!(node, Node::Host(BindAccess::ReadOnly) | Node::CopyOnWrite)),
        denied,
        protected: if writes_workspace(input) {
            protected::protected_patterns(input.policy).into_iter().chain(protected::existing(view)).collect()
        } else {
            Vec::new()
        },
    })
}
