//! Streams that are terminals. The tests play the person at the keyboard: they hold the master of the pseudo-terminal
//! that is the "caller's terminal", while the command gets a second one.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFlags, Timespec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use stockade_spec::request::Terminal;

use super::{HostStdio, PATIENCE, Run, duplicate, null, stdio};
use crate::relay::{Relay, RelayEvent, TerminalPair, open_terminal};

const ALL: Terminal = Terminal { stdin: true, stdout: true, stderr: true };

/// A person at a terminal, from which `sh -c script` was started behind a relay.
struct Session {
    run: Run,
    person: TerminalPair,
    screen: String,
}

impl Session {
    /// `host` makes the caller's streams of the terminal that the person sits at.
    fn start(script: &str, terminal: Terminal, host: impl FnOnce(&OwnedFd) -> HostStdio) -> Self {
        let person = open_terminal(Path::new("/dev/ptmx")).unwrap();
        rustix::fs::fcntl_setfl(&person.master, rustix::fs::OFlags::NONBLOCK).unwrap();
        set_size(&person.master, 33, 99);
        let (mut relay, inner) = Relay::new(host(&person.slave), terminal, None).unwrap();
        assert!(inner.terminal());
        let TerminalPair { master, slave } = open_terminal(Path::new("/dev/ptmx")).unwrap();
        relay.attach_terminal(master).unwrap();
        // A session of its own, whose controlling terminal is the first one that its leader opens.
        let name = rustix::termios::ttyname(&slave, Vec::new()).unwrap().into_string().unwrap();
        let child = Command::new("setsid")
            .args(["sh", "-c", ": <\"$0\"; eval \"$1\"", &name, script])
            .stdin(stdio(inner.stdin, Some(&slave)))
            .stdout(stdio(inner.stdout, Some(&slave)))
            .stderr(stdio(inner.stderr, Some(&slave)))
            .spawn()
            .unwrap();
        Self { run: Run { relay, child, limits_hit: 0 }, person, screen: String::new() }
    }

    fn turn(&mut self) {
        self.run.turn(Duration::from_millis(5));
        self.look();
    }

    fn look(&mut self) {
        let mut buffer = [0; 65_536];
        while let Ok(read @ 1..) = rustix::io::read(&self.person.master, &mut buffer) {
            self.screen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// Until this text is on the screen.
    fn until(&mut self, text: &str) {
        let start = Instant::now();
        while !self.screen.contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text:?} did not appear on the screen: {:?}", self.screen);
            self.turn();
        }
    }

    fn type_keys(&self, keys: &str) {
        rustix::io::write(&self.person.master, keys.as_bytes()).unwrap();
    }

    fn finish(&mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            self.turn();
            if let Some(status) = self.run.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the command hangs; screen: {:?}", self.screen);
        };
        self.run.relay.end().unwrap();
        while !self.run.relay.is_done() {
            self.turn();
        }
        assert_eq!(self.run.relay.finish().unwrap(), RelayEvent::Nothing);
        self.look();
        status
    }

    fn collects_lines(&self) -> bool {
        tcgetattr(&self.person.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }
}

fn all_three(terminal: &OwnedFd) -> HostStdio {
    HostStdio { stdin: duplicate(terminal), stdout: duplicate(terminal), stderr: duplicate(terminal) }
}

fn set_size(master: &OwnedFd, rows: u16, columns: u16) {
    tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

#[test]
fn the_command_sees_a_terminal_of_the_same_size_and_may_name_it() {
    let mut session = Session::start("test -t 0 -a -t 1 -a -t 2 && tty && stty size </dev/tty", ALL, all_three);
    assert!(session.finish().success(), "{}", session.screen);
    assert!(session.screen.starts_with("/dev/pts/"), "{}", session.screen);
    assert!(session.screen.contains("\r\n33 99\r\n"), "{:?}", session.screen);
    assert_eq!(session.run.relay.stderr_tail(), session.screen.as_bytes());
    assert_eq!(session.run.relay.sizes().stdout, session.screen.len() as u64);
}

#[test]
fn a_changed_window_reaches_the_command() {
    let mut session =
        Session::start("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.02; done", ALL, all_three);
    session.until("ready");
    set_size(&session.person.master, 7, 70);
    session.run.relay.window_changed().unwrap();
    session.finish();
    assert!(session.screen.contains("7 70"), "{:?}", session.screen);
}

#[test]
fn keys_are_echoed_once_edited_and_end_with_control_d() {
    let mut session =
        Session::start("echo ready; while read line; do echo \"<$line>\"; done; echo end", ALL, all_three);
    session.until("ready");
    assert!(!session.collects_lines(), "the caller's terminal is raw");
    session.type_keys("hallo\x7f\x7f\x7fello\r");
    session.until("<haello>");
    session.type_keys("\x04");
    assert!(session.finish().success());
    assert!(session.screen.contains("end"), "{:?}", session.screen);
    assert_eq!(session.screen.matches("hallo").count(), 1, "{:?}", session.screen);
    assert!(session.collects_lines(), "the caller's terminal is as it was");
}

#[test]
fn control_c_interrupts_the_command_and_not_the_supervisor() {
    let mut session = Session::start("echo ready; exec sleep 60", ALL, all_three);
    session.until("ready");
    session.type_keys("\x03");
    let status = session.finish();
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status}");
    assert!(session.collects_lines());
}

