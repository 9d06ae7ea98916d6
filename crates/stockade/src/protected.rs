//! Protected files of one run: the journal, the watch while it runs, and the sweep when it is over.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use stockade_linux::denials::{Attempt, DenialLog};
use stockade_spec::Tier;
use stockade_spec::glob::{Case, Glob, Rules};
use stockade_spec::plan::{Operation, Plan};
use stockade_spec::report::{Area, MAX_DENIALS, Quarantined};
use stockade_workspace::{
    Before, Finding, Hold, Journal, Kept, Left, Options, Quarantine, Reason, StateDirectory, Swept, Watch, sweep,
};

use crate::error::Error;
use crate::event::Event;

/// The rules of a plan or policy, which a file system that ignores case cannot get around.
pub(crate) fn rules(patterns: &[String]) -> Result<Rules, Error> {
    Rules::new(patterns, Case::Folded).map_err(Error::ProtectedRule)
}

/// The protected files of a run that is going on.
#[derive(Debug)]
pub(crate) struct ProtectedFiles {
    before: Before,
    rules: Rc<Rules>,
    options: Options,
    quarantine: Quarantine,
    /// There until the sweep is done, and left for the next start where it could not be.
    journal: Option<Journal>,
    watch: Option<Watch>,
    /// What the sweep opens directories with, whatever the run has used up.
    reserve: Reserve,
    found: Found,
    /// How the end of it went, once it has.
    finished: Option<Result<(), Error>>,
}

/// What was found and done.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What was put away.
    pub(crate) quarantined: Vec<Quarantined>,
    /// What could not be looked at or put away.
    pub(crate) failures: Vec<String>,
    /// Whether something is still as the run left it, although it should not be.
    pub(crate) is_unswept: bool,
}

impl ProtectedFiles {
    /// Writes the journal and starts watching; `None` where the plan has nothing to protect by sweeping.
    pub(crate) fn begin(
        state: &StateDirectory,
        before: Option<&(Before, Rc<Rules>)>,
        plan: &Plan,
    ) -> Result<Option<Self>, Error> {
        let swept = plan.steps.iter().find_map(|step| match &step.operation {
            Operation::SweepProtected { patterns, .. } => Some(patterns),
            _ => None,
        });
        let (Some(patterns), Some((before, known))) = (swept, before) else { return Ok(None) };
        // Reading rules is a large part of a short run, and the plan's are those that the workspace was looked through with.
        let same = known.globs().iter().map(Glob::as_str).eq(patterns.iter().map(String::as_str));
        let rules = if same { Rc::clone(known) } else { Rc::new(rules(patterns)?) };
        let mut before = before.clone();
        let hold = if plan.tier == Tier::Namespaces { Hold::ReadOnly } else { Hold::Open };
        if hold == Hold::Open {
            before.record_contents()?;
        }
        let options = Options { hold, privilege_bits: true };
        let quarantine = Quarantine::new(state, &before);
        let journal = Some(Journal::begin(state, &before, &rules, &options, &quarantine)?);
        let found = Found::default();
        Ok(Some(Self {
            before,
            rules,
            options,
            quarantine,
            journal,
            watch: None,
            reserve: Reserve::take(),
            found,
            finished: None,
        }))
    }

    /// Removes the journal, when nothing has run or nothing is left to do.
    pub(crate) fn abandon(&mut self) -> Result<(), Error> {
        Ok(self.journal.take().map_or(Ok(()), Journal::finish)?)
    }

    /// Sweeps, when nothing runs any more.
    pub(crate) fn finish(&mut self, denials: &mut DenialLog<'_>) -> Result<Found, Error> {
        self.conclude(denials);
        self.finished.take().unwrap_or(Ok(()))?;
        Ok(std::mem::take(&mut self.found))
    }

    /// Sweeps and removes the journal, if that has not been done.
    fn conclude(&mut self, denials: &mut DenialLog<'_>) {
        if self.finished.is_some() {
            return;
        }
        self.reserve.let_go();
        let swept = sweep(&self.before, &self.rules, &self.options, &mut self.quarantine);
        let left = swept.left;
        self.take(swept, denials);
        self.found.is_unswept = left != Left::Nothing;
        self.finished = Some(if left == Left::ForNow { self.postpone() } else { self.abandon() });
    }

    /// Leaves the journal for the next start.
    fn postpone(&mut self) -> Result<(), Error> {
        drop(self.journal.take());
        self.found.failures.push("the next command with this state directory looks again".to_owned());
        Ok(())
    }

    /// Starts the watch. Its descriptor; `None` where nothing can be watched, which is told among the failures.
    fn start_watching(&mut self) -> Option<OwnedFd> {
        let started = Watch::start(&self.before).map_err(|error| error.to_string()).and_then(|watch| {
            let descriptor = watch.as_fd().try_clone_to_owned();
            descriptor
                .map(|descriptor| (watch, descriptor))
                .map_err(|error| format!("cannot watch the workspace: {error}"))
        });
        match started {
            Ok((watch, descriptor)) => {
                self.watch = Some(watch);
                Some(descriptor)
            }
            Err(error) => {
                self.found.failures.push(error);
                None
            }
        }
    }

