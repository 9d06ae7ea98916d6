//! Whoever is killed at whatever moment: nothing that was reported is lost, and a second try completes.
//!
//! The victim is the `stockade` that was called, the supervisor, init, or the spawner, at a random moment of a command that
//! changes a sandbox or its workspace.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::Trial;
use crate::leftovers::{self, Process, processes, signal, soon};
use crate::place::{Outcome, Place};
use crate::user::User;

pub(crate) const TRIALS: &[Trial] = &[("at_random", at_random)];

/// How often something is killed, by all users together.
const KILLS: usize = 500;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Files that are changed together: in each state, all of them hold its number.
const FILES: usize = 24;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Caller,
    Supervisor,
    Init,
    Spawner,
    Everyone,
}

const VICTIMS: [Victim; 5] = [Victim::Caller, Victim::Supervisor, Victim::Init, Victim::Spawner, Victim::Everyone];

const COMMANDS: [&str; 6] = ["checkpoint", "restore", "fork", "apply", "rm", "exec"];

/// What happened, and what is known to have been reported.
struct Round<'p> {
    place: &'p Place,
    random: Cell<u64>,
    /// Checkpoints that were reported, and the state that each of them keeps.
    reported: BTreeMap<String, u64>,
    /// The state that the last command left in the sandbox, if it is certain.
    state: u64,
    /// What the workspace may hold: the state before, and the one that was being applied.
    host: (u64, u64),
    made: usize,
}

fn at_random(place: &Place) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| u64::from(now.subsec_nanos()) | 1);
    let kills: usize = std::env::var("STOCKADE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let kills = kills.div_ceil(User::available().len());
    let mut round =
        Round { place, random: Cell::new(seed), reported: BTreeMap::new(), state: 0, host: (0, 0), made: 0 };
    for number in 0..FILES {
        place.file(&format!("home/project/many/f{number}"), "0\n");
    }
    place.create("own", &[]);
    let (mut killed, mut counts) = (0, BTreeMap::<String, usize>::new());
    let mut tried = 0;
    while killed < kills {
        tried += 1;
        assert!(tried < 20 * kills + 20, "seed {seed}: the moments are hardly ever right: {counts:?}");
        let victim = VICTIMS[round.next(VICTIMS.len())];
        let command = COMMANDS[tried % COMMANDS.len()];
        let what = format!("seed {seed}, number {tried}, {command}, {victim:?} killed");
        if round.strike(command, victim, &what) {
            killed += 1;
            *counts.entry(format!("{command} {victim:?}")).or_default() += 1;
        }
        round.check(&what);
    }
    println!("{killed} kills in {tried} tries: {counts:?}");
    if killed >= 50 {
        for victim in VICTIMS {
            let name = format!(" {victim:?}");
            assert!(counts.keys().any(|key| key.ends_with(&name)), "seed {seed}: {victim:?} was never killed");
        }
    }
}

