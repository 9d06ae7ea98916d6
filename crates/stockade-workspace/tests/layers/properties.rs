//! Random work in a real overlay.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use stockade_workspace::layers::{Change, Kind, Stack, Status, merge};

use crate::operation::operations;
use crate::tree::{self, timeless};
use crate::written::{Written, cases, write};

/// Makes the workspace what the sandbox sees, in the plainest way.
fn apply(written: &Written, stack: &Stack, changes: &[Change], to: &Path) -> io::Result<()> {
    let replaced = |status| matches!(status, Status::Deleted | Status::TypeChanged);
    for change in changes.iter().rev().filter(|change| replaced(change.status)) {
        let path = to.join(&change.path);
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path))?;
    }
    for change in changes {
        let path = to.join(&change.path);
        let Some(new) = change.new.filter(|_| change.status != Status::Attributes) else { continue };
        match new.kind {
            Kind::Directory => fs::create_dir(&path)?,
            Kind::Symlink => {
                drop(fs::remove_file(&path));
                symlink(std::ffi::OsStr::from_bytes(stack.read_link(change).expect("text").as_bytes()), &path)?;
            }
            Kind::File => {
                // It may be a further name of a file that is to stay.
                drop(fs::remove_file(&path));
                let mut content = fs::File::from(stack.open_new(change).expect("content"));
                io::copy(&mut content, &mut fs::File::create(&path)?)?;
            }
            Kind::Fifo => rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0)?,
            Kind::Socket | Kind::Device => panic!("{change:?}"),
        }
    }
    for change in changes {
        let Some(new) = change.new.filter(|new| new.kind != Kind::Symlink) else { continue };
        let path = to.join(&change.path);
        if matches!(new.kind, Kind::File | Kind::Directory) {
            for (name, _) in tree::attributes(&path) {
                rustix::fs::lremovexattr(&path, &name)?;
            }
            let layer = &written.job.layers[change.layer.expect("a layer")];
            for (name, value) in tree::attributes(&layer.join(&change.path)) {
                rustix::fs::lsetxattr(&path, &name, &value, XattrFlags::empty())?;
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(new.mode))?;
    }
    Ok(())
}

/// No change names what is equal, and all are in order.
fn check_each(written: &Written, changes: &[Change]) {
    assert!(changes.windows(2).all(|pair| pair[0].path < pair[1].path), "order: {changes:?}");
    let host = timeless(tree::read(&written.job.workspace));
    let seen = timeless(written.seen.clone());
    for change in changes {
        let path = change.path.as_os_str().as_bytes();
        let (old, new) = (host.get(path), seen.get(path));
        assert_eq!((old.is_some(), new.is_some()), (change.old.is_some(), change.new.is_some()), "{change:?}");
        assert_ne!(old, new, "{change:?}");
        if let (Some(old), Some(new)) = (old, new) {
            let kinds = (old.mode & 0o170_000) == (new.mode & 0o170_000);
            let expected = match (kinds, old.content == new.content) {
                (false, _) => Status::TypeChanged,
                (true, false) => Status::Modified,
                (true, true) => Status::Attributes,
            };
            assert_eq!(change.status, expected, "{change:?}");
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    /// What is reported, applied to a copy of the workspace, gives the tree that overlayfs shows.
    #[test]
    fn changes_lead_from_the_host_to_the_sandbox(
        host in operations(5..50),
        layers in prop::collection::vec(operations(0..25), 1..4),
    ) {
        let written = write(&host, &layers);
        let (stack, found) = written.changes();
        check_each(&written, &found);
        let copy = written.copy();
        apply(&written, &stack, &found, &copy).expect("applied");
        let mut result = timeless(tree::read(&copy));
        // The workspace's own directory is not what a sandbox changes.
        result.remove(&b""[..]);
        prop_assert_eq!(result, timeless(written.seen.clone()));
    }

    /// Two layers that are merged show what they showed before, between any others: to overlayfs, with times and all.
    #[test]
    fn merged_layers_show_the_same(
        host in operations(5..40),
        layers in prop::collection::vec(operations(0..20), 2..5),
        at in any::<prop::sample::Index>(),
    ) {
        let mut written = write(&host, &layers);
        let before = written.changes().1;
        let newer = at.index(layers.len() - 1);
        let into = written.base.path().join("merged");
        fs::create_dir(&into).expect("a directory");
        let open = |path: &Path| fs::File::open(path).expect("a directory");
        let pair = (open(&written.job.layers[newer + 1]), open(&written.job.layers[newer]));
        use std::os::fd::AsFd;
        merge(pair.0.as_fd(), pair.1.as_fd(), open(&into).as_fd()).expect("merged");
        written.job.layers.splice(newer..=newer + 1, [into]);
        let seen = written.job.run();
        prop_assert_eq!(&seen, &written.seen);
        let forget = |changes: Vec<Change>| -> Vec<_> {
            changes.into_iter().map(|change| (change.path, change.status)).collect()
        };
        prop_assert_eq!(forget(written.changes().1), forget(before));
    }
}
