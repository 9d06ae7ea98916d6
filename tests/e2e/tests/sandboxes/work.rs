//! Real work on a repository: break it, go back, try two ways side by side, and take one of them.

use std::fs;

use crate::Trial;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[
    ("two_fixes_side_by_side", two_fixes_side_by_side),
    ("git_inside", git_inside),
    ("history_arrives", history_arrives),
    ("renamed_directories", renamed_directories),
    ("many_at_once", many_at_once),
    ("conflicts", conflicts),
    ("checkpoints_after_apply", checkpoints_after_apply),
];

fn two_fixes_side_by_side(place: &Place) {
    let before = place.host();
    place.create("work", &[]);
    assert_eq!(place.good("work", "sh build.sh"), "one\n");
    let built = place.done(&["checkpoint", "work", "--label", "built"]);
    let broken = place.exec("work", "sed -i s/puts/put5/ src/main.c; rm README; sh build.sh");
    assert_ne!(broken.status, 0, "the build was not broken");
    place.done(&["restore", "work", "built"]);
    assert_eq!(place.good("work", "sh build.sh; cat README"), "one\nwork\n");
    for name in ["left", "right"] {
        place.done(&["fork", "work", name, "--at", &built]);
    }
    place.good("left", "sed -i s/one/left/ src/main.c; sh build.sh; echo left > NEWS");
    place.good("right", "sed -i s/one/right/ src/main.c; sh build.sh");
    assert_eq!(place.good("left", "./main"), "left\n");
    assert_eq!(place.good("right", "./main; test ! -e NEWS"), "right\n");
    assert_eq!(place.good("work", "./main"), "one\n");
    before.is_still(&place.workspace(), "before apply");
    let diff = place.done(&["diff", "left"]);
    for path in ["NEWS", "main", "src/main.c"] {
        assert!(diff.contains(&format!("\"{path}\"")), "{path}: {diff}");
    }
    assert!(!diff.contains("README"), "{diff}");
    place.done(&["apply", "left"]);
    let text = fs::read_to_string(place.workspace().join("src/main.c")).expect("a source");
    assert!(text.contains("left"), "{text}");
    assert!(place.workspace().join("main").exists() && place.workspace().join("NEWS").exists());
    // The other one was made for what the host had before.
    let conflict = place.outcome(&mut place.call(&["apply", "right"]));
    assert_eq!(conflict.status, 1, "{} {}", conflict.stdout, conflict.stderr);
    assert!(conflict.stdout.contains("\"changed\"") || conflict.stdout.contains("\"appeared\""), "{}", conflict.stdout);
    assert!(fs::read_to_string(place.workspace().join("src/main.c")).expect("a source").contains("left"));
    for name in ["work", "left", "right"] {
        place.done(&["audit", "verify", name]);
        place.done(&["rm", "--force", name]);
    }
    let layers = crate::leftovers::entries(&place.state().join("layers"));
    assert!(layers.iter().all(|path| path.ends_with("lock")), "layers stay: {layers:?}");
}

const COMMITS: &str = "set -e
    git switch -q -c topic
    for n in 1 2 3; do echo $n > file$n; git add .; git commit -q -m \"topic $n\"; done
    git switch -q main
    echo more >> README; git commit -q -a -m 'on main'
    git rebase -q main topic
    git tag v1
    git merge -q --no-ff -m merged main
    git stash list
    git gc -q
    git fsck --strict
    git log --format=%s";

fn git_inside(place: &Place) {
    let before = place.host();
    place.create("git", &[]);
    let log = place.good("git", COMMITS);
    assert_eq!(log.lines().collect::<Vec<_>>(), ["topic 3", "topic 2", "topic 1", "on main", "start"], "{log}");
    place.done(&["checkpoint", "git"]);
    place.good("git", "git reset -q --hard v1~2 && git branch -D main && git status --porcelain");
    place.done(&["restore", "git", "c1"]);
    assert_eq!(place.good("git", "git log --format=%s && git fsck --strict"), log);
    before.is_still(&place.workspace(), "commits in a sandbox");
}

