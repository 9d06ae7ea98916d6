//! What goes wrong in a network: bounded memory, an end in time, and the rest goes on.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::place::{Place, Run};
use crate::run::Bench;
use crate::user::User;

/// One fault.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its name.
    pub(crate) name: &'static str,
    /// What brings it about: a shell script, run in the workspace. `STOCKADE` stands for the sandbox with its report; where
    /// the script does not hold it, the whole of it is boxed.
    script: &'static str,
    /// The options of the sandbox.
    options: &'static [&'static str],
    /// What the script prints when all is well.
    prints: &'static str,
    /// What the hosts outside have seen in the end.
    seen: &'static str,
    /// Seconds within which it ends.
    seconds: u64,
}

/// Memory, in KiB, that no process may exceed: more than an idle Python and less than any of these floods.
const MEMORY: u64 = 64 << 10;

const BASE: Fault = Fault {
    name: "",
    script: "",
    options: &["--allow", "allowed.example", "--allow", "allowed.example:9", "--allow", "silent.example"],
    prints: "served",
    seen: "",
    seconds: 30,
};

/// Every fault.
pub(crate) static FAULTS: &[Fault] = &[
    Fault {
        name: "peer-hangs",
        script: "curl -sS -m 3 http://allowed.example/hang; test $? = 28 && curl -sS -m 3 http://allowed.example/ >&2 && echo served",
        ..BASE
    },
    Fault {
        name: "many-idle-connections",
        script: "/usr/bin/python3 BASE/home/project/flood.py idle",
        seconds: 50,
        ..BASE
    },
    Fault { name: "slow-senders", script: "/usr/bin/python3 BASE/home/project/flood.py slow", seconds: 40, ..BASE },
    Fault {
        name: "silent-name-servers",
        script: "/usr/bin/python3 BASE/home/project/flood.py silent",
        seconds: 45,
        ..BASE
    },
    Fault {
        name: "junk-for-the-name-server",
        script: "/usr/bin/python3 BASE/home/project/flood.py junk",
        seconds: 50,
        ..BASE
    },
    Fault { name: "many-names", script: "/usr/bin/python3 BASE/home/project/flood.py names", seconds: 50, ..BASE },
    Fault {
        name: "many-allowed-names",
        script: "/usr/bin/python3 BASE/home/project/flood.py allowed",
        options: &["--allow", "allowed.example", "--allow", "*.allowed.example"],
        seconds: 50,
        ..BASE
    },
    Fault {
        name: "few-descriptors",
        script: "ulimit -n 128; exec STOCKADE OPTIONS -- /usr/bin/python3 BASE/home/project/flood.py few",
        ..BASE
    },
    Fault {
        name: "supervisor-killed",
        script: "STOCKADE OPTIONS -- /usr/bin/python3 BASE/home/project/flood.py stream & \
                 sleep 2; kill -9 $!; wait $!; sleep 1; pgrep -f 'flood.py stream$' || echo served",
        seen: "sink ended",
        ..BASE
    },
];

impl Fault {
    /// Brings it about in a sandbox; what is not as it should be.
    pub(crate) fn run(&self, bench: &Bench, user: &User) -> io::Result<Vec<String>> {
        let flood = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/flood.py");
        let place = Place::new(bench, user, &[], &format!("cp {} home/project/", flood.display()))?;
        let start = Instant::now();
        let run = if self.script.contains("STOCKADE") {
            place.native(&self.script.replace("OPTIONS", &self.options.join(" ")))?
        } else {
            place.boxed(self.options, self.script)?
        };
        let mut mistakes = self.mistakes(&run);
        let took = start.elapsed().as_secs();
        if took > self.seconds {
            mistakes.push(format!("it took {took} seconds"));
        }
        if !place.record().contains(self.seen) {
            mistakes.push(format!("no host has seen `{}`", self.seen));
        }
        if !mistakes.is_empty() {
            mistakes.push(run.describe());
        }
        Ok(mistakes)
    }

    fn mistakes(&self, run: &Run) -> Vec<String> {
        let mut mistakes = Vec::new();
        if run.status != Some(0) || !run.output.contains(self.prints) {
            mistakes.push("it did not go on as it should".to_owned());
        }
        if run.memory > MEMORY {
            mistakes.push(format!("a process had {} KiB", run.memory));
        }
        mistakes
    }
}
