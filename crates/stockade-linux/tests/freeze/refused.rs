//! What cannot be stopped is named, and everything else goes on.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use stockade_linux::freeze::FreezeError;

use crate::roles;
use crate::sandbox::{Groups, Sandbox};

/// Traces a child, at first without stopping it.
const TRACER: &str = "
import ctypes, os, subprocess, time
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
child = subprocess.Popen(['sh', '-c', 'while :; do :; done'])
assert ptrace(0x4206, child.pid, 0, 0) == 0
def step(name):
    open('DIR/' + name, 'w').write(str(child.pid))
    while not os.path.exists('DIR/after-' + name): time.sleep(.001)
step('running')
assert ptrace(0x4207, child.pid, 0, 0) == 0
assert os.waitpid(child.pid, 0)[0] == child.pid
step('stopped')
assert ptrace(7, child.pid, 0, 0) == 0
step('continued')
time.sleep(1000)
";

#[test]
fn a_process_that_another_one_traces() {
    let Some(sandbox) = Sandbox::traced(&[&["python3", "-c", TRACER]]) else { return };
    let step = |name: &str| std::fs::write(sandbox.directory().join(format!("after-{name}")), "").unwrap();
    let child: u32 = sandbox.wait_for("running").parse().unwrap();
    let letter = || sandbox.letter(child);
    let freezer = sandbox.freezer();
    let start = Instant::now();
    match freezer.freeze(&[]).unwrap_err() {
        FreezeError::Traced { process, tracer } => {
            assert_eq!((process.inside, process.pid, process.name.as_str()), (child, sandbox.outer(child), "sh"));
            assert_eq!(tracer, sandbox.outer(sandbox.first()));
        }
        other => panic!("{other}"),
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(letter(), 'R');
    step("running");
    sandbox.wait_for("stopped");
    assert_eq!(letter(), 't');
    let frozen = sandbox.freeze(&freezer);
    assert_eq!(frozen.held(), Some((1, 1)), "its tracer");
    frozen.thaw().unwrap();
    assert_eq!(letter(), 't');
    step("stopped");
    sandbox.wait_for("continued");
    sandbox.until(|| letter() == 'R');
}

/// Executes a program while a thread of its process is traced, whose end the tracer does not wait for.
const EXECUTES: &str = "
import ctypes, os, threading, time
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
reader, writer = os.pipe()
go, tell = os.pipe()
child = os.fork()
if child == 0:
    ctypes.CDLL(None).prctl(0x59616d61, -1, 0, 0, 0)
    threading.Thread(target=lambda: (os.write(writer, b'%d' % threading.get_native_id()), time.sleep(1000))).start()
    os.read(go, 1)
    os.execvp('sleep', ['sleep', '1000'])
thread = int(os.read(reader, 20))
assert ptrace(0x4206, thread, 0, 0) == 0, ctypes.get_errno()
os.write(tell, b'x')
time.sleep(.2)
open('DIR/executes', 'w').write('yes')
time.sleep(1000)
";

/// Each attempt is held up by the same process, and leaves no more than one thread behind.
#[test]
fn a_process_that_cannot_execute_its_program() {
    let Some(sandbox) = Sandbox::traced(&[&["python3", "-c", EXECUTES]]) else { return };
    sandbox.wait_for("executes");
    let freezer = sandbox.freezer();
    let others = freezing();
    for _ in 0..4 {
        let error = freezer.freeze(&[]).unwrap_err();
        assert!(matches!(error, FreezeError::Stuck { .. }), "{error}");
        assert!(error.to_string().contains("traced by another process"), "{error}");
    }
    // Those of other tests end.
    let left: BTreeSet<String> = freezing().difference(&others).cloned().collect();
    sandbox.until(|| left.intersection(&freezing()).count() <= 1);
}

/// Threads of this process that freeze a sandbox.
fn freezing() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let is_freezing = |task: &fs::DirEntry| fs::read(task.path().join("comm")).is_ok_and(|name| name == b"freeze\n");
    tasks.filter(is_freezing).filter_map(|task| task.file_name().into_string().ok()).collect()
}

