//! Finding the end of a record, from which the next line goes on.

use std::fs::File;
use std::io::{self, Read};

use super::chain::Chain;
use super::line::{Hash, Line, MAX_LINE, SandboxId};
use super::lines::{Lines, Part, Piece};

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Its number; 0 in an empty record.
    pub(super) sequence: u64,
    /// Its hash, or that of the chain's start.
    pub(super) hash: Hash,
    /// Where it ends in the file.
    pub(super) end: u64,
}

/// What the end of a file looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It ends with a line.
    Whole(Tail),
    /// After the last line come bytes as a writer leaves them that was killed while it wrote.
    Torn(Tail),
    /// Something else.
    Damaged,
}

impl Tail {
    /// The tail of an empty record.
    pub(super) fn start(sandbox: &SandboxId) -> Self {
        Self { sequence: 0, hash: sandbox.start(), end: 0 }
    }
}

/// Looks at the last two lines' worth of a file.
pub(super) fn find(file: &File, size: u64, sandbox: &SandboxId) -> io::Result<Found> {
    let from = size.saturating_sub(2 * most());
    let mut text = Vec::new();
    Part { file, from, to: size }.read_to_end(&mut text)?;
    let Some(end) = text.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1) else {
        let torn = text.len() < MAX_LINE;
        return Ok(match (from, text.is_empty(), torn) {
            (0, true, _) => Found::Whole(Tail::start(sandbox)),
            (0, false, true) => Found::Torn(Tail::start(sandbox)),
            _ => Found::Damaged,
        });
    };
    let before = text[..end - 1].iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
    let start = before.or((from == 0).then_some(0));
    let Some(tail) = start.and_then(|start| read(&text[start..end], from + offset(start), sandbox)) else {
        return Ok(Found::Damaged);
    };
    Ok(match text.len() - end {
        0 => Found::Whole(tail),
        torn if torn < MAX_LINE => Found::Torn(tail),
        _ => Found::Damaged,
    })
}

/// The tail that a line at `at` is, if it is good by itself.
fn read(text: &[u8], at: u64, sandbox: &SandboxId) -> Option<Tail> {
    let line = Line::parse(text.strip_suffix(b"\n")?).ok()?;
    let is_first = line.sequence == 1;
    let is_placed = is_first == (at == 0) && is_first == (line.prev == sandbox.start()) && line.sequence > 0;
    let is_good = text.len() <= MAX_LINE && line.is_unchanged() && line.is_readable() && is_placed;
    is_good.then_some(Tail { sequence: line.sequence, hash: line.hash, end: at + offset(text.len()) })
}

/// Follows the chain from `after`, or from its start, as far as it is good; and whether that is to the end of the file.
pub(super) fn follow(file: &File, size: u64, sandbox: &SandboxId, after: Tail) -> io::Result<(Tail, bool)> {
    let mut chain = Chain::after(sandbox, after.sequence, after.hash);
    let mut lines = Lines::new(Part { file, from: after.end, to: size });
    let (mut tail, mut is_good) = (after, true);
    while is_good {
        is_good = match lines.next()? {
            Piece::Line(line) => chain.take(line).is_ok(),
            Piece::End => return Ok((tail, true)),
            Piece::TooLong | Piece::Torn(_) => false,
        };
        if is_good {
            tail = Tail { sequence: chain.sequence(), hash: chain.hash(), end: after.end + lines.consumed };
        }
    }
    Ok((tail, false))
}

fn most() -> u64 {
    offset(MAX_LINE)
}

fn offset(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
