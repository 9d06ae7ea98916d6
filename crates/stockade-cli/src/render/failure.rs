//! How a failure is told: what failed, why, and what to do, for a person or as JSON for a program.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::json;

use super::text::{escaped, escaped_json, escaped_lines, escaped_whole};
use crate::failure::Failure;

/// A failure in a few lines.
pub(crate) fn failure(failure: &Failure) -> String {
    let mut text = match failure {
        // Every mistake starts with its own heading, and has several lines, of which it lets nobody add one.
        Failure::Policy(_) => format!("{}\n", escaped_lines(&failure.to_string())),
        // Nothing else has, so that a line break is one of a foreign name, which could look like a message.
        _ => format!("stockade: {}\n", escaped_whole(&failure.to_string())),
    };
    for cause in causes(failure) {
        let _infallible = writeln!(text, "  because: {}", escaped_whole(&cause));
    }
    if let Some(hint) = failure.hint() {
        let _infallible = write!(text, "\nhint: {}\n", escaped_whole(hint));
    }
    text
}

/// A failure with its reasons in one line.
pub(crate) fn one_line(failure: &Failure) -> String {
    let mut parts = vec![failure.to_string()];
    parts.extend(causes(failure));
    escaped(&parts.join(": ").replace('\n', " ")).to_string()
}

/// A failure as one line of JSON.
pub(crate) fn failure_json(failure: &Failure) -> String {
    let mistakes = match failure {
        Failure::Policy(mistakes) => mistakes.as_slice(),
        _ => &[],
    };
    let object = json!({
        "version": 1,
        "status": failure.status(),
        "error": {
            "message": failure.to_string(),
            "causes": causes(failure),
            "hint": failure.hint(),
            "mistakes": mistakes,
        },
    });
    escaped_json(&format!("{object}\n"))
}

/// The chain of reasons, outermost first. One that only repeats what its parent already says is left out.
fn causes(failure: &Failure) -> Vec<String> {
    let mut causes = Vec::new();
    let mut told = failure.to_string();
    let mut next = failure.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.contains(&text) {
            causes.push(text.clone());
        }
        told = text;
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use std::io;

    use stockade::sandbox::applying::ApplyError;
    use stockade::sandbox::layers::LayerError;

    use super::*;
    use crate::failure::FileProblem;

    #[test]
    fn reasons_and_remedies_follow_the_message() {
        let denied = || io::Error::from_raw_os_error(13);
        let unreadable =
            Failure::PolicyFile { path: "/etc/\u{1b}[2J".into(), problem: FileProblem::Unreadable(denied()) };
        assert_eq!(
            failure(&unreadable),
            "stockade: cannot read the policy /etc/\\u{1b}[2J\n  because: Permission denied (os error 13)\n\n\
             hint: a policy that is there is never passed over: make it readable, or remove it\n"
        );
        let full = Failure::Write { what: "the report".into(), source: denied() };
        assert_eq!(one_line(&full), "cannot write the report: Permission denied (os error 13)");
        let json: serde_json::Value = serde_json::from_str(&failure_json(&full)).expect("json");
        assert_eq!(json["error"]["message"], "cannot write the report");
        assert_eq!(json["status"], 125);
    }

    #[test]
    fn a_name_adds_no_line() {
        let fake = "a\nstockade: everything was applied\u{85}";
        let path = || std::path::PathBuf::from(fake);
        let source = rustix::io::Errno::NOENT;
        let layer = || LayerError::Path { operation: "open", path: path(), source };
        for (told, lines) in [
            (Failure::Library(layer().into()), 1),
            (Failure::Library(stockade::Error::Apply(ApplyError::NothingAt(path()))), 3),
            (Failure::Library(stockade::Error::Refused(fake.to_owned())), 1),
            (Failure::Document { path: path(), source: io::Error::other(layer()) }, 2),
            (
                Failure::Library(stockade::Error::Supervised {
                    message: fake.to_owned(),
                    causes: Vec::new(),
                    hint: Some(fake.to_owned()),
                }),
                3,
            ),
        ] {
            let text = failure(&told);
            assert_eq!((text.lines().count(), text.contains('\u{85}')), (lines, false), "{text}");
            assert!(text.contains("a\\nstockade: everything was applied\\u{85}"), "{text}");
            assert_eq!(one_line(&told).lines().count(), 1);
        }
    }

    #[test]
    fn mistakes_keep_their_carets() {
        let source = stockade::policy::Source { name: "p.toml", text: "version = 1\nmemory = 3\n" };
        let mistakes = stockade::policy::check(source);
        let text = failure(&Failure::Policy(mistakes));
        assert!(text.starts_with("error: ") && text.contains("--> p.toml:2:1") && text.contains('^'), "{text}");
    }
}
