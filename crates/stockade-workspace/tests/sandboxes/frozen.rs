//! Checkpoints that are taken while programs run.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use stockade_workspace::sandboxes::Unseen;

use crate::support::{
    Place, checkpoint, checkpoint_frozen, checkpoint_unseen, inode, names, opaque, seen, set_mode, tick, whiteout,
    write,
};

#[test]
fn it_is_a_copy_and_what_runs_goes_on() {
    let place = Place::new();
    place.host("h", "host");
    let mut sandbox = place.new_sandbox();
    write(&sandbox.upper(), "a", "1");
    whiteout(&sandbox.upper(), "h");
    let mut open = fs::OpenOptions::new().append(true).open(sandbox.upper().join("a")).expect("open");
    let first = checkpoint_frozen(&mut sandbox, &[]);
    assert!(first.running && first.layers.len() == 1);
    open.write_all(b"2").expect("written");
    assert!(sandbox.under().is_empty());
    assert_eq!(place.seen(&sandbox.layers())["a"], "12");
    let kept = place.seen(&sandbox.layers_of("c1").expect("c1"));
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "1".to_owned())]);
    let second = checkpoint_frozen(&mut sandbox, &[]);
    assert_eq!(second.parent.as_deref(), Some("c1"));
    assert_eq!(place.seen(&sandbox.layers_of("c2").expect("c2"))["a"], "12");
    // Once they have ended, it is moved as always.
    let third = checkpoint(&mut sandbox);
    assert!(!third.running);
    assert_eq!(place.seen(&sandbox.layers())["a"], "12");
    sandbox.lock().expect("locked").restore("c1", None).expect("restored");
    assert_eq!(place.seen(&sandbox.layers())["a"], "1");
}

