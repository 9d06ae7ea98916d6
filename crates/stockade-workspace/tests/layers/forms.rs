//! The form of each kind of change, as text and as numbers.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode};
use stockade_workspace::layers::{
    Amount, Change, FileStat, Status, Totals, Untold, changes, find_renames, stat, unified,
};

use crate::place::{Place, diff, write};

impl Place {
    fn renamed(&self) -> Vec<Change> {
        find_renames(&self.stack(), changes(&self.stack()).expect("changes")).expect("renames")
    }

    fn diff(&self) -> String {
        String::from_utf8(diff(&self.stack(), &self.renamed())).expect("text")
    }

    fn stats(&self) -> Vec<FileStat> {
        self.renamed().iter().map(|change| stat(&self.stack(), change).expect("numbers")).collect()
    }

    fn mode(&self, layer: usize, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.layers[layer].join(path), fs::Permissions::from_mode(mode)).expect("a mode");
        self
    }
}

fn numbers(text: impl IntoIterator<Item = u32>) -> String {
    text.into_iter().map(|number| format!("{number}\n")).collect()
}

#[test]
fn a_change_of_lines() {
    let place = Place::new(1);
    place.host("f", &numbers(1..=20)).layer(0, "f", &(numbers(1..=4) + "new\n" + &numbers(5..=17) + "last"));
    let expected = "diff --git a/f b/f\n--- a/f\n+++ b/f\n\
        @@ -2,6 +2,7 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n\
        @@ -15,6 +16,4 @@\n 15\n 16\n 17\n-18\n-19\n-20\n+last\n\\ No newline at end of file\n";
    assert_eq!(place.diff(), expected);
    assert_eq!(place.stats()[0].amount, Amount::Lines { added: 2, deleted: 3 });
}

#[test]
fn what_is_new_and_what_is_gone() {
    let place = Place::new(1);
    place.host("d/gone", "a\nb").layer(0, "new file", "x\n").layer(0, "script", "").mode(0, "script", 0o755);
    place.host("empty", "").whiteout(0, "empty").whiteout(0, "d");
    symlink("to\nelsewhere", place.layers[0].join("z")).expect("a link");
    let expected = "diff --git a/d/gone b/d/gone\ndeleted file mode 100644\n--- a/d/gone\n+++ /dev/null\n\
        @@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n\
        diff --git a/empty b/empty\ndeleted file mode 100644\n\
        diff --git a/new file b/new file\nnew file mode 100644\n--- /dev/null\n+++ b/new file\t\n@@ -0,0 +1 @@\n+x\n\
        diff --git a/script b/script\nnew file mode 100755\n\
        diff --git a/z b/z\nnew file mode 120000\n--- /dev/null\n+++ b/z\n@@ -0,0 +1,2 @@\n+to\n+elsewhere\n\
        \\ No newline at end of file\n";
    assert_eq!(place.diff(), expected);
    let stats = place.stats();
    let expected = Totals { files: 5, added: 3, deleted: 2, uncounted: 0 };
    assert_eq!((stats.len(), Totals::of(&stats)), (6, expected), "{stats:?}");
}

#[test]
fn modes_and_attributes() {
    let place = Place::new(1);
    for name in ["all", "attributes", "executable", "private", "set-id"] {
        place.host(name, "x").layer(0, name, "x");
    }
    place.mode(0, "all", 0o4755).mode(0, "executable", 0o755).mode(0, "private", 0o600).mode(0, "set-id", 0o6644);
    place.mark(0, "attributes", "user.comment", b"x").layer(0, "all", "xy").mode(0, "all", 0o4755);
    let expected = "# mode 0644 -> 4755: all\ndiff --git a/all b/all\nold mode 100644\nnew mode 100755\n\
        --- a/all\n+++ b/all\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+xy\n\\ No newline at end of file\n\
        # extended attributes: attributes\n\
        diff --git a/executable b/executable\nold mode 100644\nnew mode 100755\n\
        # mode 0644 -> 0600: private\n\
        # mode 0644 -> 6644: set-id\n";
    assert_eq!(place.diff(), expected);
}