    /// Puts away what has appeared meanwhile. Whether the watch still works.
    fn look(&mut self, denials: &mut DenialLog<'_>) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        match watch.on_ready(&self.before, &self.rules, &self.options, &mut self.quarantine) {
            Ok(swept) => self.take(swept, denials),
            Err(error) => {
                self.found.failures.push(error.to_string());
                self.watch = None;
            }
        }
        self.watch.is_some()
    }

    fn take(&mut self, swept: Swept, denials: &mut DenialLog<'_>) {
        let workspace = self.before.workspace().to_owned();
        for finding in &swept.findings {
            denials.record(attempt(&workspace, finding));
        }
        self.found.add(Some(&workspace), swept);
    }
}

/// Descriptors that are held to be let go of when others are wanted.
#[derive(Debug, Default)]
struct Reserve(Vec<OwnedFd>);

/// As many as a sweep of a workspace of any depth needs.
const RESERVED: usize = 24;

impl Reserve {
    /// Takes what is wanted, or where there is less, half of that: the run needs some too.
    fn take() -> Self {
        let one = || eventfd(0, EventfdFlags::CLOEXEC).ok();
        let mut held: Vec<OwnedFd> = std::iter::from_fn(one).take(RESERVED).collect();
        if held.len() < RESERVED {
            held.truncate(held.len() / 2);
        }
        Self(held)
    }

    fn let_go(&mut self) {
        self.0.clear();
    }
}

/// How long a run goes on before its workspace is watched. To end a watch takes the kernel 15 ms and more (it waits for
/// every processor, `synchronize_srcu` in `fsnotify_destroy_group`), many times what a short run takes as a whole; and
/// the sweep at the end finds the same files.
const UNWATCHED: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What the supervisor polls: a timer at first, then the watch of protected files.
#[derive(Debug)]
pub(crate) struct Lookout {
    descriptor: OwnedFd,
    is_watching: bool,
    files: Rc<RefCell<ProtectedFiles>>,
}

impl Lookout {
    /// `None` where nothing can be watched, which is told among the failures. The sweep finds the same files, only later.
    pub(crate) fn over(files: &Rc<RefCell<ProtectedFiles>>) -> Option<Box<dyn stockade_linux::Watch>> {
        match timer(UNWATCHED) {
            Ok(descriptor) => Some(Box::new(Self { descriptor, is_watching: false, files: Rc::clone(files) })),
            Err(error) => {
                files.borrow_mut().found.failures.push(format!("cannot watch the workspace: {error}"));
                None
            }
        }
    }
}

impl stockade_linux::Watch for Lookout {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn ready(&mut self, denials: &mut DenialLog<'_>) {
        let mut files = self.files.borrow_mut();
        if !self.is_watching {
            self.is_watching = true;
            if let Some(descriptor) = files.start_watching() {
                self.descriptor = descriptor;
            }
        }
        if !files.look(denials)
            // A watch that broke must not stay ready, or the supervisor turns in circles; a timer that is not set never is.
            && let Ok(silent) = timer(Timespec { tv_sec: 0, tv_nsec: 0 })
        {
            self.descriptor = silent;
        }
    }

    fn over(&mut self, denials: &mut DenialLog<'_>) {
        self.files.borrow_mut().conclude(denials);
    }
}

/// A descriptor that is readable after this time; never after none.
fn timer(after: Timespec) -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: after };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(timer)
}

impl Found {
    /// Adds what a sweep did, at most [`MAX_DENIALS`] of each kind.
    pub(crate) fn add(&mut self, workspace: Option<&Path>, swept: Swept) {
        let mut failures: Vec<String> = swept.failures.iter().map(|failure| failure.error.to_string()).collect();
        failures.extend(swept.closed.iter().map(|path| format!("cannot enter {path:?}")));
        failures.extend(swept.incomplete.iter().map(ToString::to_string));
        if swept.unlisted > 0 {
            failures.push(format!("{} more findings are not listed", swept.unlisted));
        }
        for finding in swept.findings {
            match finding {
                Finding::PutAway { path, rule, kept, put_back, .. } => {
                    let kept_at = text(&kept_at(workspace, kept));
                    self.quarantined.push(Quarantined { path: text(&path), rule, kept_at, put_back });
                }
                Finding::Removed { path } => failures.push(format!("the protected file {path:?} is gone")),
                Finding::BitsCleared { .. } => {}
            }
        }
        self.failures.extend(failures);
        self.quarantined.truncate(MAX_DENIALS);
        self.failures.truncate(MAX_DENIALS);
    }

    /// Tells it as an event, for runs that have no report.
    pub(crate) fn tell(&self, workspace: Option<&Path>, tell: &dyn Fn(Event<'_>)) {
        let Self { quarantined, failures, .. } = self;
        if !quarantined.is_empty() || !failures.is_empty() {
            tell(Event::Recovered { workspace, quarantined, failures });
        }
    }
}

fn attempt(workspace: &Path, finding: &Finding) -> Attempt {
    let (operation, path, rule) = match finding {
        Finding::PutAway { path, rule, reason, .. } => (word(*reason), path, rule.as_str()),
        Finding::BitsCleared { path, .. } => ("set-id", path, "set-user-id and set-group-id bits"),
        Finding::Removed { path } => ("remove", path, "protected file"),
    };
    Attempt::new(Area::Protected, operation, workspace.join(path)).rule(rule)
}

const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Appeared => "create",
        Reason::Replaced => "replace",
        _ => "change",
    }
}

fn kept_at(workspace: Option<&Path>, kept: Kept) -> PathBuf {
    match kept {
        Kept::Quarantine(path) => path,
        Kept::Beside(path) => workspace.map_or_else(|| path.clone(), |workspace| workspace.join(&path)),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
