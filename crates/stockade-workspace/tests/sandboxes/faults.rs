//! The process is killed between any two steps of a change: afterwards the state is the one before or the one after, whatever
//! was reported exists and shows what it showed, nothing is left lying about, and a second try completes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use stockade_workspace::fault;
use stockade_workspace::sandboxes::{At, New, Sandbox, SandboxError, Sandboxes};

use crate::support::{Place, Seen, checkpoint, checkpoint_frozen, names, seen, set_mode, tick, whiteout, write};

const BASE: &str = "SANDBOXES_TEST_FAULT_BASE";
const CHANGE: &str = "SANDBOXES_TEST_FAULT_CHANGE";
const PLACE: &str = "SANDBOXES_TEST_FAULT_PLACE";

/// More places than any change has.
const MANY: u32 = 200;

/// A change to a state that [`World::new`] has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Create,
    Checkpoint,
    CheckpointClosed,
    CheckpointFrozen,
    Restore,
    RestoreUnchanged,
    Discard,
    ForkNow,
    ForkAt,
    Forget,
    Compact,
    Remove,
    Preserve,
    PreserveAgain,
    NoteBases,
}

const ALL: [Change; 15] = [
    Change::Create,
    Change::Checkpoint,
    Change::CheckpointClosed,
    Change::CheckpointFrozen,
    Change::Restore,
    Change::RestoreUnchanged,
    Change::Discard,
    Change::ForkNow,
    Change::ForkAt,
    Change::Forget,
    Change::Compact,
    Change::Remove,
    Change::Preserve,
    Change::PreserveAgain,
    Change::NoteBases,
];

fn name_of(change: Change) -> String {
    format!("{change:?}")
}

/// A sandbox with a past, and another that shares it.
struct World {
    place: Place,
    /// What its checkpoints show.
    checkpoints: Vec<(String, Seen)>,
    now: Seen,
}

impl World {
    fn new(change: Change) -> Self {
        let place = Place::new();
        place.host("changed", "host");
        place.host("gone/x", "host");
        tick();
        let mut sandbox = place.create(Some("one")).expect("a sandbox");
        write(&sandbox.upper(), "first", "1");
        set_mode(&sandbox.upper(), 0o711);
        checkpoint(&mut sandbox);
        place.sandboxes.fork("one", At::Now, Some("other")).expect("a fork");
        write(&sandbox.upper(), "changed", "2");
        set_mode(&sandbox.upper(), 0o755);
        whiteout(&sandbox.upper(), "gone");
        checkpoint(&mut sandbox);
        if change == Change::Compact {
            for number in 0..13 {
                write(&sandbox.upper(), &format!("d/{number}"), "x");
                checkpoint(&mut sandbox);
            }
        }
        if change != Change::RestoreUnchanged {
            write(&sandbox.upper(), "changed", "3");
            write(&sandbox.upper(), "e/new", "3");
            tick();
        }
        if change == Change::CheckpointFrozen {
            checkpoint_frozen(&mut sandbox, &[]);
            write(&sandbox.upper(), "changed", "4");
        }
        if change == Change::PreserveAgain {
            preserve(&mut sandbox, &place.workspace, "gone/x").expect("an apply");
        }
        if change == Change::CheckpointClosed {
            set_mode(&sandbox.upper(), 0o011);
        }
        let shown = |name: String| {
            let seen = place.seen(&sandbox.layers_of(&name).expect("layers"));
            (name, seen)
        };
        let checkpoints = sandbox.log().into_iter().map(|branch| shown(branch.checkpoint.name)).collect();
        let now = now(&place, &sandbox);
        Self { place, checkpoints, now }
    }

