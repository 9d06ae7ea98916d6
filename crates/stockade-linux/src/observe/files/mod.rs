//! File operations that the filter asks about: watched, or decided.
//!
//! Watching (`--trace`) finds out what the kernel is about to refuse and lets it. Deciding is for rules that the view
//! cannot enforce, because what they are about may appear later: then the supervisor carries every operation out itself.

mod act;
mod attributes;
mod guard;
mod open;
mod request;
mod rules;
mod trace;

use rustix::io::Errno;

use super::asker::Asker;
use super::{Answer, Observer, process};
use crate::denials::{Attempt, DenialLog};
use request::Request;
use rules::Refused;

pub(super) use rules::FileRules;

pub(super) fn decide(observer: &Observer, asker: &Asker<'_>, call: &'static str, log: &mut DenialLog<'_>) -> Answer {
    let request = match request::read(asker, call) {
        Ok(request) => request,
        Err(Errno::PERM | Errno::ACCESS) if may_pass_unread(observer, call) || is_spawner(observer, asker) => {
            return Answer::Continue;
        }
        Err(error) => return Answer::Fail(error),
    };
    if !observer.files.observation.decides() {
        trace::observe(observer, asker, &request, log);
        return Answer::Continue;
    }
    let acted =
        without_own_mounts(observer, asker).map_err(Refused::from).and_then(|()| act::act(observer, asker, &request));
    match acted {
        Ok(answer) => answer,
        Err(Refused::Rule { area, rule, path, error }) => {
            log.record(Attempt::new(area, operation(&request), &path).rule(rule).by(asker.process()));
            Answer::Fail(error)
        }
        Err(Refused::Error(error)) => {
            if matches!(error, Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOENT | Errno::NOTDIR) {
                trace::observe(observer, asker, &request, log);
            }
            Answer::Fail(error)
        }
    }
}

/// Refuses processes in a user namespace of their own, where they may mount: there a file can have any path, so that
/// rules about paths mean nothing.
fn without_own_mounts(observer: &Observer, asker: &Asker<'_>) -> Result<(), Errno> {
    if !observer.nested_namespaces || asker.is_in_first_user_namespace()? { Ok(()) } else { Err(Errno::ACCESS) }
}

/// Some processes do not let their memory be read (`PR_SET_DUMPABLE` of `prctl(2)`): the stage before it becomes the
/// command, and agents that hold keys. What is only watched goes on then, and so does executing, which is left to the
/// kernel in any case.
fn may_pass_unread(observer: &Observer, call: &str) -> bool {
    !observer.files.observation.decides() || matches!(call, "execve" | "execveat")
}

/// Whether it is the spawner of a sandbox that lasts, which runs under the commands' filter and opens what they need: a
/// terminal, `/dev/null`, `/proc`. It is our own code, and nothing inside can change its memory while the kernel reads it.
///
/// It is process 2 of the sandbox's own namespace, and no other one can be: the kernel gives numbers out in order, and begins
/// again at 300 (`alloc_pid` in `kernel/pid.c`).
fn is_spawner(observer: &Observer, asker: &Asker<'_>) -> bool {
    let is_second = || {
        let (asking, init) = (asker.status().ok()?, process::status(observer.context.first_process).ok()?);
        Some(asking.process_inside == 2 && init.process_inside == 1 && asking.depth == init.depth)
    };
    observer.context.has_spawner && is_second().unwrap_or(false)
}

/// The operation in a word.
fn operation(request: &Request) -> &'static str {
    match request {
        Request::Open { flags, .. } | Request::OpenHow { flags, .. } => trace::open_word(*flags),
        Request::Execute { .. } => "execute",
        Request::Make { .. } => "create",
        Request::Remove { .. } => "delete",
        Request::Rename { .. } => "rename",
        Request::Link { .. } => "link",
        Request::Change { .. } | Request::ChangeNewer { .. } => "change",
    }
}
