//! The head: how far the chain goes, signed.
//!
//! ```text
//! {"version":1,"sandbox":"…","sequence":7,"hash":"…","key":"…","signature":"…"}
//! ```
//!
//! `signature` is Ed25519 over [`TAG`], the sandbox's id as text, `sequence` as eight bytes, most significant first, and the
//! 32 bytes of `hash`, which is that of the line with this number, or of the chain's start for 0. `key` says with which key it can
//! be checked, and counts for nothing by itself. A head is exactly as it was written, byte by byte.

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::hex;
use super::key::{Key, PublicKey};
use super::line::{Hash, SandboxId};

/// What the signed message begins with, so that the signature is one of nothing else.
const TAG: &[u8] = b"stockade record head 1\0";

/// The version of the form.
const VERSION: u64 = 1;

/// The most bytes of a head; those that are written have fewer than 400.
pub(super) const MAX_HEAD: usize = 512;

/// What every head begins with, and no line does.
pub(super) const BEGINNING: &[u8] = b"{\"version\":1,\"sandbox\":";

/// A head whose signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) hash: Hash,
}

#[derive(Serialize, Deserialize)]
struct Form {
    version: u64,
    sandbox: String,
    sequence: u64,
    hash: String,
    key: String,
    signature: String,
}

/// Signs, and writes the head with its line end.
pub(super) fn encode(sandbox: &SandboxId, sequence: u64, hash: Hash, key: &Key) -> String {
    let form = Form {
        version: VERSION,
        sandbox: sandbox.as_str().to_owned(),
        sequence,
        hash: hex::encode(&hash.0),
        key: key.public().to_string(),
        signature: hex::encode(&key.sign(&message(sandbox, sequence, hash))),
    };
    let mut text = form.text();
    text.push('\n');
    text
}

/// Reads a head, given without its line end, and checks it.
pub(super) fn decode(text: &[u8], sandbox: &SandboxId, key: &PublicKey) -> Result<Head, Damage> {
    let form: Form = serde_json::from_slice(text).map_err(|_| Damage::HeadUnreadable)?;
    // White space, another order or a key that is given twice would be a change that is not seen.
    if form.version != VERSION || form.text().as_bytes() != text {
        return Err(Damage::HeadUnreadable);
    }
    if form.sandbox != sandbox.as_str() {
        return Err(Damage::HeadOfOther);
    }
    let signer: PublicKey = form.key.parse().map_err(|_| Damage::HeadUnreadable)?;
    if signer != *key {
        return Err(Damage::OtherKey(form.key));
    }
    let hash = hex::decode(form.hash.as_bytes()).map(Hash).ok_or(Damage::HeadUnreadable)?;
    let signature = hex::decode(form.signature.as_bytes()).ok_or(Damage::HeadUnreadable)?;
    if !key.has_signed(&message(sandbox, form.sequence, hash), &signature) {
        return Err(Damage::Signature);
    }
    Ok(Head { sequence: form.sequence, hash })
}

impl Form {
    fn text(&self) -> String {
        // Texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn message(sandbox: &SandboxId, sequence: u64, hash: Hash) -> Vec<u8> {
    [TAG, sandbox.as_str().as_bytes(), &sequence.to_be_bytes(), &hash.0].concat()
}
