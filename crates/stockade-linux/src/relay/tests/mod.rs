//! Live tests: real commands, real pipes, real terminals.

mod pipes;
mod stdin;
mod terminal;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{HostStdio, InnerStream, Relay, RelayEvent};

/// No test takes longer than this, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").unwrap().into()
}

fn duplicate(fd: &OwnedFd) -> OwnedFd {
    fd.try_clone().unwrap()
}

/// The command's ends, as descriptors that `std::process` takes.
fn stdio(stream: InnerStream, terminal: Option<&OwnedFd>) -> Stdio {
    match stream {
        InnerStream::Descriptor(fd) => fd.into(),
        InnerStream::Null => Stdio::null(),
        InnerStream::Terminal => duplicate(terminal.expect("the test has a terminal")).into(),
    }
}

/// `sh -c script` behind a relay.
struct Run {
    relay: Relay,
    child: Child,
    limits_hit: u32,
}

impl Run {
    fn start(script: &str, host: HostStdio, limit: Option<u64>) -> Self {
        let (relay, inner) = Relay::new(host, Default::default(), limit).unwrap();
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(stdio(inner.stdin, None))
            .stdout(stdio(inner.stdout, None))
            .stderr(stdio(inner.stderr, None))
            .spawn()
            .unwrap();
        Self { relay, child, limits_hit: 0 }
    }

    /// One turn of the supervisor's loop.
    fn turn(&mut self, wait: Duration) {
        let mut set = Vec::new();
        self.relay.interests(&mut set);
        let wait = Timespec::try_from(wait).unwrap();
        poll(&mut set, Some(&wait)).unwrap();
        let revents: Vec<PollFlags> = set.iter().map(PollFd::revents).collect();
        if self.relay.ready(&revents).unwrap() == RelayEvent::OutputLimit {
            self.limits_hit += 1;
        }
    }

    /// Until the command ended, and its output is passed on.
    fn finish(&mut self) -> std::process::ExitStatus {
        let start = Instant::now();
        let status = loop {
            self.turn(Duration::from_millis(2));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the command hangs");
        };
        if self.relay.finish().unwrap() == RelayEvent::OutputLimit {
            self.limits_hit += 1;
        }
        status
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        if !matches!(ended, Ok(Some(_))) {
            self.child.kill().expect("the child is ours and not yet reaped");
            self.child.wait().expect("the child is ours");
        }
    }
}
