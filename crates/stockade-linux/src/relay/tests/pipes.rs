//! Output through pipes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use rustix::pipe::{PipeFlags, pipe_with};

use super::{HostStdio, Run, duplicate, null};
use crate::relay::TAIL_BYTES;

fn pipe() -> (File, OwnedFd) {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    (read.into(), write)
}

fn reader(mut file: File) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        file.read_to_end(&mut all).unwrap();
        all
    })
}

/// Runs to the end with both streams read; returns them and the run.
fn both(script: &str, limit: Option<u64>) -> (Vec<u8>, Vec<u8>, Run) {
    let ((out, out_write), (err, err_write)) = (pipe(), pipe());
    let (out, err) = (reader(out), reader(err));
    let mut run = Run::start(script, HostStdio { stdin: null(), stdout: out_write, stderr: err_write }, limit);
    run.finish();
    run.relay.outputs.clear();
    (out.join().unwrap(), err.join().unwrap(), run)
}

/// Runs to the end with both streams joined, as after `2>&1`.
fn joined(script: &str, host: OwnedFd) -> Run {
    let stderr = duplicate(&host);
    let mut run = Run::start(script, HostStdio { stdin: null(), stdout: host, stderr }, None);
    run.finish();
    run
}

#[test]
fn both_streams_arrive_whole_and_apart() {
    let (out, err, _) = both("printf one; printf two >&2; printf three", None);
    assert_eq!((out.as_slice(), err.as_slice()), (&b"onethree"[..], &b"two"[..]));
}

#[test]
fn bytes_that_are_not_unicode_and_a_line_without_end_pass_unchanged() {
    let script = "head -c 3000000 /dev/zero; printf '\\377\\376\\000\\200'; head -c 100000 /dev/zero >&2";
    let (out, err, run) = both(script, None);
    assert_eq!(out.len(), 3_000_004);
    assert_eq!(&out[3_000_000..], b"\xff\xfe\0\x80");
    assert_eq!(err, vec![0; 100_000]);
    assert_eq!((run.relay.sizes().stdout, run.relay.sizes().stderr), (0, 0), "the outputs were cleared");
}

#[test]
fn sizes_and_tail_tell_what_was_passed_on() {
    let ((_out, out_write), (_err, err_write)) = (pipe(), pipe());
    let mut run = Run::start(
        "printf 12345; printf oops >&2",
        HostStdio { stdin: null(), stdout: out_write, stderr: err_write },
        None,
    );
    assert!(run.finish().success());
    assert_eq!((run.relay.sizes().stdout, run.relay.sizes().stderr), (5, 4));
    assert_eq!(run.relay.stderr_tail(), b"oops");
}

#[test]
fn order_is_kept_where_the_caller_joined_the_streams() {
    let (read, write) = pipe();
    let out = reader(read);
    let script = "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    let run = joined(script, write);
    let tail = String::from_utf8_lossy(run.relay.stderr_tail()).into_owned();
    drop(run);
    let expected: String = (0..500).map(|i| format!("o{i}\ne{i}\n")).collect();
    assert_eq!(String::from_utf8(out.join().unwrap()).unwrap(), expected);
    assert!(tail.ends_with("o499\ne499\n"));
}

#[test]
fn a_file_gets_a_million_lines_also_when_opened_for_appending() {
    let expected: String = (1..=1_000_000).map(|i| format!("{i}\n")).collect();
    for append in [false, true] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), if append { "before\n" } else { "" }).unwrap();
        let host = File::options().append(append).write(true).open(file.path()).unwrap();
        let run = joined("seq 1000000; seq 3 >&2", host.into());
        let content = fs::read_to_string(file.path()).unwrap();
        let before = if append { "before\n" } else { "" };
        assert!(content == format!("{before}{expected}1\n2\n3\n"), "append: {append}");
        assert_eq!(run.relay.sizes().stdout, (expected.len() + 6) as u64);
        assert_eq!(run.relay.stderr_tail().len(), TAIL_BYTES);
    }
}