    /// Has the change made by a process that ends at a place; gives whether it ended there.
    fn killed(&self, change: Change, place: u32) -> bool {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "faults::child", "--nocapture"])
            .env(BASE, &self.place.base)
            .env(CHANGE, name_of(change))
            .env(PLACE, place.to_string())
            .output()
            .expect("a process");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let killed = output.status.signal() == Some(9);
        assert!(killed || output.status.success() && text.contains("1 passed"), "{change:?} {place}: {text}");
        killed
    }

    fn open(&self, name: &str) -> Result<Sandbox, SandboxError> {
        let mut sandbox = self.place.sandboxes.open(name)?;
        drop(sandbox.lock()?);
        Ok(sandbox)
    }

    /// Every checkpoint that was reported is there.
    fn check_checkpoints(&self, sandbox: &Sandbox, but: &[&str]) {
        for (name, seen) in self.checkpoints.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
            let layers = sandbox.layers_of(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(&self.place.seen(&layers), seen, "{name}");
        }
    }

    /// Nothing is left that no sandbox names, and no layer was touched.
    fn check_disk(&self) {
        let mut named = BTreeSet::new();
        for name in names(&self.place.state().join("sandboxes")) {
            let sandbox = self.open(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
            for (id, _) in sandbox.digests() {
                named.insert(id.to_string());
                let verified = sandbox.verify_layer(id).expect("compared");
                assert!(verified.is_good(), "{name} {id}: {verified:?}");
            }
            let known = ["bases", "lock", "old", "sandbox.json", "since", "supervisor", "upper", "work"];
            let left: Vec<_> =
                names(sandbox.path()).into_iter().filter(|name| !known.contains(&name.as_str())).collect();
            assert!(left.is_empty(), "{name}: {left:?}");
        }
        assert_eq!(self.place.layers(), named.into_iter().collect::<Vec<_>>());
        for id in self.place.layers() {
            let files = names(&self.place.state().join("layers").join(id));
            let known = ["bases", "linked", "listing.jsonl", "tree"];
            assert!(files.iter().all(|file| known.contains(&file.as_str())), "{files:?}");
        }
    }
}

fn now(place: &Place, sandbox: &Sandbox) -> Seen {
    let mut seen = place.seen(&sandbox.layers());
    let root = std::os::unix::fs::MetadataExt::mode(&fs::metadata(sandbox.upper()).expect("upper"));
    seen.insert(String::new(), format!("{:o}", root & 0o7777));
    seen
}

/// Makes the change. What it returns is `Ok` as well when an earlier try has made it.
fn make(change: Change, sandboxes: &Sandboxes, workspace: &Path) -> Result<(), SandboxError> {
    let mut open = sandboxes.open("one");
    let one = || sandboxes.open("one");
    match change {
        Change::Create => {
            let new = New { name: Some("new"), workspace, settings: serde_json::Value::Null, once: false };
            sandboxes.create(new).map(drop)
        }
        Change::Checkpoint | Change::CheckpointClosed => {
            checkpoint(open.as_mut().expect("opened"));
            Ok(())
        }
        Change::CheckpointFrozen => {
            checkpoint_frozen(open.as_mut().expect("opened"), &[]);
            Ok(())
        }
        Change::Restore | Change::RestoreUnchanged => one()?.lock()?.restore("c1", None).map(drop),
        Change::Discard => one()?.lock()?.discard(None).map(drop),
        Change::ForkNow => sandboxes.fork("one", At::Now, Some("new")).map(drop),
        Change::ForkAt => sandboxes.fork("one", At::Checkpoint("c1"), Some("new")).map(drop),
        Change::Forget => one()?.lock()?.forget("c2"),
        Change::Compact => one()?.lock()?.compact(None).map(drop),
        Change::Remove => sandboxes.remove("one"),
        Change::Preserve | Change::PreserveAgain => preserve(&mut one()?, workspace, "changed"),
        Change::NoteBases => one()?.lock()?.note_bases(),
    }
}

/// An apply of one path, begun or gone on with.
fn preserve(sandbox: &mut Sandbox, workspace: &Path, path: &str) -> Result<(), SandboxError> {
    let mut locked = sandbox.lock()?;
    let (old, file) = (locked.path().join("old"), workspace.join(path));
    fs::create_dir_all(old.join(path).parent().expect("a parent")).expect("a tree");
    if fs::read_to_string(&file).is_ok_and(|text| text == "host") {
        fs::rename(&file, old.join(path)).expect("moved");
    }
    fault::place();
    write(workspace, path, "applied");
    fault::place();
    let preserving = locked.preserve()?;
    if old.join(path).exists() {
        preserving.adopt(&old)?;
    }
    locked.finish_preserving(preserving, [(PathBuf::from(path), None)])?;
    drop(fs::remove_dir_all(&old));
    Ok(())
}

/// Does nothing but when [`World::killed`] starts it.
#[test]
fn child() {
    let (Some(base), Ok(wanted), Ok(place)) = (std::env::var_os(BASE), std::env::var(CHANGE), std::env::var(PLACE))
    else {
        return;
    };
    let change = ALL.into_iter().find(|change| name_of(*change) == wanted).expect("a change");
    let base = PathBuf::from(base);
    let sandboxes = crate::support::sandboxes(&base);
    fault::arm(place.parse().expect("a number"));
    make(change, &sandboxes, &base.join("project")).expect("made");
}

