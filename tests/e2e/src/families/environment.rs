//! What the caller's environment gives away, and what it would make programs inside do.

use super::files::any;
use crate::attack::{Attack, Failed, Trace};
use crate::families::CARELESS;
use crate::scene::{CANARY, read_canary};

const LEFT_OUT: &str = "the command starts with a list of variables that may pass, and these are not among them";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "secrets-in-environment",
        techniques: &[43],
        about: "Read secrets from the environment, of names that are known and of one that nobody has heard of.",
        attempt: |_| {
            let found = std::env::vars().find(|(_, value)| value.contains(CANARY));
            found.map(drop).ok_or_else(|| Failed::refused("no variable holds a secret"))
        },
        trace: Trace::Silent(LEFT_OUT),
        ..Attack::BASE
    },
    Attack {
        name: "programs-in-environment",
        techniques: &[43],
        about: "Let a variable of the caller load a library or name a program.",
        attempt: |_| {
            let found = CARELESS.iter().find(|(name, _)| std::env::var_os(name).is_some());
            found.map(drop).ok_or_else(|| Failed::refused("none of the variables is there"))
        },
        trace: Trace::Silent(LEFT_OUT),
        ..Attack::BASE
    },
    Attack {
        name: "environment-of-parents",
        techniques: &[8, 43],
        about: "Read the caller's environment from /proc, of the parent and of process 1.",
        attempt: |_| {
            let parent = std::os::unix::process::parent_id();
            any([format!("/proc/{parent}/environ"), "/proc/1/environ".to_owned()]
                .map(|path| read_canary(std::path::Path::new(&path))))
        },
        trace: Trace::Silent("process 1 is not dumpable, and nobody else is there"),
        ..Attack::BASE
    },
];
