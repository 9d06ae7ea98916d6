//! Deferred execution: what is planted in the workspace so that the person's own tools execute it later, outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::files::{append, exists};
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Proof, Trace};
use crate::scene::{Scene, put};

const RACE: &str = "a program with several threads may change a path while the supervisor decides";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "git-fsmonitor",
        techniques: &[18],
        about: "Name a program in the repository's configuration that `git status` runs.",
        attempt: |scene| append(&scene.workspace().join(".git/config"), &fsmonitor(scene)),
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Event(&[Event("protected", "", ".git/config")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-config-replaced",
        techniques: &[4, 18],
        about: "Rename a prepared file over the repository's configuration.",
        attempt: |scene| {
            let (new, old) = (scene.workspace().join("new"), scene.workspace().join(".git/config"));
            put(&new, repository(scene))?;
            fs::rename(&new, &old).map_err(|error| crate::scene::named(&old, &error).into())
        },
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Event(&[Event("protected", "", ".git/config")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-hook",
        techniques: &[5, 18],
        about: "Add a hook where there was none.",
        attempt: |scene| script(scene, &scene.workspace().join(".git/hooks/post-commit")),
        proof: Proof::Host(|scene| git_runs(scene, "", &["commit", "-q", "--allow-empty", "-m", "x"])),
        trace: Trace::Event(&[Event("protected", "", ".git/hooks")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-hooks-path",
        techniques: &[18],
        about: "Point the repository's configuration at another directory of hooks.",
        attempt: |scene| {
            script(scene, &scene.workspace().join("tools/post-commit"))?;
            append(&scene.workspace().join(".git/config"), "[core]\n\thooksPath = tools\n")
        },
        proof: Proof::Host(|scene| git_runs(scene, "", &["commit", "-q", "--allow-empty", "-m", "x"])),
        trace: Trace::Event(&[Event("protected", "", ".git/config")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-directory-replaced",
        techniques: &[4, 18],
        about: "Rename .git away and make a new one with a configuration of its own.",
        attempt: |scene| {
            let git = scene.workspace().join(".git");
            fs::rename(&git, scene.workspace().join("old")).map_err(|error| crate::scene::named(&git, &error))?;
            fake_repository(scene, &git)
        },
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Traced(&[Event("", "", ".git")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-directory-by-link",
        techniques: &[4, 19],
        about: "Rename .git away and put a symbolic link to a prepared directory in its place.",
        attempt: |scene| {
            let git = scene.workspace().join(".git");
            fake_repository(scene, &scene.workspace().join("prepared"))?;
            fs::rename(&git, scene.workspace().join("old")).map_err(|error| crate::scene::named(&git, &error))?;
            Ok(symlink("prepared", git)?)
        },
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Traced(&[Event("", "", ".git")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-nested-repository",
        techniques: &[19],
        about: "Make a repository in a subdirectory, with a configuration that names a program.",
        attempt: |scene| fake_repository(scene, &scene.workspace().join("sub/.git")),
        proof: Proof::Host(|scene| git_runs(scene, "sub", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "sub/.git")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-bare-repository",
        techniques: &[19],
        about: "Make a subdirectory look like a bare repository, which needs no .git, with a program in its configuration.",
        attempt: |scene| {
            fake_repository(scene, &scene.workspace().join("sub"))?;
            Ok(fs::write(scene.workspace().join("sub/config"), repository(scene) + "\tworktree = ..\n")?)
        },
        proof: Proof::Host(|scene| git_runs(scene, "sub", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "sub")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-file-redirect",
        techniques: &[19],
        about: "Make a .git file in a subdirectory that leads to a prepared repository of another name.",
        attempt: |scene| {
            fake_repository(scene, &scene.workspace().join("data"))?;
            Ok(put(&scene.workspace().join("sub/.git"), "gitdir: ../data\n")?)
        },
        proof: Proof::Host(|scene| git_runs(scene, "sub", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-common-directory",
        techniques: &[19],
        about: "Make .git/commondir, which leads git to the configuration of another directory.",
        attempt: |scene| {
            fake_repository(scene, &scene.workspace().join("data"))?;
            Ok(put(&scene.workspace().join(".git/commondir"), "../data\n")?)
        },
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "commondir")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-worktree-redirect",
        techniques: &[19],
        about: "Make a linked worktree whose administrative files lead to a prepared configuration.",
        attempt: |scene| {
            let (admin, tree) = (scene.workspace().join(".git/worktrees/w"), scene.workspace().join("tree"));
            fake_repository(scene, &scene.workspace().join("data"))?;
            put(&tree.join(".git"), format!("gitdir: {}\n", admin.display()))?;
            put(&admin.join("HEAD"), "ref: refs/heads/main\n")?;
            put(&admin.join("commondir"), format!("{}\n", scene.workspace().join("data").display()))?;
            Ok(put(&admin.join("gitdir"), format!("{}\n", tree.join(".git").display()))?)
        },
        proof: Proof::Host(|scene| git_runs(scene, "tree", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-worktree-configuration",
        techniques: &[19],
        about: "Write the configuration of a worktree, which git reads besides the repository's.",
        prepare: |scene| git(scene, &["config", "extensions.worktreeConfig", "true"]),
        attempt: |scene| append(&scene.workspace().join(".git/config.worktree"), &fsmonitor(scene)),
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "config.worktree")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-submodule",
        techniques: &[19],
        about: "Make the directory of a submodule below .git/modules, with a program in its configuration.",
        attempt: |scene| {
            fake_repository(scene, &scene.workspace().join(".git/modules/sub"))?;
            put(&scene.workspace().join(".git/modules/sub/config"), repository(scene) + "\tworktree = ../../../sub\n")?;
            Ok(put(&scene.workspace().join("sub/.git"), "gitdir: ../.git/modules/sub\n")?)
        },
        proof: Proof::Host(|scene| git_runs(scene, "sub", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-included-file",
        techniques: &[18],
        about: "Change a file of the workspace that the repository's configuration includes.",
        prepare: |scene| {
            put(&scene.workspace().join("shared.gitconfig"), "[core]\n\tabbrev = 12\n")?;
            git(scene, &["config", "include.path", "../shared.gitconfig"])
        },
        attempt: |scene| append(&scene.workspace().join("shared.gitconfig"), &fsmonitor(scene)),
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Event(&[Event("protected", "", "shared.gitconfig")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-tracked-hooks",
        techniques: &[18],
        about: "Change a hook in the workspace's own directory of hooks, which the configuration names.",
        prepare: |scene| {
            put(&scene.workspace().join("hooks.d/post-commit"), "#!/bin/sh\n")?;
            fs::set_permissions(scene.workspace().join("hooks.d/post-commit"), fs::Permissions::from_mode(0o755))?;
            git(scene, &["config", "core.hooksPath", "hooks.d"])
        },
        attempt: |scene| script(scene, &scene.workspace().join("hooks.d/post-commit")),
        proof: Proof::Host(|scene| git_runs(scene, "", &["commit", "-q", "--allow-empty", "-m", "x"])),
        trace: Trace::Event(&[Event("protected", "", "hooks.d")]),
        ..Attack::BASE
    },
    Attack {
        name: "git-attributes-filter",
        techniques: &[20],
        about: "Bind files to a filter by .gitattributes, and define the filter in the configuration.",
        attempt: |scene| {
            put(&scene.workspace().join(".gitattributes"), "* filter=x\n")?;
            let filter = format!("[filter \"x\"]\n\tclean = touch {}\n", scene.fired().display());
            append(&scene.workspace().join(".git/config"), &filter)
        },
        proof: Proof::Host(|scene| git_runs(scene, "", &["add", "-A"])),
        trace: Trace::Event(&[Event("protected", "", ".git/config")]),
        ..Attack::BASE
    },
    Attack {
        name: "plant-settings",
        techniques: &[5, 21, 22],
        about: "Make the settings of editors, coding agents, shells, hook managers and build tools, where there were none.",
        attempt: |scene| plant_all(scene, SETTINGS),
        proof: Proof::Host(|scene| any_exists(scene, SETTINGS)),
        trace: Trace::Event(&[
            Event("protected", "", ".envrc"),
            Event("protected", "", ".claude"),
            Event("protected", "", "deep/down/.vscode"),
        ]),
        ..Attack::BASE
    },
    Attack {
        name: "plant-settings-under-other-case",
        techniques: &[7],
        about: "Make protected files in other letter case, which some file systems take for the same.",
        attempt: |scene| plant_all(scene, FOLDED),
        proof: Proof::Host(|scene| any_exists(scene, FOLDED)),
        trace: Trace::Event(&[Event("protected", "", ".Mcp.json")]),
        ..Attack::BASE
    },
    Attack {
        name: "rename-into-protected",
        techniques: &[4, 5],
        about: "Prepare settings under a harmless name and rename the directory into place.",
        attempt: |scene| {
            put(&scene.workspace().join("harmless/settings.json"), "planted\n")?;
            let place = scene.workspace().join(".claude");
            fs::rename(scene.workspace().join("harmless"), &place)
                .map_err(|error| crate::scene::named(&place, &error).into())
        },
        proof: Proof::Host(|scene| any_exists(scene, &[".claude/settings.json"])),
        trace: Trace::Event(&[Event("protected", "", ".claude")]),
        ..Attack::BASE
    },
    Attack {
        name: "link-into-protected",
        techniques: &[4, 5],
        about: "Prepare settings under a harmless name and make a symbolic link to them.",
        attempt: |scene| {
            put(&scene.workspace().join("harmless/settings.json"), "planted\n")?;
            let place = scene.workspace().join(".claude");
            symlink("harmless", &place).map_err(|error| crate::scene::named(&place, &error).into())
        },
        proof: Proof::Host(|scene| any_exists(scene, &[".claude/settings.json"])),
        trace: Trace::Event(&[Event("protected", "", ".claude")]),
        ..Attack::BASE
    },
    Attack {
        name: "set-user-id-left-behind",
        techniques: &[15],
        about: "Leave a shell in the workspace that runs with its owner's rights.",
        attempt: |scene| {
            let shell = scene.workspace().join("sh");
            fs::copy("/bin/sh", &shell)?;
            fs::set_permissions(&shell, fs::Permissions::from_mode(0o4755))
                .map_err(|error| crate::scene::named(&shell, &error).into())
        },
        proof: Proof::Host(|scene| {
            let mode = fs::metadata(scene.workspace().join("sh"))?.permissions().mode();
            if mode & 0o6000 != 0 { Ok(()) } else { Err(Failed::refused("the bits are gone")) }
        }),
        trace: Trace::Event(&[Event("protected", "set-id", "sh")]),
        ..Attack::BASE
    },
    Attack {
        name: "protected-by-race",
        techniques: &[11, 18],
        about: "Swap a link between a harmless file and the repository's configuration while another thread writes through it.",
        attempt: write_race,
        proof: Proof::Host(|scene| git_runs(scene, "", &["status"])),
        trace: Trace::Silent("most of its writes are allowed ones"),
        landlock: Landlock::MayPass("protected-files", RACE),
        native: Native::Succeeds,
        ..Attack::BASE
    },
];

/// Settings that tools obey, in places where there were none.
const SETTINGS: &[&str] = &[
    ".envrc",
    ".husky/pre-commit",
    ".vscode/tasks.json",
    ".idea/workspace.xml",
    ".claude/settings.json",
    ".codex/config.toml",
    ".cursor/mcp.json",
    ".gemini/settings.json",
    ".mcp.json",
    ".stockade.toml",
    ".cargo/config.toml",
    ".npmrc",
    ".bashrc",
    ".github/workflows/x.yml",
    ".gitlab-ci.yml",
    ".devcontainer/devcontainer.json",
    ".pre-commit-config.yaml",
    "deep/down/.vscode/tasks.json",
    "deep/down/.envrc",
];
const FOLDED: &[&str] = &[".Mcp.json", ".GIT/hooks/post-commit", ".Claude/settings.json", ".VSCode/tasks.json"];

/// Makes each of the files that it can.
fn plant_all(scene: &Scene, names: &[&str]) -> Attempt {
    let planted = names.iter().map(|name| put(&scene.workspace().join(name), "planted\n"));
    let refusals: Vec<String> = planted.filter_map(Result::err).map(|error| error.to_string()).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Failed::refused(refusals.join("\nattacks: "))) }
}

fn any_exists(scene: &Scene, names: &[&str]) -> Attempt {
    let found = names.iter().find(|name| exists(&scene.workspace().join(name)).is_ok());
    found.map(|_| ()).ok_or_else(|| Failed::refused("none of the files is there"))
}

fn git(scene: &Scene, arguments: &[&str]) -> Attempt {
    let done = scene.git(&scene.workspace(), arguments).map_err(Failed::untried)?;
    if done { Ok(()) } else { Err(Failed::untried(format!("git {arguments:?} failed"))) }
}

/// Runs git on the host in a directory of the workspace; a breach is that it ran what was planted.
fn git_runs(scene: &Scene, directory: &str, arguments: &[&str]) -> Attempt {
    let directory = scene.workspace().join(directory);
    let directory = if directory.is_dir() { directory } else { scene.workspace() };
    // Whether git itself succeeds is beside the point: planted files may have broken the repository.
    let _succeeded = scene.git(&directory, arguments).map_err(Failed::untried)?;
    exists(&scene.fired())
}

fn fsmonitor(scene: &Scene) -> String {
    format!("[core]\n\tfsmonitor = touch {}\n", scene.fired().display())
}

fn repository(scene: &Scene) -> String {
    format!("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = touch {}\n", scene.fired().display())
}

/// Makes what git takes for a repository.
fn fake_repository(scene: &Scene, directory: &Path) -> Attempt {
    fs::create_dir_all(directory.join("objects"))?;
    fs::create_dir_all(directory.join("refs"))?;
    put(&directory.join("HEAD"), "ref: refs/heads/main\n")?;
    Ok(put(&directory.join("config"), repository(scene))?)
}

/// Makes an executable file that leaves a trace outside.
fn script(scene: &Scene, path: &Path) -> Attempt {
    put(path, format!("#!/bin/sh\ntouch {}\n", scene.fired().display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|error| crate::scene::named(path, &error).into())
}

fn write_race(scene: &Scene) -> Attempt {
    let (link, spare) = (scene.workspace().join("swapped"), scene.workspace().join("spare"));
    let (good, bad) = (scene.workspace().join("harmless"), scene.workspace().join(".git/config"));
    put(&good, "")?;
    symlink(&good, &link)?;
    let end = std::time::Instant::now() + std::time::Duration::from_millis(500);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while std::time::Instant::now() < end {
                for target in [&bad, &good] {
                    if symlink(target, &spare).and_then(|()| fs::rename(&spare, &link)).is_err() {
                        return;
                    }
                }
            }
        });
        while std::time::Instant::now() < end {
            // Each open is decided anew; most lead to the harmless file.
            drop(append(&link, &fsmonitor(scene)));
        }
    });
    Err(Failed::refused("whether one came through is seen on the host"))
}
