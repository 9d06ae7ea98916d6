//! The body of a request, followed to its end, where the next request begins (RFC 9112, sections 6 and 7).

use super::{Refusal, head};

/// Longest line between chunks or behind them, in bytes, without its end.
const MAX_LINE: usize = 4 << 10;
/// Most lines behind the last chunk.
const MAX_TRAILERS: u8 = 64;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes; at least one.
    Bytes(u64),
    /// The line with the length of the next chunk.
    ChunkLength,
    /// So many bytes of a chunk, at least one, and the end of its line.
    Chunk(u64),
    /// The end of a chunk's line.
    ChunkEnd,
    /// A field behind the last chunk, of which there were so many, or the empty line.
    Trailer(u8),
}

impl Body {
    /// A body in chunks.
    pub(super) const CHUNKED: Self = Self::ChunkLength;

    /// A body of a known length; none of none.
    pub(super) const fn of_length(length: u64) -> Option<Self> {
        if length == 0 { None } else { Some(Self::Bytes(length)) }
    }
}

/// Bytes that are settled, at least one, and what comes behind them.
type Settled = (usize, Option<Body>);

/// Looks at bytes of which there is at least one; `None` where more are needed.
pub(super) fn look(body: Body, held: &[u8]) -> Result<Option<Settled>, Refusal> {
    match body {
        Body::Bytes(left) => {
            let (count, left) = carried(left, held);
            Ok(Some((count, Body::of_length(left))))
        }
        Body::Chunk(left) => {
            let (count, left) = carried(left, held);
            Ok(Some((count, Some(if left == 0 { Body::ChunkEnd } else { Body::Chunk(left) }))))
        }
        Body::ChunkEnd => match held {
            [b'\r', b'\n', ..] => Ok(Some((2, Some(Body::ChunkLength)))),
            [b'\r'] => Ok(None),
            _ => Err(Refusal::Request("a chunk is longer than it says")),
        },
        Body::ChunkLength => {
            let Some(line) = line(held)? else { return Ok(None) };
            let next = match chunk_length(line)? {
                0 => Body::Trailer(0),
                length => Body::Chunk(length),
            };
            Ok(Some((line.len() + 2, Some(next))))
        }
        Body::Trailer(count) => trailer(count, held),
    }
}

/// How many of the bytes belong to the body, and how many it still lacks.
fn carried(left: u64, held: &[u8]) -> (usize, u64) {
    let count = usize::try_from(left).map_or(held.len(), |left| left.min(held.len()));
    // A number of bytes in memory fits.
    (count, left - u64::try_from(count).unwrap_or(left))
}

/// The line that begins here, once it is whole.
fn line(held: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let searched = &held[..held.len().min(MAX_LINE + 2)];
    match searched.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            searched[..end].strip_suffix(b"\r").map(Some).ok_or(Refusal::Request("a line of a body ends with LF alone"))
        }
        None if searched.len() < MAX_LINE + 2 => Ok(None),
        None => Err(Refusal::Request("a line of a body is too long")),
    }
}

/// The length of a chunk: hexadecimal digits, and maybe extensions, of which nothing is used.
fn chunk_length(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extensions) = line.split_at(digits);
    let sound = matches!(extensions, [] | [b';', ..]) && !extensions.iter().any(u8::is_ascii_control);
    // With 15 digits, no sum that anybody makes of it overflows.
    let number = if (1..=15).contains(&digits.len()) { str::from_utf8(digits).ok() } else { None };
    let number = number.and_then(|text| u64::from_str_radix(text, 16).ok()).filter(|_| sound);
    number.ok_or(Refusal::Request("the length of a chunk is no number"))
}

fn trailer(count: u8, held: &[u8]) -> Result<Option<Settled>, Refusal> {
    let Some(line) = line(held)? else { return Ok(None) };
    if line.is_empty() {
        return Ok(Some((2, None)));
    }
    let (name, _) = head::field(line)?;
    let rules_the_message = ["host", "content-length", "transfer-encoding", "upgrade"];
    if rules_the_message.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
        return Err(Refusal::Request("a field behind the body belongs in front of it"));
    }
    if count >= MAX_TRAILERS {
        return Err(Refusal::Request("too many fields follow the body"));
    }
    Ok(Some((line.len() + 2, Some(Body::Trailer(count + 1)))))
}
