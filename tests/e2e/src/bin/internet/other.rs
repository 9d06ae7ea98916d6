//! Hosts that speak something else than HTTP, some of them by programs that are started for each connection.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use e2e::internet;
use e2e::scene::put;

use crate::hosts::{installed, spawn};
use crate::namespace;
use crate::record::Record;

const TLS: &str = include_str!("tls.py");

/// Makes keys for what was asked for: a directory `outside/tls` asks for TLS, `outside/ssh` for ssh, `outside/redis` for Redis.
pub(crate) fn prepare(record: &Record) -> io::Result<()> {
    let outside = record.base().join("outside");
    // A place is used for several runs, and keeps its keys.
    if outside.join("tls").is_dir() && !outside.join("tls/ca.pem").exists() {
        prepare_tls(&outside.join("tls"))?;
    }
    let ssh = outside.join("ssh");
    if ssh.is_dir() {
        if !ssh.join("passwd").exists() {
            prepare_ssh(&ssh)?;
        }
        namespace::bind(&ssh.join("passwd"), Path::new("/etc/passwd"))?;
    }
    if outside.join("redis").is_dir() {
        start_redis(&outside.join("redis"))?;
    }
    Ok(())
}

/// One certificate that is its own authority, for every name under `example`.
fn prepare_tls(directory: &Path) -> io::Result<()> {
    let names = ["allowed", "hidden", "denied", "git", "v4", "v6"].map(|name| format!("DNS:{name}.example")).join(",");
    let mut openssl = Command::new("openssl");
    openssl.args(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=internet".split(' '),
    );
    openssl.args(["-addext", &format!("subjectAltName={names}"), "-keyout", "key.pem", "-out", "ca.pem"]);
    succeed(openssl.current_dir(directory))?;
    share(directory, "ca.pem", "ca.pem")?;
    let both = [fs::read(directory.join("key.pem"))?, fs::read(directory.join("ca.pem"))?].concat();
    fs::write(directory.join("both.pem"), both)?;
    fs::write(directory.join("tls.py"), TLS)
}

/// Keys of the server and of the user, and a home in which the user's key opens the door.
fn prepare_ssh(directory: &Path) -> io::Result<()> {
    let home = directory.join("home");
    fs::create_dir_all(home.join(".ssh"))?;
    succeed(Command::new("dropbearkey").args(["-t", "ed25519", "-f", "host"]).current_dir(directory))?;
    succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", "user"]).current_dir(directory))?;
    share(directory, "user", "key")?;
    fs::copy(directory.join("user.pub"), home.join(".ssh/authorized_keys"))?;
    for path in [&home, &home.join(".ssh"), &home.join(".ssh/authorized_keys")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    let uid = format!(":{}:", rustix::process::getuid().as_raw());
    let passwd = fs::read_to_string("/etc/passwd")?;
    let line = passwd.lines().find(|line| line.contains(&format!(":x{uid}"))).unwrap_or_default();
    let mut fields: Vec<&str> = line.split(':').collect();
    let text = home.to_string_lossy();
    if let [_, _, _, _, _, home, _] = &mut fields[..] {
        *home = &text;
    }
    put(&directory.join("passwd"), fields.join(":") + "\n")
}

/// Copies what clients need to the workspace.
fn share(directory: &Path, name: &str, shared: &str) -> io::Result<()> {
    let workspace = directory.join("../../home/project");
    fs::create_dir_all(&workspace)?;
    fs::copy(directory.join(name), workspace.join(shared)).map(drop)
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {errors}"))) }
}

/// TLS, in front of the web server.
pub(crate) fn tls(peer: TcpStream, record: &Record) {
    let directory = record.base().join("outside/tls");
    let mut python = Command::new("/usr/bin/python3");
    python.arg(directory.join("tls.py")).arg(directory.join("both.pem")).arg(internet::log(record.base()));
    hand_over(peer, &mut python);
}

/// An ssh server.
pub(crate) fn ssh(peer: TcpStream, record: &Record) {
    let mut dropbear = Command::new(installed("dropbear").unwrap_or_default());
    dropbear.args(["-i", "-s", "-r"]).arg(record.base().join("outside/ssh/host"));
    hand_over(peer, &mut dropbear);
}

/// Gives a connection to a program, as inetd does.
fn hand_over(peer: TcpStream, command: &mut Command) {
    let timeouts = peer.set_read_timeout(None).and_then(|()| peer.set_write_timeout(None));
    let Ok(copy) = timeouts.and_then(|()| peer.try_clone()) else { return };
    let child = command.stdin(OwnedFd::from(peer)).stdout(OwnedFd::from(copy)).stderr(Stdio::null()).spawn();
    drop(child.and_then(|mut child| child.wait()));
}

/// Speaks first, as many protocols do, and then repeats what it hears.
pub(crate) fn echo(mut peer: TcpStream, record: &Record) {
    let mut serve = || -> io::Result<()> {
        peer.write_all(b"220 welcome\n")?;
        let mut bytes = [0; 16_384];
        loop {
            let length = peer.read(&mut bytes)?;
            if length == 0 {
                return peer.shutdown(Shutdown::Write);
            }
            record.line("echo", &bytes[..length.min(256)]);
            peer.write_all(&bytes[..length])?;
        }
    };
    drop(serve());
}

/// Takes everything and says nothing.
pub(crate) fn sink(mut peer: TcpStream, record: &Record) {
    record.line("sink", b"connected");
    drop(io::copy(&mut peer, &mut io::sink()));
    record.line("sink", b"ended");
}

/// Writes datagrams down and sends them back.
pub(crate) fn datagrams(socket: &UdpSocket, port: u16, record: &Record) {
    let mut bytes = [0; 2_048];
    while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
        record.line(&format!("udp-{port}"), &bytes[..length]);
        drop(socket.send_to(&bytes[..length], peer));
    }
}

