//! What is changed in a layer from outside is found.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use stockade_workspace::sandboxes::{At, Difference, Sandbox, SandboxError, Verified};

use crate::support::{Place, checkpoint, checkpoint_frozen, set_mode, tick, whiteout, write};

fn place() -> (Place, Sandbox) {
    let place = Place::new();
    let mut sandbox = place.new_sandbox();
    let upper = sandbox.upper();
    for path in ["a", "a-b", "a.d/x", "a.d/y/z", "b/c", "\u{1}"] {
        write(&upper, path, "text");
    }
    whiteout(&upper, "w");
    symlink("a", upper.join("link")).expect("a link");
    checkpoint(&mut sandbox);
    tick();
    (place, sandbox)
}

fn verify(sandbox: &Sandbox) -> Verified {
    let (id, _) = sandbox.digests().remove(0);
    sandbox.verify_layer(id).expect("compared")
}

fn changed(path: &str, what: &[&str]) -> Difference {
    Difference::Changed { path: path.into(), what: what.iter().map(ToString::to_string).collect() }
}

#[test]
fn an_untouched_layer_is_good() {
    let (place, mut sandbox) = place();
    assert_eq!(verify(&sandbox), Verified::default());
    let digest = sandbox.digests().remove(0).1;
    let listing = place.state().join("layers").join(&place.layers()[0]).join("listing.jsonl");
    let output = std::process::Command::new("sha256sum").arg(listing).output().expect("sha256sum");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&digest), "{digest}");
    // Nor does anything that is done with sandboxes touch it.
    write(&sandbox.upper(), "a", "2");
    tick();
    checkpoint_frozen(&mut sandbox, &[]);
    checkpoint_frozen(&mut sandbox, &[]);
    for number in 0..20 {
        write(&sandbox.upper(), "a", &number.to_string());
        checkpoint(&mut sandbox);
    }
    sandbox.lock().expect("locked").compact(None).expect("merged");
    place.sandboxes.fork("project-1", At::Now, Some("fork")).expect("a fork");
    sandbox.lock().expect("locked").restore("c3", None).expect("restored");
    sandbox.lock().expect("locked").forget("c2").expect("forgotten");
    place.sandboxes.remove("fork").expect("removed");
    place.sandboxes.tidy().expect("tidied");
    for (id, _) in sandbox.digests() {
        assert_eq!(sandbox.verify_layer(id).expect("compared"), Verified::default(), "{id}");
    }
}

#[test]
fn every_kind_of_change_is_found() {
    type Change = Box<dyn Fn(&std::path::Path)>;
    let added = |path: &str| Difference::Added { path: path.into() };
    let missing = |path: &str| Difference::Missing { path: path.into() };
    let cases: Vec<(Change, Vec<Difference>)> = vec![
        (
            Box::new(|tree| fs::write(tree.join("a"), "TEXT").expect("written")),
            vec![changed("a", &["modified", "changed"])],
        ),
        (
            Box::new(|tree| {
                // As it was, to the nanosecond, but for what `touch` cannot set.
                let before = fs::metadata(tree.join("a")).expect("times").modified().expect("a time");
                fs::write(tree.join("a"), "TEXT").expect("written");
                let file = fs::File::options().write(true).open(tree.join("a")).expect("open");
                file.set_modified(before).expect("touched");
            }),
            vec![changed("a", &["changed"])],
        ),
        (Box::new(|tree| set_mode(&tree.join("b/c"), 0o755)), vec![changed("b/c", &["mode", "changed"])]),
        (
            Box::new(|tree| fs::remove_file(tree.join("a.d/x")).expect("removed")),
            vec![changed("a.d", &["modified", "changed"]), missing("a.d/x")],
        ),
        (
            Box::new(|tree| write(tree, "a.d/y/~", "1")),
            vec![changed("a.d/y", &["modified", "changed"]), added("a.d/y/~")],
        ),
        (
            Box::new(|tree| fs::rename(tree.join("a"), tree.join("zz")).expect("renamed")),
            vec![changed("", &["modified"]), missing("a"), added("zz")],
        ),
        (
            Box::new(|tree| {
                rustix::fs::setxattr(tree.join("b"), "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
                    .expect("a mark");
            }),
            vec![changed("b", &["changed"])],
        ),
    ];
    for (change, expected) in cases {
        let (_place, mut sandbox) = place();
        let tree = sandbox.under().remove(0);
        change(&tree);
        assert_eq!(verify(&sandbox).differences, expected);
        drop(sandbox.lock());
    }
}

#[test]
fn a_listing_that_was_changed_with_its_layer_is_found() {
    let (place, sandbox) = place();
    let layer = place.state().join("layers").join(&place.layers()[0]);
    let listing = layer.join("listing.jsonl");
    let good = fs::read_to_string(&listing).expect("a listing");
    let check = |text: &str, expected: &str| {
        fs::write(&listing, text).expect("written");
        let verified = verify(&sandbox);
        assert!(
            matches!(verified.differences.last(), Some(Difference::Listing { what }) if what.contains(expected)),
            "{verified:?}"
        );
    };
    let line = good.lines().last().expect("a line");
    check(&good.replace(line, ""), "");
    check(&format!("{good}\n{line}"), "");
    check(&good[..good.len() - 9], "EOF");
    let mode = good.replacen("420", "493", 1);
    set_mode(&layer.join("tree").join(PathBuf::from("\u{1}")), 0o755);
    fs::write(&listing, mode).expect("written");
    let verified = verify(&sandbox);
    assert!(matches!(verified.differences.last(), Some(Difference::Listing { .. })), "{verified:?}");
    fs::remove_file(&listing).expect("removed");
    assert!(matches!(verify(&sandbox).differences[..], [Difference::Listing { .. }]));
}

#[test]
fn only_layers_of_the_sandbox_are_compared() {
    let (place, sandbox) = place();
    let other = place.new_sandbox();
    let (id, _) = sandbox.digests().remove(0);
    assert!(matches!(other.verify_layer(id), Err(SandboxError::UnknownLayer { .. })));
}

#[test]
fn differences_are_told_up_to_a_bound() {
    let (_place, sandbox) = place();
    let tree = sandbox.under().remove(0);
    for number in 0..1500 {
        fs::write(tree.join(format!("n{number}")), "").expect("a file");
    }
    let verified = verify(&sandbox);
    assert_eq!((verified.count, verified.differences.len()), (1501, 1000));
    assert!(!verified.is_good());
}
