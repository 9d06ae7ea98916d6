//! Commands that go on when their caller has ended, and what they printed.
//!
//! Each has a small process of its own outside, the *attendant*, which relays its streams to files in the sandbox's folder, as a
//! caller would; the supervisor knows no difference.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stockade_linux::relay::HostStdio;
use stockade_spec::report::{Outcome, Usage};

use super::exec::Exec;
use super::handle::{Sandbox, Sandboxes};
use super::start;
use crate::error::Error;
use crate::wire::{self, Message};

/// The one argument with which the program is started as an attendant.
const ATTEND: &str = "attend";
/// Where output is kept, in a sandbox's folder.
const FOLDER: &str = "logs";
/// Bytes of output that are kept where the policy has no limit.
const MAX_OUTPUT: u64 = 1 << 30;

/// A command that was started detached, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Its number; later ones have higher ones.
    pub number: u32,
    /// Its words, as far as they are Unicode.
    pub command: Vec<String>,
    /// How it ended; `None` while it runs, and where its attendant was killed.
    pub outcome: Option<Outcome>,
    /// What it used, once it has ended.
    pub usage: Option<Usage>,
    /// Where its standard output is kept.
    pub stdout: PathBuf,
    /// Where its standard error is kept.
    pub stderr: PathBuf,
}

/// What an attendant is told.
#[derive(Debug, Serialize, Deserialize)]
struct Attend {
    state: PathBuf,
    name: String,
    program: PathBuf,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    exec: Exec,
    number: u32,
}

/// How an attendant answers.
#[derive(Debug, Serialize, Deserialize)]
enum Attended {
    Started,
    Failed(Message),
}

impl Sandbox {
    /// Starts a command that goes on by itself, with its output kept in files. What is known of it; its standard input is empty,
    /// and it has no terminal.
    ///
    /// # Errors
    /// When it was not started. That its program cannot be executed is an outcome.
    pub fn spawn(&self, exec: &Exec) -> Result<Log, Error> {
        self.directory(exec)?;
        let log = self.new_log(exec)?;
        let started = self.attended(exec, log.number);
        if started.is_err() {
            // There is nothing to tell of it. What cannot be removed reads as a command whose attendant was killed.
            for suffix in ["out", "err", "json"] {
                let _removed = std::fs::remove_file(self.path().join(FOLDER).join(format!("{}.{suffix}", log.number)));
            }
        }
        started.map(|()| log)
    }

    /// Starts a command's attendant, and waits until the supervisor has taken the command.
    fn attended(&self, exec: &Exec, number: u32) -> Result<(), Error> {
        let (ours, theirs) = UnixStream::pair().map_err(Error::Conversation)?;
        let mut child = start::background(&self.all.program, ATTEND, OwnedFd::from(theirs))?;
        let attend = Attend {
            state: self.all.state.path().to_owned(),
            name: self.name().to_owned(),
            program: self.all.program.clone(),
            environment: self.all.environment.clone(),
            exec: Exec { take_signals: false, ..exec.clone() },
            number,
        };
        wire::write(&ours, &attend).map_err(Error::Conversation)?;
        let answer = wire::read(&mut BufReader::new(ours)).map_err(Error::Conversation);
        let _status = child.wait();
        match answer? {
            Some(Attended::Started) => Ok(()),
            Some(Attended::Failed(message)) => Err(start::supervised(message)),
            None => Err(Error::Conversation(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Every command that was started detached, in order.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn logs(&self) -> Result<Vec<Log>, Error> {
        let folder = self.path().join(FOLDER);
        let logs =
            self.numbers()?.into_iter().filter_map(|number| read(&folder.join(format!("{number}.json"))).transpose());
        logs.collect()
    }

    /// The numbers that are taken, in order.
    fn numbers(&self) -> Result<Vec<u32>, Error> {
        let folder = self.path().join(FOLDER);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::Log { path: folder, source }),
        };
        let numbered = |entry: io::Result<std::fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse::<u32>().ok()
        };
        let mut numbers: Vec<u32> = entries.filter_map(numbered).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the files of a new command.
    fn new_log(&self, exec: &Exec) -> Result<Log, Error> {
        let folder = self.path().join(FOLDER);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Log { path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed(&folder))?;
        let mut number = self.numbers()?.last().map_or(1, |last| last.saturating_add(1));
        loop {
            let path = folder.join(format!("{number}.json"));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(_) => {}
                // Another caller has been quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number = number.saturating_add(1);
                    continue;
                }
                Err(source) => return Err(Error::Log { path, source }),
            }
            let file = |suffix| folder.join(format!("{number}.{suffix}"));
            let command = exec.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            let (stdout, stderr) = (file("out"), file("err"));
            let log = Log { number, command, outcome: None, usage: None, stdout, stderr };
            write(&path, &log)?;
            return Ok(log);
        }
    }
}