/// Commits made inside are the host's after an apply, and its repository is whole.
fn history_arrives(place: &Place) {
    place.create("git", &[]);
    place.good("git", "echo more >> README; git commit -q -a -m second; git switch -q -c topic; git gc -q");
    let applied = place.outcome(&mut place.call(&["apply", "git"]));
    assert_eq!(applied.status, 0, "{} {}", applied.stdout, applied.stderr);
    let log = place.outcome(place.command("git").args(["log", "--format=%s"]));
    assert_eq!(log.stdout, "second\nstart\n", "{} {}", log.stderr, applied.stdout);
    let fsck = place.outcome(place.command("git").args(["fsck", "--strict"]));
    assert_eq!(fsck.status, 0, "{} {}", fsck.stdout, fsck.stderr);
    let status = place.outcome(place.command("git").args(["status", "--porcelain"]));
    assert_eq!(status.stdout, "", "{}", applied.stdout);
}

/// A directory of the host's is not renamed by overlayfs (EXDEV), and programs copy it instead.
fn renamed_directories(place: &Place) {
    place.file("home/project/deep/a/b", "kept\n");
    place.create("move", &[]);
    place.good("move", "mv deep moved && git mv -k src source && test ! -e deep && cat moved/a/b");
    place.done(&["apply", "move"]);
    let path = |name: &str| place.workspace().join(name);
    assert!(path("moved/a/b").exists() && !path("deep").exists());
}

fn many_at_once(place: &Place) {
    place.create("many", &[]);
    let script = |n: usize| {
        format!(
            "echo {n} > seen.{n}; for n in 0 1 2 3 4 5; do until [ -e seen.$n ]; do sleep 0.01; done; done; cat seen.*"
        )
    };
    let all: Vec<_> = (0..6).map(|n| place.start("many", &script(n))).collect();
    for child in all {
        let output = child.wait_with_output().expect("an end");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n2\n3\n4\n5\n", "{output:?}");
    }
}

fn conflicts(place: &Place) {
    place.create("fix", &[]);
    place.good("fix", "echo inside > README; echo inside > both; echo inside > alone; rm build.sh");
    place.done(&["stop", "fix"]);
    place.file("home/project/README", "outside, and longer\n");
    place.file("home/project/both", "outside, and longer\n");
    let before = place.host();
    let outcome = place.outcome(&mut place.call(&["apply", "fix"]));
    assert_eq!(outcome.status, 1, "{} {}", outcome.stdout, outcome.stderr);
    let told: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let paths: Vec<_> = told["conflicts"].as_array().expect("conflicts").iter().map(|one| &one["path"]).collect();
    assert_eq!(paths, ["README", "both"], "{told}");
    for name in ["README", "both"] {
        let path = place.workspace().join(name);
        assert_eq!(fs::read(&path).expect(name), before.0[std::path::Path::new(name)].content, "{name}");
    }
    assert!(place.workspace().join("alone").exists() && !place.workspace().join("build.sh").exists());
    // Once it was decided which version is wanted, that one comes.
    place.done(&["apply", "fix", "README", "--take", "README"]);
    assert_eq!(fs::read_to_string(place.workspace().join("README")).expect("README"), "inside\n");
}

/// Checkpoints that were taken before an apply show their trees afterwards too.
fn checkpoints_after_apply(place: &Place) {
    place.create("work", &[]);
    place.good("work", "echo 1 > README; echo new > new; rm build.sh");
    place.done(&["checkpoint", "work", "--label", "first"]);
    let first = place.seen("work");
    place.good("work", "echo 2 > README; mkdir -p a/b; echo deep > a/b/c; rm -r src");
    let second = place.seen("work");
    place.done(&["apply", "work"]);
    assert_eq!(place.seen("work"), second);
    place.done(&["restore", "work", "first"]);
    assert_eq!(place.seen("work"), first);
    place.good("work", "test -e src/main.c && test ! -e a");
}
