//! Whatever somebody does to the files of a record that is signed to its end, it is found, and at its place.

use std::fs;

use proptest::prelude::*;
use stockade_workspace::record::{Damage, Key, Verdict, Writer, verify};

use crate::{OTHER, Place, SANDBOX};

const LINES: u64 = 8;

/// What is done to the bytes of a file.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Keep(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..usize::MAX;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at.clone(), 1..2_000_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at.clone(), prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        at.prop_map(Change::Keep),
    ]
}

impl Change {
    fn apply(&self, text: &mut Vec<u8>) {
        let place = |at: &usize| at % text.len();
        match self {
            Self::Replace(at, byte) => {
                let at = place(at);
                text[at] = *byte;
            }
            Self::Remove(at, length) => {
                let at = place(at);
                let end = text.len().min(at + length);
                text.drain(at..end);
            }
            Self::Insert(at, bytes) => {
                let at = place(at);
                text.splice(at..at, bytes.iter().copied());
            }
            Self::Keep(length) => text.truncate(place(length)),
        }
    }
}

thread_local! {
    static PLACE: Place = Place::with(LINES);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_bytes_is_found(change in change(), in_head in prop::bool::weighted(0.3)) {
        PLACE.with(|place| {
            let path = if in_head { place.head() } else { place.record() };
            let before = fs::read(&path).unwrap();
            let mut after = before.clone();
            change.apply(&mut after);
            fs::write(&path, &after).unwrap();
            let verdict = place.verdict();
            fs::write(&path, &before).unwrap();
            match verdict {
                Verdict::Verified(_) => prop_assert_eq!(before, after),
                Verdict::Broken(broken) if in_head => prop_assert_eq!(broken.line, 0),
                Verdict::Broken(broken) => {
                    // The first line that differs, or the one after it, where the chain is torn.
                    let same = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
                    let first = 1 + before[..same].iter().filter(|byte| **byte == b'\n').count() as u64;
                    prop_assert!((first..=first + 1).contains(&broken.line), "{}: {:?}", first, broken);
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn every_single_bit_counts() {
    let place = Place::with(2);
    for path in [place.record(), place.head()] {
        let before = fs::read(&path).unwrap();
        for bit in 0..before.len() * 8 {
            let mut after = before.clone();
            after[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &after).unwrap();
            assert!(matches!(place.verdict(), Verdict::Broken(_)), "bit {bit} of {}", path.display());
        }
        fs::write(&path, &before).unwrap();
    }
    assert_eq!(place.verified().lines, 2);
}

#[test]
fn every_truncation_is_found() {
    let place = Place::with(3);
    let whole = fs::read(place.record()).unwrap();
    for length in (0..whole.len()).rev() {
        fs::write(place.record(), &whole[..length]).unwrap();
        let (line, what) = place.broken();
        let left = whole[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!((line, what), (left + 1, Damage::Cut { signed: 3 }), "{length}");
    }
}

#[test]
fn lines_that_are_removed_doubled_or_swapped_are_found_where_they_were() {
    let place = Place::with(LINES);
    let before = place.lines();
    for at in 0..before.len() {
        let number = at as u64 + 1;
        let mut lines = before.clone();
        lines.remove(at);
        place.write_lines(&lines);
        let expected = match number {
            LINES => Damage::Cut { signed: LINES },
            _ => Damage::Sequence { expected: number, found: number + 1 },
        };
        assert_eq!(place.broken(), (number, expected));
        let mut lines = before.clone();
        lines.insert(at, before[at].clone());
        place.write_lines(&lines);
        assert_eq!(place.broken(), (number + 1, Damage::Sequence { expected: number + 1, found: number }));
        for other in at + 1..before.len() {
            let mut lines = before.clone();
            lines.swap(at, other);
            place.write_lines(&lines);
            let found = other as u64 + 1;
            assert_eq!(place.broken(), (number, Damage::Sequence { expected: number, found }));
        }
    }
}

#[test]
fn a_record_of_another_sandbox_does_not_pass_for_this_one() {
    let (place, other) = (Place::with(3), Place::new());
    let mut writer = Writer::create(&other.folder(), OTHER, place.key()).unwrap();
    place.add(&mut writer, 3);
    drop(writer);
    // The record alone, and with its head.
    fs::copy(other.record(), place.record()).unwrap();
    assert_eq!(place.broken(), (1, Damage::OtherStart));
    fs::copy(other.head(), place.head()).unwrap();
    assert_eq!(place.broken(), (0, Damage::HeadOfOther));
    assert!(matches!(verify(&place.folder(), OTHER, &place.public()).unwrap(), Verdict::Verified(_)));
}

#[test]
fn a_line_of_another_record_does_not_fit() {
    let (place, other) = (Place::with(3), Place::with(3));
    let mut lines = place.lines();
    lines[1] = other.lines()[1].clone();
    place.write_lines(&lines);
    assert_eq!(place.broken(), (2, Damage::Unlinked));
}

#[test]
fn a_record_that_was_written_anew_needs_the_key() {
    let place = Place::with(3);
    let forger = Place::new();
    let mut writer = Writer::create(&forger.folder(), SANDBOX, forger.key()).unwrap();
    place.add(&mut writer, 5);
    drop(writer);
    let head = fs::read(place.head()).unwrap();
    fs::copy(forger.record(), place.record()).unwrap();
    assert_eq!(place.broken(), (3, Damage::NotTheSigned));
    fs::copy(forger.head(), place.head()).unwrap();
    assert_eq!(place.broken(), (0, Damage::OtherKey(forger.public().to_string())));
    // The other key's name is not enough.
    let text = fs::read_to_string(forger.head()).unwrap();
    let text = text.replace(&forger.public().to_string(), &place.public().to_string());
    fs::write(place.head(), text).unwrap();
    assert_eq!(place.broken(), (0, Damage::Signature));
    fs::remove_file(place.head()).unwrap();
    assert_eq!(place.broken(), (0, Damage::HeadMissing));
    fs::write(place.head(), &head[..head.len() - 1]).unwrap();
    assert_eq!(place.broken(), (0, Damage::HeadUnreadable));
}

/// The one thing that files alone cannot show, as the module's documentation says. The hash of the later state, noted
/// elsewhere, shows it.
#[test]
fn an_older_state_of_both_files_passes() {
    let place = Place::with(3);
    let (record, head) = (fs::read(place.record()).unwrap(), fs::read(place.head()).unwrap());
    place.add(&mut place.open(), 3);
    let noted = place.verified().hash;
    fs::write(place.record(), record).unwrap();
    fs::write(place.head(), head).unwrap();
    let older = place.verified();
    assert_eq!(older.lines, 3);
    assert_ne!(older.hash, noted);
}

#[test]
fn what_is_not_signed_yet_is_chained_all_the_same() {
    let place = Place::with(2);
    let mut writer = place.open();
    place.add(&mut writer, 3);
    let lines = place.lines();
    let mut changed = lines.clone();
    changed[3] = changed[3].replace("\"status\":1", "\"status\":0");
    assert_ne!(changed, lines);
    place.write_lines(&changed);
    assert_eq!(place.broken(), (4, Damage::Changed));
    place.write_lines(&lines);
    drop(writer);
}

#[test]
fn keys_of_two_state_directories_differ() {
    let (one, other): (Key, Key) = (Place::new().key(), Place::new().key());
    assert_ne!(one.public(), other.public());
}
