//! Compares what came of an attack with what is expected of it.

use e2e::Attack;
use e2e::attack::{Event, Landlock, Native, Trace};
use serde_json::Value;

use crate::run::{Bench, Outcome, Place};
use crate::user::User;

const TIERS: [&str; 2] = ["namespaces", "landlock"];

/// Runs an attack natively and in every tier, and returns what is not as it should be.
pub(crate) fn judge(bench: &Bench, attack: &Attack, user: &User) -> Vec<String> {
    let mut mistakes = native(bench, attack, user);
    let wanted = std::env::var("STOCKADE_TIERS").unwrap_or_else(|_| TIERS.join(","));
    for tier in TIERS.into_iter().filter(|tier| wanted.split(',').any(|name| name == *tier)) {
        mistakes.extend(boxed(bench, attack, user, tier).into_iter().map(|mistake| format!("{tier}: {mistake}")));
    }
    mistakes
}

fn native(bench: &Bench, attack: &Attack, user: &User) -> Vec<String> {
    let expected = match attack.native {
        Native::NotRun(_) => return Vec::new(),
        Native::Succeeds => true,
        Native::NeedsRoot => user.is_root(),
        Native::Refused(_) => false,
        Native::WhereAvailable(_) => {
            return run(bench, attack, user, Place::Native)
                .map_or_else(|mistake| vec![mistake], |outcome| untried(&outcome));
        }
    };
    match run(bench, attack, user, Place::Native) {
        Err(mistake) => vec![mistake],
        Ok(outcome) if breached(&outcome) == expected => Vec::new(),
        Ok(outcome) => {
            let what = if expected { "should succeed natively and was refused" } else { "should be refused natively" };
            vec![format!("{what}: {}", last_lines(&outcome.errors))]
        }
    }
}

fn boxed(bench: &Bench, attack: &Attack, user: &User, tier: &'static str) -> Vec<String> {
    let (trace, passes) = match (tier, attack.landlock) {
        ("landlock", Landlock::NotApplicable(_)) => return Vec::new(),
        ("landlock", Landlock::Trace(trace)) => (trace, None),
        ("landlock", Landlock::Passes(protection, _)) => (attack.trace, Some((protection, true))),
        ("landlock", Landlock::MayPass(protection, _)) => (attack.trace, Some((protection, false))),
        _ => (attack.trace, None),
    };
    let mut mistakes = Vec::new();
    let places: &[bool] = if matches!(trace, Trace::Traced(_)) { &[false, true] } else { &[false] };
    for &traced in places {
        let outcome = match run(bench, attack, user, Place::Boxed { tier, traced }) {
            Ok(outcome) => outcome,
            Err(mistake) => return vec![mistake],
        };
        mistakes.extend(match passes {
            Some((protection, always)) => exception(&outcome, protection, always),
            None => contained(attack, trace, &outcome),
        });
        if mistakes.is_empty() && passes.is_none() && (traced || !matches!(trace, Trace::Traced(_))) {
            mistakes.extend(missing(trace, &outcome));
        }
    }
    mistakes
}

fn run(bench: &Bench, attack: &Attack, user: &User, place: Place) -> Result<Outcome, String> {
    bench.run(attack, user, place).map_err(|error| format!("{place:?} could not be set up: {error}"))
}

/// Whether the attack succeeded: its own proof decides, where it has one.
fn breached(outcome: &Outcome) -> bool {
    outcome.proof.or(outcome.status) == Some(0)
}

fn untried(outcome: &Outcome) -> Vec<String> {
    let untried = outcome.status == Some(2) || outcome.proof == Some(2);
    untried.then(|| format!("could not be tried: {}", last_lines(&outcome.errors))).into_iter().collect()
}

