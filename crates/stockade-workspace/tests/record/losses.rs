//! A writer goes on with whatever it finds, and the record tells of it from then on.

use std::fs::{self, OpenOptions};
use std::io::Write;

use stockade_workspace::record::{Loss, Lost, Verdict, verify};

use crate::{Place, SANDBOX, payload};

/// Opens the record once more, appends a line, and says what was told and how many lines there are.
fn go_on(place: &Place) -> (Vec<Loss>, u64) {
    place.add(&mut place.open(), 1);
    let verified = place.verified();
    assert_eq!((verified.unsigned, verified.torn), (0, None));
    assert_eq!(verified.lost, verified.losses.len() as u64);
    (verified.losses, verified.lines)
}

fn append(place: &Place, bytes: &[u8]) {
    OpenOptions::new().append(true).open(place.record()).unwrap().write_all(bytes).unwrap();
}

#[test]
fn nothing_is_told_where_nothing_is_lost() {
    let place = Place::with(3);
    assert_eq!(go_on(&place), (vec![], 4));
}

#[test]
fn a_torn_line_is_moved_away_and_told() {
    let place = Place::with(3);
    let line = place.lines()[2].clone();
    for length in [1, line.len() / 2, line.len()] {
        let before = place.lines().len() as u64;
        let already = place.verified().losses.len();
        append(&place, &line.as_bytes()[..length]);
        assert_eq!(place.verified().torn, Some(length as u64));
        let (losses, lines) = go_on(&place);
        let kept = format!("record.aside-{}", before + 1);
        assert_eq!(fs::read(place.folder().join(&kept)).unwrap(), line.as_bytes()[..length]);
        let what = Lost::Torn { bytes: length as u64, kept };
        assert_eq!(losses[already..], [Loss { line: before + 1, what }]);
        assert_eq!(lines, before + 2);
    }
}

#[test]
fn a_writer_that_is_killed_before_it_tells_has_told_in_the_end() {
    let place = Place::with(3);
    fs::write(place.folder().join("record.aside-4"), "{\"ver").unwrap();
    let what = Lost::Torn { bytes: 5, kept: "record.aside-4".to_owned() };
    assert_eq!(go_on(&place), (vec![Loss { line: 4, what }], 5));
    assert_eq!(go_on(&place).1, 6);
    // Killed even earlier: the line is still there as well.
    fs::write(place.folder().join("record.aside-7"), "{\"ver").unwrap();
    append(&place, b"{\"ver");
    let what = Lost::Torn { bytes: 5, kept: "record.aside-7.1".to_owned() };
    assert_eq!(go_on(&place).0[1..], [Loss { line: 7, what }]);
}

#[test]
fn a_cut_that_is_written_on_stays_told() {
    let place = Place::with(6);
    place.write_lines(&place.lines()[..3]);
    assert!(matches!(place.verdict(), Verdict::Broken(_)));
    let expected = vec![Loss { line: 4, what: Lost::Cut { from: 4, to: 6 } }];
    assert_eq!(go_on(&place), (expected.clone(), 5));
    assert_eq!(go_on(&place), (expected, 6));
    // Down to nothing.
    fs::write(place.record(), "").unwrap();
    let expected = vec![Loss { line: 1, what: Lost::Cut { from: 1, to: 6 } }];
    assert_eq!(go_on(&place), (expected, 2));
    fs::remove_file(place.record()).unwrap();
    let expected = vec![Loss { line: 1, what: Lost::Cut { from: 1, to: 2 } }];
    assert_eq!(go_on(&place), (expected, 2));
}

#[test]
fn a_head_that_is_gone_or_wrong_stays_told() {
    let damages: [fn(&Place); 4] = [
        |place| fs::remove_file(place.head()).unwrap(),
        |place| fs::write(place.head(), "").unwrap(),
        |place| fs::write(place.head(), "{}\n").unwrap(),
        |place| assert!(fs::copy(Place::with(3).head(), place.head()).is_ok()),
    ];
    for damage in damages {
        let place = Place::with(3);
        damage(&place);
        assert!(matches!(place.verdict(), Verdict::Broken(_)));
        let (losses, lines) = go_on(&place);
        assert!(matches!(&losses[..], [Loss { line: 4, what: Lost::Head { .. } }]), "{losses:?}");
        assert_eq!(lines, 5);
    }
}

#[test]
fn both_files_gone_is_told_too() {
    let place = Place::with(3);
    fs::remove_file(place.record()).unwrap();
    fs::remove_file(place.head()).unwrap();
    let (losses, _) = go_on(&place);
    assert!(matches!(&losses[..], [Loss { line: 1, what: Lost::Head { .. } }]), "{losses:?}");
}

#[test]
fn what_is_damaged_at_the_end_is_kept_beside_the_record() {
    for (damage, cut) in [
        (b"\0".repeat(100_000), false),
        (b"x\n".to_vec(), false),
        (b"\n".repeat(70_000), false),
        (b"x".repeat(300_000), true),
    ] {
        let place = Place::with(6);
        if cut {
            place.write_lines(&place.lines()[..4]);
        }
        append(&place, &damage);
        let (losses, lines) = go_on(&place);
        let at = if cut { 5 } else { 7 };
        let kept = format!("record.aside-{at}");
        assert_eq!(fs::read(place.folder().join(&kept)).unwrap(), damage);
        let bytes = damage.len() as u64;
        let first = if bytes < 65_536 { Lost::Torn { bytes, kept } } else { Lost::Damaged { bytes, kept } };
        let mut expected = vec![Loss { line: at, what: first }];
        expected.extend(cut.then_some(Loss { line: at + 1, what: Lost::Cut { from: 5, to: 6 } }));
        let told = expected.len() as u64;
        assert_eq!((losses, lines), (expected, at + told));
    }
}

#[test]
fn a_writer_sees_what_is_done_behind_its_back() {
    let place = Place::with(2);
    let mut writer = place.open();
    place.add(&mut writer, 4);
    // Cut, though no head says so yet.
    place.write_lines(&place.lines()[..3]);
    place.add(&mut writer, 1);
    let cut = Loss { line: 4, what: Lost::Cut { from: 4, to: 6 } };
    assert_eq!(place.verified().losses, std::slice::from_ref(&cut));
    // Replaced by other lines that fit: as somebody can who has the key, or knows that they are not signed.
    place.add(&mut writer, 2);
    let lines = place.lines();
    place.write_lines(&lines[..5]);
    let mut other = place.open();
    for number in 10..14 {
        other.append("command.ended", &payload(number)).unwrap();
    }
    drop(other);
    place.add(&mut writer, 1);
    drop(writer);
    let verified = place.verified();
    assert_eq!(verified.losses[0], cut);
    assert!(verified.losses.iter().any(|loss| loss.what == Lost::Rewritten), "{:?}", verified.losses);
    assert_eq!(verified.unsigned, 0);
}

#[test]
fn a_record_that_is_removed_is_not_written_on() {
    let place = Place::with(2);
    let mut writer = place.open();
    fs::remove_file(place.record()).unwrap();
    writer.append("a", &serde_json::Value::Null).unwrap_err();
    drop(writer);
    // Reading says that there is none.
    verify(&place.folder(), SANDBOX, &place.public()).unwrap_err();
}
