//! The supervisor of a sandbox that lasts: a small process that lives while something runs in it.

use std::cell::{Cell, RefCell};
use std::io::BufReader;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use stockade_linux::denials::DenialLog;
use stockade_linux::{LaunchError, Namespaces, Watch};
use stockade_spec::compile::compile;
use stockade_spec::plan::{Operation, Plan, Resource};
use stockade_workspace::StateDirectory;
use stockade_workspace::sandboxes::Sandboxes;

use super::control::{Control, Door, Keeper, Refused, Settings, killed};
use super::disk::DiskBound;
use super::housekeeper::Housekeeper;
use super::recorder::Recorder;
use super::settings;
use super::start::{Keep, Kept};
use crate::error::Error;
use crate::event::Event;
use crate::gate::OpenGate;
use crate::job::Work;
use crate::run::{self, Begun, Ground};
use crate::stdio;
use crate::wire::{self, Message};

/// Supervises the sandbox that the caller at `socket` names, for as long as something runs in it. Meant for a process of one
/// thread that does nothing else.
///
/// # Errors
/// When the caller cannot be understood or is gone; it is told of everything else.
pub fn keep(socket: OwnedFd) -> Result<(), Error> {
    stockade_linux::detach().map_err(Error::Conversation)?;
    let socket = UnixStream::from(socket);
    let mut input = BufReader::new(socket.try_clone().map_err(Error::Conversation)?);
    let keep: Option<Keep> = wire::read(&mut input).map_err(Error::Conversation)?;
    let keep = keep.ok_or_else(|| Error::Conversation(std::io::ErrorKind::UnexpectedEof.into()))?;
    drop(input);
    let answer = RefCell::new(Some(socket));
    // Told once; the caller is let go then, and whoever comes later uses the control socket.
    let tell = |kept: Kept| answer.borrow_mut().take().map_or(Ok(()), |socket| wire::write(&socket, &kept));
    match supervise(&keep, &|| tell(Kept::Ready)) {
        Ok(true) => Ok(()),
        Ok(false) => tell(Kept::Busy).map_err(Error::Conversation),
        Err(error) => {
            tell(Kept::Failed(Message::from(&error))).map_err(Error::Conversation)?;
            Err(error)
        }
    }
}

