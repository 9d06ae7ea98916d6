//! What was typed. Parsing touches neither files nor the environment; [`crate::caller`] and the commands resolve it.

mod options;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

pub(crate) use options::SandboxOptions;
use stockade::Endpoint;
pub(crate) use values::Variable;
use values::endpoint;

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

/// The commands.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Box<RunArguments>),
    Plan(Box<PlanArguments>),
    Policy(PolicyArguments),
    Doctor(DoctorArguments),
}

/// Written out, where a derived implementation would define the options of every command on every start: those of the
/// others are a tenth of what a short run takes before its launch.
impl Subcommand for Command {
    fn augment_subcommands(cli: clap::Command) -> clap::Command {
        cli.subcommand_required(true).subcommands([
            documented(
                "run",
                "Run a command in a sandbox",
                (include_str!("help/run.txt"), include_str!("help/run-examples.txt")),
            )
            .defer(define::<RunArguments>),
            documented(
                "plan",
                "Show what `run` would do, without doing it",
                (include_str!("help/plan.txt"), include_str!("help/plan-examples.txt")),
            )
            .defer(define::<PlanArguments>),
            documented(
                "policy",
                "Check, show or describe policies",
                (include_str!("help/policy.txt"), include_str!("help/policy-examples.txt")),
            )
            .defer(define::<PolicyArguments>),
            documented(
                "doctor",
                "Say what this machine can enforce, and how it could enforce more",
                (include_str!("help/doctor.txt"), include_str!("help/doctor-examples.txt")),
            )
            .defer(define::<DoctorArguments>),
        ])
    }

    fn augment_subcommands_for_update(cli: clap::Command) -> clap::Command {
        Self::augment_subcommands(cli)
    }

    fn has_subcommand(name: &str) -> bool {
        matches!(name, "run" | "plan" | "policy" | "doctor")
    }
}

fn documented(
    name: &'static str,
    about: &'static str,
    (long, examples): (&'static str, &'static str),
) -> clap::Command {
    clap::Command::new(name).about(about).long_about(long).after_long_help(examples)
}

/// Adds the arguments. The command keeps its texts, which a doc comment on a group of arguments would replace.
fn define<A: Args>(command: clap::Command) -> clap::Command {
    let about = command.get_about().cloned().unwrap_or_default();
    let long_about = command.get_long_about().cloned().unwrap_or_default();
    A::augment_args(command).about(about).long_about(long_about)
}

impl FromArgMatches for Command {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(("run", matches)) => RunArguments::from_arg_matches(matches).map(|run| Self::Run(Box::new(run))),
            Some(("plan", matches)) => PlanArguments::from_arg_matches(matches).map(|plan| Self::Plan(Box::new(plan))),
            Some(("policy", matches)) => PolicyArguments::from_arg_matches(matches).map(Self::Policy),
            Some(("doctor", matches)) => DoctorArguments::from_arg_matches(matches).map(Self::Doctor),
            _ => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Write the report, one JSON document, to FILE when the run ends; `-` is standard output, after the command's own
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,

    /// Write events to FILE as they happen, one JSON object a line; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) events: Option<PathBuf>,

    /// Print the closing lines and errors on standard error as one JSON object
    #[arg(long, help_heading = "Output", conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// Print nothing but errors
    #[arg(short, long, help_heading = "Output", conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print the tier, how each protection was enforced, and every denial
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// The command and its arguments; without one, your shell
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) sandbox: SandboxOptions,

    /// Print the plan as JSON
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Say which rule decides about an endpoint instead of printing the plan; exits with 0 if it may be reached, else 1
    #[arg(long, value_name = "HOST:PORT", help_heading = "Output", conflicts_with = "json", value_parser = endpoint)]
    pub(crate) check: Vec<Endpoint>,

    /// The command and its arguments; without one, your shell
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct PolicyArguments {
    /// What to do with policies.
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// The commands about policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check policy files, without running anything
    Check {
        /// The policy files; `-` is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Check them as a workspace's `.stockade.toml`, which may only narrow
        #[arg(long)]
        workspace_file: bool,
    },
    /// Print the JSON Schema of policy files
    Schema,
    /// Show the policy that `run` would use here, with every layer merged
    Show {
        #[command(flatten)]
        sandbox: Box<SandboxOptions>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
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
