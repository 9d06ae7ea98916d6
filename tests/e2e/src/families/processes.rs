//! Other processes, and what outlives a run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::files::any;
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Proof, Trace, Users};
use crate::scene::{CANARY, Scene, holds_canary, named, read_canary};
use crate::sys::{self, Arg};

const NOBODY: &str = "no process inside has that number";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "read-environment-of-others",
        techniques: &[8],
        about: "Read the environment of a process outside from /proc.",
        attempt: |scene| read_canary(Path::new(&format!("/proc/{}/environ", scene.number::<i32>("pid")?))),
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Trace(Trace::Silent("the kernel refuses by the Landlock domain, which says nothing")),
        ..Attack::BASE
    },
    Attack {
        name: "read-files-of-others",
        techniques: &[8],
        about: "Reach files through a process outside: its root, its directory and its descriptors in /proc.",
        attempt: |scene| {
            let (pid, open) = (scene.number::<i32>("pid")?, scene.number::<i32>("open")?);
            let below = scene.outside().join("canary.txt");
            let below = below.strip_prefix("/").unwrap_or(&below).display().to_string();
            let paths = [
                format!("root/{below}"),
                format!("fd/{open}"),
                format!("cwd/{below}"),
                format!("task/{pid}/root/{below}"),
            ];
            any(paths.map(|path| read_canary(Path::new(&format!("/proc/{pid}/{path}")))))
        },
        trace: Trace::Silent(NOBODY),
        ..Attack::BASE
    },
    Attack {
        name: "read-memory-of-others",
        techniques: &[8, 36],
        about: "Read a secret in the memory of a process outside, by /proc and by process_vm_readv.",
        attempt: |scene| {
            let (pid, at, length) = (scene.number("pid")?, scene.number("address")?, scene.number("length")?);
            let by_call =
                sys::read_process(pid, at, length).map_err(Failed::from).and_then(|bytes| holds_canary(&bytes));
            any([by_call, read_memory(pid, at, length)])
        },
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "process_vm_readv", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "write-memory-of-others",
        techniques: &[36],
        about: "Write into the memory of a process outside.",
        attempt: |scene| Ok(sys::write_process(scene.number("pid")?, scene.number("address")?, b"overwritten")?),
        proof: Proof::Host(|scene| {
            let path = scene.outside().join("memory.txt");
            // The process writes its memory down when it ends, which is after this proof: look at it from here.
            let (pid, at, length) = (scene.number("pid")?, scene.number("address")?, scene.number("length")?);
            let now = sys::read_process(pid, at, length).map_err(|error| Failed::untried(named(&path, &error)))?;
            if now.starts_with(CANARY.as_bytes()) { Err(Failed::refused("its memory is as it was")) } else { Ok(()) }
        }),
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "process_vm_writev", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "attach-debugger",
        techniques: &[36],
        about: "Attach to a process outside as a debugger.",
        attempt: |scene| {
            let pid = scene.number::<i32>("pid")?;
            // PTRACE_SEIZE does not stop it; ending detaches.
            let mut arguments =
                [Arg::Number(i64::from(libc::PTRACE_SEIZE)), Arg::Number(pid.into()), Arg::Null, Arg::Null];
            Ok(sys::call(libc::SYS_ptrace, &mut arguments).map(drop)?)
        },
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "ptrace", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "take-descriptor",
        techniques: &[36],
        about: "Copy an open descriptor out of a process outside (pidfd_getfd).",
        attempt: |scene| {
            let (pid, open) = (scene.number::<i64>("pid")?, scene.number::<i64>("open")?);
            let process = sys::descriptor(libc::SYS_pidfd_open, &mut [Arg::Number(pid), Arg::Null])?;
            let number = Arg::Number(std::os::fd::AsRawFd::as_raw_fd(&process).into());
            Ok(sys::descriptor(libc::SYS_pidfd_getfd, &mut [number, Arg::Number(open), Arg::Null]).map(drop)?)
        },
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Trace(Trace::Event(&[Event("signals", "pidfd_open", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "reach-init",
        techniques: &[36, 45],
        about: "Read the descriptors, memory and environment of process 1, and attach to it.",
        attempt: |_| {
            let paths = ["/proc/1/environ", "/proc/1/maps", "/proc/1/fd/0"]
                .map(|path| fs::read(path).map(drop).map_err(|error| Failed::from(named(Path::new(path), &error))));
            let mut arguments = [Arg::Number(i64::from(libc::PTRACE_SEIZE)), Arg::Number(1), Arg::Null, Arg::Null];
            any([any(paths), sys::call(libc::SYS_ptrace, &mut arguments).map(drop).map_err(Failed::from)])
        },
        native: Native::NotRun("attaching to process 1 could stop the machine"),
        trace: Trace::Silent("the kernel refuses, since process 1 is not dumpable"),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "ptrace", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "see-other-processes",
        techniques: &[8],
        about: "See which processes run outside, with their arguments.",
        attempt: |scene| {
            let path = format!("/proc/{}/cmdline", scene.number::<i32>("pid")?);
            let line = fs::read(&path).map_err(|error| named(Path::new(&path), &error))?;
            if line.starts_with(b"/tmp/stockade-attacks-") { Ok(()) } else { Err(Failed::refused("another process")) }
        },
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Passes("process-visibility", "names and arguments of other processes can be seen in /proc"),
        ..Attack::BASE
    },
    Attack {
        name: "kill-outside",
        techniques: &[37],
        about: "Kill and stop a process outside, by number and by handle.",
        attempt: |scene| {
            let pid = scene.number::<i64>("pid")?;
            let by_number = sys::call(libc::SYS_kill, &mut [Arg::Number(pid), Arg::Number(libc::SIGCONT.into())]);
            let handle = sys::descriptor(libc::SYS_pidfd_open, &mut [Arg::Number(pid), Arg::Null]);
            let by_handle = handle.and_then(|handle| {
                let number = Arg::Number(std::os::fd::AsRawFd::as_raw_fd(&handle).into());
                sys::call(
                    libc::SYS_pidfd_send_signal,
                    &mut [number, Arg::Number(libc::SIGCONT.into()), Arg::Null, Arg::Null],
                )
            });
            any([by_number, by_handle].map(|result| result.map(drop).map_err(Failed::from)))
        },
        trace: Trace::Event(&[Event("signals", "kill", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "kill-everything",
        techniques: &[37],
        about: "Kill every process that can be named at once, and the own parent.",
        attempt: |_| {
            let parent = i64::from(std::os::unix::process::parent_id());
            if parent > 1 {
                drop(sys::call(libc::SYS_kill, &mut [Arg::Number(parent), Arg::Number(libc::SIGKILL.into())]));
            }
            drop(sys::call(libc::SYS_kill, &mut [Arg::Number(-1), Arg::Number(libc::SIGKILL.into())]));
            Err(Failed::refused("the processes outside are looked at from there"))
        },
        native: Native::NotRun("it would end every process of the user"),
        trace: Trace::Silent("signals to everyone reach only the sandbox's own processes"),
        landlock: Landlock::Trace(Trace::Event(&[Event("signals", "kill", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "change-limits-of-others",
        techniques: &[37, 65],
        about: "Change the resource limits and the priority of a process outside.",
        attempt: |scene| {
            let pid = scene.number::<i64>("pid")?;
            let limit: Vec<u8> = [64_u64, 64].iter().flat_map(|value| value.to_ne_bytes()).collect();
            let mut arguments = [Arg::Number(pid), Arg::Number(libc::RLIMIT_NOFILE.into()), Arg::In(&limit), Arg::Null];
            let limits = sys::call(libc::SYS_prlimit64, &mut arguments);
            let priority = sys::call(libc::SYS_setpriority, &mut [Arg::Number(0), Arg::Number(pid), Arg::Number(10)]);
            any([limits, priority].map(|result| result.map(drop).map_err(Failed::from)))
        },
        trace: Trace::Silent(NOBODY),
        landlock: Landlock::Trace(Trace::Event(&[Event("signals", "prlimit64", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "daemon-survives",
        techniques: &[46],
        about: "Leave a daemon behind: forked twice, in a session of its own, deaf to hang-ups.",
        attempt: |scene| {
            let mut daemon = Command::new(std::env::current_exe()?);
            daemon.arg("daemon").arg(scene.workspace().join("heartbeat"));
            daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            // It has to have been there while the run went on.
            std::thread::sleep(Duration::from_millis(150));
            fs::metadata(scene.workspace().join("heartbeat")).map(drop).map_err(Failed::untried)
        },
        proof: Proof::Host(daemon_is_there),
        trace: Trace::Silent("it may run as long as the run goes on"),
        ..Attack::BASE
    },
    Attack {
        name: "daemon-survives-reaper",
        techniques: &[37, 46],
        about: "End the parent, which would end everything that is left, and leave a daemon behind.",
        attempt: |scene| {
            let mut daemon = Command::new(std::env::current_exe()?);
            daemon.arg("daemon").arg(scene.workspace().join("heartbeat"));
            daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            std::thread::sleep(Duration::from_millis(150));
            let parent = i64::from(std::os::unix::process::parent_id());
            let group = sys::call(libc::SYS_getpgid, &mut [Arg::Number(parent)]).unwrap_or(parent);
            for target in [parent, -group] {
                drop(sys::call(libc::SYS_kill, &mut [Arg::Number(target), Arg::Number(libc::SIGKILL.into())]));
            }
            Err(Failed::refused("whether the daemon is there is seen from outside"))
        },
        proof: Proof::Host(daemon_is_there),
        native: Native::NotRun("it would end the suite"),
        trace: Trace::Silent("process 1 takes no signals from inside"),
        landlock: Landlock::Trace(Trace::Event(&[Event("signals", "kill", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "gain-by-set-user-id",
        techniques: &[15],
        about: "Become root by a program that is set-user-id root.",
        prepare: |_| Ok(()),
        attempt: |_| {
            // `su` is set-user-id root everywhere; the kernel says which rights a program started with.
            let program = ["/usr/bin/su", "/bin/su"].into_iter().find(|path| Path::new(path).exists());
            let mut su = Command::new(program.ok_or_else(|| Failed::untried("there is no su"))?);
            let mut su = su
                .args(["root", "-c", "true"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            std::thread::sleep(Duration::from_millis(60));
            let status = fs::read_to_string(format!("/proc/{}/status", su.id()));
            drop(su.stdin.take());
            // Whether it is still there to be ended is its own affair.
            drop(su.kill());
            su.wait()?;
            let ids =
                status.ok().and_then(|text| text.lines().find_map(|line| line.strip_prefix("Uid:").map(str::to_owned)));
            let effective = ids.and_then(|ids| ids.split_whitespace().nth(1).map(str::to_owned));
            if effective.as_deref() == Some("0") {
                Ok(())
            } else {
                Err(Failed::refused(format!("the effective user is {effective:?}")))
            }
        },
        users: Users::Ordinary,
        native: Native::WhereAvailable("`su` may end before its rights are seen"),
        trace: Trace::Silent("the bits are ignored, as on any file system mounted `nosuid`"),
        ..Attack::BASE
    },
];

fn read_memory(pid: i32, at: usize, length: usize) -> Attempt {
    use std::os::unix::fs::FileExt;
    let path = format!("/proc/{pid}/mem");
    let memory = fs::File::open(&path).map_err(|error| named(Path::new(&path), &error))?;
    let mut content = vec![0; length];
    memory.read_exact_at(&mut content, u64::try_from(at).unwrap_or_default())?;
    holds_canary(&content)
}

/// Whether the daemon writes its file again when it is taken away.
fn daemon_is_there(scene: &Scene) -> Attempt {
    let path = scene.workspace().join("heartbeat");
    fs::remove_file(&path).map_err(Failed::untried)?;
    std::thread::sleep(Duration::from_millis(200));
    fs::metadata(&path).map(drop).map_err(|_| Failed::refused("no daemon is there"))
}

/// The first of two processes: leads a session of its own and leaves the second behind.
pub(super) fn daemon(heartbeat: &str) -> Attempt {
    sys::call(libc::SYS_setsid, &mut [])?;
    let mut second = Command::new(std::env::current_exe()?);
    second.args(["beat", heartbeat]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(second.spawn().map(drop)?)
}

/// The daemon: tells that it is there, for a while.
pub(super) fn beat(heartbeat: &str) -> Attempt {
    for _ in 0..200 {
        // The directory may be gone before the daemon is, and it is deaf to that too.
        drop(fs::write(heartbeat, "beat"));
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
