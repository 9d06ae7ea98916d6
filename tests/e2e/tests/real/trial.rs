//! One test: what it is called, whether it can run here, and running it.

use std::process::ExitCode;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::demo::{self, Mode};
use crate::job::{self, Job};
use crate::user::User;

/// One test.
#[derive(Debug)]
pub(crate) struct Trial {
    name: String,
    user: User,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Job(&'static Job),
    Demo(Mode),
}

impl Trial {
    /// A job as a user.
    pub(crate) fn job(job: &'static Job, user: &User) -> Self {
        Self { name: format!("{}::{}", job.name, user.kind()), user: user.clone(), kind: Kind::Job(job) }
    }

    /// The example of untrusted code as a user.
    pub(crate) fn demo(mode: Mode, user: &User) -> Self {
        Self { name: format!("untrusted_{}::{}", mode.name(), user.kind()), user: user.clone(), kind: Kind::Demo(mode) }
    }

    /// What is missing for it on this machine.
    fn missing(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Job(job) => job.missing(&self.user),
            Kind::Demo(_) => None,
        }
    }

    fn run(&self) -> Result<(), String> {
        match self.kind {
            Kind::Job(job) => job::run(job, &self.user),
            Kind::Demo(mode) => demo::run(mode, &self.user),
        }
    }
}

/// Lists or runs the tests that are meant.
pub(crate) fn run(trials: &[Trial], arguments: &Arguments) -> ExitCode {
    let selected = trials.iter().filter(|trial| arguments.select(&trial.name));
    if arguments.list {
        for trial in selected.filter(|trial| !arguments.ignored || trial.missing().is_some()) {
            println!("{}: test", trial.name);
        }
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut ignored, mut failed) = (0_u32, 0_u32, 0_u32);
    for trial in selected {
        if let Some(missing) = trial.missing() {
            println!("test {} ... ignored, {missing}", trial.name);
            ignored += 1;
            continue;
        }
        let start = Instant::now();
        let result = trial.run();
        let seconds = start.elapsed().as_secs_f32();
        match result {
            Ok(()) => {
                println!("test {} ... ok ({seconds:.1} s)", trial.name);
                passed += 1;
            }
            Err(text) => {
                println!("test {} ... FAILED ({seconds:.1} s)\n{text}\n", trial.name);
                failed += 1;
            }
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
