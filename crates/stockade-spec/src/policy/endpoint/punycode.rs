//! The ASCII form of a name in another script (RFC 3492), for a hint: rules themselves are ASCII, since two texts that look
//! alike can be two names.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// The ASCII form of a name. `None` where that cannot be told without the tables of Unicode: characters other than
/// letters, digits and hyphens may stand for others (UTS 46), and so may capital letters without a plain small one.
pub(super) fn ascii_form(name: &str) -> Option<String> {
    let labels: Option<Vec<_>> = name.split('.').map(label).collect();
    labels.map(|labels| labels.join("."))
}

fn label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_ascii_lowercase());
    }
    let small: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    let plain = |c: &char| *c == '-' || c.is_alphanumeric();
    if !small.iter().all(plain) || small.len() != label.chars().count() {
        return None;
    }
    encode(&small).map(|encoded| format!("xn--{encoded}"))
}

/// Section 6.3. Code points are at most 0x10ffff and labels are short, so that only overflow guards can fail.
fn encode(input: &[char]) -> Option<String> {
    let mut output: String = input.iter().filter(|c| c.is_ascii()).collect();
    let basic = u32::try_from(output.len()).ok()?;
    let length = u32::try_from(input.len()).ok()?;
    if basic > 0 {
        output.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0_u32, INITIAL_BIAS, basic);
    while handled < length {
        let next = input.iter().map(|c| u32::from(*c)).filter(|code| *code >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for code in input.iter().map(|c| u32::from(*c)) {
            if code < n {
                delta = delta.checked_add(1)?;
            }
            if code == n {
                write_number(delta, bias, &mut output);
                bias = adapted(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(output)
}

/// A generalised variable-length integer.
fn write_number(number: u32, bias: u32, output: &mut String) {
    let mut rest = number;
    let mut k = BASE;
    loop {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if rest < threshold {
            break output.extend(char::from_digit(rest, BASE).map(as_digit));
        }
        let digit = threshold + (rest - threshold) % (BASE - threshold);
        output.extend(char::from_digit(digit, BASE).map(as_digit));
        rest = (rest - threshold) / (BASE - threshold);
        k += BASE;
    }
}

/// Punycode counts `a` to `z` and then `0` to `9`, the standard library the other way round.
fn as_digit(digit: char) -> char {
    let value = digit.to_digit(BASE).unwrap_or(0);
    let turned = (value + 10) % BASE;
    char::from_digit(turned, BASE).unwrap_or(digit)
}

/// Section 6.1.
const fn adapted(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of RFC 3492, section 7.1, and of the Internet.
    #[test]
    fn names_have_their_known_ascii_form() {
        for (name, ascii) in [
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.Example", Some("xn--bcher-kva.example")),
            ("münchen.de", Some("xn--mnchen-3ya.de")),
            ("他们为什么不说中文", Some("xn--ihqwcrb4cv8a8dqg056pqjye")),
            ("почемужеонинеговорятпорусски", Some("xn--b1abfaaepdrnnbgefbadotcwatmq2g4l")),
            ("3年b組金八先生", Some("xn--3b-ww4c5e180e575a65lsy2b")),
            ("例え.テスト", Some("xn--r8jz45g.xn--zckzah")),
            ("plain.example", Some("plain.example")),
            ("I\u{307}.example", None),
            ("\u{130}.example", None),
            ("a。b", None),
            ("☃.net", None),
        ] {
            assert_eq!(ascii_form(name).as_deref(), ascii, "{name}");
        }
    }
}
