//! The sandbox itself: its switches, its policy, its files, and what it does when it cannot do its work.

use std::fs;

use super::files::{any, exists, plant};
use crate::attack::{Attack, Event, Failed, Landlock, Native, Proof, Trace};
use crate::scene::{put, read_canary};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "widen-by-workspace-policy",
        techniques: &[90],
        about: "Bring a policy along in the workspace that opens what lies outside.",
        prepare: |scene| {
            let text = format!("version = 1\n[filesystem]\nread = [\"{}\"]\n", scene.outside().display());
            Ok(put(&scene.workspace().join(".stockade.toml"), text)?)
        },
        attempt: |scene| read_canary(&scene.outside().join("canary.txt")),
        trace: Trace::Refused("an untrusted policy that widens is refused before anything starts"),
        ..Attack::BASE
    },
    Attack {
        name: "plant-policy-for-next-run",
        techniques: &[90, 23],
        about: "Write a policy for the next run: in the workspace, in the user's configuration, in Stockade's state.",
        attempt: |scene| {
            let names = [".config/stockade/policy.toml", ".local/state/stockade/journal/x.json"];
            any([
                any(names.map(|name| plant(&scene.home().join(name)))),
                plant(&scene.workspace().join(".stockade.toml")),
            ])
        },
        proof: Proof::Host(|scene| {
            let names = [".config/stockade/policy.toml", ".local/state/stockade/journal/x.json"];
            any([
                any(names.map(|name| exists(&scene.home().join(name)))),
                exists(&scene.workspace().join(".stockade.toml")),
            ])
        }),
        trace: Trace::Event(&[Event("discarded", "", ".config/stockade/policy.toml")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("protected", "", ".stockade.toml")])),
        ..Attack::BASE
    },
    Attack {
        name: "unaccepted-weakness",
        techniques: &[90],
        about: "Be run in a tier that cannot enforce a rule which the policy does not give up.",
        attempt: |scene| read_canary(&scene.outside().join("canary.txt")),
        options: &["--policy", "/nonexistent/policy.toml"],
        trace: Trace::Refused("a policy that cannot be read is no policy"),
        ..Attack::BASE
    },
    Attack {
        name: "run-stockade-inside",
        techniques: &[90],
        about: "Run Stockade inside, with options that open everything.",
        prepare: |_| Ok(()),
        attempt: |scene| {
            let stockade = scene.workspace().join("stockade");
            if !stockade.exists() {
                return Err(Failed::untried("stockade is not in the workspace"));
            }
            let mut inner = std::process::Command::new(stockade);
            inner.args(["run", "--accept-degraded", WEAKER, "--read"]).arg(scene.outside()).arg("--");
            let output = inner.arg("cat").arg(scene.outside().join("canary.txt")).output()?;
            let errors = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            crate::scene::holds_canary(&output.stdout).map_err(|_| Failed::refused(errors))
        },
        native: Native::Succeeds,
        trace: Trace::Silent("what is not there cannot be opened"),
        ..Attack::BASE
    },
    Attack {
        name: "terminal-escapes-in-messages",
        techniques: &[34],
        about: "Let Stockade's own closing lines carry escape sequences to the terminal, by the name of a refused file.",
        attempt: |scene| {
            let path = scene.outside().join("\u{1b}]0;owned\u{7}\u{1b}[2J");
            let error = fs::File::open("/etc/stockade-e2e")
                .err()
                .unwrap_or_else(|| std::io::Error::from_raw_os_error(libc::ENOENT));
            drop(fs::write(&path, ""));
            Err(Failed::refused(format!("{}: {error}", path.display())))
        },
        native: Native::Refused("without Stockade there are no closing lines"),
        trace: Trace::Silent("the harness looks at the closing lines of every run for control characters"),
        ..Attack::BASE
    },
    Attack {
        name: "wild-output",
        techniques: &[68],
        about: "Print a line of 4 MiB of bytes that are not text.",
        attempt: |_| {
            use std::io::Write;
            let bytes: Vec<u8> = (0..=255_u8).filter(|byte| *byte != b'\n').cycle().take(4 << 20).collect();
            std::io::stdout().write_all(&bytes)?;
            std::io::stderr().write_all(&bytes[..1 << 20])?;
            Err(Failed::refused("the output has to come through whole, and the report to be JSON"))
        },
        native: Native::Refused("output is no breach"),
        trace: Trace::Silent("output passes as it is"),
        ..Attack::BASE
    },
];

/// What the inner Stockade accepts as weaker.
const WEAKER: &str = "file-visibility,caches,process-visibility,lifetime,loopback,ipc,protected-files,files,memory-limit,\
                      cpu-limit,process-limit,disk-limit";
