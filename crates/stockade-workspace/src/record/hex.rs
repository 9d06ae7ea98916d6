//! Bytes as hexadecimal digits, in lower case only: a second spelling of the same bytes would be a change that is not seen.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes two digits for each byte.
pub(super) fn encode(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Reads exactly `N` bytes; `None` for anything else.
pub(super) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_spelling() {
        for byte in 0..=255 {
            assert_eq!(decode(encode(&[byte]).as_bytes()), Some([byte]));
        }
        for wrong in ["", "0", "000", "0A", "g0", " 0"] {
            assert_eq!(decode::<1>(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
