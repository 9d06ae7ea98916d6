//! A path in JSON that may be absent.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::os_text;

#[derive(Serialize, Deserialize)]
struct Form(#[serde(with = "os_text")] PathBuf);

#[expect(clippy::ref_option, reason = "the shape that serde calls")]
pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.clone().map(Form).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(Option::<Form>::deserialize(deserializer)?.map(|Form(path)| path))
}
