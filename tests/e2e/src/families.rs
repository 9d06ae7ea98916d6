//! The attacks, by what they are on. One file for each family.

pub mod deferred;
pub mod environment;
pub mod files;
pub mod ipc;
pub mod kernel;
pub mod layers;
pub mod meta;
pub mod network;
pub mod processes;
pub mod resources;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::attack::{Attack, Attempt, Failed};
use crate::scene::{CANARY, Scene};
use crate::sys::{self, Arg};

/// Every family with its attacks, but for those that need the suite's own internet or a sandbox that lasts.
pub const FAMILIES: &[(&str, &[Attack])] = &[
    ("files", files::ATTACKS),
    ("deferred", deferred::ATTACKS),
    ("ipc", ipc::ATTACKS),
    ("processes", processes::ATTACKS),
    ("kernel", kernel::ATTACKS),
    ("environment", environment::ATTACKS),
    ("resources", resources::ATTACKS),
    ("meta", meta::ATTACKS),
];

/// Every attack.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    let network = network::ATTACKS.iter().copied();
    FAMILIES.iter().map(|(_, attacks)| *attacks).chain([layers::ATTACKS]).chain(network).flatten()
}

/// The attack of a name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Attack> {
    all().find(|attack| attack.name == name)
}

/// Plays the part of another process of an attack.
///
/// # Errors
/// When there is no such part, or it fails.
pub fn play(words: &[&str]) -> Attempt {
    match words {
        ["careless", workspace, program, arguments @ ..] => careless(Path::new(workspace), program, arguments),
        ["daemon", heartbeat] => processes::daemon(heartbeat),
        ["beat", heartbeat] => processes::beat(heartbeat),
        ["bomb"] => resources::bomb(),
        ["idle"] => Ok(std::io::stdin().read_to_end(&mut Vec::new()).map(drop)?),
        _ => Err(Failed::untried(format!("`attacks {}` is no part that can be played", words.join(" ")))),
    }
}

/// Variables with secrets, or with programs to load or run, as people have them in their environment.
pub const CARELESS: &[(&str, &str)] = &[
    ("AWS_SECRET_ACCESS_KEY", CANARY),
    ("GITHUB_TOKEN", CANARY),
    ("DATABASE_URL", CANARY),
    ("MY_PASSWORD", CANARY),
    ("SOME_UNHEARD_OF_THING", CANARY),
    ("LD_PRELOAD", "libc.so.6"),
    ("BASH_ENV", CANARY),
    ("GIT_SSH_COMMAND", CANARY),
    ("PAGER", CANARY),
    ("NODE_OPTIONS", CANARY),
    ("PYTHONSTARTUP", CANARY),
    ("SSH_AUTH_SOCK", CANARY),
    ("DBUS_SESSION_BUS_ADDRESS", CANARY),
];

/// Executes a program as a careless caller does: with secrets in the environment, a directory open as descriptor 9 and a
/// socket to a process outside as descriptor 10.
fn careless(workspace: &Path, program: &str, arguments: &[&str]) -> Attempt {
    let scene = Scene::open(workspace).map_err(Failed::untried)?;
    let directory = File::open(scene.outside()).map_err(Failed::untried)?;
    let socket = UnixStream::connect(scene.outside().join("run/bus")).map_err(Failed::untried)?;
    for (old, new) in [(directory.as_raw_fd(), 9), (socket.as_raw_fd(), 10)] {
        sys::call(libc::SYS_dup3, &mut [Arg::Number(old.into()), Arg::Number(new), Arg::Null])
            .map_err(Failed::untried)?;
    }
    let error = Command::new(program).args(arguments).envs(CARELESS.iter().copied()).exec();
    Err(Failed::untried(format!("{program}: {error}")))
}