#[test]
fn what_git_has_no_form_for() {
    let place = Place::new(1);
    for name in ["attributes", "everybody", "gone/empty", "kept/x", "marked"] {
        place.host(name, "x");
    }
    place.layer(0, "attributes", "y").mark(0, "attributes", "user.comment", b"x");
    place.layer(0, "everybody", "x").mode(0, "everybody", 0o777).layer(0, "marked", "x").mode(0, "marked", 0o600);
    place.mark(0, "marked", "user.comment", b"x").whiteout(0, "kept");
    fs::remove_file(place.workspace.join("gone/empty")).expect("removed");
    place.whiteout(0, "gone");
    for (name, mode) in [("new/empty", 0o755), ("new/open", 0o777), ("new", 0o755), ("shared", 0o2775)] {
        fs::create_dir_all(place.layers[0].join(name)).expect("a directory");
        place.mode(0, name, mode);
    }
    place.layer(0, "new/open/file", "").mode(0, "new/open/file", 0o666).layer(0, "new/script", "");
    place.mode(0, "new/script", 0o777).mark(0, "new/script", "user.comment", b"x").layer(0, "new/usual", "");
    for (name, kind) in [("pipe", FileType::Fifo), ("socket", FileType::Socket)] {
        rustix::fs::mknodat(CWD, place.layers[0].join(name), kind, Mode::RUSR, 0).expect("a pipe or socket");
    }
    place.mode(0, "pipe", 0o644);
    rustix::fs::mknodat(CWD, place.workspace.join("z\nz"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    place.whiteout(0, "z\nz");
    let expected = "# extended attributes: attributes\ndiff --git a/attributes b/attributes\n--- a/attributes\n+++ b/attributes\n\
        @@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\n\
        # mode 0644 -> 0777: everybody\ndiff --git a/everybody b/everybody\nold mode 100644\nnew mode 100755\n\
        # deleted directory: gone\n\
        diff --git a/kept/x b/kept/x\ndeleted file mode 100644\n--- a/kept/x\n+++ /dev/null\n\
        @@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n\
        # mode 0644 -> 0600: marked\n# extended attributes: marked\n\
        # new directory: new/empty\n\
        # mode 0777: new/open\n\
        # mode 0666: new/open/file\ndiff --git a/new/open/file b/new/open/file\nnew file mode 100644\n\
        # mode 0777: new/script\n# extended attributes: new/script\n\
        diff --git a/new/script b/new/script\nnew file mode 100755\n\
        diff --git a/new/usual b/new/usual\nnew file mode 100644\n\
        # new pipe: pipe\n\
        # new directory: shared\n# mode 2775: shared\n\
        # new socket: socket\n# mode 0400: socket\n\
        # deleted pipe: \"z\\nz\"\n";
    assert_eq!(place.diff(), expected);
    for tool in ["git apply", "patch --quiet -p1"] {
        let (copy, script) = (place.base.path().join("copy"), format!("cp -a host copy && cd copy && {tool}"));
        let mut command = Command::new("sh");
        command.args(["-ec", &script]).current_dir(place.base.path()).env("GIT_CEILING_DIRECTORIES", "/");
        let mut child = command.stdin(Stdio::piped()).spawn().expect("a shell");
        child.stdin.take().expect("a pipe").write_all(expected.as_bytes()).expect("read");
        assert!(child.wait().expect("ended").success(), "{tool}");
        assert_eq!(fs::read_to_string(copy.join("attributes")).expect("it"), "y", "{tool}");
        assert!(copy.join("new/script").exists() && !copy.join("kept").exists(), "{tool}");
        fs::remove_dir_all(copy).expect("removed");
    }
}

#[test]
fn a_kind_that_changes_is_two_files() {
    let place = Place::new(1);
    place.host("f", "x\n").host("g", "y\n");
    symlink("f", place.layers[0].join("f")).expect("a link");
    fs::create_dir(place.layers[0].join("g")).expect("a directory");
    let expected = "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+f\n\
        \\ No newline at end of file\n\
        # new directory: g\ndiff --git a/g b/g\ndeleted file mode 100644\n--- a/g\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n";
    assert_eq!(place.diff(), expected);
}

#[test]
fn a_rename_is_of_equal_content_only() {
    let place = Place::new(1);
    place.host("old/a", "one").host("old/b", "two").host("old/c", "six").host("old/empty", "").whiteout(0, "old");
    place.layer(0, "new/b", "two").layer(0, "new/x", "one").layer(0, "new/y", "one").layer(0, "new/z", "ten");
    place.layer(0, "new/empty", "").mode(0, "new/b", 0o755);
    let renamed: Vec<_> = place.renamed().into_iter().filter(|change| change.status == Status::Renamed).collect();
    let found: Vec<_> = renamed.iter().map(|change| (change.from.as_deref(), change.path.as_path())).collect();
    let pair = |from, to| (Some(Path::new(from)), Path::new(to));
    assert_eq!(found, [pair("old/b", "new/b"), pair("old/a", "new/x")]);
    let text = String::from_utf8(unified(&place.stack(), &renamed[0], false).expect("a diff")).expect("text");
    let expected = "diff --git a/old/b b/new/b\nold mode 100644\nnew mode 100755\nsimilarity index 100%\n\
        rename from old/b\nrename to new/b\n";
    assert_eq!(text, expected);
    let json = serde_json::to_value(&renamed[0]).expect("JSON");
    assert_eq!((&json["status"], &json["from"]), (&"renamed".into(), &"old/b".into()));
    // Each of the other four is gone or new, with `old` and `new` themselves.
    assert_eq!(place.renamed().len(), 2 + 2 + 2 + 4 - 1);
}

#[test]
fn a_thousand_files_of_one_size_find_their_names() {
    let place = Place::in_memory(1);
    for at in 0..1000 {
        place.host(&format!("old/{at}"), &format!("{at:04}")).layer(0, &format!("new/{at}"), &format!("{at:04}"));
    }
    place.whiteout(0, "old");
    let same_name = |change: &Change| change.from.as_deref().and_then(Path::file_name) == change.path.file_name();
    let renamed = place.renamed();
    assert_eq!(renamed.iter().filter(|change| same_name(change)).count(), 1000, "{renamed:?}");
}

#[test]
fn what_is_no_text_or_too_much_is_summed_up() {
    let place = Place::new(1);
    let large = "x".repeat((1 << 20) + 1);
    place.host("binary", "a\0").layer(0, "binary", "text").layer(0, "large", &large).host("late", "x");
    place.layer(0, "late", &(" ".repeat(8000) + "\0")).layer(0, "lines", &"\n".repeat(20_001));
    place.layer(0, "many", &"\n".repeat(19_999)).layer(0, "new\"binary", "\0");
    let text = place.diff();
    let lines: Vec<_> = text.lines().filter(|line| line.ends_with(" differ")).collect();
    let expected = [
        "Binary files a/binary and b/binary differ",
        "Files /dev/null and b/large (1048577 bytes) differ",
        "Files /dev/null and b/lines (20001 bytes) differ",
        "Binary files /dev/null and \"b/new\\\"binary\" differ",
    ];
    assert_eq!(lines, expected);
    let stats = place.stats();
    assert_eq!(stats[0].amount, Amount::Bytes { reason: Untold::Binary, old: 2, new: 4 });
    assert_eq!(stats[1].amount, Amount::Bytes { reason: Untold::TooLarge, old: 0, new: 1_048_577 });
    assert_eq!(Totals::of(&stats), Totals { files: 6, added: 20_000, deleted: 1, uncounted: 4 });
    let json = serde_json::to_string(&stats).expect("JSON");
    assert_eq!(serde_json::from_str::<Vec<FileStat>>(&json).expect("numbers"), stats);
}

#[test]
fn names_that_are_no_text_are_quoted() {
    let place = Place::new(1);
    write(&place.layers[0].join(OsStr::from_bytes(b"a b\n\xff")), "x\n");
    let expected = "diff --git \"a/a b\\n\\377\" \"b/a b\\n\\377\"\nnew file mode 100644\n--- /dev/null\n\
        +++ \"b/a b\\n\\377\"\t\n@@ -0,0 +1 @@\n+x\n";
    assert_eq!(place.diff(), expected);
}

#[test]
fn lines_made_to_be_hard_to_compare_do_not_stop_it() {
    let place = Place::new(1);
    // Two alphabets mixed by different periods, so that everything matches somewhere and nothing for long.
    let mix = |period: u32| numbers((0..19_000).map(|at| at * period % 137 % (period + 3)));
    let halves = |order: [u32; 2]| order.map(|from| numbers(from..from + 9_500)).concat();
    for (name, old, new) in [
        ("mixed", mix(7), mix(11)),
        ("halves", halves([0, 50_000]), halves([50_000, 0])),
        ("reversed", numbers(0..19_000), numbers((0..19_000).rev())),
        ("two", numbers((0..19_000).map(|at| at % 2)), numbers((0..19_000).map(|at| at * at % 3 % 2))),
    ] {
        place.host(name, &old).layer(0, name, &new);
    }
    let start = std::time::Instant::now();
    assert!(place.diff().lines().count() > 19_000);
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
