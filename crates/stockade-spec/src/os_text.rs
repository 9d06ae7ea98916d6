//! Serialises operating-system strings without loss: as text when they are Unicode, in serde's own form when not.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Owned {
    Text(String),
    Os(OsString),
}

impl From<Owned> for OsString {
    fn from(owned: Owned) -> Self {
        match owned {
            Owned::Text(text) => text.into(),
            Owned::Os(os) => os,
        }
    }
}

struct Borrowed<'a>(&'a OsStr);

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.serialize(serializer),
        }
    }
}

/// For one path or string: `#[serde(with = "os_text::one")]`.
pub mod one {
    use super::{Borrowed, Deserialize, Deserializer, OsStr, OsString, Owned, Serialize, Serializer};

    /// Writes it.
    pub fn serialize<T: AsRef<OsStr>, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        Borrowed(value.as_ref()).serialize(serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, T: From<OsString>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        Ok(T::from(Owned::deserialize(deserializer)?.into()))
    }
}

/// For a list: `#[serde(with = "os_text::list")]`.
pub mod list {
    use super::{Borrowed, Deserialize, Deserializer, OsStr, OsString, Owned, Serializer};

    /// Writes it.
    pub fn serialize<T: AsRef<OsStr>, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| Borrowed(value.as_ref())))
    }

    /// Reads it.
    pub fn deserialize<'de, T: From<OsString>, D: Deserializer<'de>>(d: D) -> Result<Vec<T>, D::Error> {
        let values = Vec::<Owned>::deserialize(d)?;
        Ok(values.into_iter().map(|value| T::from(value.into())).collect())
    }
}

/// For name and value pairs: `#[serde(with = "os_text::pairs")]`.
pub mod pairs {
    use super::{Borrowed, Deserialize, Deserializer, OsString, Owned, Serializer};

    /// Writes it.
    pub fn serialize<S: Serializer>(values: &[(OsString, OsString)], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(values.iter().map(|(name, value)| (Borrowed(name), Borrowed(value))))
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(OsString, OsString)>, D::Error> {
        let values = Vec::<(Owned, Owned)>::deserialize(d)?;
        Ok(values.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// For an optional path: `#[serde(with = "os_text::option")]`.
pub mod option {
    use super::{Borrowed, Deserialize, Deserializer, Owned, Path, PathBuf, Serializer};

    /// Writes it.
    pub fn serialize<S: Serializer>(value: &Option<PathBuf>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(path) => s.serialize_some(&Borrowed(Path::as_os_str(path))),
            None => s.serialize_none(),
        }
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Owned>::deserialize(d)?.map(|owned| PathBuf::from(std::ffi::OsString::from(owned))))
    }
}
