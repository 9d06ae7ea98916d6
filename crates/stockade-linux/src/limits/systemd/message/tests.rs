use super::*;

/// The expected bytes come from a second writer, made from the specification alone.
#[test]
fn a_call_has_the_bytes_of_the_specification() {
    let message = start_transient_unit(7, "a.scope", &[("TasksMax", Value::Number(5)), ("S", Value::Text("x".into()))]);
    let expected: &[&[u8]] = &[
        b"l\x01\0\x01P\0\0\0\x07\0\0\0\x8e\0\0\0",
        b"\x01\x01o\0\x19\0\0\0/org/freedesktop/systemd1\0\0\0\0\0\0\0",
        b"\x02\x01s\0 \0\0\0org.freedesktop.systemd1.Manager\0\0\0\0\0\0\0\0",
        b"\x03\x01s\0\x12\0\0\0StartTransientUnit\0\0\0\0\0\0",
        b"\x08\x01g\0\x10ssa(sv)a(sa(sv))\0\0\0",
        b"\x07\0\0\0a.scope\0\x04\0\0\0fail\0\0\0\0",
        b"*\0\0\0\0\0\0\0\x08\0\0\0TasksMax\0\x01t\0\x05\0\0\0\0\0\0\0\x01\0\0\0S\0\x01s\0\0\0\0\x01\0\0\0x\0\0\0\0\0\0\0",
    ];
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert_eq!(text(&message), text(&expected.concat()));
    assert_eq!(length(&message).unwrap(), message.len());
}

/// An answer, written by hand from the specification.
fn signal(body: &[u8]) -> Vec<u8> {
    let mut message = b"l\x04\0\x01".to_vec();
    message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(9_u32.to_le_bytes());
    let fields = b"\x03\x01s\0\x0a\0\0\0JobRemoved\0";
    message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

#[test]
fn a_signal_is_read() {
    let message = signal(b"\x05\0\0\0\x02\0\0\0/j\0\0\x07\0\0\0a.scope\0\x04\0\0\0done\0");
    assert_eq!(length(&message).unwrap(), message.len());
    let expected = Incoming::JobRemoved { unit: "a.scope".to_owned(), result: "done".to_owned() };
    assert_eq!(parse(&message).unwrap(), expected);
}

#[test]
fn every_cut_and_every_flipped_byte_is_an_error_or_a_message() {
    let message = signal(b"\x05\0\0\0\x02\0\0\0/j\0\0\x07\0\0\0a.scope\0\x04\0\0\0done\0");
    for end in 0..message.len() {
        assert!(parse(&message[..end]).is_err(), "{end}");
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = message.clone();
            changed[end] = value;
            // Whatever it says, reading it must neither panic nor loop.
            drop(parse(&changed));
            drop(length(&changed));
        }
    }
}

#[test]
fn messages_that_are_too_large_are_refused() {
    let mut fixed = b"l\x04\0\x01\0\0\0\0\x09\0\0\0\0\0\0\0".to_vec();
    assert_eq!(length(&fixed).unwrap(), FIXED);
    fixed[7] = 0xff;
    assert!(length(&fixed).is_err());
    fixed[0] = b'B';
    assert!(length(&fixed).is_err());
}
