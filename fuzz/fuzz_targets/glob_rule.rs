//! Any bytes as path rules and a path: the last line is the path, the lines before are rules. Reading never panics, and the
//! three ways of asking (one rule, a set of rules, a set that ignores letter case) give the same answer.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use stockade_spec::glob::{Case, Glob, Rules};

fuzz_target!(|data: &[u8]| {
    let (rules, path) = match data.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => (&data[..newline], &data[newline + 1..]),
        None => (data, &[][..]),
    };
    let Ok(rules) = std::str::from_utf8(rules) else { return };
    let path = Path::new(OsStr::from_bytes(path));
    let globs: Vec<Glob> = rules.lines().filter_map(|line| Glob::new(line).ok()).collect();
    for glob in &globs {
        consistent(glob, path);
    }
    let texts = || globs.iter().map(Glob::as_str);
    let (Ok(exact), Ok(folded)) = (Rules::new(texts(), Case::Exact), Rules::new(texts(), Case::Folded)) else { return };
    let first = |found: Option<&Glob>| found.map(|glob| glob.as_str().to_owned());
    assert_eq!(first(exact.first_match(path)), first(globs.iter().find(|glob| glob.matches(path))));
    assert_eq!(first(folded.first_match(path)), first(globs.iter().find(|glob| glob.matches_folded(path))));
});

fn consistent(glob: &Glob, path: &Path) {
    assert_eq!(Glob::new(glob.as_str()).as_ref(), Ok(glob));
    assert_eq!(glob.is_absolute(), glob.as_str().starts_with('/'));
    if glob.matches(path) {
        assert!(glob.matches(&path.join("below")), "what is below a match is covered");
    }
    let plain = !glob.as_str().contains(['*', '?', '[']);
    if plain {
        assert!(glob.matches(Path::new(glob.as_str())), "a rule without wildcards matches itself");
        assert!(glob.matches_folded(Path::new(&glob.as_str().to_ascii_uppercase())));
    }
}
