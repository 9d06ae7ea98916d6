//! What happened in a sandbox, by its record, and whether record and layers are as they were written.

use std::io::Write;

use serde::Serialize;
use stockade_workspace::record::{self, Key, PublicKey, Reader, Verdict};
use stockade_workspace::sandboxes::{Id, Verified};

use super::handle::{Sandbox, Sandboxes};
use crate::error::Error;

/// What came of judging everything that a sandbox keeps.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The key by which the record was judged: this machine's and user's.
    #[serde(serialize_with = "as_text")]
    pub key: PublicKey,
    /// Whether the record is whole.
    pub record: Verdict,
    /// Every layer that the sandbox names, compared with the listing that was made with it.
    pub layers: Vec<AuditedLayer>,
}

/// A layer, compared with its listing.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedLayer {
    /// The layer.
    pub id: Id,
    /// What was found.
    #[serde(flatten)]
    pub verified: Verified,
}

fn as_text<S: serde::Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

impl Audit {
    /// Whether everything is as it was written.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self.record, Verdict::Verified(_)) && self.layers.iter().all(|layer| layer.verified.is_good())
    }
}

impl Sandbox {
    /// The events of its record, from the first.
    ///
    /// # Errors
    /// When it has none, or it cannot be read.
    pub fn events(&self) -> Result<Reader, Error> {
        Ok(Reader::open(self.path())?)
    }

    /// Judges its record and its layers, while nobody else changes it: what a change does half-way is no intrusion.
    ///
    /// # Errors
    /// When it was removed, the key is gone, or something cannot be read.
    pub fn verify(&mut self) -> Result<Audit, Error> {
        let key = self.all.key()?;
        let record = record::verify(self.path(), &self.kept.id().to_string(), &key)?;
        let kept = self.kept.lock()?;
        let audited = |(id, _)| Ok(AuditedLayer { id, verified: kept.verify_layer(id)? });
        let layers = kept.digests().into_iter().map(audited).collect::<Result<_, Error>>()?;
        Ok(Audit { key, record, layers })
    }

    /// Writes its record as one document, which [`record::verify_export`] checks anywhere. One that is broken is not written.
    ///
    /// # Errors
    /// When the key is gone, the record cannot be read or the document not be written.
    pub fn export(&self, out: &mut dyn Write) -> Result<Verdict, Error> {
        let key = self.all.key()?;
        Ok(record::export(self.path(), &self.kept.id().to_string(), &key, out)?)
    }
}

impl Sandboxes {
    /// The public part of the key that signs records here.
    ///
    /// # Errors
    /// When there is none, as before the first sandbox was made, or it cannot be used.
    pub fn key(&self) -> Result<PublicKey, Error> {
        let key = Key::load(&self.state)?;
        key.map(|key| key.public()).ok_or_else(|| Error::NoKey(self.state.path().join("key")))
    }
}
