//! The key is made once, and used only where nobody else can get at it.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use stockade_workspace::StateDirectory;
use stockade_workspace::record::{Key, KeyError};

struct Keys {
    keep: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        Self { keep: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> StateDirectory {
        StateDirectory::new(&self.keep.path().join("a/state")).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.state().path().join("key")
    }

    fn load(&self) -> Result<Key, KeyError> {
        Key::load_or_create(&self.state())
    }
}

#[test]
fn it_is_made_on_first_use_and_stays() {
    let keys = Keys::new();
    assert!(Key::load(&keys.state()).unwrap().is_none());
    assert!(!keys.state().path().exists());
    let public = keys.load().unwrap().public();
    assert_eq!(keys.load().unwrap().public(), public);
    assert_eq!(Key::load(&keys.state()).unwrap().unwrap().public(), public);
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(fs::metadata(keys.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(keys.state().path()).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::read_dir(keys.state().path()).unwrap().count(), 1);
    let secret = fs::read_to_string(keys.file()).unwrap();
    assert!(!format!("{:?}", keys.load().unwrap()).contains(&secret[15..79]));
}

#[test]
fn many_at_once_get_the_same() {
    let keys = Keys::new();
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| keys.load().unwrap().public())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|public| *public == made[0]));
    assert_eq!(fs::read_dir(keys.state().path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_key_is_never_overwritten() {
    for text in ["", "stockade-key-1 00\n", &format!("stockade-key-1 {}\n", "0".repeat(64)), &"x".repeat(10_000)] {
        let keys = Keys::new();
        fs::create_dir_all(keys.state().path()).unwrap();
        fs::write(keys.file(), text).unwrap();
        fs::set_permissions(keys.file(), Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(keys.load(), Err(KeyError::Content { .. })), "{text:?}");
        assert_eq!(fs::read_to_string(keys.file()).unwrap(), text);
    }
}

#[test]
fn a_key_that_others_can_get_at_is_not_used() {
    let keys = Keys::new();
    keys.load().unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602] {
        fs::set_permissions(keys.file(), Permissions::from_mode(mode)).unwrap();
        assert!(matches!(keys.load(), Err(KeyError::Mode { mode: found, .. }) if found == mode));
    }
    fs::set_permissions(keys.file(), Permissions::from_mode(0o400)).unwrap();
    keys.load().unwrap();
    fs::set_permissions(keys.state().path(), Permissions::from_mode(0o722)).unwrap();
    assert!(matches!(keys.load(), Err(KeyError::Mode { .. })));
}

#[test]
fn a_key_of_somebody_else_is_not_used() {
    let keys = Keys::new();
    keys.load().unwrap();
    if std::os::unix::fs::chown(keys.file(), Some(12_345), None).is_err() {
        // Past the capture of what tests print.
        drop(writeln!(std::io::stdout(), "\nnot run: a key of somebody else (needs root, to give a file away)"));
        return;
    }
    assert!(matches!(keys.load(), Err(KeyError::Owner { owner: 12_345, .. })));
}

#[test]
fn links_and_other_files_are_not_followed() {
    let (real, keys) = (Keys::new(), Keys::new());
    real.load().unwrap();
    fs::create_dir_all(keys.state().path()).unwrap();
    symlink(real.file(), keys.file()).unwrap();
    assert!(matches!(keys.load(), Err(KeyError::Kind { .. })));
    fs::remove_file(keys.file()).unwrap();
    fs::create_dir(keys.file()).unwrap();
    assert!(matches!(keys.load(), Err(KeyError::Kind { .. })));
    fs::remove_dir(keys.file()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, keys.file(), rustix::fs::Mode::RWXU).unwrap();
    assert!(matches!(keys.load(), Err(KeyError::Kind { .. })));
    let linked = Keys::new();
    fs::create_dir(linked.keep.path().join("a")).unwrap();
    symlink(real.state().path(), linked.state().path()).unwrap();
    assert!(matches!(linked.load(), Err(KeyError::Io { .. })));
}
