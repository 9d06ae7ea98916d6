//! What this program does inside: each argument is one attempt, `HOW WHERE`, and each prints a line with its result.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketType, socket};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// `MSG_FASTOPEN` of the kernel's `include/linux/socket.h`.
const FAST_OPEN: SendFlags = SendFlags::from_bits_retain(0x2000_0000);

/// Makes the attempts, in order.
pub(crate) fn visit(actions: &[String]) {
    for action in actions {
        let (how, place) = action.split_once(' ').unwrap_or((action, ""));
        let result = attempt(how, place).unwrap_or_else(|error| match error.raw_os_error() {
            Some(number) => format!("errno {number}"),
            None => error.to_string(),
        });
        println!("{action}: {result}");
    }
}

fn attempt(how: &str, place: &str) -> io::Result<String> {
    let address = || place.parse::<SocketAddr>().map_err(io::Error::other);
    match how {
        "tcp" => read_all(TcpStream::connect(address()?)?),
        // As programs that hold keys.
        "tcp-unreadable" => {
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            let result = read_all(TcpStream::connect(address()?)?);
            set_dumpable_behavior(DumpableBehavior::Dumpable)?;
            result
        }
        "tcp-thread" => {
            let address = address()?;
            std::thread::spawn(move || read_all(TcpStream::connect(address)?)).join().expect("it does not panic")
        }
        // By another process, which is killed in the middle of it.
        "tcp-killed" => {
            let program = std::env::current_exe()?;
            let mut child =
                std::process::Command::new(program).args(["visit", &format!("tcp {}", address()?)]).spawn()?;
            std::thread::sleep(std::time::Duration::from_millis(60));
            child.kill()?;
            let status = child.wait()?;
            Ok(if status.code().is_none() { "killed" } else { "it ended by itself" }.to_owned())
        }
        "no-socket" => {
            rustix::net::connect(&std::fs::File::open("/dev/null")?, &address()?)?;
            Ok("connected".to_owned())
        }
        "tcp-timeout" => read_all(TcpStream::connect_timeout(&address()?, PATIENCE)?),
        "tcp-listener" => TcpListener::bind(address()?).map(|_| "bound".to_owned()),
        "tcp-twice" => reconnect(address()?),
        "udp" => ask(&unconnected(address()?)?, address()?),
        "udp-connect" => {
            let socket = unconnected(address()?)?;
            socket.connect(address()?)?;
            Ok(format!("from {}", socket.local_addr()?.ip()))
        }
        "udp-connect-send" => {
            let socket = unconnected(address()?)?;
            socket.connect(address()?)?;
            socket.send(b"x").map(|_| "sent".to_owned())
        }
        "fast-open" => fast_open(address()?),
        "hold" => hold(address()?),
        "publish" => publish(address()?),
        "file" => std::fs::read_to_string(place),
        "overwrite" => std::fs::write(place, "x").map(|()| "written".to_owned()),
        "unix" => {
            let mut text = String::new();
            UnixStream::connect(place)?.read_to_string(&mut text)?;
            Ok(text)
        }
        "descriptors" => descriptors(),
        "setting" => Ok(std::fs::read_to_string(format!("/proc/sys/net/{place}"))?.trim().to_owned()),
        _ => Err(io::Error::other("no such attempt")),
    }
}

fn read_all(mut stream: TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn unconnected(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn ask(socket: &UdpSocket, to: SocketAddr) -> io::Result<String> {
    socket.send_to(b"question", to)?;
    let mut answer = [0; 64];
    let (length, from) = socket.recv_from(&mut answer)?;
    Ok(format!("{} from {from}", String::from_utf8_lossy(&answer[..length])))
}

/// Connects, dissolves the association with an address of no family, and connects again.
fn reconnect(to: SocketAddr) -> io::Result<String> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::connect(&socket, &to)?;
    rustix::net::connect_unspec(&socket)?;
    rustix::net::connect(&socket, &to)?;
    read_all(TcpStream::from(socket))
}

fn fast_open(to: SocketAddr) -> io::Result<String> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::sendto(&socket, b"x", FAST_OPEN, &to)?;
    Ok("sent".to_owned())
}

/// Listens while it connects to the same port elsewhere, in vain.
fn hold(at: SocketAddr) -> io::Result<String> {
    let _server = TcpListener::bind((Ipv4Addr::UNSPECIFIED, at.port()))?;
    TcpStream::connect(at).map(|_| "connected".to_owned())
}

/// Serves one connection.
fn publish(at: SocketAddr) -> io::Result<String> {
    let server = TcpListener::bind(at)?;
    println!("listening");
    io::stdout().flush()?;
    let (mut stream, from) = server.accept()?;
    stream.write_all(b"from inside")?;
    Ok(format!("served {}", from.ip()))
}

/// What this process has open, besides the directory that says so.
fn descriptors() -> io::Result<String> {
    let mut open: Vec<String> = std::fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, std::fs::read_link(entry.path()).ok()?)))
        .filter(|(_, target)| !target.starts_with("/proc"))
        .map(|(number, _)| number)
        .collect();
    open.sort();
    Ok(open.join(" "))
}
