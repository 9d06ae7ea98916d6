//! Standard input through pipes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::pipe::{PipeFlags, pipe_with};

use super::{HostStdio, Run, null};

/// Runs the script with this input; returns what it wrote.
fn output_with(script: &str, stdin: OwnedFd) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let stdout = File::create(file.path()).unwrap().into();
    let mut run = Run::start(script, HostStdio { stdin, stdout, stderr: null() }, None);
    run.finish();
    std::fs::read(file.path()).unwrap()
}

fn lines(count: u32) -> Vec<u8> {
    (1..=count).flat_map(|i| format!("{i}\n").into_bytes()).collect()
}

/// A pipe, a socket and a file, each with this content, and a second descriptor to see what is left in it.
fn sources(content: &[u8]) -> Vec<(&'static str, OwnedFd, File)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    for mut writer in [File::from(write), File::from(OwnedFd::from(ours))] {
        let content = content.to_vec();
        thread::spawn(move || writer.write_all(&content).unwrap());
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    [("pipe", read), ("socket", theirs.into()), ("file", file.into())]
        .map(|(name, fd)| (name, fd.try_clone().unwrap(), fd.into()))
        .into()
}

#[test]
fn all_input_arrives() {
    let content = lines(200_000);
    for (name, stdin, _) in sources(&content) {
        assert!(output_with("cat", stdin) == content, "{name}");
    }
}

#[test]
fn what_the_command_leaves_unread_stays_with_the_caller() {
    for size in [5, 10_000] {
        let content = lines(size);
        for (script, taken) in
            [("true", 0), ("head -c 4 >/dev/null", 4), ("dd bs=1 count=3 2>/dev/null; exec <&-; sleep 0.1", 3)]
        {
            for (name, stdin, mut rest) in sources(&content) {
                output_with(script, stdin);
                let mut left = Vec::new();
                rest.read_to_end(&mut left).unwrap();
                assert!(left == content[taken..], "{name}, {size} lines, {script}: {} bytes left", left.len());
            }
        }
    }
}

#[test]
fn a_command_that_has_read_much_loses_the_caller_at_most_a_pipe_of_input() {
    let content = lines(200_000);
    for (name, stdin, mut rest) in sources(&content) {
        assert_eq!(output_with("head -c 400000 | tail -c 3", stdin), &content[399_997..400_000], "{name}");
        let mut left = Vec::new();
        rest.read_to_end(&mut left).unwrap();
        assert!(content.ends_with(&left), "{name}");
        let lost = content.len() - 400_000 - left.len();
        assert!(lost <= 65_536 && (name != "file" || lost == 0), "{name}: {lost} bytes lost");
    }
}

#[test]
fn a_pipe_is_read_only_as_data_comes_and_its_end_is_seen() {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let writer = thread::spawn(move || {
        let mut write = File::from(write);
        for _ in 0..3 {
            write.write_all(b"x").unwrap();
            thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    assert_eq!(output_with("cat; echo end", read), b"xxxend\n");
    writer.join().unwrap();
}

#[test]
fn null_stays_the_null_device_and_a_directory_is_an_empty_input() {
    assert_eq!(output_with("test -c /dev/stdin && wc -c", null()), b"0\n");
    let directory = File::open("/").unwrap();
    let (mut relay, inner) = super::Relay::new(
        HostStdio { stdin: directory.into(), stdout: null(), stderr: null() },
        Default::default(),
        None,
    )
    .unwrap();
    let mut set = Vec::new();
    relay.interests(&mut set);
    let flags: Vec<_> = set.iter().map(|_| rustix::event::PollFlags::IN).collect();
    let error = relay.ready(&flags).unwrap_err();
    assert!(error.to_string().contains("standard input"), "{error}");
    let super::InnerStream::Descriptor(stdin) = inner.stdin else { panic!("a pipe is expected") };
    let mut rest = Vec::new();
    File::from(stdin).read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn the_command_cannot_write_into_the_callers_pipe() {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let mut rest = File::from(read.try_clone().unwrap());
    drop(File::from(write));
    output_with("echo injected >/proc/self/fd/0", read);
    let mut left = Vec::new();
    rest.read_to_end(&mut left).unwrap();
    assert!(left.is_empty());
}
