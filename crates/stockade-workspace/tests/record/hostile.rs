//! Files that were made to do harm.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;
use stockade_workspace::record::{Damage, Reader, RecordError, Verdict, Writer, verify, verify_export};

use crate::{Place, SANDBOX};

#[test]
fn links_devices_and_folders_of_others_are_refused() {
    let place = Place::with(1);
    let elsewhere = place.path().join("elsewhere");
    fs::rename(place.record(), &elsewhere).unwrap();
    symlink(&elsewhere, place.record()).unwrap();
    let foreign = |place: &Place| {
        let opened = Writer::open(&place.folder(), SANDBOX, place.key());
        assert!(matches!(opened, Err(RecordError::Foreign { .. })), "{opened:?}");
    };
    foreign(&place);
    assert!(matches!(Reader::open(&place.folder()), Err(RecordError::Foreign { .. })));
    assert!(matches!(verify(&place.folder(), SANDBOX, &place.public()), Err(RecordError::Foreign { .. })));
    fs::remove_file(place.record()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.record(), rustix::fs::Mode::RWXU).unwrap();
    foreign(&place);
    fs::remove_file(place.record()).unwrap();
    fs::rename(&elsewhere, place.record()).unwrap();
    fs::set_permissions(place.folder(), Permissions::from_mode(0o770)).unwrap();
    foreign(&place);
    fs::set_permissions(place.folder(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(place.verified().lines, 1);
    let link = place.path().join("link");
    symlink(place.folder(), &link).unwrap();
    Writer::open(&link, SANDBOX, place.key()).unwrap_err();
}

#[test]
fn a_link_in_place_of_the_head_is_replaced_or_refused() {
    let place = Place::with(1);
    let victim = place.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, place.folder().join("record.head.new")).unwrap();
    place.add(&mut place.open(), 1);
    assert_eq!(place.verified().lines, 2);
    fs::remove_file(place.head()).unwrap();
    symlink(&victim, place.head()).unwrap();
    Writer::open(&place.folder(), SANDBOX, place.key()).unwrap_err();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_huge_hole_is_judged_in_bounded_memory() {
    let place = Place::with(1);
    let record = fs::OpenOptions::new().write(true).open(place.record()).unwrap();
    record.set_len(1 << 40).unwrap();
    assert_eq!(place.broken(), (2, Damage::TooLong));
    let head = fs::OpenOptions::new().write(true).open(place.head()).unwrap();
    head.set_len(1 << 40).unwrap();
    assert_eq!(place.broken(), (0, Damage::HeadUnreadable));
}

proptest! {
    #[test]
    fn whatever_the_files_hold_they_are_read(
        record in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..3_000),
        head in prop::collection::vec(any::<u8>(), 0..600),
        kept in 0..4_usize,
    ) {
        let place = Place::with(3);
        let lines = place.lines();
        let mut text: Vec<u8> = lines[..kept].iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        text.extend(&record);
        fs::write(place.record(), &text).unwrap();
        let entries = Reader::open(&place.folder()).unwrap().count();
        prop_assert!(entries >= kept);
        prop_assert!(verify_export(&text[..]).unwrap().is_err());
        if let Verdict::Verified(verified) = place.verdict() {
            prop_assert_eq!((verified.lines, kept), (3, 3));
        }
        fs::write(place.head(), &head).unwrap();
        prop_assert!(matches!(place.verdict(), Verdict::Broken(_)));
        place.add(&mut place.open(), 1);
        let verified = place.verified();
        prop_assert!(verified.lines > kept as u64 && verified.lost > 0);
    }
}
