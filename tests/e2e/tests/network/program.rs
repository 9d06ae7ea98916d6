//! One real program that knows nothing of a gate: with its host allowed it does what it does natively, and otherwise it is
//! refused.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::place::Place;
use crate::run::Bench;
use crate::user::User;

/// One program, with what it does.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: &'static str,
    /// A shell command that succeeds where it is installed, and what to install where it is not.
    pub(crate) needs: (&'static str, &'static str),
    /// Services that it needs besides those that are always there.
    pub(crate) services: &'static [&'static str],
    /// A shell script that makes ready, in the directory of the trial.
    pub(crate) setup: &'static str,
    /// What it does: a shell script, run in the workspace. Where it holds `BOX`, only what follows on that line is boxed.
    pub(crate) script: &'static str,
    /// What the script prints, among other things.
    pub(crate) prints: &'static str,
    /// What the hosts outside see of each run.
    pub(crate) seen: &'static str,
    /// The options that allow it.
    pub(crate) allow: &'static [&'static str],
    /// The area and a part of the target of the denial where nothing of it is allowed; no such trial where it is empty.
    pub(crate) denied: (&'static str, &'static str),
}

impl Program {
    /// What has to be installed before this can be tried.
    pub(crate) fn missing(&self, user: &User) -> Option<&'static str> {
        let mut test = Command::new("sh");
        test.args(["-c", self.needs.0]).env("HOME", "/").stdout(Stdio::null()).stderr(Stdio::null());
        user.becomes(&mut test);
        (!test.status().is_ok_and(|status| status.success())).then_some(self.needs.1)
    }

    /// Runs it natively, allowed and denied; what is not as it should be.
    pub(crate) fn run(&self, bench: &Bench, user: &User) -> io::Result<Vec<String>> {
        let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/programs");
        let setup = self.setup.replace("JOBS", &jobs.to_string_lossy());
        let place = Place::new(bench, user, self.services, &setup)?;
        let native = place.native(&self.script.replace("BOX", ""))?;
        let mut mistakes = Vec::new();
        if native.status != Some(0) || !native.output.contains(self.prints) {
            mistakes.push(format!("natively it does not do what it should: {}", native.describe()));
        }
        let seen = || place.record().lines().filter(|line| line.starts_with(self.seen)).count();
        let seen_natively = seen();
        let boxed = if self.script.contains("BOX") {
            let stockade = format!("STOCKADE {} --", self.allow.join(" "));
            place.native(&self.script.replace("BOX", &stockade))?
        } else {
            place.boxed(self.allow, self.script)?
        };
        if (boxed.status, &boxed.output) != (native.status, &native.output) {
            mistakes.push(format!("boxed, it does something else: {}", boxed.describe()));
        }
        if !self.seen.is_empty() && (seen_natively == 0 || seen() == seen_natively) {
            mistakes.push(format!("the hosts outside do not see `{}` of each run", self.seen));
        }
        let (area, part) = self.denied;
        if area == "network" && !boxed.connected(part.split(':').next().unwrap_or(part)) {
            mistakes.push(format!("the report tells of no connection: {}", boxed.describe()));
        }
        if !area.is_empty() {
            let denied = place.boxed(&["--allow", "other.example"], self.script)?;
            if denied.status == Some(0) || denied.output.contains(self.prints) || !denied.denied(area, part) {
                mistakes.push(format!("it should be refused, with an event: {}", denied.describe()));
            }
        }
        Ok(mistakes)
    }
}