/// A Redis server, if one was asked for.
pub(crate) fn redis(peer: TcpStream, record: &Record) {
    let Ok(server) = UnixStream::connect(record.base().join("outside/redis/socket")) else { return };
    let Ok((mut from, mut to)) = peer.try_clone().and_then(|from| Ok((from, server.try_clone()?))) else { return };
    drop(spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    }));
    drop(io::copy(&mut &server, &mut &peer));
    drop(peer.shutdown(Shutdown::Write));
}

/// A proxy, as companies have them: it connects to whatever `CONNECT` names.
pub(crate) fn proxy(mut peer: TcpStream, record: &Record) {
    let mut head = Vec::new();
    let mut byte = [0];
    while head.len() < 4_096 && !head.ends_with(b"\r\n\r\n") && matches!(peer.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    record.line("proxy", &head);
    let text = String::from_utf8_lossy(&head).into_owned();
    let target = text.split_ascii_whitespace().nth(1).and_then(|target| target.rsplit_once(':'));
    let Some((host, port)) = target.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) else { return };
    let address = host.trim_matches(['[', ']']).parse().ok();
    let address = address.or_else(|| internet::addresses(host, 0)?.first().copied());
    let Some(server) = address.and_then(|address| TcpStream::connect((address, port)).ok()) else { return };
    let answered = peer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
    let Ok((mut from, mut to)) = answered.and_then(|()| Ok((peer.try_clone()?, server.try_clone()?))) else { return };
    drop(spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    }));
    drop(io::copy(&mut &server, &mut &peer));
    drop(peer.shutdown(Shutdown::Write));
}

/// Starts a Redis server, which ends with the thread that starts it. Debian's package of its tools holds it under another
/// name, and it goes by the name that it is called.
fn start_redis(directory: &Path) -> io::Result<()> {
    let program = installed("redis-check-rdb").ok_or_else(|| io::Error::other("redis-tools is not installed"))?;
    let named = directory.join("redis-server");
    if !named.exists() {
        std::os::unix::fs::symlink(program, &named)?;
    }
    let mut redis = Command::new("setpriv");
    redis.args(["--pdeathsig", "KILL"]).arg(named).args(["--port", "0", "--save", "", "--appendonly", "no"]);
    redis.args(["--unixsocket", "socket", "--dir", "."]).current_dir(directory);
    let mut child = redis.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    spawn(move || drop(child.wait()))?;
    for _ in 0..100 {
        if UnixStream::connect(directory.join("socket")).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::other("the Redis server does not answer"))
}