/// What is wrong with a run that should have been contained.
fn contained(attack: &Attack, trace: Trace, outcome: &Outcome) -> Vec<String> {
    if let Trace::Refused(_) = trace {
        let refused = outcome.status == Some(125) && outcome.report.is_null();
        let mistake = || {
            format!("should be refused with status 125, and has {:?}: {}", outcome.status, last_lines(&outcome.errors))
        };
        return (!refused).then(mistake).into_iter().collect();
    }
    if outcome.report.is_null() {
        return vec![format!("there is no report; status {:?}: {}", outcome.status, last_lines(&outcome.errors))];
    }
    let mut mistakes = untried(outcome);
    if breached(outcome) && attack.outcome.is_none() {
        mistakes.push(format!("BREACH: {}", last_lines(&outcome.errors)));
    }
    if attack.name == "terminal-escapes-in-messages"
        && closing_lines(&outcome.errors).contains(|c: char| c.is_control() && c != '\n')
    {
        mistakes.push(format!("the closing lines hold control characters: {:?}", closing_lines(&outcome.errors)));
    }
    mistakes.extend(outcome.harm.iter().map(|harm| format!("BREACH: {harm}")));
    let kind = outcome.report["outcome"]["kind"].as_str().unwrap_or_default();
    if let Some(expected) = attack.outcome.filter(|expected| !expected.split('|').any(|one| one == kind)) {
        mistakes.push(format!("the outcome is `{kind}` and not `{expected}`: {}", last_lines(&outcome.errors)));
    }
    mistakes
}

/// What is wrong with a run of an attack that the tier does not claim to stop.
fn exception(outcome: &Outcome, protection: &str, always: bool) -> Vec<String> {
    let entries = outcome.report["enforcement"].as_array().cloned().unwrap_or_default();
    let degraded =
        entries.iter().any(|entry| entry["protection"] == protection && entry["level"]["degraded"].is_object());
    let mut mistakes = Vec::new();
    if !degraded {
        mistakes.push(format!("`{protection}` is not reported as degraded: {}", last_lines(&outcome.errors)));
    }
    if always && !breached(outcome) {
        mistakes.push(format!("is stopped, although `{protection}` is said not to: {}", last_lines(&outcome.errors)));
    }
    mistakes
}

/// Whether a resource limit bounds the processes.
fn is_uncounted(outcome: &Outcome) -> bool {
    let entries = outcome.report["enforcement"].as_array().cloned().unwrap_or_default();
    entries.iter().any(|entry| entry["protection"] == "process-limit" && entry["mechanism"] == "resource limit")
}

/// The events that the report lacks.
fn missing(trace: Trace, outcome: &Outcome) -> Vec<String> {
    let events = match trace {
        Trace::Event(events) | Trace::Traced(events) => events,
        Trace::Counted(events) if !is_uncounted(outcome) => events,
        _ => return Vec::new(),
    };
    let denials = outcome.report["denials"].as_array().cloned().unwrap_or_default();
    let listed = |list: &str, part: &str| {
        let entries = outcome.report[list].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["path"].as_str().or(entry.as_str()).is_some_and(|path| path.contains(part)))
    };
    let lacking = events.iter().filter(|event| match event {
        Event(list @ ("discarded" | "quarantined"), _, part) => !listed(list, part),
        event => !denials.iter().any(|denial| matches(event, denial)),
    });
    let told =
        || denials.iter().map(|denial| format!("{} {} {}", denial["area"], denial["operation"], denial["target"]));
    let told = told().collect::<Vec<_>>().join("; ");
    lacking
        .map(|event| format!("no event like {event:?}; there are: [{told}]; {}", last_lines(&outcome.errors)))
        .collect()
}

fn matches(&Event(area, operation, target): &Event, denial: &Value) -> bool {
    let is = |key: &str, wanted: &str| wanted.is_empty() || denial[key] == wanted;
    is("area", area)
        && is("operation", operation)
        && denial["target"].as_str().is_some_and(|text| text.contains(target))
}

/// What Stockade itself printed at the end.
fn closing_lines(errors: &str) -> &str {
    errors.find("\nstockade: ").map_or("", |at| &errors[at..])
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}