impl Round<'_> {
    /// A number below a bound, by a linear congruential generator (Knuth): any spread will do.
    fn next(&self, bound: usize) -> usize {
        let random = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random.set(random);
        usize::try_from(random >> 33).expect("31 bits") % bound
    }

    fn call(&self, words: &[&str]) -> Outcome {
        let mut command = self.place.command("timeout");
        command.args(["-s", "KILL", &PATIENCE.as_secs().to_string()]).arg(self.place.program());
        let started = Instant::now();
        let outcome = self.place.outcome(command.args(words));
        assert!(started.elapsed() < PATIENCE, "{words:?} hangs");
        outcome
    }

    fn succeed(&self, words: &[&str], what: &str) -> String {
        let outcome = self.call(words);
        assert_eq!(outcome.status, 0, "{what}: then {words:?}: {outcome:?}");
        outcome.stdout.trim_end().to_owned()
    }

    /// Writes the next state into the sandbox, while somebody else may run in it.
    fn write(&mut self, what: &str) {
        self.state += 1;
        let script = format!("for n in $(seq 0 {}); do echo {} > many/f$n; done", FILES - 1, self.state);
        self.succeed(&["exec", "own", "--", "sh", "-c", &script], what);
    }

    /// Carries a command out and kills meanwhile. Whether something was killed before it had ended.
    fn strike(&mut self, command: &str, victim: Victim, what: &str) -> bool {
        self.write(what);
        self.made += 1;
        let fork = format!("fork{}", self.made);
        let target = self.reported.keys().nth(self.next(self.reported.len().max(1))).cloned();
        let words: Vec<&str> = match (command, &target) {
            ("restore", Some(target)) => vec!["restore", "own", target],
            ("fork", _) => vec!["fork", "own", &fork],
            ("apply", _) => vec!["apply", "own"],
            ("rm", _) => {
                self.succeed(&["fork", "own", &fork], what);
                self.succeed(&["exec", &fork, "--", "sh", "-c", "echo more > more"], what);
                vec!["rm", "--force", &fork]
            }
            ("exec", _) => vec![
                "exec",
                "own",
                "--",
                "sh",
                "-c",
                "for n in 1 2 3 4 5 6 7 8; do echo $n > scratch; sleep 0.004; done",
            ],
            _ => vec!["checkpoint", "own"],
        };
        if words[0] == "apply" {
            self.host.1 = self.state;
        }
        let mut child =
            self.place.stockade(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a start");
        sleep(Duration::from_micros(u64::try_from(self.next(45_000)).expect("a number")));
        let struck = strike(&mut child, victim);
        let output = child.wait_with_output().expect("an end");
        let outcome = Outcome::of(&output);
        self.learn(&words, &outcome, target.as_deref(), what);
        self.second_try(&words, what);
        struck
    }

    /// What was reported is known from here on.
    fn learn(&mut self, words: &[&str], outcome: &Outcome, target: Option<&str>, what: &str) {
        if words[0] == "checkpoint" && outcome.stdout.ends_with('\n') {
            self.reported.insert(outcome.stdout.trim_end().to_owned(), self.state);
        }
        if words[0] == "restore" {
            // Whether it took place is seen by what is there: one state or the other, in every file.
            let before = self.state;
            let now = self.seen("own", what);
            let wanted = target.map(|target| self.reported[target]);
            assert!(now == before || Some(now) == wanted, "{what}: {now} is neither {before} nor {wanted:?}");
            assert!(outcome.status != 0 || Some(now) == wanted, "{what}: it was reported, and is not done");
        }
    }

    /// The state that a sandbox shows, which has to be one.
    fn seen(&self, name: &str, what: &str) -> u64 {
        one(&self.succeed(&["exec", name, "--", "sh", "-c", "cat many/*"], what), what)
    }

    fn second_try(&mut self, words: &[&str], what: &str) {
        let again = self.call(words);
        match words[0] {
            "checkpoint" => {
                assert_eq!(again.status, 0, "{what}: a second try: {again:?}");
                self.reported.insert(again.stdout.trim_end().to_owned(), self.state);
            }
            "apply" => {
                // Where the first one did everything, or was resumed, there is nothing left.
                let done = again.status == 0 || again.stderr.contains("nothing to apply");
                assert!(done, "{what}: a second try: {again:?}");
                self.host = (self.state, self.state);
            }
            "fork" => {
                let made = again.status == 0 || again.stderr.contains("exists already");
                assert!(made, "{what}: a second try: {again:?}");
                assert_eq!(self.seen(words[2], what), self.state, "{what}: the fork");
                self.succeed(&["rm", "--force", words[2]], what);
            }
            "rm" => {
                let gone = again.status == 0 || again.stderr.contains("there is no sandbox");
                assert!(gone && !self.place.folder(words[2]).exists(), "{what}: a second try: {again:?}");
            }
            _ => assert_eq!(again.status, 0, "{what}: a second try: {again:?}"),
        }
    }

    /// Everything that has to hold at any time.
    fn check(&mut self, what: &str) {
        for number in 0..FILES {
            let path = self.place.workspace().join(format!("many/f{number}"));
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{what}: {}: {error}", path.display()));
            let state: u64 = text.trim_end().parse().unwrap_or_else(|_| panic!("{what}: {}: {text:?}", path.display()));
            assert!(state == self.host.0 || state == self.host.1, "{what}: {}: {state}", path.display());
        }
        self.succeed(&["audit", "verify", "own"], what);
        // One of the checkpoints that were reported, and from time to time all.
        let picked = self.next(self.reported.len().max(1));
        let all = self.made.is_multiple_of(25);
        for (at, (name, state)) in self.reported.iter().enumerate() {
            if at == picked || all {
                let copy = format!("copy{}-{at}", self.made);
                self.succeed(&["fork", "own", &copy, "--at", name], what);
                assert_eq!(self.seen(&copy, what), *state, "{what}: {name}");
                self.succeed(&["rm", "--force", &copy], what);
            }
        }
        if self.made.is_multiple_of(25) {
            self.nothing_stays(what);
        }
    }

    /// What the next start has tidied, and removes, is gone; and another sandbox takes the place of this one.
    fn nothing_stays(&mut self, what: &str) {
        self.succeed(&["stop", "own"], what);
        let gone = || {
            leftovers::reap();
            processes().is_empty()
        };
        assert!(soon(gone), "{what}: processes stay: {:?}", processes());
        self.succeed(&["ls"], what);
        let folders = leftovers::entries(&self.place.state().join("sandboxes"));
        assert_eq!(folders.len(), 1, "{what}: {folders:?}");
        let staged = leftovers::entries(&self.place.workspace());
        assert!(staged.iter().all(|path| !path.to_string_lossy().contains(".stockade-apply")), "{what}: {staged:?}");
        self.succeed(&["rm", "own"], what);
        let layers = leftovers::entries(&self.place.state().join("layers"));
        assert!(layers.iter().all(|path| path.ends_with("lock")), "{what}: layers stay: {layers:?}");
        self.place.create("own", &[]);
        self.reported.clear();
    }
}

fn one(text: &str, what: &str) -> u64 {
    let mut all: Vec<&str> = text.lines().collect();
    all.dedup();
    assert!(all.len() == 1, "{what}: not one state: {all:?}");
    all[0].parse().expect("a number")
}

/// Kills the victim, if it is there; whether it was, and the caller had not ended by then.
fn strike(child: &mut Child, victim: Victim) -> bool {
    if child.try_wait().expect("a status").is_some() {
        return false;
    }
    let all = processes();
    let caller = child.id();
    let is = |process: &&Process| match victim {
        Victim::Caller => process.pid == caller,
        Victim::Supervisor => process.name == "stockade" && process.inner == process.pid && process.pid != caller,
        Victim::Init => process.inner == 1,
        Victim::Spawner => process.inner == 2,
        // Who tidies up after a supervisor is let do so.
        Victim::Everyone => process.name != "stockade-clean",
    };
    let found: Vec<&Process> = all.iter().filter(is).collect();
    found.iter().for_each(|process| signal(process.pid, Signal::KILL));
    !found.is_empty()
}
