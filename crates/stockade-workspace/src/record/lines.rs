//! Lines of a file that may hold anything, with bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::line::MAX_LINE;

/// The next of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'l> {
    /// A line, without its line end.
    Line(&'l [u8]),
    /// More bytes than a line may have, and no line end among them.
    TooLong,
    /// The last bytes, without a line end.
    Torn(u64),
    /// The end.
    End,
}

/// Reads line by line.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// How many bytes the lines had that were read whole.
    pub(super) consumed: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(MAX_LINE, input), line: Vec::new(), consumed: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Piece<'_>> {
        self.line.clear();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = (&mut self.input).take(most).read_until(b'\n', &mut self.line)?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        Ok(match self.line.strip_suffix(b"\n") {
            Some(line) => {
                self.consumed += read;
                Piece::Line(line)
            }
            None if read == 0 => Piece::End,
            None if read == most => Piece::TooLong,
            None => Piece::Torn(read),
        })
    }

    /// After [`Piece::TooLong`]: goes on to the next line, if there is one.
    pub(super) fn skip(&mut self) -> io::Result<()> {
        self.consumed += u64::try_from(self.line.len()).unwrap_or(u64::MAX);
        loop {
            let piece = self.input.fill_buf()?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (length, ended) = (end.map_or(piece.len(), |end| end + 1), end.is_some() || piece.is_empty());
            self.input.consume(length);
            self.consumed += u64::try_from(length).unwrap_or(u64::MAX);
            if ended {
                return Ok(());
            }
        }
    }
}

/// A part of a file, read without moving its position.
#[derive(Debug)]
pub(super) struct Part<'f> {
    pub(super) file: &'f File,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.to.saturating_sub(self.from)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..most], self.from)?;
        self.from += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_length_take_bounded_memory() {
        let long = "x".repeat(MAX_LINE);
        let text = format!("\na\n{}\n{long}{long}\nb\nc", &long[1..]);
        let mut lines = Lines::new(text.as_bytes());
        assert_eq!(lines.next().unwrap(), Piece::Line(b""));
        assert_eq!(lines.next().unwrap(), Piece::Line(b"a"));
        assert_eq!(lines.next().unwrap(), Piece::Line(&long.as_bytes()[1..]));
        assert_eq!(lines.next().unwrap(), Piece::TooLong);
        lines.skip().unwrap();
        assert_eq!(lines.next().unwrap(), Piece::Line(b"b"));
        assert_eq!(lines.next().unwrap(), Piece::Torn(1));
        assert_eq!(lines.next().unwrap(), Piece::End);
        assert_eq!(lines.consumed, u64::try_from(text.len() - 1).unwrap());
    }
}
