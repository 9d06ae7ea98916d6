//! Names in a diff, as git writes them: `quote_c_style` in its `quote.c`.
//!
//! What stands in plain text stays as it is, unlike with git's default `core.quotePath`; control characters, quotes and bytes
//! that are no text are written in the style of C, and so are characters by which a name could look like another.

use stockade_spec::characters::misleads;

/// A name with its prefix, quoted where it has to be.
pub(super) fn quote(prefix: &str, name: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(name)
        .ok()
        .filter(|text| !text.chars().any(|character| !character.is_ascii() && misleads(character)));
    let is_plain = |byte: u8| match byte {
        b'"' | b'\\' | 0..0x20 | 0x7f => false,
        0x80.. => text.is_some(),
        _ => true,
    };
    if name.iter().all(|byte| is_plain(*byte)) {
        return [prefix.as_bytes(), name].concat();
    }
    let mut quoted = [b"\"", prefix.as_bytes()].concat();
    for byte in name {
        if is_plain(*byte) {
            quoted.push(*byte);
        } else {
            quoted.push(b'\\');
            quoted.extend(escaped(*byte));
        }
    }
    quoted.push(b'"');
    quoted
}

/// What follows the backslash.
fn escaped(byte: u8) -> Vec<u8> {
    match byte {
        0x07 => b"a".to_vec(),
        0x08 => b"b".to_vec(),
        b'\t' => b"t".to_vec(),
        b'\n' => b"n".to_vec(),
        0x0b => b"v".to_vec(),
        0x0c => b"f".to_vec(),
        b'\r' => b"r".to_vec(),
        b'"' | b'\\' => vec![byte],
        byte => format!("{byte:03o}").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        for (name, expected) in [
            (&b"plain name"[..], &b"a/plain name"[..]),
            (b"ends\n", b"\"a/ends\\n\""),
            (b"a\"b\\", b"\"a/a\\\"b\\\\\""),
            (b"\x07\x08\t\x0b\x0c\r\x01\x7f", b"\"a/\\a\\b\\t\\v\\f\\r\\001\\177\""),
            ("gr\u{fc}n".as_bytes(), "a/gr\u{fc}n".as_bytes()),
            (b"\xc3\xbc\xff", b"\"a/\\303\\274\\377\""),
            ("a\u{202e}b".as_bytes(), b"\"a/a\\342\\200\\256b\""),
            ("a\u{ad}b".as_bytes(), b"\"a/a\\302\\255b\""),
            ("a\u{9b}b".as_bytes(), b"\"a/a\\302\\233b\""),
        ] {
            assert_eq!(quote("a/", name), expected, "{}", String::from_utf8_lossy(name));
        }
    }
}
