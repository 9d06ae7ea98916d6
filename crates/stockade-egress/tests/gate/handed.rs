//! Connections that are handed over, where there is no network inside: their sockets are of Unix.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use stockade_egress::{Admission, End, Limit, Process, Reason};

use crate::world::{Build, OUTSIDE, World, echo, world};

/// What a supervisor does for a program that connects.
fn carry(world: &World, to: SocketAddr) -> (UnixStream, Admission) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let admission = world.gate.carry(to, Some(Process::new(77, "test")), far.as_fd());
    (near, admission)
}

fn named(world: &World, port: u16) -> SocketAddr {
    SocketAddr::new(world.resolve("a.test").unwrap(), port)
}

#[test]
fn a_unix_socket_is_carried_and_told_of_like_any_other() {
    let (world, port) = (world(), echo());
    let (mut socket, admission) = carry(&world, named(&world, port));
    assert_eq!(admission, Admission::Continue);
    let text = vec![b'x'; 1 << 20];
    let all = std::thread::scope(|scope| {
        let mut writer = socket.try_clone().unwrap();
        let text = &text;
        scope.spawn(move || {
            writer.write_all(text).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        all
    });
    assert!(all == text);
    let told = world.connection();
    assert_eq!((told.host.as_str(), told.port, told.address), ("a.test", port, Some(OUTSIDE)));
    assert_eq!((told.sent, told.received, told.end), (1 << 20, 1 << 20, End::Closed));
    assert_eq!(told.process.map(|process| process.pid), Some(77));
}

#[test]
fn what_is_refused_is_not_carried() {
    let (world, port) = (world(), echo());
    // No loopback is the program's own here, and the name server has other ways.
    for (to, reason) in [
        (SocketAddr::from(([127, 0, 0, 1], port)), Reason::NotAllowed),
        (SocketAddr::from(([0, 0, 0, 0], port)), Reason::NotAllowed),
        (SocketAddr::new(world.reserved(1), 53), Reason::NoSuchAddress),
    ] {
        let (mut socket, admission) = carry(&world, to);
        let Admission::Refuse { denial, .. } = admission else { panic!("{to}") };
        assert_eq!(denial.reason, reason, "{to}");
        // Nobody else has the other end.
        assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn what_is_said_first_has_to_name_the_host() {
    let (world, port) = (world(), echo());
    let (mut socket, _) = carry(&world, named(&world, port));
    socket.write_all(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").unwrap();
    let read = socket.read(&mut [0; 8]);
    assert!(matches!(&read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert!(matches!(world.denial().reason, Reason::Content(_)));
}

#[test]
fn limits_hold_for_them_too() {
    let build = Build::new(&["a.test:1-65535"]).name("a.test", &[&[OUTSIDE]]);
    let world = build.configured(|config| config.limits.connections = Some(1)).start();
    let to = named(&world, echo());
    let (_first, admission) = carry(&world, to);
    assert_eq!(admission, Admission::Continue);
    // The first one counts when the gate's thread has begun with it.
    let refused = (0..1000).find_map(|_| match carry(&world, to).1 {
        Admission::Refuse { denial, .. } => Some(denial.reason),
        Admission::Continue => {
            std::thread::sleep(Duration::from_millis(2));
            None
        }
    });
    assert_eq!(refused, Some(Reason::Limit(Limit::Connections)));
}

fn line() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None).unwrap()
}

#[test]
fn questions_are_answered_on_lines_which_are_bounded() {
    let world = world();
    let mut lines = Vec::new();
    let refused = loop {
        let (near, far) = line();
        match world.gate.answer_names(far) {
            Ok(()) => lines.push(near),
            Err(error) => break error,
        }
    };
    assert_eq!((lines.len(), refused.raw_os_error()), (512, Some(Errno::MFILE.raw_os_error())));
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
    for line in [&lines[0], &lines[511]] {
        send(line, query, SendFlags::NOSIGNAL).unwrap();
        let mut answer = [0; 512];
        rustix::event::poll(&mut [rustix::event::PollFd::new(line, rustix::event::PollFlags::IN)], None).unwrap();
        let (length, _) = recv(line, &mut answer[..], RecvFlags::empty()).unwrap();
        assert!(length > query.len() && answer[7] == 1, "{:?}", &answer[..length]);
    }
    // A line that has ended makes room.
    lines.truncate(500);
    let again = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        let (near, far) = line();
        lines.push(near);
        world.gate.answer_names(far).is_ok()
    });
    assert!(again);
}