/// Runs the one detached command that the caller at `socket` names. Meant for a process of one thread that does nothing else.
///
/// # Errors
/// When the caller cannot be understood; it is told of everything else.
pub fn attend(socket: OwnedFd) -> Result<(), Error> {
    stockade_linux::detach().map_err(Error::Conversation)?;
    let socket = UnixStream::from(socket);
    let mut input = BufReader::new(socket.try_clone().map_err(Error::Conversation)?);
    let attend: Option<Attend> = wire::read(&mut input).map_err(Error::Conversation)?;
    let attend = attend.ok_or_else(|| Error::Conversation(io::ErrorKind::UnexpectedEof.into()))?;
    drop(input);
    let mut caller = Some(socket);
    let mut tell = |answer: Attended| {
        // A caller that is gone meanwhile has nobody to tell; the command goes on.
        caller.take().map(|socket| wire::write(&socket, &answer))
    };
    let done = run(&attend, &mut || drop(tell(Attended::Started)));
    if let Err(error) = &done {
        drop(tell(Attended::Failed(Message::from(error))));
    }
    done
}

fn run(attend: &Attend, started: &mut dyn FnMut()) -> Result<(), Error> {
    let Attend { state, name, program, environment, exec, number } = attend;
    let sandbox = Sandboxes::new(state, program, environment.clone())?.open(name)?;
    let path = sandbox.path().join(FOLDER).join(format!("{number}.json"));
    let gone = || Error::Log { path: path.clone(), source: io::ErrorKind::UnexpectedEof.into() };
    let mut log = read(&path)?.ok_or_else(gone)?;
    let create = |path: &Path| {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        file.map(OwnedFd::from).map_err(|source| Error::Log { path: path.to_owned(), source })
    };
    let nothing = File::open("/dev/null").map_err(Error::Streams)?.into();
    let stdio = HostStdio { stdin: nothing, stdout: create(&log.stdout)?, stderr: create(&log.stderr)? };
    let exec = Exec { output: Some(exec.output.unwrap_or(MAX_OUTPUT)), ..exec.clone() };
    let executed = sandbox.exec_telling(&exec, &stdio, started)?;
    (log.outcome, log.usage) = (Some(executed.outcome), Some(executed.usage));
    write(&path, &log)
}

/// What is known of a command; `None` where only its number is taken, or it was not started.
fn read(path: &Path) -> Result<Option<Log>, Error> {
    let failed = |source| Error::Log { path: path.to_owned(), source };
    let text = match std::fs::read(path) {
        Ok(text) if !text.is_empty() => text,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| failed(error.into()))
}

/// Replaces what is known of a command, as a whole.
fn write(path: &Path, log: &Log) -> Result<(), Error> {
    let failed = |source| Error::Log { path: path.to_owned(), source };
    let text = serde_json::to_vec(log).map_err(|error| failed(error.into()))?;
    let new = path.with_extension("new");
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)).map_err(failed)
}
