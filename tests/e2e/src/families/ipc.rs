//! Sockets, shared memory, queues, keys and terminals of the host.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::net::{Shutdown, SocketAddr as InternetAddress, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::time::Duration;

use super::files::{any, exists};
use crate::attack::{Attack, Attempt, Event, Failed, Landlock, Native, Proof, Trace};
use crate::host;
use crate::scene::{Scene, holds_canary, named, read_canary};
use crate::sys::{self, Arg};

const NO_SUCH: &str = "the numbers and names of another IPC namespace mean nothing inside";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "docker-socket",
        techniques: &[25],
        about: "Connect to the socket of a container engine.",
        attempt: |scene| connect(scene, "run/docker.sock"),
        trace: Trace::Event(&[Event("sockets", "connect", "run/docker.sock")]),
        ..Attack::BASE
    },
    Attack {
        name: "message-bus",
        techniques: &[26],
        about: "Connect to the session's D-Bus, from which programs can be started outside.",
        attempt: |scene| connect(scene, "run/bus"),
        trace: Trace::Event(&[Event("sockets", "connect", "run/bus")]),
        ..Attack::BASE
    },
    Attack {
        name: "abstract-socket",
        techniques: &[27, 35],
        about: "Connect to an abstract socket, as the X server has one.",
        attempt: |scene| stream(&SocketAddr::from_abstract_name(scene.word())?),
        trace: Trace::Event(&[Event("sockets", "connect", "@stockade-e2e-")]),
        ..Attack::BASE
    },
    Attack {
        name: "display-socket",
        techniques: &[27, 35],
        about: "Connect to a Wayland compositor's socket.",
        attempt: |scene| connect(scene, "run/wayland-0"),
        trace: Trace::Event(&[Event("sockets", "connect", "run/wayland-0")]),
        ..Attack::BASE
    },
    Attack {
        name: "key-agents",
        techniques: &[28],
        about: "Connect to the agents of ssh and gpg.",
        attempt: |scene| any([connect(scene, "run/ssh-agent"), connect(scene, "run/gnupg/S.gpg-agent")]),
        trace: Trace::Event(&[
            Event("sockets", "connect", "run/ssh-agent"),
            Event("sockets", "connect", "S.gpg-agent"),
        ]),
        ..Attack::BASE
    },
    Attack {
        name: "terminal-multiplexer",
        techniques: &[29],
        about: "Connect to the socket of a terminal multiplexer, which types for whoever asks.",
        attempt: |scene| connect(scene, "run/tmux/default"),
        trace: Trace::Event(&[Event("sockets", "connect", "run/tmux/default")]),
        ..Attack::BASE
    },
    Attack {
        name: "datagram-by-path",
        techniques: &[31],
        about: "Send a datagram to a socket of the host by its path, without connecting.",
        attempt: |scene| {
            let path = scene.outside().join(host::DATAGRAMS);
            UnixDatagram::unbound()?.send_to(b"x", &path).map(drop).map_err(|error| named(&path, &error).into())
        },
        proof: Proof::Host(received),
        trace: Trace::Event(&[Event("sockets", "sendto", "run/dgram")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("sockets", "socket", "AF_UNIX")])),
        ..Attack::BASE
    },
    Attack {
        name: "datagram-by-abstract-name",
        techniques: &[31],
        about: "Send a datagram to an abstract socket of the host.",
        attempt: |scene| {
            let address = SocketAddr::from_abstract_name(scene.word() + ".dgram")?;
            Ok(UnixDatagram::unbound()?.send_to_addr(b"x", &address).map(drop)?)
        },
        proof: Proof::Host(received),
        trace: Trace::Event(&[Event("sockets", "sendto", "@stockade-e2e-")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("sockets", "socket", "AF_UNIX")])),
        ..Attack::BASE
    },
    Attack {
        name: "odd-socket-families",
        techniques: &[32],
        about: "Make sockets of families that reach the kernel or other machines: vsock, packet, crypto, netlink, raw, Bluetooth.",
        attempt: |_| {
            let made: Vec<String> = FAMILIES
                .iter()
                .filter(|(_, words)| socket(*words).is_ok())
                .map(|(name, _)| (*name).to_owned())
                .collect();
            if made.is_empty() { Err(Failed::refused("no such socket can be made")) } else { Ok(()) }
        },
        native: Native::WhereAvailable("most of the families are modules that a kernel may lack"),
        trace: Trace::Event(&[
            Event("sockets", "socket", "AF_VSOCK"),
            Event("sockets", "socket", "AF_PACKET"),
            Event("sockets", "socket", "AF_ALG"),
            Event("sockets", "socket", "AF_NETLINK"),
        ]),
        ..Attack::BASE
    },
    Attack {
        name: "host-loopback",
        techniques: &[47, 58],
        about: "Connect to a service on the host's loopback address.",
        attempt: |scene| {
            let address = InternetAddress::from(([127, 0, 0, 1], scene.number("port")?));
            let mut peer = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
            let mut content = Vec::new();
            peer.read_to_end(&mut content)?;
            holds_canary(&content)
        },
        trace: Trace::Silent("loopback inside is another one, where nothing listens"),
        landlock: Landlock::Trace(Trace::Event(&[Event("sockets", "socket", "AF_INET")])),
        ..Attack::BASE
    },
    Attack {
        name: "direct-connect",
        techniques: &[47, 52, 53],
        about: "Point a datagram socket at an address outside, which sends nothing yet but shows the way to be open.",
        attempt: |_| Ok(UdpSocket::bind("0.0.0.0:0")?.connect("198.51.100.7:53")?),
        native: Native::WhereAvailable("a machine without a network has no route to it"),
        trace: Trace::Event(&[Event("network", "connect", "198.51.100.7:53")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("sockets", "socket", "AF_INET")])),
        ..Attack::BASE
    },
    Attack {
        name: "metadata-service",
        techniques: &[47, 50],
        about: "Connect to the address at which clouds hand out credentials.",
        attempt: |_| {
            let address = InternetAddress::from(([169, 254, 169, 254], 80));
            Ok(TcpStream::connect_timeout(&address, Duration::from_millis(200)).map(drop)?)
        },
        native: Native::WhereAvailable("only clouds have the service"),
        trace: Trace::Event(&[Event("network", "connect", "169.254.169.254:80")]),
        landlock: Landlock::Trace(Trace::Event(&[Event("sockets", "socket", "AF_INET")])),
        ..Attack::BASE
    },
    Attack {
        name: "system-v-memory",
        techniques: &[64],
        about: "Attach a System V shared memory segment of the host and read it.",
        attempt: |scene| holds_canary(&sys::read_segment(scene.number("segment")?, 64)?),
        trace: Trace::Silent(NO_SUCH),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "shmat", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "system-v-messages",
        techniques: &[64],
        about: "Take a message out of a System V queue of the host.",
        attempt: |scene| {
            let (queue, mut message) = (scene.number::<i32>("messages")?, [0_u8; 72]);
            let wait = Arg::Number(libc::IPC_NOWAIT.into());
            let mut arguments = [Arg::Number(queue.into()), Arg::Out(&mut message), Arg::Number(64), Arg::Null, wait];
            sys::call(libc::SYS_msgrcv, &mut arguments)?;
            holds_canary(&message)
        },
        trace: Trace::Silent(NO_SUCH),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "msgrcv", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "posix-memory",
        techniques: &[64],
        about: "Open POSIX shared memory of the host.",
        attempt: |scene| read_canary(&host::posix_memory(scene)),
        trace: Trace::Silent("the sandbox has its own /dev/shm"),
        landlock: Landlock::Trace(Trace::Event(&[Event("files", "read", "/dev/shm/")])),
        ..Attack::BASE
    },
    Attack {
        name: "posix-messages",
        techniques: &[64],
        about: "Open a POSIX message queue of the host and take a message.",
        attempt: |scene| {
            let name = host::queue_name(scene);
            let queue =
                sys::descriptor(libc::SYS_mq_open, &mut [Arg::Text(&name), Arg::Number(0), Arg::Null, Arg::Null])?;
            let mut message = vec![0_u8; 8_192];
            let number = Arg::Number(queue.as_raw_fd().into());
            let mut arguments = [number, Arg::Out(&mut message), Arg::Number(8_192), Arg::Null, Arg::Null];
            sys::call(libc::SYS_mq_timedreceive, &mut arguments)?;
            holds_canary(&message)
        },
        trace: Trace::Silent(NO_SUCH),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "mq_open", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "shared-memory-left-behind",
        techniques: &[64],
        about: "Make System V and POSIX shared memory that outlives the run and takes memory from the host.",
        attempt: |scene| {
            let key = Arg::Number(left_key(scene));
            let by_number = sys::call(libc::SYS_shmget, &mut [key, Arg::Number(65_536), Arg::Number(0o1600)]);
            fs::write(left_file(scene), "left")?;
            Ok(by_number.map(drop)?)
        },
        proof: Proof::Host(|scene| {
            let key = Arg::Number(left_key(scene));
            let segment = sys::call(libc::SYS_shmget, &mut [key, Arg::Null, Arg::Null]).map(|id| {
                let (id, remove) = (Arg::Number(id), Arg::Number(libc::IPC_RMID.into()));
                sys::call(libc::SYS_shmctl, &mut [id, remove, Arg::Null])
            });
            let file = exists(&left_file(scene)).and_then(|()| fs::remove_file(left_file(scene)).map_err(Failed::from));
            any([segment.map(drop).map_err(Failed::from), file])
        }),
        trace: Trace::Silent("both are the sandbox's own, and end with it"),
        landlock: Landlock::Trace(Trace::Event(&[Event("system-calls", "shmget", "")])),
        ..Attack::BASE
    },
    Attack {
        name: "keyring",
        techniques: &[40],
        about: "Read a key of the user's keyring by its number.",
        attempt: |scene| {
            let (key, mut content) = (scene.number("key")?, [0_u8; 64]);
            // KEYCTL_READ of keyctl(2).
            let mut arguments = [Arg::Number(11), Arg::Number(key), Arg::Out(&mut content), Arg::Number(64)];
            sys::call(libc::SYS_keyctl, &mut arguments)?;
            holds_canary(&content)
        },
        trace: Trace::Event(&[Event("system-calls", "keyctl", "")]),
        ..Attack::BASE
    },
    Attack {
        name: "type-into-terminal",
        techniques: &[33],
        about: "Put characters into a terminal's input, as if somebody had typed them.",
        attempt: type_into_terminal,
        native: Native::WhereAvailable("dev.tty.legacy_tiocsti may be 0"),
        trace: Trace::Event(&[Event("system-calls", "ioctl", "0x5412")]),
        landlock: Landlock::NotApplicable("no terminal can be made there, and none is passed on"),
        ..Attack::BASE
    },
    Attack {
        name: "host-terminals",
        techniques: &[33],
        about: "Open a terminal of the host's /dev/pts.",
        attempt: |_| {
            let found = fs::read_dir("/dev/pts")?.flatten().filter(|entry| entry.file_name() != "ptmx");
            let opened = found
                .filter(|entry| OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(entry.path()).is_ok());
            if opened.count() > 0 { Ok(()) } else { Err(Failed::refused("no terminal can be opened")) }
        },
        native: Native::WhereAvailable("nobody may be logged in"),
        trace: Trace::Silent("the sandbox has its own /dev/pts"),
        ..Attack::BASE
    },
];