#[test]
fn suspending_gives_the_terminal_back_and_dropping_too() {
    let mut session = Session::start("cat", ALL, all_three);
    session.turn();
    assert!(!session.collects_lines());
    session.run.relay.suspend().unwrap();
    assert!(session.collects_lines());
    set_size(&session.person.master, 11, 22);
    session.run.relay.resume().unwrap();
    assert!(!session.collects_lines());
    let Session { run, person, .. } = session;
    drop(run);
    assert!(tcgetattr(&person.slave).unwrap().local_modes.contains(LocalModes::ICANON));
}

#[test]
fn a_million_lines_reach_a_terminal() {
    let mut session = Session::start("seq 200000", ALL, all_three);
    assert!(session.finish().success());
    assert_eq!(session.screen.lines().count(), 200_000);
    assert!(session.screen.ends_with("200000\r\n"));
}

#[test]
fn with_a_program_behind_the_output_lines_are_passed_on_and_the_terminal_is_left_alone() {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let behind = thread::spawn(move || {
        let mut all = String::new();
        File::from(read).read_to_string(&mut all).unwrap();
        all
    });
    let terminal = Terminal { stdout: false, ..ALL };
    let mut session = Session::start("echo ready >&2; read a; read b; echo \"$a-$b\"; wc -c", terminal, |tty| {
        HostStdio { stdin: duplicate(tty), stdout: write, stderr: duplicate(tty) }
    });
    session.until("ready");
    assert!(session.collects_lines());
    session.type_keys("one\ntwo\nrest\x04\x04");
    assert!(session.finish().success());
    assert_eq!(session.screen.matches("two").count(), 1, "echoed by one terminal only: {:?}", session.screen);
    drop(session);
    assert_eq!(behind.join().unwrap(), "one-two\n4\n");
}

#[test]
fn with_other_input_keys_are_read_only_for_a_full_screen_program() {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    drop(write);
    let terminal = Terminal { stdin: false, ..ALL };
    let script = "exec 3<>/dev/tty; echo ready; sleep 0.1; stty raw <&3; echo raw; k=$(head -c 1 <&3); \
                  stty sane <&3; echo got $k; sleep 0.1";
    let mut session = Session::start(script, terminal, |tty| HostStdio {
        stdin: read,
        stdout: duplicate(tty),
        stderr: duplicate(tty),
    });
    session.until("ready");
    assert!(session.collects_lines(), "not needed yet");
    session.until("raw");
    session.type_keys("k");
    session.until("got k");
    session.finish();
    assert!(session.collects_lines());
}

/// This test runs itself once more, as a job of a shell on a terminal of its own: in the background first.
#[test]
fn a_job_in_the_background_leaves_the_terminal_alone_until_it_is_in_the_foreground() {
    const MARK: &str = "STOCKADE_TEST_BACKGROUND";
    if std::env::var_os(MARK).is_some() {
        return background_job();
    }
    let person = open_terminal(Path::new("/dev/ptmx")).unwrap();
    let script = "set -m; \"$0\" --exact --nocapture \"$1\" & sleep 1; fg";
    let name =
        "relay::tests::terminal::a_job_in_the_background_leaves_the_terminal_alone_until_it_is_in_the_foreground";
    let mut shell = Command::new("setsid")
        .args(["-c", "-w", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(MARK, "1")
        .stdin(duplicate(&person.slave))
        .stdout(duplicate(&person.slave))
        .stderr(duplicate(&person.slave))
        .spawn()
        .unwrap();
    drop(person.slave);
    let (mut screen, mut master) = (Vec::new(), File::from(person.master));
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        screen.extend_from_slice(&buffer[..read]);
    }
    let screen = String::from_utf8_lossy(&screen).into_owned();
    assert!(shell.wait().unwrap().success(), "{screen}");
    assert!(screen.contains("background verified") && screen.contains("1 passed"), "{screen}");
}

fn background_job() {
    let stdin: OwnedFd = File::open("/dev/tty").unwrap().into();
    assert_ne!(rustix::termios::tcgetpgrp(&stdin).unwrap(), rustix::process::getpgrp(), "must run in the background");
    let before = tcgetattr(&stdin).unwrap();
    let host = HostStdio { stdin: duplicate(&stdin), stdout: duplicate(&stdin), stderr: null() };
    let (mut relay, _) = Relay::new(host, Terminal { stderr: false, ..ALL }, None).unwrap();
    relay.attach_terminal(open_terminal(Path::new("/dev/ptmx")).unwrap().master).unwrap();
    relay.resume().unwrap();
    let mut set = Vec::new();
    relay.interests(&mut set);
    assert_eq!(set.len(), 3, "the clock and the outputs are waited for, and not the terminal");
    rustix::event::poll(&mut set[..1], Some(&Timespec { tv_sec: 5, tv_nsec: 0 })).unwrap();
    assert_eq!(set[0].revents(), PollFlags::IN, "the clock ticks");
    let revents = [PollFlags::IN, PollFlags::empty(), PollFlags::empty()];
    relay.ready(&revents).unwrap();
    assert!(tcgetattr(&stdin).unwrap().local_modes.contains(LocalModes::ICANON));
    // Brought to the foreground, it takes the terminal at the next tick.
    println!("in the background");
    let start = Instant::now();
    while rustix::termios::tcgetpgrp(&stdin).unwrap() != rustix::process::getpgrp() {
        assert!(start.elapsed() < PATIENCE, "the shell does not bring this job to the foreground");
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(300));
    relay.ready(&revents).unwrap();
    assert!(!tcgetattr(&stdin).unwrap().local_modes.contains(LocalModes::ICANON));
    drop(relay);
    let after = tcgetattr(&stdin).unwrap();
    assert_eq!(before.local_modes, after.local_modes);
    println!("background verified");
}
