//! Events are shown in order, and as they come.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

use stockade_workspace::record::{Damage, Reader, RecordError};

use crate::{Place, payload};

#[test]
fn all_events_are_shown_in_order() {
    let place = Place::with(200);
    let entries: Vec<_> = Reader::open(&place.folder()).unwrap().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 200);
    for (entry, number) in entries.iter().zip(0..) {
        assert_eq!(
            (entry.sequence, entry.event.as_str(), &entry.payload),
            (number + 1, "command.ended", &payload(number))
        );
    }
    assert!(entries.is_sorted_by_key(|entry| entry.at_ms));
}

#[test]
fn it_goes_on_when_the_record_has_grown() {
    let place = Place::with(1);
    let mut reader = Reader::open(&place.folder()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().sequence, 1);
    assert!(reader.next().is_none());
    let start = Instant::now();
    assert!(!reader.wait(Duration::from_millis(30)).unwrap());
    assert!(start.elapsed() >= Duration::from_millis(30));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            place.add(&mut place.open(), 2);
        });
        assert!(reader.wait(Duration::from_secs(20)).unwrap());
        assert!(start.elapsed() < Duration::from_secs(10));
    });
    assert_eq!(reader.by_ref().map(|entry| entry.unwrap().sequence).collect::<Vec<_>>(), [2, 3]);
    // A line that is not finished is none, and not waited for again and again.
    OpenOptions::new().append(true).open(place.record()).unwrap().write_all(b"{\"ver").unwrap();
    assert!(reader.wait(Duration::ZERO).unwrap());
    assert!(reader.next().is_none());
    assert!(!reader.wait(Duration::ZERO).unwrap());
}

#[test]
fn lines_that_cannot_be_shown_are_told_and_the_others_are_shown() {
    let place = Place::with(3);
    let mut lines = place.lines();
    lines[0] = "x".repeat(200_000);
    lines[1] = "nonsense".to_owned();
    place.write_lines(&lines);
    let entries: Vec<_> = Reader::open(&place.folder()).unwrap().collect();
    let damage = |at: usize| match &entries[at] {
        Err(RecordError::Broken { broken, .. }) => broken.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((damage(0).line, damage(0).what), (1, Damage::TooLong));
    assert_eq!((damage(1).line, damage(1).what), (2, Damage::NotALine));
    assert_eq!(entries[2].as_ref().unwrap().sequence, 3);
    assert_eq!(entries.len(), 3);
    fs::remove_file(place.record()).unwrap();
    Reader::open(&place.folder()).unwrap_err();
}
