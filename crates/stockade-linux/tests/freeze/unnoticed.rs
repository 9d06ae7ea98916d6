//! Nobody inside notices: not by a signal, a stop, an error or a clock that ran short.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::mechanisms;
use crate::sandbox::Sandbox;

fn python(script: &str) -> Vec<&str> {
    vec!["python3", "-c", script]
}

/// Freezes and thaws some times.
fn disturb(sandbox: &Sandbox, times: u32) {
    let freezer = sandbox.freezer();
    for _ in 0..times {
        sandbox.freeze(&freezer).thaw().unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A parent that does job control, as shells do: one child is stopped by a signal, one sleeps. It writes down every SIGCHLD and
/// every change of a child that `waitpid` tells of.
const SHELL: &str = "
import os, signal, subprocess, sys, time
seen = []
signal.signal(signal.SIGCHLD, lambda *_: seen.append('signal'))
stopped, sleeping = (subprocess.Popen(['sleep', '1000'], process_group=0) for _ in range(2))
os.kill(stopped.pid, signal.SIGSTOP)
assert os.waitpid(stopped.pid, os.WUNTRACED)[0] == stopped.pid
time.sleep(.05)
seen.clear()
open('DIR/pids', 'w').write(f'{stopped.pid} {sleeping.pid}')
while not os.path.exists('DIR/end'):
    pid, status = os.waitpid(-1, os.WUNTRACED | os.WCONTINUED | os.WNOHANG)
    if pid: seen.append((pid, status))
    time.sleep(.001)
open('DIR/seen', 'w').write(repr(seen))
time.sleep(1000)
";

#[test]
fn parents_see_no_stop_and_what_was_stopped_stays_stopped() {
    for sandbox in mechanisms(&[&python(SHELL)]) {
        let pids = sandbox.wait_for("pids");
        let [stopped, sleeping] = [0, 1].map(|at| pids.split(' ').nth(at).unwrap().parse().unwrap());
        let letters = || [stopped, sleeping].map(|pid| sandbox.letter(pid));
        assert_eq!(letters(), ['T', 'S']);
        for _ in 0..20 {
            disturb(&sandbox, 1);
            sandbox.until(|| letters() == ['T', 'S']);
        }
        fs::write(sandbox.directory().join("end"), "").unwrap();
        assert_eq!(sandbox.wait_for("seen"), "[]", "{:?}", sandbox.freezer().mechanism());
        sandbox.signal(stopped, Signal::CONT);
        sandbox.until(|| letters() == ['S', 'S']);
    }
}

#[test]
fn a_stop_and_a_continuation_that_come_meanwhile_take_effect() {
    let Some(sandbox) = Sandbox::traced(&[&python(SHELL)]) else { return };
    let pids = sandbox.wait_for("pids");
    let [stopped, sleeping] = [0, 1].map(|at| pids.split(' ').nth(at).unwrap().parse().unwrap());
    let freezer = sandbox.freezer();
    let frozen = sandbox.freeze(&freezer);
    sandbox.signal(stopped, Signal::CONT);
    sandbox.signal(sleeping, Signal::STOP);
    std::thread::sleep(Duration::from_millis(20));
    let letters = || [stopped, sleeping].map(|pid| sandbox.letter(pid));
    assert_eq!(letters(), ['t', 't']);
    frozen.thaw().unwrap();
    sandbox.until(|| letters() == ['S', 'T']);
}

/// Waits in many ways at once, without the retries of Python's own wrappers, and writes down how each ended.
const WAITS: &str = r"
import ctypes, errno, os, select, signal, socket, threading, time
libc = ctypes.CDLL(None, use_errno=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
results, started = {}, time.monotonic()
class Spec(ctypes.Structure): _fields_ = [('s', ctypes.c_long), ('n', ctypes.c_long)]
def call(name, function, *arguments):
    def run():
        result = function(*arguments)
        results[name] = (result, errno.errorcode.get(ctypes.get_errno()) if result == -1 else None, time.monotonic() - started > .99)
    thread = threading.Thread(target=run); thread.start(); return thread
def end():
    time.sleep(1)
    for fd in ends: os.write(fd, b'x')
    os.kill(os.getpid(), signal.SIGUSR1)
ends, threads = [], []
def pipe():
    r, w = os.pipe(); ends.append(w); return r
buffer = ctypes.create_string_buffer(1024)
threads.append(call('read', libc.read, pipe(), buffer, 1))
poll = ctypes.create_string_buffer(bytes(ctypes.c_int(pipe())) + bytes(ctypes.c_short(1)) + bytes(2))
threads.append(call('poll', libc.poll, poll, 1, -1))
epoll = select.epoll(); epoll.register(pipe(), select.EPOLLIN)
if 'EPOLL': threads.append(call('epoll', libc.epoll_wait, epoll.fileno(), buffer, 1, -1))
mask = (ctypes.c_ulong * 16)(1 << (signal.SIGUSR1 - 1))
if 'EPOLL': threads.append(call('sigwaitinfo', libc.sigwaitinfo, mask, None))
a, b = socket.socketpair(); ends.append(b.fileno())
threads.append(call('recv', libc.recv, a.fileno(), buffer, 1, 0))
threads.append(call('nanosleep', libc.nanosleep, ctypes.byref(Spec(1, 0)), None))
threads.append(call('timeout', libc.poll, None, 0, 1000))
lock = threading.Lock(); lock.acquire()
def wait(): return int(lock.acquire(timeout=1))
threads.append(call('futex', wait))
threading.Thread(target=end).start()
open('DIR/waiting', 'w').write('yes')
for thread in threads: thread.join()
open('DIR/results', 'w').write('\n'.join(f'{name} {results[name]}' for name in sorted(results)))
time.sleep(1000)
";

#[test]
fn system_calls_that_wait_go_on() {
    // Elsewhere the kernel does not say what is needed to have these begin anew.
    let script = if cfg!(target_arch = "x86_64") { WAITS.to_owned() } else { WAITS.replace("'EPOLL'", "''") };
    let Some(sandbox) = Sandbox::traced(&[&python(&script)]) else { return };
    sandbox.wait_for("waiting");
    disturb(&sandbox, 60);
    let results = sandbox.wait_for("results");
    let mut expected = vec!["futex (0, None, True)", "nanosleep (0, None, True)", "poll (1, None, True)"];
    expected.extend(["read (1, None, True)", "recv (1, None, True)", "timeout (0, None, True)"]);
    if cfg!(target_arch = "x86_64") {
        expected.extend(["epoll (1, None, True)", "sigwaitinfo (10, None, True)"]);
    }
    expected.sort_unstable();
    assert_eq!(results.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn no_signal_is_lost() {
    let script = "for i in $(seq 60); do sleep 1000 & done; echo yes > DIR/ready; exec sleep 1000";
    let Some(sandbox) = Sandbox::traced(&[&["sh", "-c", script]]) else { return };
    sandbox.wait_for("ready");
    let first = sandbox.first();
    let sleeping: Vec<u32> = sandbox.letters().keys().map(|&(pid, _)| pid).filter(|&pid| pid != first).collect();
    assert_eq!(sleeping.len(), 60);
    std::thread::scope(|scope| {
        // Each is ended by its one signal, which may come at any moment of a freeze.
        scope.spawn(|| sleeping.iter().for_each(|&pid| sandbox.signal(pid, Signal::TERM)));
        disturb(&sandbox, 40);
    });
    sandbox.until(|| sandbox.letters().iter().all(|(&(pid, _), &letter)| pid == first || letter == 'Z'));
}

/// Starts a process by `vfork`, which waits before it executes its program until a fifo is opened.
const VFORK: &str = "
import os, time
os.mkfifo('DIR/fifo')
open('DIR/ready', 'w').write('yes')
actions = [(os.POSIX_SPAWN_OPEN, 0, 'DIR/fifo', os.O_RDONLY, 0)]
pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'cat > DIR/got'], os.environ, file_actions=actions)
open('DIR/ended', 'w').write(str(os.waitpid(pid, 0)[1]))
time.sleep(1000)
";

#[test]
fn a_process_that_waits_for_its_vforked_child_goes_on() {
    for sandbox in mechanisms(&[&python(VFORK)]) {
        sandbox.wait_for("ready");
        let waits = || sandbox.letter(sandbox.first()) == 'D';
        sandbox.until(waits);
        disturb(&sandbox, 10);
        assert!(waits(), "{:?}", sandbox.letters());
        fs::write(sandbox.directory().join("fifo"), "through").unwrap();
        assert_eq!(sandbox.wait_for("ended"), "0");
        assert_eq!(sandbox.wait_for("got"), "through");
    }
}

/// The first thread ends, and another goes on counting.
const HEADLESS: &str = "
import ctypes, threading, time
def count():
    number = 0
    while True:
        number += 1
        open('DIR/count', 'w').write(str(number))
threading.Thread(target=count).start()
ctypes.CDLL(None).syscall(60 if __import__('platform').machine() == 'x86_64' else 93, 0)
";

#[test]
fn a_process_without_its_first_thread_is_held() {
    let Some(sandbox) = Sandbox::traced(&[&python(HEADLESS)]) else { return };
    sandbox.wait_for("count");
    sandbox.until(|| sandbox.letter(sandbox.first()) == 'Z');
    let freezer = sandbox.freezer();
    for _ in 0..10 {
        let frozen = sandbox.freeze(&freezer);
        assert_eq!(frozen.held(), Some((1, 1)));
        let read = || fs::read(sandbox.directory().join("count")).unwrap();
        let now = read();
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(read(), now);
    }
}
