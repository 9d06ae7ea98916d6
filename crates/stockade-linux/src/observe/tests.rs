//! The observer against the kernel: a thread of the test installs the filter on itself and makes calls, the test answers.

mod decided;
mod raced;
mod reached;
mod signalled;
mod stood_in;
mod traced;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use stockade_spec::plan::{Explanations, FileObservation, NetworkFilter, SystemCallFilter};
use stockade_spec::report::{Area, Denial};
use stockade_spec::tier::Tier;
use tempfile::TempDir;

use super::*;
use crate::seccomp::Architecture;
use crate::sys::seccomp::install;

/// The longest that a test's calls may take together.
const PATIENCE: Duration = Duration::from_secs(60);

const NO_CAPABILITIES: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

struct Scene {
    _workspace: TempDir,
    filter: SystemCallFilter,
    context: Context,
}

impl Scene {
    /// A workspace of its own, writable, with `/usr` readable.
    fn new(tier: Tier) -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let path = workspace.path().canonicalize().unwrap();
        let landlock = tier == Tier::Landlock;
        let filter = SystemCallFilter {
            nested_namespaces: false,
            notify: true,
            network: if landlock { NetworkFilter::UnixOnly } else { NetworkFilter::Private },
            files: FileObservation { trace_writes: false, trace_reads: false, deny: Vec::new(), protect: Vec::new() },
            decide_signals: landlock,
            keep_processors: false,
        };
        let explanations = Explanations {
            writable: vec![path.clone(), "/dev".into()],
            readable: vec!["/usr".into(), "/proc".into(), "/etc".into(), "/lib".into()],
            denied: Vec::new(),
            protected: Vec::new(),
        };
        let process = std::process::id();
        let context = Context {
            workspace: path,
            home: "/nonexistent/home".into(),
            tier,
            explanations,
            supervisor: process,
            first_process: process,
            has_spawner: false,
            gate: None,
            host_loopback: Vec::new(),
            ranges: None,
        };
        Self { _workspace: workspace, filter, context }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.context.workspace.join(name)
    }

    /// Makes the calls of `program` under the filter; gives its result and what was recorded.
    fn run<T: Send>(&self, program: impl FnOnce() -> T + Send) -> (T, Vec<Denial>) {
        self.run_asking(None, program)
    }

    /// The same with somebody who decides about connections.
    fn run_asking<T: Send>(
        &self,
        keeper: Option<Box<dyn Gatekeeper>>,
        program: impl FnOnce() -> T + Send,
    ) -> (T, Vec<Denial>) {
        let (sender, receiver) = mpsc::channel();
        let code = seccomp::program(Architecture::native().unwrap(), &self.filter);
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                set_no_new_privs(true).unwrap();
                set_capabilities(None, NO_CAPABILITIES).unwrap();
                sender.send(install(&code, true).unwrap().unwrap()).unwrap();
                program()
            });
            let listener = Listener::new(receiver.recv().unwrap()).unwrap();
            let mut observer = Observer::new(listener, &self.filter, self.context.clone()).unwrap();
            keeper.into_iter().for_each(|keeper| observer.guard(keeper));
            let mut log = DenialLog::new(Instant::now(), |_| {});
            serve(&mut observer, &mut log);
            (thread.join().unwrap(), log.finish().0)
        })
    }
}

/// Answers until the last thread under the filter has ended.
fn serve(observer: &mut Observer, log: &mut DenialLog<'_>) {
    let started = Instant::now();
    let mut ready = PollFlags::empty();
    while observer.on_ready(ready, log).unwrap() == Activity::Going {
        assert!(started.elapsed() < PATIENCE, "a call hangs");
        let mut descriptors = [PollFd::from_borrowed_fd(observer.descriptor(), PollFlags::IN)];
        poll(&mut descriptors, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap();
        ready = descriptors[0].revents();
    }
}

/// `area operation target` of each denial.
fn lines(denials: &[Denial]) -> Vec<String> {
    denials.iter().map(|denial| format!("{:?} {} {}", denial.area, denial.operation, denial.target)).collect()
}

#[test]
fn forbidden_calls_fail_and_are_recorded_with_their_process() {
    let ((first, second), denials) =
        Scene::new(Tier::Namespaces).run(|| (rustix::system::sethostname(b"x"), rustix::system::sethostname(b"y")));
    assert_eq!((first, second), (Err(Errno::PERM), Err(Errno::PERM)));
    assert_eq!(lines(&denials), ["SystemCalls sethostname "]);
    assert_eq!((denials[0].area, denials[0].count), (Area::SystemCalls, 2));
    let process = denials[0].process.as_ref().unwrap();
    assert_eq!(process.pid, std::process::id());
    assert!(!process.name.is_empty());
}
