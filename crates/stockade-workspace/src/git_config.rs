//! Reads git's configuration as far as is needed to tell whether it can make git run something, and what else it leads to.
//!
//! What git would refuse counts as able to.

mod setting;

use std::path::{Component, Path, PathBuf};

use setting::{Setting, all};

/// Settings that run nothing, as `section.key`: those that git writes by itself, and those that people set most. A name
/// between the two may be anything.
const HARMLESS: &[&str] = &[
    "branch.autosetupmerge",
    "branch.autosetuprebase",
    "branch.description",
    "branch.merge",
    "branch.rebase",
    "color.ui",
    "core.abbrev",
    "core.autocrlf",
    "core.bare",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.precomposeunicode",
    "core.quotepath",
    "core.repositoryformatversion",
    "core.safecrlf",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "diff.algorithm",
    "extensions.objectformat",
    "extensions.refstorage",
    "extensions.worktreeconfig",
    "fetch.prune",
    "gc.auto",
    "init.defaultbranch",
    "merge.conflictstyle",
    "pull.ff",
    "pull.rebase",
    "push.autosetupremote",
    "push.default",
    "rebase.autosquash",
    "rebase.autostash",
    "remote.fetch",
    "remote.tagopt",
    "rerere.enabled",
    "submodule.active",
    "user.email",
    "user.name",
];

/// Settings whose value is an address, or may be one: harmless unless it names a helper program (`ext::…`), looks like an
/// option, or is written so that it may be either.
const ADDRESSES: &[&str] =
    &["branch.pushremote", "branch.remote", "remote.pushdefault", "remote.pushurl", "remote.url", "submodule.url"];

/// Whether no setting in the text can make git run anything, read further configuration, or write outside the workspace.
/// `own` is the directory of the text, relative to the workspace; `is_free` tells whether no link lies on the way to a path.
pub(crate) fn is_harmless(text: &str, own: &Path, is_free: &dyn Fn(&Path) -> bool) -> bool {
    adds_nothing(text, "", own, is_free)
}

/// Whether every setting in the text is harmless or was in the text before.
pub(crate) fn adds_nothing(text: &str, before: &str, own: &Path, is_free: &dyn Fn(&Path) -> bool) -> bool {
    let Some(settings) = all(text).collect::<Option<Vec<_>>>() else { return false };
    let before: Vec<_> = all(before).flatten().collect();
    settings.iter().all(|setting| setting.is_harmless(own, is_free) || before.contains(setting))
}

/// All settings as `section.key` and value, in order; `None` where git would not understand the whole text.
pub(crate) fn settings(text: &str) -> Option<Vec<(String, String)>> {
    all(text).map(|setting| setting.map(|setting| (setting.name, setting.value))).collect()
}

impl Setting<'_> {
    fn is_harmless(&self, own: &Path, is_free: &dyn Fn(&Path) -> bool) -> bool {
        let (name, value) = (self.name.as_str(), self.value.as_str());
        if ADDRESSES.contains(&name) {
            return !value.contains("::") && !value.contains(['"', '\\']) && !value.starts_with(['-', '!']);
        }
        if name == "core.worktree" {
            return submodule(own, value).is_some_and(|path| is_free(&path));
        }
        HARMLESS.contains(&name)
    }
}

/// The working tree that the configuration of a submodule's repository names: one below that of the repository which holds it.
/// One elsewhere would be written to by a checkout, as would a repository.
fn submodule(own: &Path, value: &str) -> Option<PathBuf> {
    let holders = own.ancestors().filter(|above| above.ends_with(".git/modules"));
    let holder = holders.last()?.parent()?.parent()?;
    let is_git = |component: Component<'_>| component.as_os_str().eq_ignore_ascii_case(".git");
    let path = normal(&own.join(value)).filter(|path| path != holder)?;
    let below = path.strip_prefix(holder).ok()?;
    (!below.components().any(is_git)).then_some(path)
}

/// What a configuration leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Further configuration, relative to the file that names it.
    Include(String),
    /// A directory of hooks, relative to the working tree, or to the repository where there is none.
    Hooks(String),
    /// A working tree, relative to the repository.
    WorkTree(String),
}