#[test]
fn stdout_alone_reaches_files_and_sockets() {
    for append in [false, true] {
        let mut file = tempfile::tempfile().unwrap();
        let host: OwnedFd = file.try_clone().unwrap().into();
        rustix::fs::fcntl_setfl(&host, if append { rustix::fs::OFlags::APPEND } else { rustix::fs::OFlags::empty() })
            .unwrap();
        let mut run = Run::start("seq 300000", HostStdio { stdin: null(), stdout: host, stderr: null() }, None);
        assert!(run.finish().success());
        let mut content = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut content).unwrap();
        assert!(content == (1..=300_000).map(|i| format!("{i}\n")).collect::<String>(), "append: {append}");
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let out = reader(OwnedFd::from(ours).into());
    let mut run = Run::start("seq 300000", HostStdio { stdin: null(), stdout: theirs.into(), stderr: null() }, None);
    assert!(run.finish().success());
    drop(run);
    assert_eq!(out.join().unwrap().iter().filter(|&&byte| byte == b'\n').count(), 300_000);
}

#[test]
fn a_slow_reader_slows_the_command_down_but_never_the_loop() {
    let (mut read, write) = pipe();
    let mut run = Run::start("seq 200000", HostStdio { stdin: null(), stdout: write, stderr: null() }, None);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        let turn = Instant::now();
        run.turn(Duration::from_millis(10));
        assert!(turn.elapsed() < Duration::from_millis(200), "the loop waited for the reader");
    }
    assert!(run.child.try_wait().unwrap().is_none(), "the command cannot have written everything");
    assert!(ioctl_fionread(&read).unwrap() > 0);
    let rest = thread::spawn(move || {
        let mut all = String::new();
        read.read_to_string(&mut all).unwrap();
        all
    });
    assert!(run.finish().success());
    drop(run);
    assert_eq!(rest.join().unwrap().lines().count(), 200_000);
}

#[test]
fn a_closed_stdout_ends_the_command_with_a_broken_pipe() {
    for stderr_too in [false, true] {
        let (read, write) = pipe();
        drop(read);
        let stderr = if stderr_too { duplicate(&write) } else { null() };
        let mut run = Run::start("exec yes", HostStdio { stdin: null(), stdout: write, stderr }, None);
        assert_eq!(run.finish().signal(), Some(13), "SIGPIPE");
    }
}

#[test]
fn the_output_limit_is_exact_and_told_once() {
    for limit in [0, 1, 4096, 65_536, 100_000] {
        let (out, err, run) = both("head -c 99999 /dev/zero; sleep 0.05; head -c 5 /dev/zero >&2", Some(limit));
        assert_eq!((out.len() + err.len()) as u64, limit, "limit {limit}");
        assert_eq!(run.limits_hit, 1, "limit {limit}");
    }
    let (out, _, run) = both("head -c 100000 /dev/zero", Some(100_000));
    assert_eq!((out.len(), run.limits_hit), (100_000, 0), "exactly the limit is within it");
}

#[test]
fn a_process_that_outlives_the_command_delays_nothing() {
    let (read, write) = pipe();
    let out = reader(read);
    let start = Instant::now();
    let mut run = Run::start("sleep 5 & echo done", HostStdio { stdin: null(), stdout: write, stderr: null() }, None);
    assert!(run.finish().success());
    drop(run);
    assert_eq!(out.join().unwrap(), b"done\n");
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_full_disk_is_an_error_of_that_stream_alone() {
    let full: OwnedFd = File::options().write(true).open("/dev/full").unwrap().into();
    let (err, err_write) = pipe();
    let err = reader(err);
    let host = HostStdio { stdin: null(), stdout: full, stderr: err_write };
    let (mut relay, inner) = super::Relay::new(host, Default::default(), None).unwrap();
    let mut child = std::process::Command::new("sh")
        .args(["-c", "echo lost; echo kept >&2"])
        .stdout(super::stdio(inner.stdout, None))
        .stderr(super::stdio(inner.stderr, None))
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let error = relay.finish().unwrap_err();
    assert!(error.to_string().contains("standard output"), "{error}");
    relay.finish().unwrap();
    drop(relay);
    assert_eq!(err.join().unwrap(), b"kept\n");
}
