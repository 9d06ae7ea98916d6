//! One document that is checked without the state directory.

use std::fs;

use stockade_workspace::record::{Broken, Damage, Verdict, export, verify_export};

use crate::{Place, SANDBOX};

fn document(place: &Place) -> Vec<u8> {
    let mut out = Vec::new();
    let verdict = export(&place.folder(), SANDBOX, &place.public(), &mut out).unwrap();
    assert!(matches!(verdict, Verdict::Verified(_)), "{verdict:?}");
    out
}

fn verdict(document: &[u8]) -> Verdict {
    verify_export(document).unwrap().unwrap().verdict
}

fn broken(document: &[u8]) -> Broken {
    match verify_export(document).unwrap() {
        Ok(exported) => match exported.verdict {
            Verdict::Broken(broken) => broken,
            Verdict::Verified(verified) => panic!("{verified:?}"),
        },
        Err(broken) => broken,
    }
}

#[test]
fn it_says_what_the_record_says() {
    let place = Place::with(5);
    let exported = verify_export(&document(&place)[..]).unwrap().unwrap();
    assert_eq!((exported.sandbox.as_str(), exported.key), (SANDBOX, place.public()));
    assert_eq!(exported.verdict, place.verdict());
    let empty = Place::with(0);
    assert_eq!(verdict(&document(&empty)), empty.verdict());
    let mut writer = place.open();
    place.add(&mut writer, 3);
    assert_eq!(place.verified().unsigned, 3);
    assert_eq!(verdict(&document(&place)), place.verdict());
    drop(writer);
    let text = String::from_utf8(document(&place)).unwrap();
    assert_eq!(text.lines().count(), 1 + 8 + 1);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(text.ends_with(&fs::read_to_string(place.head()).unwrap()));
}

#[test]
fn any_change_of_a_bit_and_any_cut_is_found() {
    let place = Place::with(2);
    let before = document(&place);
    for bit in 0..before.len() * 8 {
        let mut after = before.clone();
        after[bit / 8] ^= 1 << (bit % 8);
        broken(&after);
    }
    for length in 0..before.len() {
        broken(&before[..length]);
    }
}

#[test]
fn lines_that_are_removed_doubled_or_swapped_are_found() {
    let text = String::from_utf8(document(&Place::with(4))).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let mut less = lines.clone();
        less.remove(at);
        broken(less.concat().as_bytes());
        let mut more = lines.clone();
        more.insert(at, lines[at]);
        broken(more.concat().as_bytes());
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            broken(swapped.concat().as_bytes());
        }
    }
    let two = [&lines[..], &lines[5..]].concat().concat();
    assert_eq!(broken(two.as_bytes()), Broken { line: 4, what: Damage::SecondHead });
    assert_eq!(broken(b"x\n"), Broken { line: 0, what: Damage::NotAnExport });
}

#[test]
fn a_broken_record_is_not_exported() {
    let place = Place::with(4);
    place.write_lines(&place.lines()[1..]);
    let mut out = Vec::new();
    let verdict = export(&place.folder(), SANDBOX, &place.public(), &mut out).unwrap();
    assert_eq!(verdict, place.verdict());
    assert!(matches!(verdict, Verdict::Broken(_)) && out.is_empty());
}
