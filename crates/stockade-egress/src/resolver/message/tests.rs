use proptest::prelude::*;

use super::*;

/// A header with one question for `a.B` A IN, and whatever is given in place of counts and behind.
fn message(counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let counts = counts.into_iter().flat_map(u16::to_be_bytes);
    [0x12, 0x34, 0x01, 0x00].into_iter().chain(counts).chain(rest.iter().copied()).collect()
}

const QUESTION: &[u8] = b"\x01a\x01B\x00\x00\x01\x00\x01";
const EDNS: &[u8] = b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn a_question_is_read_as_it_was_sent() {
    let query = read(&message([1, 0, 0, 1], &joined(&[QUESTION, EDNS]))).expect("a query");
    assert_eq!(query.labels, [b"a".to_vec(), b"B".to_vec()]);
    assert_eq!((query.kind, query.class, query.edns), (kind::A, class::IN, Some(0)));
    let response = Response { code: Code::NoError, records: vec![Record::A([192, 0, 2, 1].into())] }.to_bytes(&query);
    assert_eq!(&response[..12], b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\x01");
    assert_eq!(&response[12..21], QUESTION, "letters keep their case");
    assert_eq!(&response[21..37], b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
    assert_eq!(&response[37..], b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
}

#[test]
fn absence_comes_with_its_life() {
    let query = read(&message([1, 0, 0, 0], QUESTION)).expect("a query");
    let response = Response { code: Code::NoSuchName, records: Vec::new() }.to_bytes(&query);
    assert_eq!(&response[2..12], b"\x81\x83\0\x01\0\0\0\x01\0\0");
    let mut expected = b"\0\0\x06\0\x01\0\0\0\x02\0\x16\0\0".to_vec();
    expected.extend([1_u32, 3_600, 600, 86_400, 2].iter().flat_map(|number| number.to_be_bytes()));
    assert_eq!(&response[21..], expected);
}

#[test]
fn what_could_be_an_answer_or_nothing_is_not_answered() {
    for silent in [&[][..], &[0; 11], &[0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(read(silent), Err(Unreadable::Silence), "{silent:?}");
    }
}

#[test]
fn malformed_queries_are_told_so() {
    let label = |length: u8| [&[length][..], &vec![b'x'; usize::from(length)]].concat();
    let long = joined(&[&label(63), &label(63), &label(63), &label(63), b"\0\0\x01\0\x01"]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no question", message([0, 0, 0, 0], b"")),
        ("two questions", message([2, 0, 0, 0], &joined(&[QUESTION, QUESTION]))),
        ("an answer", message([1, 1, 0, 0], QUESTION)),
        ("an authority", message([1, 0, 1, 0], QUESTION)),
        ("a thousand records", message([1, 0, 0, 1_000], QUESTION)),
        ("a name that does not end", message([1, 0, 0, 0], b"\x01a\x01b")),
        ("a label that does not end", message([1, 0, 0, 0], b"\x3fa")),
        ("a pointer to itself", message([1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01")),
        ("a pointer forward", message([1, 0, 0, 0], b"\x01a\xc0\x10\0\x01\0\x01")),
        ("a label of an unknown kind", message([1, 0, 0, 0], b"\x41a\0\0\x01\0\x01")),
        ("a name of 256 bytes", message([1, 0, 0, 0], &long)),
        ("no type", message([1, 0, 0, 0], b"\x01a\0\0")),
        ("bytes behind the end", message([1, 0, 0, 0], &joined(&[QUESTION, b"x"]))),
        ("EDNS twice", message([1, 0, 0, 2], &joined(&[QUESTION, EDNS, EDNS]))),
        ("EDNS of a name", message([1, 0, 0, 1], &joined(&[QUESTION, b"\x01a", EDNS]))),
        ("EDNS cut off", message([1, 0, 0, 1], &joined(&[QUESTION, &EDNS[..9]]))),
        ("options that do not end", message([1, 0, 0, 1], &joined(&[QUESTION, b"\0\0\x29\x10\0\0\0\0\0\xff\xff\x01"]))),
    ];
    for (what, bytes) in cases {
        let Err(Unreadable::Answer(start, code)) = read(&bytes) else { panic!("{what} was read") };
        assert_eq!(code, Code::FormatError, "{what}");
        assert_eq!(header_only(start, code), b"\x12\x34\x81\x81\0\0\0\0\0\0\0\0", "{what}");
    }
    let longest = joined(&[&label(63), &label(63), &label(63), &label(61), b"\0\0\x01\0\x01"]);
    assert!(read(&message([1, 0, 0, 0], &longest)).is_ok(), "a name of 255 bytes is the longest");
    let signed = joined(&[QUESTION, EDNS, b"\x03key\xc0\x0c\0\xfa\0\xff\0\0\0\0\0\x02xx"]);
    assert_eq!(read(&message([1, 0, 0, 2], &signed)).map(|query| query.edns), Ok(Some(0)));
}

#[test]
fn other_operations_are_not_implemented() {
    let mut update = message([1, 0, 0, 0], QUESTION);
    update[2] = 0x28;
    let Err(Unreadable::Answer(start, code)) = read(&update) else { panic!("an update was read") };
    assert_eq!(header_only(start, code), b"\x12\x34\xa8\x84\0\0\0\0\0\0\0\0");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        counts in any::<bool>(),
        rest in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xc0), any::<u8>()], 0..300),
    ) {
        let bytes = if counts { message([1, 0, 0, 1], &rest) } else { bytes };
        if let Ok(query) = read(&bytes) {
            prop_assert_eq!(&bytes[HEADER..HEADER + query.question.len()], query.question.as_slice());
            prop_assert!(query.question.len() <= 259);
        }
    }
}
