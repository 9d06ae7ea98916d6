//! The sandboxes of a user, for callers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use stockade_linux::relay::HostStdio;
use stockade_spec::{CompileError, Tier};
use stockade_workspace::StateDirectory;
use stockade_workspace::sandboxes::{self, New, Prune, Pruned, Summary, Tidied};

use super::ask::{Answer, Status};
use super::control;
use super::conversation::{self, Conversation};
use super::exec::{self, Exec, Executed};
use super::recorder::{self, Recorder};
use super::settings::{Options, Settings};
use super::start;
use crate::error::Error;
use crate::job::Job;
use crate::run::policy;

/// How often a caller tries to reach a supervisor: one may end just then, or another caller may start one.
pub(super) const ATTEMPTS: u32 = 400;
/// How long a caller waits before it tries again.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// The sandboxes in a state directory.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    pub(super) state: StateDirectory,
    pub(super) kept: sandboxes::Sandboxes,
    pub(super) program: PathBuf,
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// A sandbox's name, with what it is or why that cannot be told.
pub type Listed = (String, Result<Summary, Error>);

/// One sandbox. What changes it takes it by exclusive reference; other processes may use it at the same time.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) all: Sandboxes,
    pub(super) kept: sandboxes::Sandbox,
    pub(super) settings: Settings,
    /// A connection to the supervisor that is about nothing now. The supervisor stays for as long as there is one.
    idle: Mutex<Option<Conversation>>,
}

impl Sandboxes {
    /// The sandboxes in `state`, as [`Job::state`]. `program` is a `stockade` of this version, which supervises what runs in
    /// them; `environment` is the caller's, from which a sandbox's policy takes what its commands see.
    ///
    /// # Errors
    /// When the state directory cannot be used, or is not the caller's alone.
    pub fn new(state: &Path, program: &Path, environment: Vec<(OsString, OsString)>) -> Result<Self, Error> {
        let state = StateDirectory::new(state)?;
        let kept = sandboxes::Sandboxes::new(&state)?;
        Ok(Self { state, kept, program: program.to_owned(), environment })
    }

    /// Makes a sandbox for a job's workspace, with its policy as it is now; without a name, it gets one after the workspace.
    /// The job's command is not run, and may be empty.
    ///
    /// # Errors
    /// When the policy is wrong, or the sandbox cannot be made; nothing has changed then.
    pub fn create(&self, name: Option<&str>, job: &Job<'_>, options: &Options) -> Result<Sandbox, Error> {
        let policy = policy(job)?;
        let workspace = &job.request.workspace;
        stockade_spec::compile::check_workspace(job.request)?;
        // Not left to the first command, since it will never be otherwise.
        if [job.request.isolation, policy.isolation].contains(&Some(Tier::Landlock)) {
            return Err(CompileError::LayersNeedMounts.into());
        }
        let shown = recorder::shown(&policy);
        let settings = Settings::new(job, policy, options);
        let kept =
            serde_json::to_value(&settings).map_err(|source| Error::Settings { sandbox: String::new(), source })?;
        let kept = self.kept.create(New { name, workspace, settings: kept, once: options.once })?;
        let mut recorder = Recorder::create(&self.state, &kept)?;
        recorder.write(
            "created",
            &json!({ "name": kept.name(), "workspace": workspace.to_string_lossy(), "policy": shown }),
        );
        recorder.finish()?;
        Ok(self.handle(kept, settings))
    }

    /// Opens a sandbox. An apply that was interrupted is finished.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be used.
    pub fn open(&self, name: &str) -> Result<Sandbox, Error> {
        let mut sandbox = self.as_it_is(name)?;
        sandbox.finish_interrupted()?;
        Ok(sandbox)
    }

    /// Ends everything that runs in a sandbox, as [`Sandbox::stop`] does, also where something that was interrupted cannot be
    /// finished.
    ///
    /// # Errors
    /// When there is none of that name, or as [`Sandbox::stop`].
    pub fn stop(&self, name: &str) -> Result<Option<Status>, Error> {
        self.as_it_is(name)?.stop()
    }

    /// A sandbox in which nothing that was interrupted is finished.
    pub(super) fn as_it_is(&self, name: &str) -> Result<Sandbox, Error> {
        let kept = self.kept.open(name)?;
        let settings = Settings::read(&kept)?;
        Ok(self.handle(kept, settings))
    }

    pub(super) fn handle(&self, kept: sandboxes::Sandbox, settings: Settings) -> Sandbox {
        Sandbox { all: self.clone(), kept, settings, idle: Mutex::default() }
    }

