//! The few lines that close a run: how it ended when not by itself, what was refused, and the option that would allow it.

use std::path::Path;

use serde_json::json;
use stockade::Report;
use stockade::report::{Level, Quarantined};

use super::closing::{self, FEW, Refused, push, rest};
use super::text::{escaped, escaped_json};
use super::traffic;

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Nothing but errors.
    Quiet,
    /// What went wrong.
    #[default]
    Normal,
    /// How each protection was enforced, and every denial.
    Verbose,
}

impl Verbosity {
    /// What the options say.
    pub(crate) const fn of(quiet: bool, verbose: bool) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (_, true) => Self::Verbose,
            _ => Self::Normal,
        }
    }
}

/// What a user is to know before his tools execute what the command left for them.
const UNSWEPT: &str = "stockade: the workspace could not be swept: files that git and other tools execute by themselves may have been planted there";

/// The closing lines of a run; empty when there is nothing to say.
pub(crate) fn summary(report: &Report, verbosity: Verbosity) -> String {
    let mut lines = String::new();
    if report.unswept {
        push(&mut lines, UNSWEPT);
    }
    if verbosity == Verbosity::Quiet {
        return lines;
    }
    if let Some(sentence) = ending(report) {
        push(&mut lines, &format!("stockade: {sentence}"));
    }
    for failure in &report.stream_failures {
        push(&mut lines, &format!("stockade: {}", escaped(failure)));
    }
    let verbose = verbosity == Verbosity::Verbose;
    quarantined(&mut lines, &report.quarantined, if verbose { usize::MAX } else { FEW / 2 });
    failed(&mut lines, report);
    let refused = Refused {
        denials: &report.denials,
        dropped: report.denials_dropped,
        quarantined: &report.quarantined,
        limit_named: ending(report).is_some(),
    };
    lines.push_str(&refused.lines(verbose));
    lines.extend(report.network.iter().filter_map(|network| traffic::unreached(network, &report.denials, FEW)));
    if verbose {
        lines.extend(report.network.iter().map(traffic::told));
        enforcement(&mut lines, report);
    }
    lines
}

/// The same for a program, as one line of JSON; there is always one.
pub(crate) fn summary_json(report: &Report) -> String {
    let object = json!({
        "version": 1,
        "status": report.exit_status(),
        "outcome": report.outcome,
        "tier": report.tier,
        "denials": report.denials,
        "denials_dropped": report.denials_dropped,
        "network": report.network,
        "quarantined": report.quarantined,
        "unswept": report.unswept,
        "stream_failures": report.stream_failures,
    });
    escaped_json(&format!("{object}\n"))
}

/// What was made up for after an interrupted run.
pub(crate) fn recovered(workspace: Option<&Path>, files: &[Quarantined], failures: &[String]) -> String {
    let place = workspace.map_or_else(String::new, |path| format!(" in {}", path.display()));
    let mut lines = format!("stockade: an interrupted run{} was tidied up after\n", escaped(&place));
    quarantined(&mut lines, files, FEW);
    for failure in failures.iter().take(FEW) {
        push(&mut lines, &format!("  {}", escaped(failure)));
    }
    rest(&mut lines, failures.len().saturating_sub(FEW) as u64);
    lines
}

fn ending(report: &Report) -> Option<String> {
    closing::ending(&report.outcome, report.command.first().map_or("", String::as_str))
}

fn quarantined(lines: &mut String, files: &[Quarantined], most: usize) {
    if files.is_empty() {
        return;
    }
    push(lines, "stockade: protected files appeared and were moved away:");
    for file in files.iter().take(most) {
        let back = if file.put_back { " (what was there before is back)" } else { "" };
        push(lines, &format!("  {} -> {}{back}", escaped(&file.path), escaped(&file.kept_at)));
    }
    rest(lines, files.len().saturating_sub(most) as u64);
}

/// Operations that were not carried out although the run went on.
fn failed(lines: &mut String, report: &Report) {
    for operation in &report.operations {
        if let Some(error) = &operation.failed {
            push(lines, &format!("stockade: weaker than planned, {}: {}", operation.protection, escaped(error)));
        }
    }
}

