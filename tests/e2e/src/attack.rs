//! What an attack is, and what is expected of it.

use std::fmt;
use std::io;

use crate::scene::Scene;

/// One attempt to break out, with everything that is expected of it.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name: the argument of the `attacks` binary and part of the test's name.
    pub name: &'static str,
    /// The techniques of `docs/ESCAPES.md` that it stands for, by number.
    pub techniques: &'static [u8],
    /// What it attempts, in one sentence.
    pub about: &'static str,
    /// Makes ready, on the host and as the same user, what the attempt needs besides the scene.
    pub prepare: fn(&Scene) -> Attempt,
    /// The attempt. `Ok` means that it was carried out.
    pub attempt: fn(&Scene) -> Attempt,
    /// What decides whether there was a breach.
    pub proof: Proof,
    /// What happens without a sandbox.
    pub native: Native,
    /// What the report has to say of it.
    pub trace: Trace,
    /// What tier `landlock` does differently.
    pub landlock: Landlock,
    /// Options of `stockade run` besides the suite's own. `OUTSIDE` in them stands for the directory outside.
    pub options: &'static [&'static str],
    /// The outcome that the report has to name, where the attack is on resources: one of several, separated by `|`.
    pub outcome: Option<&'static str>,
    /// Which users it is run as.
    pub users: Users,
    /// What standard input is.
    pub stdin: Stdin,
    /// Whether it is made in the suite's own internet (`crate::internet`), by the test target `network`.
    pub internet: bool,
}

impl Attack {
    /// Succeeds natively, is proven by the attempt itself, and is the same in both tiers.
    pub const BASE: Self = Self {
        name: "",
        techniques: &[],
        about: "",
        prepare: |_| Ok(()),
        attempt: |_| Err(Failed::Untried("nothing to attempt".to_owned())),
        proof: Proof::Attempt,
        native: Native::Succeeds,
        trace: Trace::Silent("nothing to see"),
        landlock: Landlock::Same,
        options: &[],
        outcome: None,
        users: Users::Both,
        stdin: Stdin::File,
        internet: false,
    };
}

/// What came of an attempt.
pub type Attempt = Result<(), Failed>;

/// Why an attempt was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The system refused.
    Refused(String),
    /// Something that the attempt needs is missing, so that it says nothing.
    Untried(String),
}

impl Failed {
    /// A refusal.
    pub fn refused(text: impl fmt::Display) -> Self {
        Self::Refused(text.to_string())
    }

    /// A missing prerequisite.
    pub fn untried(text: impl fmt::Display) -> Self {
        Self::Untried(text.to_string())
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::refused(error)
    }
}

/// What decides whether there was a breach.
#[derive(Clone, Copy, Debug)]
pub enum Proof {
    /// The attempt was carried out.
    Attempt,
    /// This, on the host, after the run has ended; the attempt may look as if it had been carried out. `Ok` is a breach.
    Host(fn(&Scene) -> Attempt),
}

/// What happens without a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// It is a breach.
    Succeeds,
    /// It is a breach when root does it, and ordinary permissions stop everyone else.
    NeedsRoot,
    /// Some kernels or their settings refuse it to everyone, for the reason given.
    WhereAvailable(&'static str),
    /// It is refused everywhere, for the reason given; only that it stays so is tested.
    Refused(&'static str),
    /// It would harm the machine that tests.
    NotRun(&'static str),
}

/// What the report has to say.
#[derive(Clone, Copy, Debug)]
pub enum Trace {
    /// All of these, by default.
    Event(&'static [Event]),
    /// All of these, where a control group limits processes. A resource limit refuses them and tells nobody.
    Counted(&'static [Event]),
    /// All of these, with `--trace=all`.
    Traced(&'static [Event]),
    /// Nothing, for the reason given: there is nothing inside upon which the attempt could act.
    Silent(&'static str),
    /// There is no report: `stockade` refuses to run anything, for the reason given.
    Refused(&'static str),
}

/// A denial to look for: area, operation (empty for any), and part of the target. The areas `discarded` and `quarantined`
/// stand for the lists of files that the report has under these names.
#[derive(Clone, Copy, Debug)]
pub struct Event(pub &'static str, pub &'static str, pub &'static str);

/// What tier `landlock` does differently.
#[derive(Clone, Copy, Debug)]
pub enum Landlock {
    /// Nothing.
    Same,
    /// It stops the attack too, and another trace is left.
    Trace(Trace),
    /// It does not stop the attack: the protection, by name, that the report must call degraded, and why.
    Passes(&'static str, &'static str),
    /// It may or may not stop the attack, as chance has it.
    MayPass(&'static str, &'static str),
    /// The attack is about something that this tier has not got.
    NotApplicable(&'static str),
}

/// Which users an attack is run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// Root and an ordinary user.
    Both,
    /// Only an ordinary user, since root has it anyway.
    Ordinary,
    /// Only root, since nobody else could.
    Root,
}

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// A file outside the workspace, open for reading.
    File,
    /// A directory outside the workspace.
    Directory,
}

impl Native {
    /// What happens, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Succeeds => "succeeds".to_owned(),
            Self::NeedsRoot => "succeeds as root".to_owned(),
            Self::WhereAvailable(reason) => format!("succeeds on some machines: {reason}"),
            Self::Refused(reason) => format!("is refused: {reason}"),
            Self::NotRun(reason) => format!("is not tried: {reason}"),
        }
    }
}

impl Trace {
    /// What is left, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Event(events) => listed(events),
            Self::Counted(events) => format!("{}, where a control group counts processes", listed(events)),
            Self::Traced(events) => format!("with `--trace=all`: {}", listed(events)),
            Self::Silent(reason) => format!("none: {reason}"),
            Self::Refused(reason) => format!("nothing is run: {reason}"),
        }
    }
}

fn listed(events: &[Event]) -> String {
    let words = events.iter().map(|Event(area, operation, _)| format!("{area} {operation}").trim_end().to_owned());
    let mut words: Vec<String> = words.collect();
    words.dedup();
    words.join(", ")
}

impl Landlock {
    /// What is different, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Same => "the same".to_owned(),
            Self::Trace(trace) => format!("stopped; {}", trace.words()),
            Self::Passes(protection, reason) => format!("**not stopped** (`{protection}`): {reason}"),
            Self::MayPass(protection, reason) => format!("**may not be stopped** (`{protection}`): {reason}"),
            Self::NotApplicable(reason) => format!("not applicable: {reason}"),
        }
    }
}