#[test]
fn everything_arrives() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let upper = sandbox.upper();
    write(&upper, "d/e/f", "content");
    rustix::fs::setxattr(upper.join("d/e/f"), "user.a", b"1", XattrFlags::empty()).expect("an attribute");
    rustix::fs::setxattr(upper.join("d"), "user.b", b"2", XattrFlags::empty()).expect("an attribute");
    rustix::fs::setxattr(upper.join("d"), "user.overlay.origin", b"o", XattrFlags::empty()).expect("an attribute");
    opaque(&upper, "d/e");
    set_mode(&upper.join("d/e/f"), 0o4751);
    symlink("/etc/passwd", upper.join("link")).expect("a link");
    rustix::fs::mknodat(CWD, upper.join("pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    drop(std::os::unix::net::UnixListener::bind(upper.join("socket")).expect("a socket"));
    for name in ["one", "d/two", "d/e/three"] {
        drop(fs::hard_link(upper.join("one"), upper.join(name)).or_else(|_| fs::write(upper.join("one"), "linked")));
    }
    whiteout(&upper, "w1");
    whiteout(&upper, "w2");
    let sparse = fs::File::create(upper.join("sparse")).expect("a file");
    sparse.set_len(64 << 20).expect("its length");
    let long = "n".repeat(255);
    write(&upper, &long, "long");
    let odd = OsStr::from_bytes(b"new\nline\xff");
    fs::write(upper.join(odd), "odd").expect("a file");
    set_mode(&upper, 0o2750);
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    for path in ["d/e/f", "d/e", "d"] {
        fs::File::open(upper.join(path)).expect("open").set_times(old).expect("times");
    }
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    let tree = sandbox.layers_of("c1").expect("c1").remove(0);
    assert_eq!(crate::tree::attributes(&tree.join("d/e/f")), [("user.a".to_owned(), b"1".to_vec())]);
    assert_eq!(rustix::fs::getxattr(tree.join("d/e"), "user.overlay.opaque", &mut [0; 8][..]), Ok(1));
    // Without this mark, overlayfs would list whiteouts in it once there is nothing below.
    assert_eq!(rustix::fs::getxattr(tree.join("d"), "user.overlay.origin", &mut [0; 8][..]), Ok(0));
    let status = |path: &str| fs::symlink_metadata(tree.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(status("d/e/f").mode(), 0o104_751);
    for path in ["d/e/f", "d/e", "d"] {
        assert_eq!(status(path).mtime(), 0, "{path}");
    }
    assert_eq!(fs::read_link(tree.join("link")).expect("text").as_os_str(), "/etc/passwd");
    assert!(status("pipe").file_type().is_fifo());
    assert!(!tree.join("socket").exists(), "nobody listens at it");
    assert_eq!([status("one").ino(); 2], [status("d/two").ino(), status("d/e/three").ino()]);
    assert_eq!((status("w1").rdev(), status("w1").ino()), (0, status("w2").ino()));
    assert!(status("sparse").size() == 64 << 20 && status("sparse").blocks() < 100);
    assert_eq!(fs::read(tree.join(odd)).expect("content"), b"odd");
    assert_eq!(fs::metadata(&tree).expect("root").mode() & 0o7777, 0o2750);
    assert_eq!(fs::read(tree.join(&long)).expect("content"), b"long");
}

#[test]
fn what_has_not_changed_is_not_copied_again() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let upper = sandbox.upper();
    for name in ["same", "grown", "touched", "mode", "moved", "d/in"] {
        write(&upper, name, "content");
    }
    symlink("x", upper.join("link")).expect("a link");
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    tick();
    fs::OpenOptions::new().append(true).open(upper.join("grown")).expect("open").write_all(b"!").expect("written");
    fs::write(upper.join("touched"), "CONTENT").expect("written");
    set_mode(&upper.join("mode"), 0o600);
    fs::rename(upper.join("moved"), upper.join("to")).expect("renamed");
    fs::rename(upper.join("d"), upper.join("e")).expect("renamed");
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    let [first, second] = ["c1", "c2"].map(|name| sandbox.layers_of(name).expect("layers").remove(0));
    let shared = |before: &str, after: &str| inode(&first.join(before)) == inode(&second.join(after));
    assert!(shared("same", "same") && shared("link", "link"));
    assert!(shared("d/in", "e/in"), "its directory was renamed, not the file");
    assert!(!shared("grown", "grown") && !shared("touched", "touched") && !shared("mode", "mode"));
    assert_eq!(fs::read(second.join("touched")).expect("content"), b"CONTENT");
    assert_eq!(fs::metadata(first.join("mode")).expect("mode").mode() & 0o777, 0o644);
    assert_eq!(names(&first).len(), names(&second).len());
    // A third takes from the second, whose files may be those of the first.
    checkpoint_frozen(&mut sandbox, &[]);
    let third = sandbox.layers_of("c3").expect("layers").remove(0);
    assert_eq!(inode(&third.join("same")), inode(&first.join("same")));
    assert_eq!(inode(&third.join("grown")), inode(&second.join("grown")));
    assert_eq!(seen(&[third], &place.workspace), place.seen(&[upper]));
}

#[test]
fn what_may_have_changed_unseen_is_copied() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let upper = sandbox.upper();
    write(&upper, "old", "1");
    write(&upper, "d/mapped", "1");
    write(&upper, "d/numbered", "1");
    let inodes = vec![inode(&upper.join("d/numbered")), 1];
    let paths = ["d/mapped", "d/none", "none/at/all"].map(PathBuf::from).to_vec();
    tick();
    checkpoint_unseen(&mut sandbox, &Unseen { paths, inodes, ..Unseen::default() });
    checkpoint_frozen(&mut sandbox, &[]);
    let [first, second] = ["c1", "c2"].map(|name| sandbox.layers_of(name).expect("layers").remove(0));
    let shared = |name: &str| inode(&first.join(name)) == inode(&second.join(name));
    assert!(shared("old"), "what is not in `upper` is no reason to copy");
    assert!(!shared("d/mapped"), "a mapped file can change without its times");
    assert!(!shared("d/numbered"), "it is known by its number alone");
}

#[test]
fn where_it_is_not_known_what_may_change_unseen_everything_is_copied() {
    let others = Unseen { others: true, ..Unseen::default() };
    let under_way = Unseen { under_way: true, ..Unseen::default() };
    let unknown = ["../a", "d/../a", "nul\0", "."].map(|path| Unseen { paths: vec![path.into()], ..Unseen::default() });
    for unseen in [others, under_way].into_iter().chain(unknown) {
        let place = Place::new();
        let mut sandbox = place.new_sandbox();
        write(&sandbox.upper(), "a", "1");
        write(&sandbox.upper(), "d/b", "1");
        tick();
        checkpoint_frozen(&mut sandbox, &[]);
        checkpoint_unseen(&mut sandbox, &unseen);
        checkpoint_frozen(&mut sandbox, &[]);
        let [first, second, third] = ["c1", "c2", "c3"].map(|name| sandbox.layers_of(name).expect("layers").remove(0));
        assert_eq!(inode(&first.join("a")), inode(&second.join("a")), "they were watched since the first");
        assert_ne!(inode(&second.join("a")), inode(&third.join("a")), "{unseen:?}");
    }
}

