//! Entry points of the kernel, mounts and namespaces, and what administers the machine.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::any;
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Trace, Users};
use crate::scene::{Scene, named, read_canary};
use crate::sys::{self, Arg};

const NEW_USER: i64 = libc::CLONE_NEWUSER as i64;
const NEW_USER_AND_MOUNTS: i64 = NEW_USER | libc::CLONE_NEWNS as i64;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "new-user-namespace",
        techniques: &[39],
        about: "Make a user namespace, in which every capability is one's own.",
        attempt: |_| Ok(sys::call(libc::SYS_unshare, &mut [Arg::Number(NEW_USER)]).map(drop)?),
        native: Native::WhereAvailable("some machines refuse user namespaces"),
        trace: Trace::Event(&[Event("system-calls", "unshare", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "mount-in-own-namespace",
        techniques: &[13],
        about: "Mount over a secret's directory, and a directory over another, in namespaces of one's own.",
        attempt: |scene| {
            let entered = sys::call(libc::SYS_unshare, &mut [Arg::Number(NEW_USER_AND_MOUNTS)]).map(drop);
            let target = text(&scene.workspace())?;
            let mut arguments = [Arg::Text(c"none"), Arg::Text(&target), Arg::Text(c"tmpfs"), Arg::Null, Arg::Null];
            let mounted = sys::call(libc::SYS_mount, &mut arguments).map(drop);
            entered.and(mounted).map_err(Failed::from)
        },
        native: Native::WhereAvailable("some machines refuse user namespaces"),
        trace: Trace::Event(&[Event("system-calls", "unshare", ""), Event("system-calls", "mount", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "unmount-everything",
        techniques: &[13],
        about: "Take away the mounts on top, from the last to the root, to find the host's files below them.",
        attempt: |scene| {
            drop(sys::call(libc::SYS_unshare, &mut [Arg::Number(NEW_USER_AND_MOUNTS)]));
            let table = std::fs::read_to_string("/proc/self/mounts")?;
            let points = table.lines().rev().filter_map(|line| line.split(' ').nth(1));
            for point in points.filter_map(|point| CString::new(point).ok()) {
                drop(sys::call(libc::SYS_umount2, &mut [Arg::Text(&point), Arg::Number(libc::MNT_DETACH.into())]));
            }
            drop(sys::call(libc::SYS_chroot, &mut [Arg::Text(c"..")]));
            read_canary(&scene.outside().join("canary.txt"))
        },
        // Natively as root this would take the machine's own mounts away.
        native: Native::NotRun("it would take the machine's own mounts away"),
        trace: Trace::Event(&[Event("system-calls", "umount2", ""), Event("system-calls", "chroot", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "remount-writable",
        techniques: &[13, 17],
        about: "Remount what is read-only for writing, by mount and by mount_setattr.",
        attempt: |_| {
            let flags = i64::try_from(libc::MS_REMOUNT | libc::MS_BIND).map_err(Failed::untried)?;
            let old = sys::call(
                libc::SYS_mount,
                &mut [Arg::Null, Arg::Text(c"/usr"), Arg::Null, Arg::Number(flags), Arg::Null],
            );
            // `struct mount_attr`: set nothing, clear MOUNT_ATTR_RDONLY.
            let attributes: Vec<u8> = [0_u64, 1, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
            let here = Arg::Number(libc::AT_FDCWD.into());
            let mut arguments = [here, Arg::Text(c"/usr"), Arg::Null, Arg::In(&attributes), Arg::Number(32)];
            let new = sys::call(libc::SYS_mount_setattr, &mut arguments);
            any([old, new].map(|result| result.map(drop).map_err(Failed::from)))
        },
        native: Native::NotRun("it would change the machine's own mounts"),
        trace: Trace::Event(&[Event("system-calls", "mount", ""), Event("system-calls", "mount_setattr", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "new-mount-interface",
        techniques: &[13],
        about: "Make mounts by fsopen, open_tree, move_mount and pivot_root.",
        attempt: |scene| {
            let (here, workspace) = (Arg::Number(libc::AT_FDCWD.into()), text(&scene.workspace())?);
            let opened = sys::descriptor(libc::SYS_fsopen, &mut [Arg::Text(c"tmpfs"), Arg::Null]).map(drop);
            // OPEN_TREE_CLONE.
            let tree = sys::descriptor(libc::SYS_open_tree, &mut [here, Arg::Text(c"/"), Arg::Number(1)]).map(drop);
            let pivot = sys::call(libc::SYS_pivot_root, &mut [Arg::Text(&workspace), Arg::Text(&workspace)]).map(drop);
            let (from, to) = (Arg::Number(libc::AT_FDCWD.into()), Arg::Number(libc::AT_FDCWD.into()));
            let mut arguments = [from, Arg::Text(&workspace), to, Arg::Text(&workspace), Arg::Null];
            let moved = sys::call(libc::SYS_move_mount, &mut arguments).map(drop);
            any([opened, tree, pivot, moved].map(|result| result.map_err(Failed::from)))
        },
        native: Native::NeedsRoot,
        trace: Trace::Event(&[
            Event("system-calls", "fsopen", ""),
            Event("system-calls", "open_tree", ""),
            Event("system-calls", "pivot_root", ""),
            Event("system-calls", "move_mount", ""),
        ]),
        ..Attack::BASE
    },
    Attack {
        name: "enter-namespaces-of-others",
        techniques: &[13, 39],
        about: "Enter the namespaces of a process outside.",
        attempt: |scene| {
            let pid = scene.number::<i64>("pid")?;
            let process = sys::descriptor(libc::SYS_pidfd_open, &mut [Arg::Number(pid), Arg::Null]);
            let number = process.as_ref().map_or(-1, |process| i64::from(process.as_raw_fd()));
            let kinds = Arg::Number(libc::CLONE_NEWNET.into());
            let entered = sys::call(libc::SYS_setns, &mut [Arg::Number(number), kinds]).map(drop);
            process.map(drop).and(entered).map_err(Failed::from)
        },
        native: Native::NeedsRoot,
        trace: Trace::Event(&[Event("system-calls", "setns", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "io-uring",
        techniques: &[38],
        about: "Make an io_uring, through which files are opened past every system-call filter.",
        attempt: |_| {
            let mut parameters = [0_u8; 120];
            Ok(sys::descriptor(libc::SYS_io_uring_setup, &mut [Arg::Number(4), Arg::Out(&mut parameters)]).map(drop)?)
        },
        native: Native::WhereAvailable("kernel.io_uring_disabled may be set"),
        trace: Trace::Event(&[Event("system-calls", "io_uring_setup", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "bpf",
        techniques: &[40],
        about: "Make a BPF map.",
        attempt: |_| {
            // BPF_MAP_CREATE of an array: type, key size, value size, entries.
            let mut map: Vec<u8> = [2_u32, 4, 8, 1].iter().flat_map(|word| word.to_ne_bytes()).collect();
            map.resize(128, 0);
            Ok(sys::descriptor(libc::SYS_bpf, &mut [Arg::Null, Arg::In(&map), Arg::Number(128)]).map(drop)?)
        },
        native: Native::WhereAvailable("kernel.unprivileged_bpf_disabled is mostly set"),
        trace: Trace::Event(&[Event("system-calls", "bpf", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "performance-events",
        techniques: &[40],
        about: "Open a performance counter on oneself.",
        attempt: |_| {
            // PERF_TYPE_SOFTWARE, size, PERF_COUNT_SW_TASK_CLOCK; exclude_kernel and exclude_hv.
            let mut event = vec![0_u8; 128];
            event[0..4].copy_from_slice(&1_u32.to_ne_bytes());
            event[4..8].copy_from_slice(&128_u32.to_ne_bytes());
            event[8..16].copy_from_slice(&1_u64.to_ne_bytes());
            event[40..48].copy_from_slice(&(1_u64 << 5 | 1 << 6).to_ne_bytes());
            let mut arguments = [Arg::In(&event), Arg::Null, Arg::Number(-1), Arg::Number(-1), Arg::Null];
            Ok(sys::descriptor(libc::SYS_perf_event_open, &mut arguments).map(drop)?)
        },
        native: Native::WhereAvailable("Debian's kernel.perf_event_paranoid refuses it"),
        trace: Trace::Event(&[Event("system-calls", "perf_event_open", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "page-fault-handler",
        techniques: &[40],
        about: "Handle page faults in user space, with which races in the kernel are won.",
        // UFFD_USER_MODE_ONLY.
        attempt: |_| Ok(sys::descriptor(libc::SYS_userfaultfd, &mut [Arg::Number(1)]).map(drop)?),
        native: Native::WhereAvailable("a kernel may lack it"),
        trace: Trace::Event(&[Event("system-calls", "userfaultfd", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "kernel-modules",
        techniques: &[40],
        about: "Load a module, load another kernel, read the kernel's log.",
        attempt: |_| {
            let module = sys::call(libc::SYS_init_module, &mut [Arg::In(b"no module"), Arg::Number(9), Arg::Text(c"")]);
            let kexec = sys::call(libc::SYS_kexec_load, &mut [Arg::Null, Arg::Null, Arg::Null, Arg::Null]);
            any([module, kexec].map(|result| result.map(drop).map_err(Failed::from)))
        },
        native: Native::Refused("what is loaded is no module and no kernel"),
        trace: Trace::Event(&[Event("system-calls", "init_module", ""), Event("system-calls", "kexec_load", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "kernel-log",
        techniques: &[40],
        about: "Read the kernel's log, which tells addresses.",
        attempt: |_| {
            let mut log = [0_u8; 256];
            // SYSLOG_ACTION_READ_ALL.
            Ok(sys::call(libc::SYS_syslog, &mut [Arg::Number(3), Arg::Out(&mut log), Arg::Number(256)]).map(drop)?)
        },
        native: Native::WhereAvailable("kernel.dmesg_restrict may be set"),
        trace: Trace::Event(&[Event("system-calls", "syslog", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "i386-entry",
        techniques: &[41],
        about: "Make a system call through the 32-bit entry, where numbers mean other calls.",
        attempt: i386,
        native: Native::WhereAvailable("a kernel may be without 32-bit programs"),
        trace: Trace::Event(&[Event("system-calls", "32-bit system call", "number 20")]),
        ..Attack::BASE
    },
    Attack {
        name: "x32-entry",
        techniques: &[41],
        about: "Make a system call with an x32 number.",
        attempt: x32,
        native: Native::WhereAvailable("most kernels are without x32"),
        trace: Trace::Event(&[Event("system-calls", "x32 system call", "number 39")]),
        ..Attack::BASE
    },
    Attack {
        name: "own-system-call-listener",
        techniques: &[36, 45],
        about: "Install a filter with a listener of one's own, which would answer calls before Stockade is asked.",
        attempt: |_| Ok(sys::own_listener().map(drop)?),
        trace: Trace::Silent("the kernel allows one listener, which is Stockade's"),
        ..Attack::BASE
    },
    Attack {
        name: "execute-from-memory",
        techniques: &[42],
        about: "Execute a program that is in memory only, and read a secret with it.",
        attempt: |scene| {
            let memory = sys::descriptor(libc::SYS_memfd_create, &mut [Arg::Text(c"program"), Arg::Null])?;
            let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
            std::io::copy(
                &mut std::fs::File::open(std::env::current_exe()?)?,
                &mut std::fs::File::from(memory.try_clone()?),
            )?;
            again(scene, Command::new(path))
        },
        trace: Trace::Event(&[Event("files", "read", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "execute-by-loader",
        techniques: &[42],
        about: "Let the dynamic loader load a program that is not executable, and read a secret with it.",
        attempt: |scene| {
            let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
                .into_iter()
                .find(|path| Path::new(path).exists());
            let copy = scene.workspace().join("program");
            std::fs::write(&copy, std::fs::read(std::env::current_exe()?)?)?;
            let mut command = Command::new(loader.ok_or_else(|| Failed::untried("there is no loader"))?);
            command.arg(copy);
            again(scene, command)
        },
        trace: Trace::Event(&[Event("files", "read", "outside/canary.txt")]),
        ..Attack::BASE
    },
    Attack {
        name: "personality",
        techniques: &[41],
        about: "Make all memory that can be read executable.",
        // READ_IMPLIES_EXEC.
        attempt: |_| Ok(sys::call(libc::SYS_personality, &mut [Arg::Number(0x0040_0000)]).map(drop)?),
        trace: Trace::Event(&[Event("system-calls", "personality", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "file-capabilities",
        techniques: &[15],
        about: "Give a program capabilities by an extended attribute.",
        attempt: |scene| {
            let program = scene.workspace().join("attacks");
            // `struct vfs_cap_data`, version 2, every capability, effective.
            let words: Vec<u8> =
                [0x0200_0001_u32, u32::MAX, 0, u32::MAX, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
            let (path, name) = (text(&program)?, Arg::Text(c"security.capability"));
            let mut arguments = [Arg::Text(&path), name, Arg::In(&words), Arg::Number(20), Arg::Null];
            sys::call(libc::SYS_setxattr, &mut arguments).map(drop).map_err(|error| named(&program, &error).into())
        },
        native: Native::NeedsRoot,
        trace: Trace::Silent("the kernel refuses for want of a capability"),
        ..Attack::BASE
    },
    Attack {
        name: "kernel-settings",
        techniques: &[44],
        about: "Open for writing the settings by which the kernel starts programs or changes for everyone.",
        attempt: kernel_settings,
        native: Native::NeedsRoot,
        trace: Trace::Event(&[Event("files", "write", "/proc/sys/kernel/core_pattern")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "", "/proc/sys/kernel/core_pattern")])),
        users: Users::Root,
        ..Attack::BASE
    },
    Attack {
        name: "kernel-settings-as-user",
        techniques: &[44],
        about: "The same, by somebody whom the files' own permissions refuse already.",
        attempt: kernel_settings,
        native: Native::Refused("the files are root's"),
        users: Users::Ordinary,
        trace: Trace::Silent("the files' own permissions refuse it, sandbox or not"),
        ..Attack::BASE
    },
    Attack {
        name: "control-groups",
        techniques: &[44],
        about: "Write to control groups: leave one's own, or name a program that the kernel starts.",
        attempt: |_| {
            let mut groups = vec![PathBuf::from("/sys/fs/cgroup")];
            groups
                .extend(std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path()));
            let files = groups.iter().flat_map(|group| {
                ["cgroup.procs", "release_agent", "cgroup.subtree_control"].map(|name| group.join(name))
            });
            let mut refusal = Failed::refused("/sys/fs/cgroup: No such file or directory");
            for file in files {
                match open_for_writing(&file) {
                    Ok(()) => return Ok(()),
                    Err(error) => refusal = error,
                }
            }
            Err(refusal)
        },
        native: Native::WhereAvailable("there may be no control groups, or none of the user's"),
        trace: Trace::Silent("no control group is shown inside"),
        ..Attack::BASE
    },
    Attack {
        name: "reboot",
        techniques: &[40],
        about: "Switch what the key combination for restarting does, which needs the right to restart.",
        attempt: |_| {
            // The magic numbers and LINUX_REBOOT_CMD_CAD_OFF of reboot(2), which is how machines are set anyway.
            let magic = [0xfee1_dead_u32, 0x2812_1969, 0];
            let mut arguments = magic.map(|word| Arg::Number(word.into()));
            Ok(sys::call(libc::SYS_reboot, &mut arguments).map(drop)?)
        },
        native: Native::NeedsRoot,
        trace: Trace::Event(&[Event("system-calls", "reboot", "")]),
        ..Attack::BASE
    },
];

fn text(path: &Path) -> Result<CString, Failed> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(Failed::untried)
}

fn kernel_settings(_: &Scene) -> Attempt {
    let fixed = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/sys/kernel/uevent_helper",
        "/proc/sysrq-trigger",
    ];
    any(fixed.map(|path| open_for_writing(Path::new(path))))
}

fn open_for_writing(path: &Path) -> Attempt {
    OpenOptions::new().write(true).open(path).map(drop).map_err(|error| named(path, &error).into())
}

/// Runs this program once more, for an attack on a file.
fn again(scene: &Scene, mut command: Command) -> Attempt {
    let output = command.arg("attempt").arg(scene.workspace()).arg("read-outside").output()?;
    let errors = String::from_utf8_lossy(&output.stderr).trim_start_matches("attacks: ").trim_end().to_owned();
    if output.status.success() { Ok(()) } else { Err(Failed::refused(errors)) }
}

#[cfg(target_arch = "x86_64")]
fn i386(_: &Scene) -> Attempt {
    same_process(sys::pid_by_i386())
}

#[cfg(target_arch = "x86_64")]
fn x32(_: &Scene) -> Attempt {
    same_process(sys::pid_by_x32()?)
}

#[cfg(target_arch = "x86_64")]
fn same_process(answer: i64) -> Attempt {
    if answer == i64::from(std::process::id()) {
        Ok(())
    } else {
        Err(Failed::refused(format!("the kernel answered {answer}")))
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn i386(_: &Scene) -> Attempt {
    Err(Failed::refused("this processor has no such entry"))
}

#[cfg(not(target_arch = "x86_64"))]
fn x32(_: &Scene) -> Attempt {
    Err(Failed::refused("this processor has no such entry"))
}
