//! The record of a sandbox: written by several processes, some of them killed, changed by somebody, and judged.

#![allow(clippy::unwrap_used, reason = "this program is a test")]

mod changes;
mod export;
mod hostile;
mod key;
mod losses;
mod processes;
mod reader;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stockade_workspace::StateDirectory;
use stockade_workspace::record::{Broken, Damage, Key, PublicKey, Verdict, Verified, Writer, verify};

pub(crate) const SANDBOX: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// A state directory with the folder of one sandbox, gone at the end of the test.
pub(crate) struct Place {
    keep: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        fs::create_dir(keep.path().join("sandbox")).unwrap();
        Self { keep }
    }

    /// With a record of that many lines, all signed.
    pub(crate) fn with(lines: u64) -> Self {
        let place = Self::new();
        place.add(&mut place.create(), lines);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.keep.path()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.path().join("sandbox")
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.folder().join("record.jsonl")
    }

    pub(crate) fn head(&self) -> PathBuf {
        self.folder().join("record.head")
    }

    pub(crate) fn key(&self) -> Key {
        Key::load_or_create(&StateDirectory::new(&self.path().join("state")).unwrap()).unwrap()
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key().public()
    }

    pub(crate) fn create(&self) -> Writer {
        Writer::create(&self.folder(), SANDBOX, self.key()).unwrap()
    }

    pub(crate) fn open(&self) -> Writer {
        Writer::open(&self.folder(), SANDBOX, self.key()).unwrap()
    }

    pub(crate) fn add(&self, writer: &mut Writer, lines: u64) {
        for number in 0..lines {
            writer.append("command.ended", &payload(number)).unwrap();
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        verify(&self.folder(), SANDBOX, &self.public()).unwrap()
    }

    pub(crate) fn verified(&self) -> Verified {
        match self.verdict() {
            Verdict::Verified(verified) => verified,
            Verdict::Broken(broken) => panic!("{broken}"),
        }
    }

    pub(crate) fn broken(&self) -> (u64, Damage) {
        match self.verdict() {
            Verdict::Verified(verified) => panic!("{verified:?}"),
            Verdict::Broken(Broken { line, what }) => (line, what),
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.record()).unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) fn write_lines(&self, lines: &[String]) {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        fs::write(self.record(), text).unwrap();
    }
}

pub(crate) fn payload(number: u64) -> Value {
    json!({ "command": ["make", format!("target-{number}")], "status": number % 3, "seconds": 0.25 })
}

#[test]
fn what_is_appended_is_verified_and_what_is_not_signed_yet_is_counted() {
    let place = Place::new();
    let mut writer = place.create();
    assert_eq!(place.verified().lines, 0);
    place.add(&mut writer, 10);
    let (all, none) = (place.verified(), Vec::new());
    assert_eq!((all.lines, all.unsigned, all.torn, all.losses), (10, 10, None, none));
    writer.sign().unwrap();
    assert_eq!(place.verified().unsigned, 0);
    place.add(&mut writer, 70);
    assert_eq!(place.verified().unsigned, 6, "signed after each 64 lines");
    writer.sync().unwrap();
    assert_eq!(place.verified().unsigned, 0);
    place.add(&mut writer, 1);
    drop(writer);
    let last = place.verified();
    assert_eq!((last.lines, last.unsigned), (81, 0));
    assert!(place.lines()[80].contains(&last.hash));
}

#[test]
fn records_are_for_their_owner_and_are_begun_once() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with(1);
    for file in [place.record(), place.head(), place.path().join("state/key")] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600, "{}", file.display());
    }
    Writer::create(&place.folder(), SANDBOX, place.key()).unwrap_err();
    fs::remove_file(place.record()).unwrap();
    Writer::create(&place.folder(), SANDBOX, place.key()).unwrap_err();
    for id in ["", "../x", "0123456789ABCDEF0123456789ABCDEF"] {
        Writer::open(&place.folder(), id, place.key()).unwrap_err();
    }
}

#[test]
fn events_have_names_and_none_that_the_record_uses() {
    let place = Place::new();
    let mut writer = place.create();
    for name in ["", "A", "a b", "a\"b", "record.loss", "é", &"a".repeat(65)] {
        writer.append(name, &Value::Null).unwrap_err();
    }
    assert_eq!(writer.append("records", &Value::Null).unwrap(), 1);
}