/// What the text names, as far as it is understood; at most 64.
pub(crate) fn references(text: &str) -> Vec<Reference> {
    let reference = |setting: Setting<'_>| match setting.name.as_str() {
        "include.path" | "includeif.path" => Some(Reference::Include(setting.value)),
        "core.hookspath" => Some(Reference::Hooks(setting.value)),
        "core.worktree" => Some(Reference::WorkTree(setting.value)),
        _ => None,
    };
    all(text).flatten().filter_map(reference).take(64).collect()
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
            assert!(is_harmless(text, Path::new("a/.git/modules/m"), &|_| true), "{text}");
        }
    }

    #[test]
    fn what_runs_something_is_not() {
        for text in [
            "[core]\n\tfsmonitor = ./x\n",
            "[CORE]\nhooksPath=evil",
            "[core] fsmonitor = ./x",
            "[core] fsmonitor = ./x ;]",
            "[core]fsmonitor=./x #]",
            "[core] [alias] x = !y",
            "[core \"a\\\"]\"] fsmonitor = x",
            "[core] attributesFile = x",
            "[core] editor = x",
            "[core] askPass = x",
            "[core] gitProxy = x",
            "[core] sshCommand = x",
            "[core] pager = x",
            "[core] alternateRefsCommand = x",
            "[core] excludesFile = x",
            "[pager] log = x",
            "[sequence] editor = x",
            "[interactive] diffFilter = x",
            "[gpg] program = x",
            "[gpg \"ssh\"] defaultKeyCommand = x",
            "[user] signingKey = x",
            "[credential] helper = !x",
            "[credential \"https://a\"] helper = x",
            "[filter \"x\"]\nsmudge = x\n",
            "[filter \"x\"]\nprocess = x\n",
            "[diff] external = x",
            "[diff \"x\"] textconv = x",
            "[diff \"x\"] command = x",
            "[merge \"x\"] driver = x",
            "[merge] tool = x",
            "[mergetool \"x\"] cmd = x",
            "[difftool \"x\"] path = x",
            "[browser \"x\"] cmd = x",
            "[man \"x\"] cmd = x",
            "[web] browser = x",
            "[instaweb] httpd = x",
            "[remote \"o\"] receivepack = x",
            "[remote \"o\"] vcs = x",
            "[remote \"o\"] proxy = x",
            "[remote \"o\"] url = ext:\":\"sh",
            "[remote \"o\"] pushurl = ext::sh",
            "[branch \"m\"] remote = ext::sh",
            "[protocol \"ext\"] allow = always",
            "[protocol] allow = always",
            "[uploadpack] packObjectsHook = x",
            "[receive] procReceiveRefs = x",
            "[init] templateDir = x",
            "[url \"ext::sh\"] insteadOf = https:",
            "[url \"x\"] pushInsteadOf = https:",
            "[trailer \"x\"] command = x",
            "[tar \"x\"] command = x",
            "[sendemail] smtpServer = ./x",
            "[lfs \"customtransfer.x\"] path = x",
            "[safe] directory = *",
            "[http] proxy = x",
            "[fsck] skipList = x",
            "[hook \"x\"] command = x",
            "[foo] bar = baz",
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
            assert!(!is_harmless(text, Path::new("a/.git/modules/m"), &|_| true), "{text}");
        }
    }

    #[test]
    fn what_was_there_adds_nothing() {
        let before = "[alias]\n\tst = !sh\n[remote \"a\"]\n\tproxy = x\n";
        let own = Path::new(".git");
        assert!(adds_nothing("[user]\n\tname = x\n[alias]\n\tst = !sh\n", before, own, &|_| true));
        assert!(!adds_nothing("[alias]\n\tst = !evil\n", before, own, &|_| true));
        assert!(!adds_nothing("[remote \"b\"]\n\tproxy = x\n", before, own, &|_| true));
        assert!(!adds_nothing("[core]\n\tst = !sh\n", before, own, &|_| true));
    }

    #[test]
    fn working_trees_lie_below_that_of_the_repository_that_holds_them() {
        let harmless = |own: &str, value: &str, is_free: bool| {
            is_harmless(&format!("[core]\nworktree = {value}"), Path::new(own), &|path| {
                assert!(path.starts_with("a") || own.starts_with(".git"), "{path:?}");
                is_free
            })
        };
        assert!(harmless("a/.git/modules/m", "../../../m", true));
        assert!(harmless("a/.git/modules/m/modules/n", "../../../../../m/n", true));
        assert!(harmless(".git/modules/m", "../../../m", true));
        assert!(!harmless("a/.git/modules/m", "../../../m", false));
        assert!(!harmless("a/.git/modules/m", "../../../../b", true));
        assert!(!harmless("a/.git/modules/m", "../../..", true));
        assert!(!harmless("a/.git/modules/m", "../../..#/a/b/c", true));
        assert!(!harmless("a/.git", "../m", true));
        assert!(!harmless("a/m", "../b", true));
    }

    #[test]
    fn further_files_are_found() {
        let text = "[include]\n\tpath = \"../shared.inc\" # team\n[core]\n\thooksPath = .git\"hooks\";\n\tworktree = ../x\n[user]\n\tname = x\n";
        let expected = [
            Reference::Include("../shared.inc".into()),
            Reference::Hooks(".githooks".into()),
            Reference::WorkTree("../x".into()),
        ];
        assert_eq!(references(text), expected);
    }
}
