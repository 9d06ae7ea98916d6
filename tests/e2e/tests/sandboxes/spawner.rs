//! The spawner, process 2, shares user and domain with hostile code: what that gains by it is its own sandbox's end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Trial;
use crate::leftovers::soon;
use crate::place::{Outcome, Place};

pub(crate) const TRIALS: &[Trial] = &[
    ("signalled", signalled),
    ("looked_into", looked_into),
    ("starved", starved),
    ("others_commands", others_commands),
];

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a script in a sandbox; panics when that hangs. Whether it does is what is asked.
pub(crate) fn in_time(place: &Place, name: &str, script: &str) -> Outcome {
    let started = Instant::now();
    let mut command = place.command("timeout");
    command.args(["-s", "KILL", &PATIENCE.as_secs().to_string()]).arg(place.program());
    let outcome = place.outcome(command.args(["exec", name, "--", "sh", "-c", script]));
    assert!(started.elapsed() < PATIENCE, "{script}: the caller hangs");
    outcome
}

/// Whatever signal reaches the spawner: every caller gets an answer, the next command runs, and nothing is lost.
fn signalled(place: &Place) {
    place.create("own", &[]);
    place.create("other", &[]);
    place.good("other", "setsid sh -c 'while :; do sleep 1; done' >/dev/null 2>&1 & echo kept > kept");
    place.good("own", "echo kept > kept");
    for (script, ends) in [
        ("kill -9 2; sleep 10", true),
        ("kill -STOP 2; sleep 10", true),
        // Nobody is there who could let a group go on that was stopped so: the kernel ignores these.
        ("kill -TSTP 2; kill -TTIN 2; kill -TTOU 2", false),
        ("kill -9 -1; sleep 10", true),
        ("kill -STOP -1; sleep 10", true),
        ("kill -STOP 1; kill -9 1", false),
        ("for n in $(seq 1 64); do kill -$n 2; done; sleep 10", true),
        ("for n in $(seq 1 64); do kill -$n 1; done", false),
        ("(while :; do kill -STOP 2; done) 2>/dev/null & sleep 10", true),
    ] {
        // It has begun before the signals come, which can stop what starts it.
        let waiting = place.start("own", "echo > up; exec sleep 30");
        assert!(soon(|| place.folder("own").join("upper/up").exists()), "{script}: it never ran");
        let outcome = in_time(place, "own", script);
        assert_eq!(outcome.status > 128, ends, "{script}: {outcome:?}");
        drop(place.done(&["stop", "own"]));
        std::fs::remove_file(place.folder("own").join("upper/up")).expect("removed");
        let ended = waiting.wait_with_output().expect("an end");
        assert!(!ended.status.success(), "{script}: {ended:?}");
        let next = in_time(place, "own", "cat kept");
        assert_eq!((next.status, next.stdout.as_str()), (0, "kept\n"), "{script}: {next:?}");
        place.done(&["checkpoint", "own"]);
        place.done(&["audit", "verify", "own"]);
    }
    assert_eq!(place.running("other"), Some((0, 2)), "the other sandbox");
}

/// Nothing inside can read or trace it, or take its descriptors: so nobody speaks in its name.
fn looked_into(place: &Place) {
    place.create("own", &[]);
    let script = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
got = []
for pid in (1, 2):
    for name in ('environ', 'maps', 'auxv', 'mem', 'syscall', 'stack', 'io'):
        try:
            if open(f'/proc/{pid}/{name}', 'rb').read(1): got.append(f'{pid} {name}')
        except OSError: pass
    for name in ('root', 'cwd', 'exe', 'fd/0', 'fd/3', 'ns/mnt', 'ns/user'):
        try: got.append(f'{pid} ' + os.readlink(f'/proc/{pid}/{name}'))
        except OSError: pass
    for name in ('root/etc/passwd', 'cwd/README', 'fd/3', 'task/%d/fd/3' % pid):
        try: open(f'/proc/{pid}/{name}'); got.append(f'{pid} opened {name}')
        except OSError: pass
    for request in (16, 0x4206):  # PTRACE_ATTACH, PTRACE_SEIZE
        if libc.ptrace(request, pid, 0, 0) == 0: got.append(f'{pid} traced')
    fd = libc.syscall(434, pid, 0)  # pidfd_open
    if fd >= 0:
        for number in range(64):
            if libc.syscall(438, fd, number, 0) >= 0: got.append(f'{pid} pidfd_getfd {number}')
    buffer = ctypes.create_string_buffer(64)
    class Vector(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
    near = Vector(ctypes.cast(buffer, ctypes.c_void_p), 64)
    far = Vector(0x400000, 64)
    if libc.process_vm_readv(pid, ctypes.byref(near), 1, ctypes.byref(far), 1, 0) >= 0: got.append(f'{pid} read')
print(*got, sep='\\n', end='')
";
    let mut command = place.stockade(&["exec", "own", "--", "python3", "-c", script]);
    let outcome = place.outcome(&mut command);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome:?}");
    let own = place.outcome(place.command("python3").args(["-c", &script.replace("(1, 2)", "(os.getpid(),)")]));
    assert!(own.stdout.contains("opened") && own.stdout.contains("pidfd_getfd"), "it shows nothing natively: {own:?}");
}

/// One whose limits and priority were taken away fails to start commands at worst, which is told; stopping helps.
fn starved(place: &Place) {
    place.create("own", &[]);
    let script = "
import ctypes, os, resource
for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
    try: resource.prlimit(2, kind, (0, 0))
    except OSError as error: print(error)
for act in (lambda: os.sched_setscheduler(2, os.SCHED_IDLE, os.sched_param(0)), lambda: os.setpriority(os.PRIO_PROCESS, 2, 19)):
    try: act()
    except OSError as error: print(error)
";
    let mut command = place.stockade(&["exec", "own", "--", "python3", "-c", script]);
    let outcome = place.outcome(&mut command);
    let next = in_time(place, "own", "echo next");
    assert!(next.status == 0 || !next.stderr.is_empty(), "{outcome:?} {next:?}");
    place.done(&["stop", "own"]);
    assert_eq!(in_time(place, "own", "echo next").stdout, "next\n", "{outcome:?}");
}

/// Commands of one sandbox see and signal each other, as processes of one user do; those of another do not exist.
fn others_commands(place: &Place) {
    for name in ["own", "other"] {
        place.create(name, &[]);
    }
    let mut running: Vec<_> = ["own", "other"]
        .map(|name| {
            let mut command = place.stockade(&["exec", name, "--", "sh", "-c", "echo > ready; exec sleep 4242"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
        })
        .into();
    for name in ["own", "other"] {
        assert!(soon(|| place.exec(name, "test -e ready").status == 0));
    }
    let find =
        "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2>/dev/null | grep -c '^sleep 4242'";
    assert_eq!(place.good("own", find), "1\n");
    drop(place.exec("own", "kill -9 -1"));
    assert!(soon(|| running[0].try_wait().expect("a status").is_some()), "it cannot signal its own");
    assert!(running[1].try_wait().expect("a status").is_none(), "it reached another sandbox");
    running.iter_mut().for_each(|child| {
        drop(child.kill());
        drop(child.wait());
    });
}