    /// All sandboxes by name, each with what it is or why that cannot be told.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let all = self.kept.list()?;
        Ok(all.into_iter().map(|(name, summary)| (name, summary.map_err(Error::from))).collect())
    }

    /// Removes a sandbox with everything that it keeps, also one that is damaged. With `stop`, what runs in it is ended first.
    ///
    /// # Errors
    /// When there is none of that name, something runs in it, or something cannot be removed.
    pub fn remove(&self, name: &str, stop: bool) -> Result<(), Error> {
        if let Ok(sandbox) = self.as_it_is(name) {
            // One that only lingers has nothing that would be ended.
            let lingers = sandbox.status()?.is_some_and(|status| status == Status::default());
            if stop || lingers {
                sandbox.stop()?;
            }
        }
        Ok(self.kept.remove(name)?)
    }

    /// Removes sandboxes that are old or large, or tells which those are. None in which something runs is among them.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn prune(&self, prune: &Prune) -> Result<Vec<Pruned>, Error> {
        Ok(self.kept.prune(prune)?)
    }

    /// Completes or drops what killed processes left. Costs little where nothing was left.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn tidy(&self) -> Result<Tidied, Error> {
        Ok(self.kept.tidy()?)
    }
}

impl Sandbox {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kept.name()
    }

    /// The workspace that it lies on.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.settings.request.workspace
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.kept.path()
    }

    /// Runs a command in it, and waits for its end. Its supervisor is started where it has none.
    ///
    /// # Errors
    /// When the command was not run; that its program cannot be executed is an [`Outcome`](stockade_spec::report::Outcome).
    pub fn exec(&self, exec: &Exec, stdio: &HostStdio) -> Result<Executed, Error> {
        self.exec_telling(exec, stdio, &mut || ())
    }

    /// As [`Self::exec`], and tells when the supervisor has taken the command.
    pub(super) fn exec_telling(
        &self,
        exec: &Exec,
        stdio: &HostStdio,
        started: &mut dyn FnMut(),
    ) -> Result<Executed, Error> {
        let directory = self.directory(exec)?;
        if self.takes_checkpoints() {
            self.all.open(self.name())?.checkpoint_before(&exec.command)?;
        }
        for _ in 0..ATTEMPTS {
            let idle = self.idle().take();
            let conversation = idle.map_or_else(|| self.reach(), Ok)?;
            let stdio = crate::stdio::duplicate(stdio).map_err(Error::Streams)?;
            // A supervisor that was about to end has not taken it.
            if let Some((executed, conversation)) = exec::run(conversation, exec, directory.clone(), stdio, started)? {
                *self.idle() = Some(conversation);
                return Ok(self.with_inferred(executed));
            }
        }
        Err(Error::Refused("it ends before it takes a command; try again in a moment".to_owned()))
    }

    /// Where a command starts: in the workspace, or below it.
    pub(super) fn directory(&self, exec: &Exec) -> Result<PathBuf, Error> {
        let workspace = self.workspace();
        match &exec.directory {
            None => Ok(workspace.to_owned()),
            Some(directory) if directory.starts_with(workspace) => Ok(directory.clone()),
            Some(directory) => {
                Err(Error::OutsideWorkspace { directory: directory.clone(), workspace: workspace.to_owned() })
            }
        }
    }

    /// Starts its supervisor, so that the first command need not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<(), Error> {
        let conversation = self.reach()?;
        *self.idle() = Some(conversation);
        Ok(())
    }

    /// Lets go of the supervisor, which stays for as long as it has a connection.
    pub(super) fn let_go(&self) {
        self.idle().take();
    }

    fn idle(&self) -> MutexGuard<'_, Option<Conversation>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the supervisor, and starts it first where there is none.
    fn reach(&self) -> Result<Conversation, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(conversation) = self.connect()? {
                return Ok(conversation);
            }
            let request = self.settings.request(self.all.environment.clone());
            let work = self.settings.work(&request, self.all.state.path());
            if !start::start(&self.all.program, work, self.name(), self.settings.linger_ms)? {
                std::thread::sleep(PAUSE);
            }
        }
        Err(Error::Refused("it neither answers nor ends; try again in a moment".to_owned()))
    }

    pub(super) fn connect(&self) -> Result<Option<Conversation>, Error> {
        match Conversation::connect(self.kept.folder(), control::NAME) {
            Ok(conversation) => Ok(Some(conversation)),
            Err(error) => match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Ok(None),
                std::io::ErrorKind::WouldBlock => Err(Error::Silent(conversation::PATIENCE)),
                _ => Err(Error::Control(error)),
            },
        }
    }

    /// Writes an event of this caller to the record.
    pub(super) fn record(&self, event: &str, payload: &serde_json::Value) -> Result<(), Error> {
        let mut recorder = Recorder::open(&self.all.state, &self.kept)?;
        recorder.write(event, payload);
        recorder.finish()
    }
}

pub(super) fn out_of_place(answer: &Answer) -> Error {
    Error::Refused(match answer {
        Answer::Failed { message } => message.clone(),
        other => format!("it gave an answer out of place: {other:?}"),
    })
}