/// Whether there was no other supervisor.
fn supervise(keep: &Keep, ready: &dyn Fn() -> std::io::Result<()>) -> Result<bool, Error> {
    let work = keep.order.work()?;
    let state = StateDirectory::new(work.state)?;
    let mut kept = Sandboxes::new(&state)?.open(&keep.name)?;
    let mut locked = kept.lock()?;
    let Some(_held) = locked.hold_supervisor()? else { return Ok(false) };
    locked.open_workspace()?;
    locked.begin_window()?;
    let mut disk = DiskBound::of(work.policy.limits.disk.map(|disk| disk.0), &locked)?;
    let request = settings::with_layers(work.request, &locked, !disk.is_spent());
    drop(locked);
    let work = Work { request: &request, ..work };
    let recorder = Rc::new(RefCell::new(Recorder::open(&state, &kept)?));
    let connected = Cell::new(0);
    let tell = |event: Event<'_>| record(&mut recorder.borrow_mut(), &connected, event);
    let ground = Ground::look(work)?;
    let plan = compile(work.policy, work.request, &ground.facts)?;
    make_uppers(&plan)?;
    disk.begin(&kept)?;
    let nowhere = stdio::nowhere().map_err(Error::Streams)?;
    let begun = run::begin(work, &ground, &plan, nowhere, Namespaces::default(), &tell)?;
    let Begun { mut running, gate, .. } = begun;
    drop(ground);
    let commands = running.take_commands().ok_or(Error::Launch(LaunchError::Unexpected))?;
    let freezer = running.freezer()?;
    disk.look_at(running.proc().map_err(Error::Control)?);
    let mut gate = gate.map(|gate| gate.start(running.take_gate(), None)).transpose()?;
    let door = Door::open(kept.folder()).map_err(Error::Control)?;
    let settings = Settings {
        environment: plan.command.environment.clone(),
        time: limit_of(&plan, Resource::Time).map(Duration::from_millis),
        linger: Duration::from_millis(keep.linger_ms),
    };
    recorder.borrow_mut().write("started", &json!({ "tier": plan.tier, "disk_limit_reached": disk.is_spent() }));
    let keeper = Housekeeper::new(kept, Rc::clone(&recorder), freezer, disk, request.workspace.clone());
    let control = Control::new(door, commands, keeper, settings).map_err(Error::Control)?;
    let descriptor = control.as_fd().try_clone_to_owned().map_err(Error::Control)?;
    let control = Rc::new(RefCell::new(control));
    let mut watches: Vec<Box<dyn Watch + '_>> = vec![Box::new(Served { descriptor, control: Rc::clone(&control) })];
    watches.extend(gate.iter_mut().flat_map(|gate| gate.watches(&tell)));
    let gatekeeper = gate.as_ref().map(OpenGate::keeper);
    // A caller that is gone meanwhile has nobody to tell; the sandbox ends when its time has come.
    let _gone = ready();
    let finished = running.wait(watches, gatekeeper);
    let (outcome, mut denials) = match finished {
        Ok(finished) => (finished.outcome, finished.denials),
        Err(error) => {
            control.borrow_mut().conclude(&killed(), Refused::default());
            record_rest(&mut recorder.borrow_mut(), connected.get());
            recorder.borrow_mut().write("failed", &json!({ "error": error.to_string() }));
            return Err(error.into());
        }
    };
    control.borrow_mut().conclude(&outcome, Refused::of(&denials));
    let _passed = gate.map(|gate| gate.finish(&mut denials, &tell));
    record_rest(&mut recorder.borrow_mut(), connected.get());
    recorder.borrow_mut().write("stopped", &json!({ "outcome": outcome }));
    recorder.borrow_mut().sign();
    Ok(true)
}

/// Connections of one supervisor's life that are put on record each; those beyond are only counted. What is refused is
/// bounded by the log of denials.
const MAX_CONNECTED: u64 = 10_000;

/// What happens goes to the record.
fn record(recorder: &mut Recorder, connected: &Cell<u64>, event: Event<'_>) {
    match event {
        Event::Denied(denial) => recorder.write("denied", denial),
        Event::Connected(connection) => {
            connected.set(connected.get().saturating_add(1));
            if connected.get() <= MAX_CONNECTED {
                recorder.write("connected", connection);
            }
        }
        _ => {}
    }
}

/// How many connections are not on record.
fn record_rest(recorder: &mut Recorder, connected: u64) {
    if connected > MAX_CONNECTED {
        recorder.write("connections-dropped", &json!({ "count": connected - MAX_CONNECTED }));
    }
}

/// Makes the directories of overlays that are not there yet.
fn make_uppers(plan: &Plan) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    for step in &plan.steps {
        if let Operation::Layered { writes: Some(writes), .. } = &step.operation {
            for path in [&writes.upper, &writes.work] {
                let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.map_err(|source| Error::Layer { path: path.clone(), source })?;
            }
        }
    }
    Ok(())
}

fn limit_of(plan: &Plan, wanted: Resource) -> Option<u64> {
    plan.steps.iter().find_map(|step| match &step.operation {
        Operation::Limit { resource, value, .. } if *resource == wanted => Some(*value),
        _ => None,
    })
}

/// What the supervisor's loop watches of the control socket.
#[derive(Debug)]
struct Served<K> {
    descriptor: OwnedFd,
    control: Rc<RefCell<Control<K>>>,
}

impl<K: Keeper> Watch for Served<K> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn ready(&mut self, denials: &mut DenialLog<'_>) {
        self.control.borrow_mut().ready(denials);
    }

    fn is_done(&self) -> bool {
        self.control.borrow().is_done()
    }

    /// A tracer keeps init from reaping what it holds (`zap_pid_ns_processes` in `kernel/pid_namespace.c` waits for that), and
    /// nobody looks after the connections from here on.
    fn over(&mut self, _: &mut DenialLog<'_>) {
        self.control.borrow_mut().thaw();
    }
}