/// Kills the change at every place, and looks what is found afterwards.
fn at_every_place(change: Change) {
    for place in 0..MANY {
        let world = World::new(change);
        if !world.killed(change, place) {
            assert!(place > 0, "{change:?} passes no place");
            check(&world, change, true);
            return;
        }
        // Whoever comes first puts it in order.
        if place % 2 == 0 {
            let tidied = world.place.sandboxes.tidy().expect("tidied");
            assert!(tidied.failures.is_empty(), "{change:?} {place}: {tidied:?}");
        }
        check(&world, change, false);
        match make(change, &world.place.sandboxes, &world.place.workspace) {
            Ok(()) => {}
            Err(SandboxError::Exists(_) | SandboxError::Unknown { .. } | SandboxError::UnknownCheckpoint { .. }) => {}
            Err(error) => panic!("{change:?} {place}: {error}"),
        }
        check(&world, change, true);
        let tidied = world.place.sandboxes.tidy().expect("tidied");
        assert!(tidied.failures.is_empty(), "{change:?} {place}: {tidied:?}");
        world.check_disk();
        check(&world, change, true);
    }
    panic!("{change:?} never ended");
}

/// The state is the one before or the one after; `done` when it has to be the latter.
fn check(world: &World, change: Change, done: bool) {
    let place = &world.place;
    let exists = |name: &str| names(&place.state().join("sandboxes")).contains(&name.to_owned());
    let other = world.open("other").expect("opened");
    assert_eq!(seen(&other.layers(), &place.workspace)["first"], "1");
    if change == Change::Remove {
        assert!(!(done && exists("one")));
        if !exists("one") {
            return;
        }
    }
    let one = world.open("one").expect("opened");
    if matches!(change, Change::Preserve | Change::PreserveAgain) && !done {
        // Between the host's change and its end, an apply is gone on with before anything else is done.
        return;
    }
    world.check_checkpoints(&one, if change == Change::Forget { &["c2"] } else { &[] });
    let (found, count) = (now(place, &one), one.log().len() - world.checkpoints.len().min(one.log().len()));
    let mut after = world.now.clone();
    match change {
        Change::Restore | Change::RestoreUnchanged => {
            after = world.checkpoints[0].1.clone();
            after.insert(String::new(), "711".to_owned());
            let kept = one.log().into_iter().filter(|branch| branch.checkpoint.automatic).count();
            assert_eq!(kept, usize::from(change == Change::Restore && found == after), "{change:?}");
        }
        Change::Discard => {
            after = place.seen(&[]);
            after.insert(String::new(), found[""].clone());
        }
        Change::Create | Change::ForkNow | Change::ForkAt => {
            assert!(!done || exists("new"));
            if exists("new") {
                let new = world.open("new").expect("opened");
                let expected = match change {
                    Change::Create => place.seen(&[]),
                    Change::ForkNow => place.seen(&one.layers()),
                    _ => world.checkpoints[0].1.clone(),
                };
                assert_eq!(place.seen(&new.layers()), expected, "{change:?}");
            }
        }
        Change::Compact => assert!(!done || one.under().len() == 12),
        Change::Forget => assert!(!done || one.find("c2").is_err()),
        _ => {}
    }
    assert!(found == after || (!done && found == world.now), "{change:?} {done}: {found:?}");
    if done && matches!(change, Change::Checkpoint | Change::CheckpointClosed | Change::CheckpointFrozen) {
        assert!(count > 0, "{change:?}");
        let head = one.head().expect("a checkpoint");
        let mut shown = place.seen(&one.layers_of(&head.name).expect("layers"));
        shown.insert(String::new(), world.now[""].clone());
        assert_eq!(shown, world.now);
    }
}

macro_rules! faults {
    ($($test:ident: $change:ident,)*) => {
        $(#[test]
        fn $test() {
            at_every_place(Change::$change);
        })*
    };
}

faults! {
    create: Create,
    checkpoint_stopped: Checkpoint,
    checkpoint_of_a_closed_root: CheckpointClosed,
    checkpoint_while_programs_run: CheckpointFrozen,
    restore: Restore,
    restore_without_changes: RestoreUnchanged,
    discard: Discard,
    fork_now: ForkNow,
    fork_at_a_checkpoint: ForkAt,
    forget: Forget,
    compact: Compact,
    remove: Remove,
    preserve_for_an_apply: Preserve,
    preserve_for_another_apply: PreserveAgain,
    note_bases: NoteBases,
}
