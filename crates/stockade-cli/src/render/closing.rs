//! What there is to say at the end of a command: how it ended when not by itself, and what was refused, with the option that
//! would allow it.

use std::fmt::Write as _;

use stockade::policy::endpoint::EndpointRule;
use stockade::report::{Area, Denial, Known, Outcome, Quarantined};

use super::text::escaped;

/// Denials and files that are listed unless every one is asked for.
pub(super) const FEW: usize = 8;

pub(super) fn push(lines: &mut String, line: &str) {
    lines.push_str(line);
    lines.push('\n');
}

/// How many more there are than are listed.
pub(super) fn rest(lines: &mut String, count: u64) {
    if count > 0 {
        push(lines, &format!("  and {count} more; --report FILE holds them"));
    }
}

/// What to say of an end that was not the command's own.
pub(super) fn ending(outcome: &Outcome, program: &str) -> Option<String> {
    Some(match outcome {
        Outcome::Exited { .. } | Outcome::Signaled { .. } => return None,
        Outcome::NotFound => {
            format!(
                "command not found: {}\n\nhint: it is looked up in the PATH of the sandbox; --read DIR shows a directory",
                escaped(program)
            )
        }
        Outcome::CannotExecute { errno } => {
            format!("cannot execute {}: {}", escaped(program), std::io::Error::from_raw_os_error(*errno))
        }
        Outcome::TimeLimit => "ended: the time limit was reached; --time raises it".to_owned(),
        Outcome::MemoryLimit => "ended: the memory limit was reached; --memory raises it".to_owned(),
        Outcome::ProcessLimit => "ended: the limit on processes was reached; --processes raises it".to_owned(),
        Outcome::DiskLimit => "ended: the disk limit was reached; --disk raises it".to_owned(),
        Outcome::OutputLimit => "ended: the limit on output was reached; --output raises it".to_owned(),
        other => format!("ended: {other:?}"),
    })
}

/// What was refused, and what was told of it already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'a> {
    pub(super) denials: &'a [Denial],
    pub(super) dropped: u64,
    pub(super) quarantined: &'a [Quarantined],
    pub(super) limit_named: bool,
}

impl Refused<'_> {
    /// Lists it. Files in private places are no fault of the command; the limit that ended it and files that were put away
    /// are named already. All that is left to the report, unless everything is asked for.
    pub(super) fn lines(&self, verbose: bool) -> String {
        let mut lines = String::new();
        let most = if verbose { usize::MAX } else { FEW };
        let told = |denial: &&Denial| verbose || self.is_worth_it(denial);
        let count = self.denials.iter().filter(told).count();
        if count == 0 {
            return lines;
        }
        push(&mut lines, "stockade: refused:");
        for denial in self.denials.iter().filter(told).take(most) {
            push(&mut lines, &line(denial));
        }
        rest(&mut lines, (count.saturating_sub(most) as u64).saturating_add(self.dropped));
        lines
    }

    fn is_worth_it(&self, denial: &Denial) -> bool {
        match denial.area {
            Area::Private => false,
            Area::Limits => !self.limit_named,
            Area::Protected => !self.quarantined.iter().any(|file| denial.target.ends_with(&file.path)),
            _ => true,
        }
    }
}

fn line(denial: &Denial) -> String {
    let mut line = format!("  {} {}", escaped(&denial.operation), escaped(&denial.target));
    if denial.count > 1 {
        let _infallible = write!(line, " ({} times)", denial.count);
    }
    if denial.known == Known::Inferred {
        line.push_str(" (inferred)");
    }
    match (&denial.suggestion, &denial.rule) {
        (Some(suggestion), _) => {
            let _infallible = write!(line, "; {} would allow it", escaped(suggestion));
        }
        // No option would help, so that the reason is all there is to say.
        (None, Some(rule)) if denial.area == Area::Network => {
            let by = if rule.parse::<EndpointRule>().is_ok() { "denied by the rule " } else { "" };
            let _infallible = write!(line, ": {by}{}", escaped(rule));
        }
        _ => {}
    }
    line
}
