//! The environment of the command: an allow-list.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Input;
use super::data::{ENVIRONMENT, entries};
use super::error::{CompileError, RuleProblem};
use super::paths::normal;
use super::view::Settled;
use crate::policy::EnvironmentPolicy;
use crate::request::Request;

/// Where programs are looked for when the caller's own `PATH` has nothing that is seen inside.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that always have a value of Stockade's own.
const OWN: &[&str] = &["PATH", "HOME", "TMPDIR", "PWD"];

/// Where the places that variables name are inside.
pub(super) struct Places<'a> {
    pub(super) home: &'a Path,
    pub(super) temporary: &'a Path,
    pub(super) view: &'a Settled,
}

/// What decides about a variable.
struct Rules<'a> {
    policy: &'a EnvironmentPolicy,
    table: Vec<(&'static str, &'static str)>,
}

/// The absolute directories of the caller's `PATH`, in order.
pub(super) fn search_path(request: &Request) -> impl Iterator<Item = PathBuf> {
    let value = request.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    std::env::split_paths(value.unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .filter_map(|directory| normal(&directory))
}

/// The whole environment, in order of names.
pub(super) fn compile(input: Input<'_>, places: &Places<'_>) -> Result<Vec<(OsString, OsString)>, CompileError> {
    let policy = &input.policy.environment;
    check(policy)?;
    let rules = Rules { policy, table: entries(ENVIRONMENT).collect() };
    let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
    for (name, value) in &input.request.environment {
        if name.to_str().is_some_and(|text| passes(text, value, &rules, places)) {
            variables.insert(name.clone(), value.clone());
        }
    }
    variables.insert("PATH".into(), path(input.request, places));
    variables.insert("HOME".into(), places.home.into());
    variables.insert("TMPDIR".into(), places.temporary.into());
    variables.insert("PWD".into(), input.request.directory.clone().into());
    for (name, value) in &policy.set {
        variables.insert(name.into(), value.into());
    }
    Ok(variables.into_iter().collect())
}

fn check(policy: &EnvironmentPolicy) -> Result<(), CompileError> {
    let wrong = |list, rule: &String, problem| Err(CompileError::Rule { list, rule: rule.clone(), problem });
    let named = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
    if let Some(name) = policy.pass.iter().find(|name| !named(name)) {
        return wrong("environment.pass", name, RuleProblem::NotAVariable);
    }
    for (name, value) in &policy.set {
        if !named(name) {
            return wrong("environment.set", name, RuleProblem::NotAVariable);
        }
        if value.contains('\0') {
            return wrong("environment.set", name, RuleProblem::NulInValue);
        }
    }
    Ok(())
}

/// Whether a variable of the caller's is seen inside.
fn passes(name: &str, value: &OsStr, rules: &Rules<'_>, places: &Places<'_>) -> bool {
    if OWN.contains(&name) || name.is_empty() || name.contains(['=', '\0']) {
        return false;
    }
    if rules.policy.pass.iter().any(|rule| rule == name) {
        return true;
    }
    match rules.table.iter().find(|(kind, pattern)| *kind != "secret" && matches(pattern, name)) {
        Some(("pass", _)) => true,
        Some(("path", _)) => is_seen(value, places),
        Some(_) => false,
        None => rules.policy.pass.iter().any(|rule| matches(rule, name)) && !looks_secret(name, &rules.table),
    }
}

/// Whether every path of a value (one, or a list with colons) is seen inside.
fn is_seen(value: &OsStr, places: &Places<'_>) -> bool {
    !value.is_empty()
        && std::env::split_paths(value)
            .all(|path| path.is_absolute() && normal(&path).is_some_and(|path| places.view.shows(&path)))
}

fn looks_secret(name: &str, table: &[(&str, &str)]) -> bool {
    let name = name.to_ascii_uppercase();
    table.iter().any(|(kind, part)| *kind == "secret" && name.contains(part))
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The caller's `PATH` without what is not seen inside.
fn path(request: &Request, places: &Places<'_>) -> OsString {
    let mut directories: Vec<PathBuf> = Vec::new();
    for directory in search_path(request) {
        if directory != request.home && places.view.shows(&directory) && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    match std::env::join_paths(&directories) {
        Ok(joined) if !joined.is_empty() => joined,
        // A directory that came out of a list can be joined into one, so this is the empty list.
        _ => DEFAULT_PATH.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("LC_*", "LC_ALL", true),
            ("LC_*", "LC_", true),
            ("LC_*", "XLC_ALL", false),
            ("TERM", "TERM", true),
            ("TERM", "TERMINFO", false),
            ("*", "ANY", true),
            ("A*B*C", "AxxBC", true),
            ("A*B*C", "AxxC", false),
            ("AB*BA", "ABA", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let table: Vec<_> = entries(ENVIRONMENT).collect();
        for name in ["GITHUB_TOKEN", "aws_secret_access_key", "MYSQL_PWD_PASSWORD", "NPM_AUTH", "OPENAI_API_KEY"] {
            assert!(looks_secret(name, &table), "{name}");
        }
        for name in ["LANG", "MY_COLOR", "JOBS"] {
            assert!(!looks_secret(name, &table), "{name}");
        }
    }
}
