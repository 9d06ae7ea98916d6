//! What a machine reported: the output of each step that it took, between marks.

use std::collections::BTreeMap;

use super::Failure;

/// Starts the lines that are not output: `@machine begin STEP`, `@machine end STEP STATUS`, `@machine done`.
const MARK: &str = "@machine ";

/// One step.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// What it printed.
    pub(super) output: String,
    /// Its exit status; `None` when it did not end.
    pub(super) status: Option<i32>,
    /// Whole seconds of the machine's time that it took.
    pub(super) seconds: u64,
}

/// All steps.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// By name.
    pub(super) steps: BTreeMap<String, Step>,
    /// Whether the machine came to its end.
    pub(super) done: bool,
}

impl Transcript {
    /// Reads a report.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut transcript = Self::default();
        let mut current: Option<&str> = None;
        for line in text.lines() {
            let words: Vec<&str> = line.strip_prefix(MARK).map(|rest| rest.split(' ').collect()).unwrap_or_default();
            match (words.as_slice(), current) {
                ([], Some(name)) => {
                    let output = &mut transcript.step(name).output;
                    output.push_str(line);
                    output.push('\n');
                }
                ([], None) => {}
                (&["begin", name], _) => {
                    transcript.step(name);
                    current = Some(name);
                }
                (&["end", name, status, seconds], _) => {
                    let step = transcript.step(name);
                    step.status = Some(status.parse()?);
                    step.seconds = seconds.parse()?;
                    current = None;
                }
                (["done"], _) => transcript.done = true,
                _ => return Err(format!("the machine's report has an unknown mark: {line:?}").into()),
            }
        }
        if transcript.steps.is_empty() {
            return Err("the machine reported nothing".into());
        }
        Ok(transcript)
    }

    fn step(&mut self, name: &str) -> &mut Step {
        self.steps.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_does_not_end_has_no_status() {
        let text = "noise\n@machine begin doctor\n{}\n@machine end doctor 3 1\n@machine begin smoke\nhalf\n";
        let transcript = Transcript::parse(text).expect("it is well formed");
        assert_eq!(transcript.steps["doctor"].output, "{}\n");
        assert_eq!(transcript.steps["doctor"].status, Some(3));
        assert_eq!(transcript.steps["smoke"].status, None);
        assert!(!transcript.done);
    }

    #[test]
    fn a_machine_that_reported_nothing_is_an_error() {
        assert!(Transcript::parse("Kernel panic\n").is_err());
    }
}
