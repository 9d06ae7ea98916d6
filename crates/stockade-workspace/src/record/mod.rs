//! The record of a sandbox: what happened in it, in an order that nobody can change afterwards without its being seen.
//!
//! `record.jsonl` holds one event a line. Each line carries the SHA-256 of the line before it and its own, so an edit, a gap or a
//! change of order breaks the chain at its place ([`line`]). `record.head` says how far the chain went, signed with the
//! Ed25519 key of this machine and user ([`Key`]), so a cut at the end and a chain that somebody made up are seen too. Both
//! are bound to the id of the sandbox: a record that was moved from another one does not verify.
//!
//! A [`Writer`] appends, [`verify`] judges, a [`Reader`] shows, [`export`] makes one document that [`verify_export`]
//! checks anywhere. A record is never rotated or thinned out: it is bounded by the disk alone, and a line by [`MAX_LINE`].
//!
//! What it does not show: that both files were replaced by older copies of themselves, or by copies that were made with the
//! key, which the owner of the state directory can read. Keep an export, or the head's hash, elsewhere against that. Lines
//! after the head are chained but not signed yet; [`Verified::unsigned`] says how many. What was lost in a crash, or cut off
//! and then written on, is told by a line of its own ([`Loss`]) for as long as the record exists.

mod chain;
mod damage;
mod error;
mod export;
mod files;
mod head;
mod hex;
mod key;
mod line;
mod lines;
mod payload;
mod reader;
mod repair;
mod tail;
mod verify;
mod writer;

pub use chain::{Loss, Lost, Verified};
pub use damage::{Broken, Damage};
pub use error::{KeyError, RecordError};
pub use export::{Exported, export, verify_export};
pub use key::{Key, PublicKey};
pub use line::{Entry, MAX_LINE};
pub use reader::Reader;
pub use verify::{Verdict, verify};
pub use writer::Writer;
