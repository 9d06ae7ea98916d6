//! Ways through a copy-on-write layer to what lies below: what is made inside has another meaning once it is applied.
//!
//! Made by the test target `sandboxes`, in a sandbox that lasts, whose changes are applied afterwards. That target makes the
//! attacks of the other families in the same way.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::files::{append, exists, overwrite};
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Proof, Trace};
use crate::scene::{CANARY, Scene, named, put};
use crate::sys::{self, Arg};

const TIER: &str = "a sandbox that lasts needs overlayfs, which this tier cannot mount";

/// What all of them have.
const BASE: Attack = Attack { landlock: Landlock::NotApplicable(TIER), ..Attack::BASE };

/// The attacks.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "applied-below-link",
        techniques: &[1, 14, 16],
        about: "Put a link to a directory outside in the place of a directory, and have files applied below it.",
        prepare: |scene| Ok(put(&scene.workspace().join("dir/victim.txt"), "work\n")?),
        attempt: |scene| {
            let dir = scene.workspace().join("dir");
            overwrite(&dir.join("victim.txt"))?;
            fs::remove_dir_all(&dir)?;
            symlink(scene.outside(), &dir)?;
            overwrite(&dir.join("victim.txt"))
        },
        proof: Proof::Host(|scene| differs(&scene.outside().join("victim.txt"), CANARY)),
        trace: Trace::Silent("what was written went to a directory of the sandbox's own"),
        ..BASE
    },
    Attack {
        name: "applied-by-hard-link",
        techniques: &[2, 14, 18],
        about: "Give the repository's configuration a harmless name as well, by a hard link, and change it by that.",
        attempt: |scene| {
            let (config, alias) = (scene.workspace().join(".git/config"), scene.workspace().join("notes"));
            fs::hard_link(&config, &alias).map_err(|error| named(&config, &error))?;
            append(&alias, &format!("[core]\n\tfsmonitor = touch {}\n", scene.fired().display()))
        },
        proof: Proof::Host(|scene| {
            scene.git(&scene.workspace(), &["status"]).map_err(Failed::untried)?;
            exists(&scene.fired())
        }),
        trace: Trace::Event(&[Event("held_back", "", ".git/config")]),
        ..BASE
    },
    Attack {
        name: "applied-removal-of-configuration",
        techniques: &[14, 18],
        about: "Remove the repository's configuration, which then no longer says what the person had it say.",
        attempt: |scene| {
            let config = scene.workspace().join(".git/config");
            fs::remove_file(&config).map_err(|error| named(&config, &error).into())
        },
        proof: Proof::Host(|scene| is_gone(&scene.workspace().join(".git/config"))),
        trace: Trace::Event(&[Event("held_back", "", ".git/config")]),
        ..BASE
    },
    Attack {
        name: "forged-whiteout",
        techniques: &[12, 14],
        about: "Make the device that overlayfs takes for a removal, in the place of a file of the host's.",
        attempt: |scene| {
            let config = scene.workspace().join(".git/config");
            fs::rename(&config, scene.workspace().join("kept")).map_err(|error| named(&config, &error))?;
            whiteout(&config)
        },
        proof: Proof::Host(|scene| is_gone(&scene.workspace().join(".git/config"))),
        trace: Trace::Event(&[Event("held_back", "", ".git/config")]),
        ..BASE
    },
    Attack {
        name: "forged-overlay-marks",
        techniques: &[14],
        about: "Set the attributes by which overlayfs hides, redirects and replaces what lies below.",
        prepare: |scene| Ok(put(&scene.workspace().join("dir/kept"), "work\n")?),
        attempt: |scene| {
            let dir = scene.workspace().join("dir");
            for prefix in ["user.overlay.", "trusted.overlay."] {
                for (name, value) in MARKS {
                    // Each of them that is refused leaves the others.
                    drop(mark(&dir, &format!("{prefix}{name}"), value));
                    drop(mark(&scene.workspace(), &format!("{prefix}{name}"), value));
                    drop(mark(&scene.workspace().join("README"), &format!("{prefix}{name}"), value));
                }
            }
            Ok(())
        },
        proof: Proof::Host(|scene| {
            let kept = fs::read(scene.workspace().join("dir/kept")).is_ok_and(|text| text == b"work\n");
            let read = fs::read(scene.workspace().join("README")).is_ok_and(|text| text == b"work\n");
            if kept && read { Err(Failed::refused("everything is there")) } else { Ok(()) }
        }),
        native: Native::Refused("they mean something to overlayfs alone"),
        trace: Trace::Silent("overlayfs shows no attribute of its own, and takes none from inside"),
        ..BASE
    },
    Attack {
        name: "applied-devices",
        techniques: &[12, 14],
        about: "Leave device nodes and FIFOs in the place of files that the host's tools read.",
        attempt: |scene| {
            let readme = scene.workspace().join("README");
            fs::remove_file(&readme).map_err(|error| named(&readme, &error))?;
            device(&readme, (1, 3))
        },
        proof: Proof::Host(|scene| {
            let found = fs::symlink_metadata(scene.workspace().join("README"))?;
            let device = found.mode() & 0o170_000 == 0o020_000;
            if device { Ok(()) } else { Err(Failed::refused("it is no device")) }
        }),
        native: Native::NeedsRoot,
        trace: Trace::Silent("no device can be made inside"),
        ..BASE
    },
    Attack {
        name: "state-of-the-sandbox",
        techniques: &[14, 90],
        about: "Change the sandbox's own layers, record and settings, where the state directory is.",
        prepare: |scene| Ok(put(&state(scene).join("victim"), CANARY)?),
        attempt: |scene| overwrite(&state(scene).join("victim")),
        proof: Proof::Host(|scene| differs(&state(scene).join("victim"), CANARY)),
        trace: Trace::Silent("home is another directory, which is empty"),
        ..BASE
    },
    Attack {
        name: "settings-for-the-next-start",
        techniques: &[14, 90],
        about: "Leave a policy in the workspace that opens more for the next sandbox there.",
        attempt: |scene| {
            Ok(put(&scene.workspace().join(".stockade.toml"), "version = 1\n[filesystem]\nwrite = [\"/\"]\n")?)
        },
        proof: Proof::Host(|scene| exists(&scene.workspace().join(".stockade.toml"))),
        trace: Trace::Event(&[Event("held_back", "", ".stockade.toml")]),
        ..BASE
    },
];

