//! Asks the person at the terminal about endpoints that no rule names.
//!
//! Questions and answers go through the controlling terminal and not through the standard streams, which are the command's.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};

use rustix::termios::{QueueSelector, tcflush};
use stockade::{Decider, Decision, Question};

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 64;

/// Asks at the controlling terminal; where there is none, nobody is asked, and the answer is no.
pub(crate) fn at_terminal() -> Decider {
    Box::new(|question| ask(&question).unwrap_or(Decision::Deny))
}

fn ask(question: &Question) -> io::Result<Decision> {
    let mut terminal: File = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    // The text of a question is printable ASCII, whatever the program calls itself.
    let text = format!("\nstockade: {question}\n  allow it [o]nce, for this [r]un, or [n]ot at all? [n] ");
    terminal.write_all(text.as_bytes())?;
    // What was typed before the question was there is no answer to it.
    tcflush(&terminal, QueueSelector::IFlush)?;
    let mut answer = Vec::new();
    BufReader::new(io::Read::take(terminal, MAX_ANSWER)).read_until(b'\n', &mut answer)?;
    Ok(decision(&answer))
}

fn decision(answer: &[u8]) -> Decision {
    match answer.trim_ascii().to_ascii_lowercase().as_slice() {
        b"o" | b"once" => Decision::AllowOnce,
        b"r" | b"run" => Decision::AllowForRun,
        _ => Decision::Deny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_allows() {
        for (answer, decided) in [
            ("o\n", Decision::AllowOnce),
            (" Once\r\n", Decision::AllowOnce),
            ("r\n", Decision::AllowForRun),
            ("run\n", Decision::AllowForRun),
            ("n\n", Decision::Deny),
            ("\n", Decision::Deny),
            ("", Decision::Deny),
            ("yes\n", Decision::Deny),
            ("oo\n", Decision::Deny),
        ] {
            assert_eq!(decision(answer.as_bytes()), decided, "{answer:?}");
        }
    }
}
