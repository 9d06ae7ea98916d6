//! Carries out one attack, or plays a part in it.
//!
//! Exit status: 0 when it succeeded, 1 when it was refused, 2 when it could not be tried.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program talks to its caller")]

use std::path::Path;
use std::process::ExitCode;

use e2e::attack::{Attempt, Failed, Proof};
use e2e::{Attack, Scene, families, host};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["build", base] => Scene::build(Path::new(base)).map_err(Failed::from),
        ["host", base] => host::serve(Path::new(base)).map_err(Failed::from),
        ["prepare", workspace, name] => with(workspace, name, |scene, attack| (attack.prepare)(scene)),
        ["attempt", workspace, name] => with(workspace, name, |scene, attack| (attack.attempt)(scene)),
        ["prove", workspace, name] => with(workspace, name, |scene, attack| match attack.proof {
            Proof::Attempt => Err(Failed::untried("the attempt itself is the proof")),
            Proof::Host(proof) => proof(scene),
        }),
        _ => families::play(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Refused(text)) => {
            eprintln!("attacks: {text}");
            ExitCode::from(1)
        }
        Err(Failed::Untried(text)) => {
            eprintln!("attacks: not tried: {text}");
            ExitCode::from(2)
        }
    }
}

fn with(workspace: &str, name: &str, act: impl FnOnce(&Scene, &Attack) -> Attempt) -> Attempt {
    let scene = Scene::open(Path::new(workspace)).map_err(Failed::untried)?;
    let attack = families::named(name).ok_or_else(|| Failed::untried(format!("no attack is called `{name}`")))?;
    act(&scene, attack)
}
