//! The closing lines of a command in a sandbox that lasts.

use serde_json::{Value, json};
use stockade::sandbox::Executed;

use super::closing::{self, Refused, push};
use super::summary::Verbosity;
use super::text::escaped;

/// The closing lines; empty when there is nothing to say.
pub(crate) fn executed(executed: &Executed, program: &str, verbosity: Verbosity) -> String {
    let mut lines = String::new();
    if verbosity == Verbosity::Quiet {
        return lines;
    }
    let ending = closing::ending(&executed.outcome, program);
    if let Some(sentence) = &ending {
        push(&mut lines, &format!("stockade: {sentence}"));
    }
    for failure in &executed.stream_failures {
        push(&mut lines, &format!("stockade: {}", escaped(failure)));
    }
    let refused = Refused {
        denials: &executed.denials,
        dropped: executed.denials_dropped,
        quarantined: &[],
        limit_named: ending.is_some(),
    };
    let listed = refused.lines(verbosity == Verbosity::Verbose);
    lines.push_str(&listed);
    if listed.contains(" would allow it") || ending.is_some_and(|sentence| sentence.contains("--")) {
        push(&mut lines, "stockade: a sandbox keeps the policy that it was made with: these are options of `create`");
    }
    lines
}

/// The same for a program, as one document.
pub(crate) fn executed_json(executed: &Executed, sandbox: Option<&str>, command: &[std::ffi::OsString]) -> Value {
    let command: Vec<_> = command.iter().map(|part| part.to_string_lossy()).collect();
    json!({
        "version": 1,
        "sandbox": sandbox,
        "command": command,
        "status": executed.outcome.exit_status(),
        "outcome": executed.outcome,
        "usage": executed.usage,
        "denials": executed.denials,
        "denials_dropped": executed.denials_dropped,
        "output": executed.output,
        "stream_failures": executed.stream_failures,
    })
}

#[cfg(test)]
mod tests {
    use stockade::report::{Area, Denial, Known, Outcome, OutputSizes, Usage};

    use super::*;

    #[test]
    fn options_are_those_of_create() {
        let mut done = Executed {
            outcome: Outcome::Exited { status: 0 },
            usage: Usage::default(),
            denials: Vec::new(),
            denials_dropped: 0,
            output: OutputSizes::default(),
            stderr_tail: Vec::new(),
            stream_failures: Vec::new(),
        };
        assert_eq!(executed(&done, "make", Verbosity::Normal), "");
        done.denials.push(Denial {
            area: Area::Network,
            operation: "connect".into(),
            target: "192.0.2.1:443".into(),
            rule: None,
            process: None,
            count: 1,
            suggestion: Some("--allow 192.0.2.1".into()),
            known: Known::Exact,
            at_ms: 1,
        });
        let text = executed(&done, "make", Verbosity::Normal);
        assert!(text.contains("--allow 192.0.2.1 would allow it") && text.contains("`create`"), "{text}");
        assert_eq!(executed(&done, "make", Verbosity::Quiet), "");
        assert_eq!(executed_json(&done, Some("s"), &["make".into()])["denials"][0]["target"], "192.0.2.1:443");
    }
}
