//! What was typed. Parsing touches neither files nor the environment; [`crate::caller`] and the commands resolve it.

mod history;
mod options;
mod runs;
mod sandboxes;
mod values;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

pub(crate) use history::{
    AuditArguments, AuditCommand, CheckpointArguments, EventsArguments, ForkArguments, LogArguments, RestoreArguments,
};
pub(crate) use options::SandboxOptions;
pub(crate) use runs::{DoctorArguments, PlanArguments, PolicyArguments, PolicyCommand, RunArguments};
pub(crate) use sandboxes::{
    ApplyArguments, CreateArguments, DiffArguments, DiscardArguments, ExecArguments, LogsArguments, LsArguments,
    PruneArguments, RmArguments, StopArguments,
};
pub(crate) use values::Variable;

/// Runs code that nobody has read yet, and says what was kept out
#[derive(Debug, Parser)]
#[command(name = "stockade", version, long_about = include_str!("help/stockade.txt"))]
#[command(after_long_help = include_str!("help/stockade-examples.txt"))]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Writes the commands out, where a derived implementation would define the options of every command on every start: those
/// of the others are a tenth of what a short run takes before its launch.
macro_rules! commands {
    ($($variant:ident($arguments:ty): $name:literal, $about:literal;)*) => {
        /// The commands.
        #[derive(Debug)]
        pub(crate) enum Command {
            $($variant(Box<$arguments>),)*
        }

        $(impl Documented for $arguments {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const LONG: &'static str = include_str!(concat!("help/", $name, ".txt"));
            const EXAMPLES: &'static str = include_str!(concat!("help/", $name, "-examples.txt"));
        })*

        impl Subcommand for Command {
            fn augment_subcommands(cli: clap::Command) -> clap::Command {
                cli.subcommand_required(true).subcommands([$(documented::<$arguments>(),)*])
            }

            fn augment_subcommands_for_update(cli: clap::Command) -> clap::Command {
                Self::augment_subcommands(cli)
            }

            fn has_subcommand(name: &str) -> bool {
                [$($name,)*].contains(&name)
            }
        }

        impl FromArgMatches for Command {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                match matches.subcommand() {
                    $(Some(($name, matches)) => {
                        <$arguments>::from_arg_matches(matches).map(|arguments| Self::$variant(Box::new(arguments)))
                    })*
                    _ => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
                }
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

commands! {
    Run(RunArguments): "run", "Run a command in a sandbox";
    Create(CreateArguments): "create", "Make a sandbox that lasts";
    Exec(ExecArguments): "exec", "Run a command in a sandbox that lasts";
    Logs(LogsArguments): "logs", "Print what commands in the background have printed";
    Ls(LsArguments): "ls", "List the sandboxes that last";
    Stop(StopArguments): "stop", "End everything that runs in sandboxes";
    Rm(RmArguments): "rm", "Remove sandboxes, and what was written in them";
    Diff(DiffArguments): "diff", "Show what a sandbox changed";
    Apply(ApplyArguments): "apply", "Bring a sandbox's changes to its workspace";
    Discard(DiscardArguments): "discard", "Drop a sandbox's changes";
    Checkpoint(CheckpointArguments): "checkpoint", "Keep the state of a sandbox, to go back to";
    Log(LogArguments): "log", "List the checkpoints of a sandbox";
    Restore(RestoreArguments): "restore", "Go back to a checkpoint";
    Fork(ForkArguments): "fork", "Make a sandbox that goes on from another one's state";
    Events(EventsArguments): "events", "Print what happened in a sandbox";
    Audit(AuditArguments): "audit", "Find out whether a sandbox's record and layers are as they were written";
    Prune(PruneArguments): "prune", "Remove sandboxes that are old or large";
    Plan(PlanArguments): "plan", "Show what `run` would do, without doing it";
    Policy(PolicyArguments): "policy", "Check, show or describe policies";
    Doctor(DoctorArguments): "doctor", "Say what this machine can enforce, and how it could enforce more";
}

/// A command's name and texts.
trait Documented: Args {
    const NAME: &'static str;
    const ABOUT: &'static str;
    const LONG: &'static str;
    const EXAMPLES: &'static str;
}

/// A command, of which only the name and one line are there until it is used or asked about.
fn documented<A: Documented>() -> clap::Command {
    clap::Command::new(A::NAME).about(A::ABOUT).defer(define::<A>)
}

/// Adds the arguments and texts. A doc comment on a group of arguments would replace the texts if they came first.
fn define<A: Documented>(command: clap::Command) -> clap::Command {
    A::augment_args(command).about(A::ABOUT).long_about(A::LONG).after_long_help(A::EXAMPLES)
}

#[cfg(test)]
mod tests {
    use stockade::Tier;
    use stockade::report::Protection;
    use stockade::request::Trace;
    use stockade::units::{ByteSize, Span};

    use super::*;

    fn run(arguments: &[&str]) -> RunArguments {
        let whole = ["stockade", "run"].iter().chain(arguments);
        match Arguments::try_parse_from(whole).expect("arguments").command {
            Command::Run(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_lands_in_its_place() {
        let sandbox = |arguments: &[&str]| run(arguments).sandbox;
        let default = SandboxOptions::default;
        let set = |name: &str, value: &str| Variable::Set(name.to_owned(), value.to_owned());
        for (arguments, expected) in [
            (vec![], default()),
            (vec!["-C", "d"], SandboxOptions { workspace: Some("d".into()), ..default() }),
            (vec!["--workspace=d"], SandboxOptions { workspace: Some("d".into()), ..default() }),
            (vec!["-p", "hardened"], SandboxOptions { profile: Some("hardened".into()), ..default() }),
            (vec!["--policy", "p"], SandboxOptions { policy: Some("p".into()), ..default() }),
            (vec!["-r", "a", "-r", "b"], SandboxOptions { read: vec!["a".into(), "b".into()], ..default() }),
            (vec!["--write", "a"], SandboxOptions { write: vec!["a".into()], ..default() }),
            (vec!["--deny", "**/.env"], SandboxOptions { deny: vec!["**/.env".into()], ..default() }),
            (
                vec!["--allow", "x.org:22", "--allow=*.y.org"],
                SandboxOptions { allow: vec!["x.org:22".into(), "*.y.org".into()], ..default() },
            ),
            (vec!["--publish", "8080"], SandboxOptions { publish: vec!["8080".into()], ..default() }),
            (vec!["--unix", "/run/x"], SandboxOptions { unix: vec!["/run/x".into()], ..default() }),
            (vec!["-e", "A=b"], SandboxOptions { env: vec![set("A", "b")], ..default() }),
            (vec!["--env", "A"], SandboxOptions { env: vec![Variable::Pass("A".into())], ..default() }),
            (vec!["--memory", "1GiB"], SandboxOptions { memory: Some(ByteSize(1 << 30)), ..default() }),
            (vec!["--cpus", "1.5"], SandboxOptions { milli_cpus: Some(1_500), ..default() }),
            (vec!["--processes", "7"], SandboxOptions { processes: Some(7), ..default() }),
            (vec!["--files", "8"], SandboxOptions { files: Some(8), ..default() }),
            (vec!["--disk", "2MB"], SandboxOptions { disk: Some(ByteSize(2_000_000)), ..default() }),
            (vec!["--time", "1m30s"], SandboxOptions { time: Some(Span { milliseconds: 90_000 }), ..default() }),
            (vec!["--output", "1kB"], SandboxOptions { output: Some(ByteSize(1_000)), ..default() }),
            (vec!["--isolation", "landlock"], SandboxOptions { isolation: Some(Tier::Landlock), ..default() }),
            (
                vec!["--accept-degraded", "home,caches", "--accept-degraded=ipc"],
                SandboxOptions {
                    accept_degraded: vec![Protection::Home, Protection::Caches, Protection::Ipc],
                    ..default()
                },
            ),
            (vec!["--trace"], SandboxOptions { trace: Some(Trace::Writes), ..default() }),
            (vec!["--trace=writes"], SandboxOptions { trace: Some(Trace::Writes), ..default() }),
            (vec!["--trace=all"], SandboxOptions { trace: Some(Trace::All), ..default() }),
        ] {
            assert_eq!(sandbox(&arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_command_is_everything_after_its_first_word() {
        for (arguments, command) in [
            (vec!["--", "make", "-j2"], vec!["make", "-j2"]),
            (vec!["make", "-j2", "--quiet"], vec!["make", "-j2", "--quiet"]),
            (vec!["-q", "--", "--odd"], vec!["--odd"]),
            (vec!["--trace", "ls"], vec!["ls"]),
            (vec!["sh", "--", "-c"], vec!["sh", "--", "-c"]),
            (vec![], vec![]),
        ] {
            let parsed = run(&arguments);
            assert_eq!(parsed.command, command, "{arguments:?}");
            assert_eq!(parsed.quiet, arguments.first() == Some(&"-q"));
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        for (arguments, word) in [
            (vec!["run", "--nonsense"], "--nonsense"),
            (vec!["run", "--memory", "much"], "much"),
            (vec!["run", "--time", "10"], "10"),
            (vec!["run", "--isolation", "vm"], "namespaces, landlock"),
            (vec!["run", "--accept-degraded", "all"], "process-visibility"),
            (vec!["run", "-e", "=x"], "NAME"),
            (vec!["run", "-q", "-v"], "--verbose"),
            (vec!["run", "-C", "a", "-C", "b"], "--workspace"),
            (vec!["policy", "check"], "<FILE>"),
            (vec!["gate"], "gate"),
        ] {
            let whole = ["stockade"].iter().chain(&arguments);
            let error = Arguments::try_parse_from(whole).expect_err("refused").to_string();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn arguments_need_not_be_unicode() {
        use std::ffi::OsString;
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(b"\xff\xfe".to_vec());
        let whole = ["stockade", "run", "--"].iter().map(OsString::from).chain([odd.clone()]);
        match Arguments::try_parse_from(whole).expect("arguments").command {
            Command::Run(run) => assert_eq!(run.command, [odd]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
