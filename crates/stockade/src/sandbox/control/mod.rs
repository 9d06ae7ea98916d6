//! The supervisor's end of the control socket: takes commands from callers, has the spawner start them, and tells of them.
//!
//! It is one of the things that the supervisor's loop watches. Everything that it waits for itself is behind one `epoll(7)`
//! descriptor, and nothing in it blocks: a caller that does not read is let go.

mod connection;
mod door;
mod task;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{Timespec, epoll::CreateFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use stockade_linux::denials::DenialLog;
use stockade_linux::{CommandError, CommandService, FromSpawner};
use stockade_spec::report::{Area, Outcome};

use self::connection::{Connection, Said};
pub(super) use self::door::{Door, NAME};
pub(super) use self::task::{Refused, killed};
use self::task::{Task, Tasks};
use super::ask::{Answer, Ask, Ended, Status, Unseen};

/// Connections at once. One more is let go.
const MAX_CONNECTIONS: usize = 512;
/// How often it is looked whether anything runs, and whether limits are kept, while nothing else happens.
const TICK: Duration = Duration::from_millis(500);

/// How long the spawner has to end a command. What runs inside can hold it up: it waits for a command that it starts until
/// that has executed its program, and a signal can stop the command before.
const PATIENCE: Duration = Duration::from_secs(5);

/// News of the spawner that are taken at a time: what runs inside can have it tell without end.
const MAX_NEWS: usize = 64;

const DOOR: u64 = 0;
const SPAWNER: u64 = 1;
const TIMER: u64 = 2;
const FIRST_CONNECTION: u64 = 3;

/// What the control asks of whoever keeps the sandbox.
pub(super) trait Keeper: std::fmt::Debug {
    /// A command is about to be started.
    fn started(&mut self, id: u32, command: &stockade_spec::plan::Command);
    /// A command has ended.
    fn ended(&mut self, id: u32, ended: &Ended);
    /// No command runs any more.
    fn idle(&mut self);
    /// Looks at what only looking finds: a limit that has been reached ends every command.
    fn look(&mut self) -> Option<Outcome>;
    /// Stops every process for as long as what is returned lives.
    ///
    /// # Errors
    /// When one cannot be stopped; all go on then.
    fn freeze(&mut self) -> Result<Held, String>;
}

/// Every process, stopped.
#[derive(Debug)]
pub(super) struct Held {
    /// They go on when this is dropped.
    pub(super) frozen: Box<dyn std::fmt::Debug>,
    /// What they may change without its times telling.
    pub(super) unseen: Unseen,
}

/// The control socket and what came through it.
#[derive(Debug)]
pub(super) struct Control<K> {
    epoll: OwnedFd,
    timer: OwnedFd,
    door: Option<Door>,
    commands: CommandService,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    tasks: Tasks,
    pub(super) keeper: K,
    /// The base environment of every command.
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// How long each command may take.
    time: Option<Duration>,
    /// How long the sandbox stays when nothing runs in it.
    linger: Duration,
    /// Since when nothing runs.
    idle_since: Option<Instant>,
    /// Whether the sandbox is to be ended.
    done: bool,
}

/// What a control starts with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    pub(super) time: Option<Duration>,
    pub(super) linger: Duration,
}

