//! Launching plans that have a gate and not much else.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use stockade_linux::denials::DenialLog;
use stockade_linux::relay::HostStdio;
use stockade_linux::{GateParts, Launch, LaunchError, Namespaces, Running, SocketService, Watch, cgroups, launch};
use stockade_spec::Tier;
use stockade_spec::facts::CgroupFacts;
use stockade_spec::plan::gate::GateRoutes;
use stockade_spec::plan::{
    BindAccess, Command, Explanations, FileObservation, NetworkFilter, Operation, PLAN_VERSION, Plan, Step,
    SystemCallFilter,
};
use stockade_spec::report::{Denial, Outcome, Protection};
use stockade_spec::request::Terminal;

use crate::keeper::{Keeper, describe};

/// What a run has shown.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What the program printed, by lines.
    pub(crate) lines: Vec<String>,
    /// What was refused.
    pub(crate) denials: Vec<Denial>,
}

impl Seen {
    /// `operation target` of each denial, in order.
    pub(crate) fn denied(&self) -> Vec<String> {
        self.denials.iter().map(|denial| format!("{} {}", denial.operation, denial.target)).collect()
    }
}

/// The inside of a gate while a program runs.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) service: Arc<SocketService>,
    pub(crate) name_server: Vec<OwnedFd>,
}

/// Routes to the gate: the ranges for names, and one network more.
pub(crate) fn routes() -> GateRoutes {
    serde_json::from_str(
        r#"{"local": ["10.9.8.0/24", "198.18.0.0/15", "fd53:746f:636b::/64"],
            "name_servers": ["198.18.0.1", "fd53:746f:636b::1"]}"#,
    )
    .unwrap()
}

/// A plan with new namespaces, a gate, and the filter, in the host's own view.
pub(crate) fn plan(routes: Option<GateRoutes>, actions: &[&str]) -> Plan {
    let filter = SystemCallFilter {
        nested_namespaces: false,
        notify: true,
        network: NetworkFilter::Private,
        files: FileObservation { trace_writes: false, trace_reads: false, deny: Vec::new(), protect: Vec::new() },
        decide_signals: false,
        keep_processors: false,
    };
    let [uid, gid] = [rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()];
    let mut operations = vec![
        Operation::CreateNamespaces,
        Operation::DieWithSupervisor,
        Operation::MapIdentity { uid, gid },
        Operation::LoopbackUp,
    ];
    operations.extend(routes.map(|routes| Operation::GateRoutes { routes }));
    operations.extend([
        Operation::CloseDescriptors,
        Operation::DropCapabilities,
        Operation::NoNewPrivileges,
        Operation::SystemCalls { filter },
    ]);
    let program = std::env::current_exe().unwrap().into_os_string();
    let arguments = [program, "visit".into()].into_iter().chain(actions.iter().map(Into::into)).collect();
    Plan {
        version: PLAN_VERSION,
        tier: Tier::Namespaces,
        profile: "default".into(),
        command: Command { arguments, environment: Vec::new(), directory: "/".into(), terminal: Terminal::default() },
        workspace: "/".into(),
        home: "/".into(),
        steps: operations.into_iter().map(step).collect(),
        degraded: Vec::new(),
        explanations: Explanations::default(),
    }
}

/// Adds a view in which the program runs, and what `shown` puts into it.
pub(crate) fn with_view(mut plan: Plan, shown: Vec<Operation>) -> Plan {
    let bind = |path: &Path| Operation::Bind { source: path.into(), target: path.into(), access: BindAccess::ReadOnly };
    let program = std::env::current_exe().unwrap();
    let mut view = vec![Operation::MountRoot { size: 1 << 24, inodes: 1000 }];
    let system = ["/usr", "/lib", "/lib64", "/etc"].into_iter().map(Path::new);
    view.extend(system.chain([program.as_path()]).filter(|path| path.exists()).map(bind));
    view.push(Operation::MountProc);
    view.push(Operation::Bind { source: "/dev/null".into(), target: "/dev/null".into(), access: BindAccess::Device });
    view.extend(shown);
    view.push(Operation::SwitchRoot);
    let at = plan.steps.iter().position(|step| step.operation == Operation::CloseDescriptors).unwrap();
    plan.steps.splice(at..at, view.into_iter().map(step));
    plan
}

fn step(operation: Operation) -> Step {
    Step { operation, protection: Protection::Network, degradable: false }
}

/// Runs the attempts; `keeper` is made of the inside, and decides.
pub(crate) fn run(actions: &[&str], keeper: impl FnOnce(Inside) -> Keeper) -> Seen {
    guarded(&plan(Some(routes()), actions), keeper)
}

/// Runs a plan that has a gate.
pub(crate) fn guarded(plan: &Plan, keeper: impl FnOnce(Inside) -> Keeper) -> Seen {
    follow(plan, |running| {
        let GateParts { service, name_server, undelivered } = running.take_gate().unwrap();
        let watches =
            undelivered.into_iter().map(|one| Box::new(one.described_by(describe)) as Box<dyn Watch>).collect();
        (watches, Some(keeper(Inside { service: Arc::new(service), name_server })))
    })
}

/// Launches a plan and follows it to its end.
pub(crate) fn follow(
    plan: &Plan,
    prepare: impl FnOnce(&mut Running<'_>) -> (Vec<Box<dyn Watch>>, Option<Keeper>),
) -> Seen {
    let mut output = tempfile::tempfile().unwrap();
    let cgroups = cgroups();
    let mut running = start(plan, &cgroups, output.try_clone().unwrap().into()).unwrap();
    let (watches, keeper) = prepare(&mut running);
    let finished = running.wait(watches, keeper.map(|keeper| Box::new(keeper) as _)).unwrap();
    assert_eq!(finished.outcome, Outcome::Exited { status: 0 });
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    let (denials, dropped) = finished.denials.finish();
    assert_eq!(dropped, 0);
    Seen { lines: text.lines().map(str::to_owned).collect(), denials }
}

/// Launches a plan.
pub(crate) fn start<'a>(plan: &'a Plan, cgroups: &'a CgroupFacts, stdout: OwnedFd) -> Result<Running<'a>, LaunchError> {
    be_single();
    let stdin = File::open("/dev/null").unwrap().into();
    let stdio = HostStdio { stdin, stdout, stderr: stderr() };
    launch(Launch {
        plan,
        cgroups,
        stdio,
        denials: DenialLog::new(Instant::now(), |_| {}),
        namespaces: Namespaces::default(),
    })
}

fn stderr() -> OwnedFd {
    use std::os::fd::AsFd;
    std::io::stderr().as_fd().try_clone_to_owned().unwrap()
}

/// Threads that were joined are still there for a moment, to whoever counts them.
fn be_single() {
    for _ in 0..1000 {
        if std::fs::read_dir("/proc/self/task").unwrap().count() == 1 {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("a thread of a test before this one still runs");
}
