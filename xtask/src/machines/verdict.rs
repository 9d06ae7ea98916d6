//! Whether a machine did as its description expects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Failure;
use super::description::{Expected, Machine};
use super::transcript::{Step, Transcript};

/// The step that prints the findings of `stockade doctor --json`.
const DOCTOR: &str = "doctor";

/// What is wrong, one problem each.
pub(super) fn judge(machine: &Machine, transcript: &Transcript) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |result: Result<(), Failure>| problems.extend(result.err().map(|error| error.to_string()));
    check(match transcript.steps.get(DOCTOR) {
        Some(step) => facts(&machine.expected, step),
        None => Err("doctor did not run".into()),
    });
    for name in &machine.suites {
        check(passed(name, transcript.steps.get(name)));
    }
    if !transcript.done {
        check(Err("the machine did not come to its end in time".into()));
    }
    problems
}

/// A line for each step that ended.
pub(super) fn summary(transcript: &Transcript) -> Vec<String> {
    let ended = transcript.steps.iter().filter(|(name, step)| *name != DOCTOR && step.status.is_some());
    ended.map(|(name, step)| format!("{name}: {} ({} s)", result_line(step), step.seconds)).collect()
}

/// Whether a suite ended well and says that it ran something.
fn passed(name: &str, step: Option<&Step>) -> Result<(), Failure> {
    let step = step.ok_or_else(|| format!("suite {name} did not run"))?;
    // What went well needs no words here; all of it is in the machine's report.
    let told: Vec<&str> = step.output.lines().filter(|line| !line.starts_with("ok ")).collect();
    let failed = |what: String| Err(format!("suite {name} {what}\n{}", told.join("\n")).into());
    match (step.status, counts(result_line(step))) {
        (None, _) => failed("did not end".to_owned()),
        (Some(0), Some((1.., 0))) => Ok(()),
        (Some(status), None) => failed(format!("ended with status {status} and says not how many passed")),
        (Some(status), Some((passed, failures))) => {
            failed(format!("ended with status {status}: {passed} passed, {failures} failed"))
        }
    }
}

/// The line that says how many passed; empty when there is none.
fn result_line(step: &Step) -> &str {
    step.output.lines().rfind(|line| counts(line).is_some()).unwrap_or_default()
}

/// The numbers of a line that starts with `N passed, N failed`.
fn counts(line: &str) -> Option<(u32, u32)> {
    let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words[..] {
        [passed, "passed", failed, "failed", ..] => Some((passed.parse().ok()?, failed.parse().ok()?)),
        _ => None,
    }
}

/// Compares what doctor found with what is expected.
fn facts(expected: &Expected, step: &Step) -> Result<(), Failure> {
    let output = &step.output;
    let found: Value =
        serde_json::from_str(output).map_err(|error| format!("doctor printed no JSON ({error}):\n{output}"))?;
    let found = found_in(&found).ok_or("the findings of doctor have another form than this program knows")?;
    let (expected, found) = (serde_json::to_value(expected)?, serde_json::to_value(found)?);
    let names = expected.as_object().into_iter().flat_map(serde_json::Map::keys);
    let differs = |name: &&String| expected[*name] != found[*name];
    let lines: Vec<String> = names
        .filter(differs)
        .map(|name| format!("\n{name}: expected {}, found {}", expected[name], found[name]))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(format!("doctor finds other facts:{}", lines.concat()).into()) }
}

/// The findings in the form of a description; `None` when they have another form.
fn found_in(findings: &Value) -> Option<Expected> {
    let facts = findings.get("facts")?;
    let kernel = facts.get("kernel")?;
    let mut tier = None;
    let mut tiers = BTreeMap::new();
    let mut memory_limit = None;
    for trial in findings.get("trials")?.as_array()? {
        if !trial.get("failure")?.is_null() {
            continue;
        }
        let name = trial.get("tier")?.as_str()?.to_owned();
        let enforcement = trial.get("enforcement")?.as_array()?;
        if tier.is_none() {
            tier = Some(name.clone());
            memory_limit = mechanism_of(enforcement, "memory-limit");
        }
        tiers.insert(name, degraded(enforcement)?);
    }
    Some(Expected {
        kernel: serde_json::from_value(kernel.get("version")?.clone()).ok()?,
        landlock_abi: u32::try_from(kernel.get("landlock_abi")?.as_u64()?).ok()?,
        user_namespaces: facts.get("user_namespaces")?.clone(),
        cgroup_controllers: controllers(facts.pointer("/cgroups/v2")?),
        tier,
        tiers,
        memory_limit,
    })
}

fn controllers(group: &Value) -> Option<Vec<String>> {
    let names = group.get("controllers")?.as_array()?.iter();
    let mut names: Vec<String> = names.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    names.sort();
    Some(names)
}

/// The protections that are weaker than they should be.
fn degraded(enforcement: &[Value]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for entry in enforcement {
        if entry.get("level")?.as_str() != Some("enforced") {
            names.push(entry.get("protection")?.as_str()?.to_owned());
        }
    }
    Some(names)
}

fn mechanism_of(enforcement: &[Value], protection: &str) -> Option<String> {
    let entry = enforcement.iter().find(|entry| entry["protection"] == protection)?;
    Some(entry.get("mechanism")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(output: &str, status: i32) -> Step {
        Step { output: output.to_owned(), status: Some(status), seconds: 1 }
    }

    #[test]
    fn a_suite_passes_only_when_it_ran_something_and_nothing_failed() {
        assert!(passed("a", Some(&ended("ok\n3 passed, 0 failed\n", 0))).is_ok());
        for (output, status) in
            [("0 passed, 0 failed", 0), ("3 passed, 1 failed", 0), ("3 passed, 0 failed", 1), ("all fine", 0), ("", 0)]
        {
            assert!(passed("a", Some(&ended(output, status))).is_err(), "{output:?} with status {status}");
        }
        assert!(passed("a", Some(&Step::default())).is_err());
        assert!(passed("a", None).is_err());
    }

    #[test]
    fn a_tier_that_fails_and_one_that_is_weaker_are_told_apart() {
        let findings = serde_json::json!({
            "trials": [
                {"tier": "namespaces", "failure": "refused", "enforcement": []},
                {"tier": "landlock", "failure": null, "enforcement": [
                    {"protection": "files", "mechanism": "Landlock (ABI 6)", "level": "enforced"},
                    {"protection": "memory-limit", "mechanism": "sampling", "level": {"degraded": {"reason": "late"}}},
                ]},
            ],
            "facts": {
                "kernel": {"version": [6, 12], "landlock_abi": 6},
                "user_namespaces": {"blocked": "max-user-namespaces"},
                "cgroups": {"v2": null},
            },
        });
        let found = found_in(&findings).expect("the form is known");
        assert_eq!(found.tier.as_deref(), Some("landlock"));
        assert_eq!(found.tiers, BTreeMap::from([("landlock".to_owned(), vec!["memory-limit".to_owned()])]));
        assert_eq!(found.memory_limit.as_deref(), Some("sampling"));
        assert_eq!(found.cgroup_controllers, None);
    }
}