/// Family, type and protocol of sockets.
const FAMILIES: &[(&str, [i32; 3])] = &[
    ("vsock", [libc::AF_VSOCK, libc::SOCK_STREAM, 0]),
    ("packet", [libc::AF_PACKET, libc::SOCK_RAW, 0]),
    ("crypto", [libc::AF_ALG, libc::SOCK_SEQPACKET, 0]),
    ("kernel events", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT]),
    ("netfilter", [libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER]),
    ("Bluetooth", [libc::AF_BLUETOOTH, libc::SOCK_RAW, 1]),
    ("raw", [libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP]),
    ("SCTP", [libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP]),
    ("multipath TCP", [libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP]),
    ("CAN", [libc::AF_CAN, libc::SOCK_RAW, 1]),
    ("TIPC", [libc::AF_TIPC, libc::SOCK_STREAM, 0]),
];

fn socket(words: [i32; 3]) -> Attempt {
    Ok(sys::descriptor(libc::SYS_socket, &mut words.map(|word| Arg::Number(word.into()))).map(drop)?)
}

pub(super) fn connect(scene: &Scene, name: &str) -> Attempt {
    let path = scene.outside().join(name);
    content(UnixStream::connect(&path).map_err(|error| named(&path, &error))?)
}

pub(super) fn stream(address: &SocketAddr) -> Attempt {
    content(UnixStream::connect_addr(address)?)
}