fn enforcement(lines: &mut String, report: &Report) {
    push(lines, &format!("stockade: tier {}, profile {}", report.tier, escaped(&report.profile)));
    for entry in &report.enforcement {
        let name = entry.protection.name();
        match &entry.level {
            Level::Enforced => push(lines, &format!("  {name:<20} {}", escaped(&entry.mechanism))),
            Level::Degraded { reason } => {
                push(lines, &format!("  {name:<20} {} (degraded: {})", escaped(&entry.mechanism), escaped(reason)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stockade::Tier;
    use stockade::report::{Area, Denial, Enforcement, Known, Outcome, OutputSizes, Protection, REPORT_VERSION, Usage};

    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report {
            version: REPORT_VERSION,
            tier: Tier::Namespaces,
            profile: "default".into(),
            command: vec!["make".into()],
            started_ms: 0,
            outcome,
            usage: Usage::default(),
            enforcement: vec![Enforcement {
                protection: Protection::Files,
                mechanism: "mount namespace".into(),
                level: Level::Enforced,
            }],
            operations: Vec::new(),
            denials: Vec::new(),
            denials_dropped: 0,
            network: None,
            discarded: Vec::new(),
            quarantined: Vec::new(),
            unswept: false,
            output: OutputSizes::default(),
            stream_failures: Vec::new(),
        }
    }

    fn denial(target: &str) -> Denial {
        Denial {
            area: Area::Files,
            operation: "write".into(),
            target: target.into(),
            rule: None,
            process: None,
            count: 2,
            suggestion: Some(format!("-w {target}")),
            known: Known::Inferred,
            at_ms: 1,
        }
    }

    #[test]
    fn a_good_run_is_silent() {
        for outcome in [Outcome::Exited { status: 0 }, Outcome::Exited { status: 3 }, Outcome::Signaled { signal: 2 }] {
            assert_eq!(summary(&report(outcome), Verbosity::Normal), "");
        }
    }

    #[test]
    fn refusals_are_listed_with_the_option() {
        let mut report = report(Outcome::Exited { status: 1 });
        report.denials.push(denial("/etc/x\u{1b}[31m"));
        assert_eq!(
            summary(&report, Verbosity::Normal),
            "stockade: refused:\n  write /etc/x\\u{1b}[31m (2 times) (inferred); -w /etc/x\\u{1b}[31m would allow it\n"
        );
        assert_eq!(summary(&report, Verbosity::Quiet), "");
    }

    #[test]
    fn a_flood_stays_short() {
        let mut report = report(Outcome::OutputLimit);
        report.denials = (0..500).map(|n| denial(&format!("/f{n}"))).collect();
        report.denials_dropped = 7;
        let text = summary(&report, Verbosity::Normal);
        assert_eq!(text.lines().count(), 3 + FEW, "{text}");
        assert!(text.ends_with("  and 499 more; --report FILE holds them\n"), "{text}");
        assert_eq!(summary(&report, Verbosity::Verbose).lines().count(), 2 + 500 + 1 + 2);
    }

    #[test]
    fn private_files_are_told_only_when_asked() {
        let mut report = report(Outcome::Exited { status: 0 });
        report.denials.push(Denial { area: Area::Private, ..denial("/home/a/.cache/x") });
        assert_eq!(summary(&report, Verbosity::Normal), "");
        assert!(summary(&report, Verbosity::Verbose).contains(".cache/x"));
    }

    #[test]
    fn what_could_not_be_swept_is_told_whatever_is_asked() {
        let mut report = report(Outcome::Exited { status: 0 });
        report.unswept = true;
        for verbosity in [Verbosity::Quiet, Verbosity::Normal] {
            assert_eq!(summary(&report, verbosity), format!("{UNSWEPT}\n"));
        }
        assert!(summary_json(&report).contains("\"status\":125"));
    }

    #[test]
    fn quarantine_says_where_things_are() {
        let mut report = report(Outcome::Exited { status: 0 });
        report.quarantined.push(Quarantined {
            path: ".git/hooks/pre-commit".into(),
            rule: ".git/hooks/**".into(),
            kept_at: "/state/q/1".into(),
            put_back: false,
        });
        let text = summary(&report, Verbosity::Normal);
        assert_eq!(
            text,
            "stockade: protected files appeared and were moved away:\n  .git/hooks/pre-commit -> /state/q/1\n"
        );
        report.quarantined[0].put_back = true;
        assert!(summary(&report, Verbosity::Normal).ends_with("/state/q/1 (what was there before is back)\n"));
    }
}
