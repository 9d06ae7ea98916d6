//! Events as JSON Lines, written as they happen.

use serde_json::{Value, json};
use stockade::Event;
use stockade::report::Area;

use crate::failure::Failure;
use crate::result_file::ResultFile;

/// Version of the events' JSON form.
const EVENT_VERSION: u32 = 1;

/// Where events go, if anywhere. After a failed write nothing more is written, so that no gap looks like a whole.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: Option<ResultFile>,
    sequence: u64,
    failure: Option<Failure>,
}

impl EventFile {
    /// Events go to `file`.
    pub(crate) fn new(file: Option<ResultFile>) -> Self {
        Self { file, sequence: 0, failure: None }
    }

    /// Writes one event as a line.
    pub(crate) fn record(&mut self, event: Event<'_>) {
        let Some(file) = &mut self.file else { return };
        let Some(line) = line(self.sequence, event) else { return };
        self.sequence += 1;
        if let Err(failure) = file.write(&line) {
            self.file = None;
            self.failure = Some(failure);
        }
    }

    /// What went wrong, when something did.
    ///
    /// # Errors
    /// The first failed write.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// One event; `None` for a kind that this version of the format does not have.
fn line(sequence: u64, event: Event<'_>) -> Option<String> {
    let (kind, mut body) = match event {
        Event::Recovered { workspace, quarantined, failures } => {
            let workspace = workspace.map(|path| path.to_string_lossy());
            let body = json!({ "workspace": workspace, "quarantined": quarantined, "failures": failures });
            ("recovered", body)
        }
        Event::Started(plan) => {
            let command: Vec<_> = plan.command.arguments.iter().map(|part| part.to_string_lossy()).collect();
            ("start", json!({ "tier": plan.tier, "profile": plan.profile, "command": command }))
        }
        Event::Denied(denial) if denial.area == Area::Limits => ("limit", json!({ "denial": denial })),
        Event::Denied(denial) => ("denial", json!({ "denial": denial })),
        Event::Connected(connection) => ("connection", json!({ "connection": connection })),
        Event::Ended(report) => {
            let status = report.exit_status();
            ("end", json!({ "outcome": report.outcome, "status": status, "usage": report.usage }))
        }
        _ => return None,
    };
    if let Value::Object(fields) = &mut body {
        fields.insert("version".to_owned(), EVENT_VERSION.into());
        fields.insert("sequence".to_owned(), sequence.into());
        fields.insert("event".to_owned(), kind.into());
    }
    Some(format!("{body}\n"))
}

#[cfg(test)]
mod tests {
    use stockade::report::{Denial, Known};

    use super::*;

    #[test]
    fn every_line_is_numbered_and_versioned() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events");
        let file = ResultFile::open(&path, folder.path(), "/nonexistent".as_ref()).expect("open");
        let mut events = EventFile::new(Some(file));
        let mut denial = Denial {
            area: Area::Network,
            operation: "connect".into(),
            target: "192.0.2.1:443\n".into(),
            rule: None,
            process: None,
            count: 1,
            suggestion: None,
            known: Known::Exact,
            at_ms: 5,
        };
        events.record(Event::Denied(&denial));
        denial.area = Area::Limits;
        events.record(Event::Denied(&denial));
        events.finish().expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(lines.len(), 2);
        for (line, (kind, sequence)) in lines.iter().zip([("denial", 0), ("limit", 1)]) {
            assert_eq!(
                (&line["event"], &line["sequence"], &line["version"]),
                (&json!(kind), &json!(sequence), &json!(1))
            );
        }
        assert_eq!(lines[0]["denial"]["target"], "192.0.2.1:443\n");
    }

    #[test]
    fn a_full_disk_is_told_once() {
        let file = ResultFile::open("/dev/full".as_ref(), "/".as_ref(), "/nonexistent".as_ref()).expect("open");
        let mut events = EventFile::new(Some(file));
        for _ in 0..3 {
            let denial = Denial {
                area: Area::Files,
                operation: "write".into(),
                target: "/x".into(),
                rule: None,
                process: None,
                count: 1,
                suggestion: None,
                known: Known::Exact,
                at_ms: 0,
            };
            events.record(Event::Denied(&denial));
        }
        assert!(matches!(events.finish(), Err(Failure::Write { .. })));
    }
}