fn content(mut peer: UnixStream) -> Attempt {
    peer.shutdown(Shutdown::Write)?;
    let mut content = Vec::new();
    peer.read_to_end(&mut content)?;
    holds_canary(&content)
}

fn received(scene: &Scene) -> Attempt {
    // The datagram is written down by another process.
    std::thread::sleep(Duration::from_millis(50));
    exists(&scene.outside().join("received"))
}

fn left_key(scene: &Scene) -> i64 {
    scene.word().bytes().fold(7, |sum, byte| (sum * 31 + i64::from(byte)) & 0x3fff_ffff)
}

fn left_file(scene: &Scene) -> std::path::PathBuf {
    std::path::Path::new("/dev/shm").join(scene.word() + ".left")
}

/// Makes a terminal of its own, so that no other one is touched, and types into it.
fn type_into_terminal(_: &Scene) -> Attempt {
    let main = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open("/dev/ptmx")
        .map_err(Failed::untried)?;
    let (number, request) =
        (i64::from(main.as_raw_fd()), |request: libc::Ioctl| Arg::Number(i64::try_from(request).unwrap_or_default()));
    sys::call(libc::SYS_ioctl, &mut [Arg::Number(number), request(libc::TIOCSPTLCK), Arg::In(&[0; 4])])
        .map_err(Failed::untried)?;
    let mut index = [0_u8; 4];
    sys::call(libc::SYS_ioctl, &mut [Arg::Number(number), request(libc::TIOCGPTN), Arg::Out(&mut index)])
        .map_err(Failed::untried)?;
    let path = format!("/dev/pts/{}", u32::from_ne_bytes(index));
    let side =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path).map_err(Failed::untried)?;
    // Already leading a session is fine; without a terminal of its own only root may type.
    drop(sys::call(libc::SYS_setsid, &mut []));
    drop(sys::call(libc::SYS_ioctl, &mut [Arg::Number(side.as_raw_fd().into()), request(libc::TIOCSCTTY), Arg::Null]));
    Ok(sys::call(libc::SYS_ioctl, &mut [Arg::Number(side.as_raw_fd().into()), request(libc::TIOCSTI), Arg::In(b"x")])
        .map(drop)?)
}
