//! Any bytes as requests of HTTP, in pieces: where they are cut changes nothing, they go on unchanged, and of requests
//! without bodies no line that some lenient server could take for a `Host` names another one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_egress::inspect::Protocol;

#[path = "../pieces.rs"]
mod pieces;

fuzz_target!(|data: &[u8]| {
    let Some((_, (passed, outcome))) = pieces::outcome(data) else { return };
    // What passes as something else is not read by an HTTP server; what stands in a body or behind an upgrade may be anything.
    let lower = passed.to_ascii_lowercase();
    let has = |text: &[u8]| lower.windows(text.len()).any(|part| part == text);
    let read_to_its_end = !has(b"content-length") && !has(b"transfer-encoding") && !has(b"upgrade");
    if matches!(outcome, Ok(Some(protocol)) if protocol != Protocol::Http) || !read_to_its_end || !has(b" http/1.") {
        return;
    }
    for line in lower.split(|byte| b"\r\n".contains(byte)) {
        let Some(value) = line.trim_ascii().strip_prefix(b"host") else { continue };
        let Some(value) = value.trim_ascii().strip_prefix(b":") else { continue };
        let value = value.trim_ascii();
        let value = value.strip_suffix(b":80").unwrap_or(value);
        let value = value.strip_suffix(b".").unwrap_or(value);
        assert_eq!(value, pieces::NAME.as_bytes());
    }
});
