//! What this program does when a test starts it as the process that is limited.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Pid;
use stockade_linux::limits;
use stockade_spec::plan::Resource;

/// Starts a role; it waits until [`go`] is called.
pub(crate) fn start(role: &[&str]) -> Child {
    command(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program starts")
}

/// The command that plays a role.
pub(crate) fn command(role: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg("role").args(role);
    command
}

/// Lets a role that waits go on.
pub(crate) fn go(child: &mut Child) {
    child.stdin.take().expect("it is a pipe").write_all(b"go\n").expect("it waits");
}

/// What a child that has ended printed.
pub(crate) fn output(child: Child) -> String {
    let output = child.wait_with_output().expect("it is a child");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Plays a role.
pub(crate) fn play(role: &[String]) -> ExitCode {
    let words: Vec<&str> = role.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["hog", mebibytes] => {
            wait();
            hog(number(mebibytes));
        }
        ["hog-child", mebibytes] => {
            wait();
            let mut child = start(&["hog", mebibytes]);
            go(&mut child);
            child.wait().expect("it is a child");
            sleep(Duration::from_secs(30));
        }
        ["fork", count] => {
            wait();
            fork(number(count));
        }
        ["threads", count] => {
            wait();
            threads(number(count));
        }
        ["memfd", mebibytes, ..] => {
            wait();
            memfd(number(mebibytes));
        }
        ["forked-copies", mebibytes, ..] => {
            wait();
            forked_copies(mebibytes);
        }
        ["spin", milliseconds] => {
            wait();
            spin(Duration::from_millis(number(milliseconds) as u64));
        }
        ["supervise", version] => supervise(version),
        ["sleep"] => sleep(Duration::from_secs(60)),
        ["join-and-sleep"] => {
            let procs = std::io::stdin().as_fd().try_clone_to_owned().expect("standard input is open");
            limits::join(&[procs]).expect("joining the group works");
            println!("joined");
            sleep(Duration::from_secs(60));
        }
        _ => panic!("no such role: {role:?}"),
    }
    ExitCode::SUCCESS
}

/// Makes a group, puts a process into it that would outlive this one, and says so.
fn supervise(version: &str) {
    let version = if version == "v1" { limits::Version::V1 } else { limits::Version::V2 };
    let bounds = [(Resource::Memory, 1 << 30), (Resource::Processes, 100)];
    let bounds = bounds.map(|(resource, value)| limits::Bound { resource, value });
    let group = limits::Cgroup::create(&stockade_linux::cgroups(), version, &bounds).expect("the group is made");
    let mut member = start(&["sleep"]);
    group.add(Pid::from_child(&member)).expect("the member is added");
    println!("{}", member.id());
    group.paths().for_each(|path| println!("{}", path.display()));
    println!();
    member.wait().expect("it is a child");
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn wait() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("standard input is a pipe");
}

/// Uses that much memory, and stays for a while.
fn hog(mebibytes: usize) {
    let memory = vec![1_u8; mebibytes << 20];
    std::hint::black_box(&memory);
    sleep(Duration::from_secs(2));
}

/// Starts that many processes that stay, and prints how many could be started.
fn fork(count: usize) {
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..count {
        match command(&["sleep"]).spawn() {
            Ok(child) => children.push(child),
            Err(_) => break,
        }
    }
    println!("{}", children.len());
    for mut child in children {
        child.kill().expect("it is a child");
        child.wait().expect("it is a child");
    }
}

fn threads(count: usize) {
    for _ in 0..count {
        std::thread::spawn(|| sleep(Duration::from_secs(60)));
    }
    println!("{count}");
    std::io::stdout().flush().expect("standard output is open");
    sleep(Duration::from_secs(60));
}

/// Fills shared memory without ever mapping it.
fn memfd(mebibytes: usize) {
    let file = rustix::fs::memfd_create(c"memory", rustix::fs::MemfdFlags::CLOEXEC).expect("it can be made");
    let chunk = vec![1; 1 << 20];
    for _ in 0..mebibytes {
        rustix::io::write(&file, &chunk).expect("there is room");
    }
    sleep(Duration::from_secs(60));
}

/// Fills memory and forks four times, so that five processes hold the same pages.
fn forked_copies(mebibytes: &str) {
    let script = "import os,sys,time\nx=b'1'*(int(sys.argv[1])<<20)\nfor _ in range(4):\n  if os.fork()==0: break\n\
                  for _ in range(100):\n  time.sleep(.05)\n  if os.getppid()==1: break";
    let mut python = Command::new("python3").args(["-c", script, mebibytes]).spawn().expect("python3 is installed");
    python.wait().expect("it is a child");
}

/// Uses the processor for that long by the clock.
fn spin(time: Duration) {
    let start = std::time::Instant::now();
    while start.elapsed() < time {
        std::hint::black_box(0_u64);
    }
}