/// Attributes of overlayfs, with values that have effects (`Documentation/filesystems/overlayfs.rst`).
const MARKS: &[(&str, &[u8])] = &[
    ("opaque", b"y"),
    ("opaque", b"x"),
    ("whiteout", b""),
    ("redirect", b"/../../outside"),
    ("metacopy", b""),
    ("origin", b"\0"),
    ("impure", b"y"),
];

fn state(scene: &Scene) -> std::path::PathBuf {
    scene.home().join(".local/state/stockade")
}

fn differs(path: &Path, start: &str) -> Attempt {
    let text = fs::read(path).map_err(|error| named(path, &error))?;
    if text.starts_with(start.as_bytes()) {
        return Err(Failed::refused(format!("{} is as it was", path.display())));
    }
    Ok(())
}

/// Whether there is no regular file any more.
fn is_gone(path: &Path) -> Attempt {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return Err(Failed::refused(format!("{} is there", path.display())));
    }
    Ok(())
}

fn whiteout(path: &Path) -> Attempt {
    device(path, (0, 0))
}

fn device(path: &Path, (major, minor): (u32, u32)) -> Attempt {
    let text = CString::new(path.as_os_str().as_bytes()).map_err(Failed::untried)?;
    let mode = i64::from(libc::S_IFCHR | 0o666);
    let number = i64::try_from(libc::makedev(major, minor)).map_err(Failed::untried)?;
    let at = i64::from(libc::AT_FDCWD);
    let mut words = [Arg::Number(at), Arg::Text(&text), Arg::Number(mode), Arg::Number(number)];
    sys::call(libc::SYS_mknodat, &mut words).map(drop).map_err(|error| named(path, &error).into())
}

fn mark(path: &Path, name: &str, value: &[u8]) -> Attempt {
    let text = CString::new(path.as_os_str().as_bytes()).map_err(Failed::untried)?;
    let name = CString::new(name).map_err(Failed::untried)?;
    let length = i64::try_from(value.len()).map_err(Failed::untried)?;
    let mut words = [Arg::Text(&text), Arg::Text(&name), Arg::In(value), Arg::Number(length), Arg::Null];
    sys::call(libc::SYS_setxattr, &mut words).map(drop).map_err(|error| named(path, &error).into())
}
