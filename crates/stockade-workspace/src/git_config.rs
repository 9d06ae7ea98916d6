//! Reads git's configuration as far as is needed to tell whether it can make git run something.
//!
//! Only the plain form is understood: one setting to a line, no continued lines, no quotes within values. Anything else
//! counts as able to.

use std::path::{Component, Path, PathBuf};

/// Settings that git writes by itself and that run nothing, as `section.key`. A name between the two may be anything.
const HARMLESS: &[&str] = &[
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.logallrefupdates",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
    "extensions.objectformat",
    "extensions.refstorage",
    "extensions.worktreeconfig",
    "remote.fetch",
    "branch.remote",
    "branch.merge",
    "branch.rebase",
    "user.name",
    "user.email",
    "init.defaultbranch",
    "submodule.active",
];

/// Settings whose value is an address: harmless unless it names a helper program (`ext::…`) or looks like an option.
const ADDRESSES: &[&str] = &["remote.url", "submodule.url"];

struct Setting<'t> {
    /// `section.key`, lower case, without what stands between.
    name: String,
    value: &'t str,
}

/// Whether no setting in the text can make git run anything, read further configuration, or write outside the workspace.
/// `own` is the directory of the text, relative to the workspace.
pub(crate) fn is_harmless(text: &str, own: &Path) -> bool {
    let mut section = String::new();
    text.lines().all(|line| match setting(line, &mut section) {
        Ok(Some(setting)) if ADDRESSES.contains(&setting.name.as_str()) => {
            !setting.value.contains("::") && !setting.value.starts_with(['-', '!'])
        }
        // A submodule's repository names its working tree so. One elsewhere would be written to by a checkout.
        Ok(Some(setting)) if setting.name == "core.worktree" => {
            !setting.value.contains(['"', '~', '\\']) && normal(&own.join(setting.value)).is_some()
        }
        Ok(Some(setting)) => HARMLESS.contains(&setting.name.as_str()),
        Ok(None) => true,
        Err(Unclear) => false,
    })
}

/// The paths that the text names as further configuration or as a directory of hooks.
pub(crate) fn references(text: &str) -> Vec<PathBuf> {
    let mut section = String::new();
    let settings = text.lines().filter_map(|line| setting(line, &mut section).ok().flatten());
    let named = settings
        .filter(|setting| matches!(setting.name.as_str(), "include.path" | "includeif.path" | "core.hookspath"));
    named.map(|setting| PathBuf::from(setting.value.trim_matches('"'))).take(64).collect()
}

/// The path without `.` and `..`; `None` where it is empty or leads out.
pub(crate) fn normal(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

struct Unclear;

fn setting<'t>(line: &'t str, section: &mut String) -> Result<Option<Setting<'t>>, Unclear> {
    let mut line = line.trim();
    if let Some(rest) = line.strip_prefix('[') {
        let (header, after) = rest.rsplit_once(']').ok_or(Unclear)?;
        let name = header.split([' ', '.', '\t', '"']).next().unwrap_or("");
        *section = name.to_ascii_lowercase();
        line = after.trim();
    }
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    if line.ends_with('\\') {
        return Err(Unclear);
    }
    let (key, value) = line.split_once('=').unwrap_or((line, "true"));
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Unclear);
    }
    Ok(Some(Setting { name: format!("{section}.{}", key.to_ascii_lowercase()), value: value.trim() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_writes_by_itself_is_harmless() {
        for text in [
            "",
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n",
            "[remote \"origin\"]\n\turl = https://example.com/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
            "[core]\n\tworktree = ../../../m\n",
            "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n# note\n",
        ] {
            assert!(is_harmless(text, Path::new("a/.git/modules/m")), "{text}");
        }
    }

    #[test]
    fn what_runs_something_is_not() {
        for text in [
            "[core]\n\tfsmonitor = ./x\n",
            "[CORE]\nhooksPath=evil",
            "[core] fsmonitor = ./x",
            "[core]\nbare = false\\\n\n",
            "[alias]\n\tst = !sh\n",
            "[include]\npath = x\n",
            "[includeIf \"gitdir:/\"]\npath = x\n",
            "[remote \"o]\"]\nurl = ext::sh -c id\n",
            "[remote \"o\"]\nuploadpack = x\n",
            "[filter \"x\"]\nclean = x\n",
            "[submodule \"x\"]\nupdate = !x\n",
            "[core]\nworktree = ../../../../..\n",
            "[core]\nworktree = /home\n",
            "[core]\nworktree = \"../../../../../x\"\n",
            "[core]\nworktree = ~/x\n",
            "[x",
            "core.fsmonitor = x",
        ] {
            assert!(!is_harmless(text, Path::new("a/.git/modules/m")), "{text}");
        }
    }

    #[test]
    fn further_files_are_found() {
        let text = "[include]\n\tpath = ../shared.inc\n[core]\n\thooksPath = \".githooks\"\n[user]\n\tname = x\n";
        assert_eq!(references(text), [PathBuf::from("../shared.inc"), PathBuf::from(".githooks")]);
    }
}