/// The group freezer of version 1 makes processes that the kernel does not wake for anything.
#[test]
fn a_process_that_the_kernel_is_busy_for() {
    let script = "sleep 1000 & echo $! > DIR/asleep; while :; do :; done";
    let Some(sandbox) = Sandbox::traced(&[&["sh", "-c", script]]) else { return };
    let Some(groups) = Groups::v1() else {
        crate::not_run("a process that the kernel is busy for (needs the freezer of version 1)");
        return;
    };
    let asleep: u32 = sandbox.wait_for("asleep").trim().parse().unwrap();
    let outer = sandbox.outer(asleep);
    groups.add(outer);
    groups.write("freezer.state", "FROZEN");
    sandbox.until(|| sandbox.letter(asleep) == 'D');
    let first = sandbox.first();
    let freezer = sandbox.freezer();
    let mut tries = 0..20;
    loop {
        assert!(tries.next().is_some(), "it is never that process");
        match freezer.freeze(&[]).unwrap_err() {
            // On a busy machine, the other may not have stopped either.
            FreezeError::Busy { process, .. } if process.pid != outer => {}
            FreezeError::Busy { process, waited_ms } => {
                assert_eq!((process.inside, process.name.as_str()), (asleep, "sleep"));
                assert!(waited_ms >= 500, "{waited_ms}");
                break;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(sandbox.letter(first), 'R', "the other goes on");
    // Where the caller has its system call in hand, it need not stop.
    let frozen = (0..20).find_map(|_| freezer.freeze(&[outer]).ok()).unwrap();
    assert_eq!(frozen.held(), Some((2, 2)));
    assert_eq!(sandbox.letter(first), 't');
    // The call is answered only then, and the thread is not held any more by that time.
    frozen.thaw().unwrap();
    groups.write("freezer.state", "THAWED");
    sandbox.until(|| sandbox.letter(asleep) == 'S');
    std::fs::write("/sys/fs/cgroup/freezer/cgroup.procs", outer.to_string()).unwrap();
}

/// Control characters in a name do not reach whoever is told it.
#[test]
fn names_are_shown_without_control_characters() {
    let traced = "
import ctypes, os, time
libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    libc.prctl(15, b'\\x1b[31m\\nred', 0, 0, 0)
    open('DIR/named', 'w').write('yes')
    while True: time.sleep(1000)
libc.ptrace.argtypes = [ctypes.c_long] * 4
assert libc.ptrace(0x4206, child, 0, 0) == 0
open('DIR/ready', 'w').write('yes')
time.sleep(1000)
";
    let Some(sandbox) = Sandbox::traced(&[&["python3", "-c", traced]]) else { return };
    sandbox.wait_for("named");
    sandbox.wait_for("ready");
    let error = sandbox.freezer().freeze(&[]).unwrap_err();
    assert!(error.to_string().contains("(?[31m?red)"), "{error}");
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
}

/// A program that its user may execute and not read does not let itself be traced, but by root.
#[test]
fn a_program_that_may_not_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let allow = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    allow(folder.path(), 0o755);
    let (program, secret) = (folder.path().join("test"), folder.path().join("secret"));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::copy("/bin/sleep", &secret).unwrap();
    allow(&secret, 0o111);
    let role = roles::command(&["unreadable", &secret.display().to_string()]);
    let mut user = Command::new("setpriv");
    user.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program).args(role.get_args());
    user.envs(role.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TMPDIR", "/tmp");
    let output = user.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("not run") || String::from_utf8_lossy(&output.stderr).contains("setpriv:") {
        crate::not_run("a program that cannot be read (needs root, and namespaces for others)");
        return;
    }
    assert!(text.contains("(secret) cannot be stopped"), "{output:?}");
}
