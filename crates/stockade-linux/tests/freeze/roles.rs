//! What this program does when a test starts it inside.

use std::fs::File;
use std::io::BufRead;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::WaitOptions;

/// The variable that holds the role's words, as JSON.
const ROLE: &str = "STOCKADE_FREEZE_ROLE";

/// The command that plays a role.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "roles::role", "--nocapture"]);
    command.env(ROLE, serde_json::to_string(words).unwrap());
    command
}

/// Does nothing by itself: it is what [`command`] starts.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<String> = serde_json::from_str(&role).unwrap();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["init", commands] => init(commands),
        ["count", directory] => count(Path::new(directory)),
        ["exec", directory] => exec(directory),
        ["freeze", init, directory] => freeze(init, Path::new(directory)),
        ["unreadable", program] => unreadable(program),
        _ => panic!("no such role: {words:?}"),
    }
}

/// Starts commands when it is told to, and reaps whatever ends.
fn init(commands: &str) {
    let commands: Vec<Vec<String>> = serde_json::from_str(commands).unwrap();
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    let mut children = Vec::new();
    for words in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut start = match words.as_slice() {
            ["role", role @ ..] => command(role),
            [program, arguments @ ..] => {
                let mut start = Command::new(program);
                start.args(arguments);
                start
            }
            [] => continue,
        };
        children.push(start.spawn().unwrap());
    }
    loop {
        if rustix::process::wait(WaitOptions::empty()).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Four threads, each of which counts in two files, always in the first before the second; and two that start processes.
fn count(directory: &Path) {
    std::thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || {
                let create = |which: &str| File::create(directory.join(format!("{which}-{number}"))).unwrap();
                let (first, second) = (create("first"), create("second"));
                for count in 1_u64.. {
                    first.write_all_at(&count.to_le_bytes(), 0).unwrap();
                    second.write_all_at(&count.to_le_bytes(), 0).unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let script = "true & (true; true) & wait";
                    Command::new("sh").args(["-c", script]).status().unwrap();
                }
            });
        }
    });
}

/// A thread that is not the first executes this program anew, which ends all the others.
fn exec(directory: &str) {
    std::fs::write(Path::new(directory).join("executed"), "once").unwrap();
    let threads = (0..3).map(|_| std::thread::spawn(|| std::thread::sleep(Duration::from_secs(60))));
    let threads: Vec<_> = threads.collect();
    let error = command(&["exec", directory]).exec();
    panic!("{error}, {}", threads.len());
}

/// Freezes a sandbox, says so, and stays.
fn freeze(init: &str, directory: &Path) {
    use std::os::fd::AsFd;
    let proc = File::open(format!("/proc/{init}/root/proc")).unwrap();
    let init = rustix::process::Pid::from_raw(init.parse().unwrap()).unwrap();
    let freezer = stockade_linux::freeze::Freezer::of([], init, proc.as_fd()).unwrap();
    let frozen = freezer.freeze(&[]).unwrap();
    std::fs::write(directory.join("frozen"), format!("{:?}", frozen.held())).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// Says what keeps a sandbox with a program from being frozen.
fn unreadable(program: &str) {
    let Some(sandbox) = crate::sandbox::Sandbox::traced(&[&[program, "1000"], &["sleep", "1000"]]) else { return };
    sandbox.until(|| sandbox.letters().values().filter(|letter| **letter == 'S').count() == 2);
    // Until then they are copies of this program.
    std::thread::sleep(Duration::from_millis(50));
    println!("{}", sandbox.freezer().freeze(&[]).unwrap_err());
}