#[test]
fn a_file_that_changes_twice_within_a_step_of_the_clock_is_copied() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    for round in 100..200 {
        for text in [format!("{round}"), format!("{}", round + 100)] {
            write(&sandbox.upper(), "f", &text);
            let taken = checkpoint_frozen(&mut sandbox, &[]);
            let tree = sandbox.layers_of(&taken.name).expect("layers").remove(0);
            assert_eq!(fs::read_to_string(tree.join("f")).expect("content"), text);
        }
    }
}

#[test]
fn in_memory_every_file_is_copied() {
    // There, a write to a mapped page need not move any time.
    let keep = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let base = keep.path().canonicalize().expect("its path");
    let workspace = base.join("project");
    fs::create_dir(&workspace).expect("a workspace");
    let sandboxes = crate::support::sandboxes(&base);
    let new = stockade_workspace::sandboxes::New {
        name: None,
        workspace: &workspace,
        settings: serde_json::Value::Null,
        once: false,
    };
    let mut sandbox = match sandboxes.create(new) {
        Ok(sandbox) => sandbox,
        // Linux before 6.6 has no attributes there.
        Err(error) => panic!("{error}"),
    };
    write(&sandbox.upper(), "a", "1");
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    checkpoint_frozen(&mut sandbox, &[]);
    let [first, second] = ["c1", "c2"].map(|name| sandbox.layers_of(name).expect("layers").remove(0));
    assert_ne!(inode(&first.join("a")), inode(&second.join("a")));
}

#[test]
fn a_file_that_can_have_no_more_names_is_copied() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let upper = sandbox.upper();
    write(&upper, "a", "1");
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    let first = sandbox.layers_of("c1").expect("c1").remove(0);
    // The most on ext4; where the file system allows more, it is linked once more.
    let aside = place.base.join("aside");
    fs::create_dir(&aside).expect("a directory");
    for number in 0..65_000 {
        if fs::hard_link(first.join("a"), aside.join(number.to_string())).is_err() {
            break;
        }
    }
    checkpoint_frozen(&mut sandbox, &[]);
    let second = sandbox.layers_of("c2").expect("c2").remove(0);
    assert_eq!(fs::read(second.join("a")).expect("content"), b"1");
}

#[test]
fn deep_and_closed_trees_arrive() {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let mut dir = fs::File::open(sandbox.upper()).map(std::os::fd::OwnedFd::from).expect("open");
    let name = "d".repeat(100);
    for _ in 0..200 {
        rustix::fs::mkdirat(&dir, name.as_str(), Mode::RWXU).expect("made");
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        dir = rustix::fs::openat(&dir, name.as_str(), flags, Mode::empty()).expect("opened");
    }
    drop(rustix::fs::openat(&dir, "deep", rustix::fs::OFlags::CREATE, Mode::RUSR).expect("a file"));
    rustix::fs::linkat(&dir, "deep", CWD, sandbox.upper().join("top"), rustix::fs::AtFlags::empty()).expect("a name");
    write(&sandbox.upper(), "closed/in/f", "secret");
    set_mode(&sandbox.upper().join("closed/in/f"), 0);
    set_mode(&sandbox.upper().join("closed/in"), 0);
    set_mode(&sandbox.upper().join("closed"), 0);
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    checkpoint_frozen(&mut sandbox, &[]);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("status").mode() & 0o7777;
    let trees = ["c1", "c2"].map(|name| sandbox.layers_of(name).expect("layers").remove(0));
    for tree in &trees {
        for path in ["closed", "closed/in"] {
            assert_eq!(mode(&tree.join(path)), 0);
            set_mode(&tree.join(path), 0o700);
        }
        assert_eq!(mode(&tree.join("closed/in/f")), 0);
        assert_eq!(fs::metadata(tree.join("top")).expect("top").nlink() % 2, 0, "two names in each layer");
    }
    for tree in &trees {
        set_mode(&tree.join("closed/in/f"), 0o400);
        assert_eq!(fs::read(tree.join("closed/in/f")).expect("content"), b"secret");
    }
    assert_eq!(fs::metadata(sandbox.upper().join("closed")).expect("closed").mode() & 0o7777, 0);
    place.sandboxes.remove("project-1").expect("removed");
    assert!(place.layers().is_empty());
}
