//! A record as one document, which can be checked without the state directory.
//!
//! JSON Lines: first `{"stockade-record-export":1,"sandbox":"…","key":"…"}`, then the lines of the record as they are, and
//! the head right after the line that it signs, which is the last one unless some are not signed yet. So it is checked in
//! one go, with memory for one line.

use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::damage::{Broken, Damage};
use super::error::RecordError;
use super::files::{Folder, RECORD};
use super::head;
use super::key::PublicKey;
use super::line::SandboxId;
use super::lines::{Lines, Piece};
use super::verify::{Snapshot, Verdict};

/// The version of the document.
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "stockade-record-export")]
    version: u64,
    sandbox: String,
    key: String,
}

/// What an export says it is, and whether that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The sandbox's id.
    pub sandbox: String,
    /// The key that it says it was signed with. Whoever makes up a whole document makes up this as well: compare it with the
    /// key of the machine that it is said to come from.
    #[serde(serialize_with = "as_text")]
    pub key: PublicKey,
    /// Whether it is whole, judged by that key.
    pub verdict: Verdict,
}

fn as_text<S: serde::Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// Writes the record of a sandbox as one document. A record that is broken is not written: the verdict says where it is.
///
/// # Errors
/// When the record cannot be read or the document cannot be written.
pub fn export(folder: &Path, sandbox: &str, key: &PublicKey, out: &mut dyn Write) -> Result<Verdict, RecordError> {
    let (folder, sandbox) = (Folder::any(folder)?, SandboxId::new(sandbox)?);
    let missing = || folder.failed("open", RECORD, rustix::io::Errno::NOENT);
    let snapshot = Snapshot::take(&folder)?.ok_or_else(missing)?;
    let verdict = snapshot.judge(&sandbox, key).map_err(|error| folder.failed("read", RECORD, error))?;
    if let Verdict::Verified(verified) = &verdict {
        let signed = verified.lines - verified.unsigned;
        let header = Header { version: VERSION, sandbox: sandbox.as_str().to_owned(), key: key.to_string() };
        write(&snapshot, &header, signed, out).map_err(|error| folder.failed("export", RECORD, error))?;
    }
    Ok(verdict)
}

fn write(snapshot: &Snapshot, header: &Header, signed: u64, out: &mut dyn Write) -> io::Result<()> {
    let head = snapshot.head.as_deref().unwrap_or_default();
    let mut put = |line: &[u8]| out.write_all(line).and_then(|()| out.write_all(b"\n"));
    put(header.text().as_bytes())?;
    let mut lines = Lines::new(snapshot.content());
    let mut written = 0;
    loop {
        if written == signed {
            put(head)?;
        }
        match lines.next()? {
            Piece::Line(line) => put(line)?,
            // What is torn was never part of the record.
            Piece::TooLong | Piece::Torn(_) | Piece::End => return out.flush(),
        }
        written += 1;
    }
}

/// Checks a document that [`export`] has written. It may hold anything; memory is taken for one line. `Err` in the result says that
/// it does not even begin as one.
///
/// # Errors
/// When it cannot be read.
pub fn verify_export(document: impl Read) -> io::Result<Result<Exported, Broken>> {
    let mut lines = Lines::new(document);
    let no_export = Err(Broken { line: 0, what: Damage::NotAnExport });
    let header = match lines.next()? {
        Piece::Line(line) => Header::read(line),
        _ => None,
    };
    let Some((sandbox, key)) = header else { return Ok(no_export) };
    let verdict = Verdict::of(follow(&sandbox, &key, lines)?);
    Ok(Ok(Exported { sandbox: sandbox.as_str().to_owned(), key, verdict }))
}

fn follow<R: Read>(
    sandbox: &SandboxId,
    key: &PublicKey,
    mut lines: Lines<R>,
) -> io::Result<Result<super::chain::Verified, Broken>> {
    let mut chain = Chain::new(sandbox);
    let (mut line, mut has_head) = (0, false);
    loop {
        line += 1;
        let step = match lines.next()? {
            Piece::Line(text) if text.starts_with(head::BEGINNING) => {
                line -= 1;
                let is_second = std::mem::replace(&mut has_head, true);
                if is_second { Err(Damage::SecondHead) } else { take_head(&mut chain, text, sandbox, key) }
            }
            Piece::Line(text) => chain.take(text),
            Piece::TooLong => Err(Damage::TooLong),
            Piece::Torn(_) => Err(Damage::Unfinished),
            Piece::End => return Ok(chain.finish(None).map_err(|what| Broken { line, what })),
        };
        if let Err(what) = step {
            return Ok(Err(Broken { line, what }));
        }
    }
}

/// Takes the head where it stands: after the line that it signs.
fn take_head(chain: &mut Chain, text: &[u8], sandbox: &SandboxId, key: &PublicKey) -> Result<(), Damage> {
    let head = head::decode(text, sandbox, key)?;
    match head.sequence.cmp(&chain.sequence()) {
        std::cmp::Ordering::Equal => chain.signed_by(head),
        std::cmp::Ordering::Greater => Err(Damage::Cut { signed: head.sequence }),
        std::cmp::Ordering::Less => Err(Damage::NotTheSigned),
    }
}

impl Header {
    fn text(&self) -> String {
        // Texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn read(line: &[u8]) -> Option<(SandboxId, PublicKey)> {
        let header: Self = serde_json::from_slice(line).ok()?;
        if header.version != VERSION || header.text().as_bytes() != line {
            return None;
        }
        Some((SandboxId::new(&header.sandbox).ok()?, header.key.parse().ok()?))
    }
}