impl<K: Keeper> Control<K> {
    /// Serves at the door.
    pub(super) fn new(door: Door, commands: CommandService, keeper: K, settings: Settings) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        for (descriptor, name) in [(door.as_fd(), DOOR), (commands.as_fd(), SPAWNER), (timer.as_fd(), TIMER)] {
            epoll::add(&epoll, descriptor, EventData::new_u64(name), EventFlags::IN)?;
        }
        let Settings { environment, time, linger } = settings;
        let control = Self {
            epoll,
            timer,
            door: Some(door),
            commands,
            connections: BTreeMap::new(),
            next: FIRST_CONNECTION,
            tasks: Tasks::default(),
            keeper,
            environment,
            time,
            linger,
            idle_since: Some(Instant::now()),
            done: false,
        };
        control.set_timer()?;
        Ok(control)
    }

    /// Whether the sandbox is to be ended.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Does everything that can be done now.
    pub(super) fn ready(&mut self, denials: &mut DenialLog<'_>) {
        if let Err(error) = self.serve(denials) {
            // Without its spawner or its descriptors the sandbox cannot go on. Whose command runs is told how the sandbox, and
            // the command with it, has ended.
            self.done = true;
            self.tell_idle(&Answer::Failed { message: error.to_string() });
        }
    }

    fn serve(&mut self, denials: &mut DenialLog<'_>) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&none)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            match event.data.u64() {
                DOOR => self.accept()?,
                SPAWNER => self.hear(denials)?,
                TIMER => self.tick(denials)?,
                connection => self.listen(connection, event.flags, denials)?,
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(socket) = self.door.as_mut().map_or(Ok(None), Door::accept)? {
            if self.connections.len() >= MAX_CONNECTIONS {
                continue;
            }
            let name = self.next;
            self.next += 1;
            epoll::add(&self.epoll, &socket, EventData::new_u64(name), EventFlags::IN)?;
            self.connections.insert(name, Connection::new(socket));
        }
        Ok(())
    }

    /// What a caller says.
    fn listen(&mut self, name: u64, flags: EventFlags, denials: &mut DenialLog<'_>) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&name) else { return Ok(()) };
        if flags.contains(EventFlags::OUT) && !connection.flush() {
            return self.let_go(name);
        }
        loop {
            let Some(connection) = self.connections.get_mut(&name) else { return Ok(()) };
            match connection.hear() {
                Said::Nothing => return self.watch(name),
                Said::Over => return self.let_go(name),
                Said::Ask(ask) => self.obey(name, *ask, denials)?,
            }
        }
    }

    fn obey(&mut self, name: u64, ask: Ask, denials: &mut DenialLog<'_>) -> io::Result<()> {
        match ask {
            Ask::Run { command, streams } => self.run(name, *command, streams.map(Into::into), denials),
            Ask::Signal { signal } => self.about_task(name, |commands, id| commands.signal(id, signal)),
            Ask::End => self.tasks.of(name).map_or(Ok(()), |id| self.end(id)),
            Ask::Stop => {
                self.tell(name, &Answer::Stopping, None);
                self.done = true;
                Ok(())
            }
            Ask::Status => {
                let answer = match self.commands.processes() {
                    Ok(processes) => Answer::Status(Status { commands: self.tasks.len(), processes }),
                    Err(error) => Answer::Failed { message: format!("its processes cannot be counted: {error}") },
                };
                self.tell(name, &answer, None);
                Ok(())
            }
            Ask::Freeze => {
                let answer = match self.keeper.freeze() {
                    Ok(Held { frozen, unseen }) => {
                        if let Some(connection) = self.connections.get_mut(&name) {
                            connection.hold(frozen);
                        }
                        Answer::Frozen { unseen }
                    }
                    Err(message) => Answer::Failed { message },
                };
                self.tell(name, &answer, None);
                Ok(())
            }
        }
    }

    fn about_task(
        &self,
        name: u64,
        act: impl FnOnce(&CommandService, u32) -> Result<(), CommandError>,
    ) -> io::Result<()> {
        self.tasks.of(name).map_or(Ok(()), |id| act(&self.commands, id).map_err(io::Error::other))
    }

    fn run(
        &mut self,
        name: u64,
        mut command: stockade_spec::plan::Command,
        kinds: [stockade_linux::StreamKind; 3],
        denials: &mut DenialLog<'_>,
    ) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(&name) else { return Ok(()) };
        let streams = connection.take_streams(kinds);
        let refused = match (&streams, self.tasks.of(name), command.arguments.is_empty()) {
            (None, _, _) => Some("its streams did not come along"),
            (_, Some(_), _) => Some("a connection is about one command"),
            (_, _, true) => Some("there is no command"),
            _ => None,
        };
        let Some(streams) = streams.filter(|_| refused.is_none()) else {
            let message = refused.unwrap_or("its streams did not come along").to_owned();
            self.tell(name, &Answer::Failed { message }, None);
            return Ok(());
        };
        command.environment = merged(&self.environment, command.environment);
        if self.tasks.len() == 0 {
            denials.restart();
        }
        let id = match self.commands.start(&command, streams) {
            Ok(id) => id,
            // For want of memory or descriptors, which others may have again.
            Err(error @ CommandError::Pass(_)) => {
                self.tell(name, &Answer::Failed { message: crate::account::with_causes(&error) }, None);
                return Ok(());
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        self.keeper.started(id, &command);
        self.idle_since = None;
        let deadline = self.time.and_then(|time| Instant::now().checked_add(time));
        self.tasks.add(id, Task::new(name, deadline));
        self.tell(name, &Answer::Started { id }, None);
        self.set_timer()
    }

    /// What the spawner says.
    fn hear(&mut self, denials: &mut DenialLog<'_>) -> io::Result<()> {
        for _ in 0..MAX_NEWS {
            let Some((news, descriptor)) = self.commands.next().map_err(io::Error::other)? else { break };
            let Some(task) = self.tasks.get_mut(news.id()) else { continue };
            let name = task.connection;
            match news {
                FromSpawner::Terminal { .. } => self.tell(name, &Answer::Terminal, descriptor),
                FromSpawner::Stopped { .. } => self.tell(name, &Answer::Stopped, None),
                FromSpawner::ExecFailed { errno, .. } => task.exec_failed = Some(errno),
                FromSpawner::NotStarted { errno, .. } => {
                    let error = io::Error::from_raw_os_error(errno);
                    self.tasks.remove(news.id());
                    self.tell(
                        name,
                        &Answer::Failed { message: format!("the command cannot be started: {error}") },
                        None,
                    );
                }
                FromSpawner::Ended { id, .. } => self.ended(id, news, denials),
            }
        }
        self.note_idle();
        Ok(())
    }

    fn ended(&mut self, id: u32, news: FromSpawner, denials: &DenialLog<'_>) {
        let Some(task) = self.tasks.remove(id) else { return };
        let name = task.connection;
        let ended = task.ended(news, Refused::of(denials));
        self.tell(name, &Answer::Ended(Box::new(ended.clone())), None);
        self.keeper.ended(id, &ended);
    }

    fn note_idle(&mut self) {
        if self.tasks.len() == 0 && self.idle_since.is_none() {
            self.idle_since = Some(Instant::now());
            self.keeper.idle();
        }
    }

    /// Time has passed.
    fn tick(&mut self, denials: &mut DenialLog<'_>) -> io::Result<()> {
        let mut count = [0; 8];
        match rustix::io::read(&self.timer, &mut count) {
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        for id in self.tasks.late(now) {
            if self.tasks.is_ending(id) {
                self.done = true;
            } else {
                self.end_for(id, Outcome::TimeLimit, denials)?;
            }
        }
        if let Some(outcome) = self.keeper.look() {
            for id in self.tasks.all() {
                self.end_for(id, outcome.clone(), denials)?;
            }
            // What has left its command's session has none that could be ended.
            self.done |= self.tasks.len() == 0;
        }
        if let Some(since) = self.idle_since
            && since + self.linger <= now
            && self.connections.is_empty()
            && !self.is_occupied()
        {
            self.done = true;
        }
        self.set_timer()
    }

    fn end_for(&mut self, id: u32, outcome: Outcome, denials: &mut DenialLog<'_>) -> io::Result<()> {
        if let Some(task) = self.tasks.get_mut(id)
            && task.limit.is_none()
        {
            let (name, option) = match outcome {
                Outcome::DiskLimit => ("disk", "--disk S"),
                _ => ("time", "--time D"),
            };
            let attempt = stockade_linux::denials::Attempt::new(Area::Limits, "exceed", name);
            denials.record(attempt.suggestion(option));
            task.limit = Some(outcome);
        }
        self.end(id)
    }

    /// Has a command killed. One that is not gone in time ends with the sandbox, for which the spawner is not needed.
    fn end(&mut self, id: u32) -> io::Result<()> {
        if self.tasks.begin_end(id, Instant::now().checked_add(PATIENCE)) {
            self.commands.end(id).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Whether something runs inside. Where that cannot be seen now, it may.
    fn is_occupied(&self) -> bool {
        self.commands.processes().map_or(true, |processes| processes > 0)
    }

    /// Looks again after a while, or when the next command has had its time.
    fn set_timer(&self) -> io::Result<()> {
        let now = Instant::now();
        let idle = match self.idle_since {
            // What goes on without a command takes of the disk as well.
            Some(_) if self.is_occupied() => Some(TICK),
            since => since.map(|since| (since + self.linger).saturating_duration_since(now).max(TICK)),
        };
        let busy = self.tasks.next_deadline().map(|at| at.saturating_duration_since(now).min(TICK));
        let after = idle.or(busy).unwrap_or(TICK).max(Duration::from_millis(1));
        let it_value = Timespec::try_from(after).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// A caller is gone: so is its command.
    fn let_go(&mut self, name: u64) -> io::Result<()> {
        if let Some(connection) = self.connections.remove(&name) {
            epoll::delete(&self.epoll, &connection)?;
        }
        self.tasks.of(name).map_or(Ok(()), |id| self.end(id))
    }

    fn watch(&self, name: u64) -> io::Result<()> {
        let Some(connection) = self.connections.get(&name) else { return Ok(()) };
        let writes = if connection.wants_to_write() { EventFlags::OUT } else { EventFlags::empty() };
        epoll::modify(&self.epoll, connection, EventData::new_u64(name), EventFlags::IN | writes)?;
        Ok(())
    }

    /// Tells a caller, who may be gone.
    fn tell(&mut self, name: u64, answer: &Answer, descriptor: Option<OwnedFd>) {
        let Some(connection) = self.connections.get_mut(&name) else { return };
        let told = connection.tell(answer, descriptor).is_ok();
        if !told || (connection.wants_to_write() && self.watch(name).is_err()) {
            // Where its command cannot be ended, it ends with the sandbox.
            self.done |= self.let_go(name).is_err();
        }
    }

    /// Tells every caller of whom no command runs.
    fn tell_idle(&mut self, answer: &Answer) {
        for name in self.connections.keys().copied().collect::<Vec<_>>() {
            if self.tasks.of(name).is_none() {
                self.tell(name, answer, None);
            }
        }
    }

    /// Lets go of every process that is held still for a caller.
    pub(super) fn thaw(&mut self) {
        self.connections.values_mut().for_each(Connection::thaw);
    }

    /// The sandbox has ended, and with it every command.
    pub(super) fn conclude(&mut self, outcome: &Outcome, refused: Refused<'_>) {
        self.door = None;
        for id in self.tasks.all() {
            let Some(task) = self.tasks.remove(id) else { continue };
            let name = task.connection;
            let ended = task.cut_off(outcome, refused);
            self.tell(name, &Answer::Ended(Box::new(ended.clone())), None);
            self.keeper.ended(id, &ended);
        }
    }
}

impl<K> AsFd for Control<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The base environment with some variables put on top of it.
fn merged(
    base: &[(std::ffi::OsString, std::ffi::OsString)],
    top: Vec<(std::ffi::OsString, std::ffi::OsString)>,
) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let mut all: BTreeMap<_, _> = base.iter().cloned().collect();
    all.extend(top);
    all.into_iter().collect()
}
