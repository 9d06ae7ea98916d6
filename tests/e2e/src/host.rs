//! A process of the same user, outside: it holds secrets in every way a process can, and serves them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::scene::{CANARY, Scene, put};
use crate::sys::{self, Arg, call};

/// Sockets of the kinds that hosts have, below the directory outside.
pub const SOCKETS: &[&str] =
    &["run/docker.sock", "run/bus", "run/ssh-agent", "run/gnupg/S.gpg-agent", "run/tmux/default", "run/wayland-0"];
/// A socket that takes datagrams.
pub const DATAGRAMS: &str = "run/dgram";

/// Serves until standard input ends. Writes down in the workspace where everything is, and says so on standard output.
///
/// # Errors
/// When the scene cannot be described.
pub fn serve(base: &Path) -> io::Result<()> {
    Scene::describe(base, "")?;
    let scene = Scene::open(&base.join("home/project"))?;
    let mut facts = vec![format!("pid={}\n", std::process::id())];
    sockets(&scene, &mut facts)?;
    let memory = format!("{CANARY} in memory").into_bytes().leak();
    let open = File::open(scene.outside().join("canary.txt"))?;
    facts.push(format!("address={}\nlength={}\nopen={}\n", memory.as_ptr() as usize, memory.len(), open.as_raw_fd()));
    put(&scene.in_tmp(), format!("{CANARY} in /tmp\n"))?;
    put(&posix_memory(&scene), format!("{CANARY} in shared memory\n"))?;
    let exchange = exchange(&scene, &mut facts)?;
    Scene::describe(base, &facts.concat())?;
    let later = scene.workspace().join("later");
    thread::spawn(move || {
        // A file that appears only while something runs inside, where something inside made a directory for it.
        loop {
            thread::sleep(Duration::from_millis(20));
            if later.is_dir() && !later.join(".env").exists() {
                drop(put(&later.join(".env"), CANARY));
            }
        }
    });
    io::stdout().write_all(b"ready\n")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    put(&scene.outside().join("memory.txt"), &*memory)?;
    exchange.remove(&scene)
}

/// The file of POSIX shared memory.
#[must_use]
pub fn posix_memory(scene: &Scene) -> std::path::PathBuf {
    Path::new("/dev/shm").join(scene.word())
}

fn sockets(scene: &Scene, facts: &mut Vec<String>) -> io::Result<()> {
    let tcp = TcpListener::bind("127.0.0.1:0")?;
    facts.push(format!("port={}\n", tcp.local_addr()?.port()));
    thread::spawn(move || tcp.incoming().flatten().for_each(|mut peer| drop(peer.write_all(CANARY.as_bytes()))));
    for name in SOCKETS {
        let path = scene.outside().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        give_away(UnixListener::bind(path)?);
    }
    give_away(UnixListener::bind_addr(&SocketAddr::from_abstract_name(scene.word())?)?);
    let paths = [
        SocketAddr::from_pathname(scene.outside().join(DATAGRAMS))?,
        SocketAddr::from_abstract_name(scene.word() + ".dgram")?,
    ];
    for address in paths {
        let socket = UnixDatagram::bind_addr(&address)?;
        let received = scene.outside().join("received");
        thread::spawn(move || {
            let mut bytes = [0; 64];
            while socket.recv(&mut bytes).is_ok() {
                drop(put(&received, "a datagram came\n"));
            }
        });
    }
    Ok(())
}

fn give_away(listener: UnixListener) {
    thread::spawn(move || listener.incoming().flatten().for_each(|mut peer| drop(peer.write_all(CANARY.as_bytes()))));
}

/// What belongs to the IPC namespace and to the user's keyring.
struct Exchange {
    segment: i32,
    messages: i32,
    key: Option<i64>,
}

fn exchange(scene: &Scene, facts: &mut Vec<String>) -> io::Result<Exchange> {
    let segment = call(libc::SYS_shmget, &mut [Arg::Null, Arg::Number(4_096), Arg::Number(0o1600)])?;
    let segment = i32::try_from(segment).map_err(io::Error::other)?;
    sys::write_segment(segment, CANARY.as_bytes())?;
    let messages = call(libc::SYS_msgget, &mut [Arg::Null, Arg::Number(0o1600)])?;
    let messages = i32::try_from(messages).map_err(io::Error::other)?;
    let mut message = 1_u64.to_ne_bytes().to_vec();
    message.extend(CANARY.as_bytes());
    let length = i64::try_from(CANARY.len()).map_err(io::Error::other)?;
    call(libc::SYS_msgsnd, &mut [Arg::Number(messages.into()), Arg::In(&message), Arg::Number(length), Arg::Null])?;
    facts.push(format!("segment={segment}\nmessages={messages}\n"));
    let name = queue_name(scene);
    let flags = i64::from(libc::O_CREAT | libc::O_RDWR);
    let queue =
        sys::descriptor(libc::SYS_mq_open, &mut [Arg::Text(&name), Arg::Number(flags), Arg::Number(0o600), Arg::Null])?;
    let queue_number = Arg::Number(queue.as_raw_fd().into());
    call(
        libc::SYS_mq_timedsend,
        &mut [queue_number, Arg::In(CANARY.as_bytes()), Arg::Number(length), Arg::Null, Arg::Null],
    )?;
    Ok(Exchange { segment, messages, key: key(scene, facts).ok() })
}

/// The name of the POSIX message queue, without the slash that only the C library wants.
#[must_use]
pub fn queue_name(scene: &Scene) -> std::ffi::CString {
    std::ffi::CString::new(scene.word()).unwrap_or_default()
}

/// `KEY_SPEC_USER_KEYRING` and `KEYCTL_SETPERM` of `keyctl(2)`.
const USER_KEYRING: i64 = -4;
const SET_PERMISSIONS: i64 = 5;
const UNLINK: i64 = 9;

fn key(scene: &Scene, facts: &mut Vec<String>) -> io::Result<i64> {
    let name = queue_name(scene);
    let length = i64::try_from(CANARY.len()).map_err(io::Error::other)?;
    let secret = Arg::In(CANARY.as_bytes());
    let key = call(
        libc::SYS_add_key,
        &mut [Arg::Text(c"user"), Arg::Text(&name), secret, Arg::Number(length), Arg::Number(USER_KEYRING)],
    )?;
    call(libc::SYS_keyctl, &mut [Arg::Number(SET_PERMISSIONS), Arg::Number(key), Arg::Number(0x3f3f_0000)])?;
    facts.push(format!("key={key}\n"));
    Ok(key)
}

impl Exchange {
    fn remove(self, scene: &Scene) -> io::Result<()> {
        let remove = Arg::Number(libc::IPC_RMID.into());
        call(libc::SYS_shmctl, &mut [Arg::Number(self.segment.into()), remove, Arg::Null])?;
        let remove = Arg::Number(libc::IPC_RMID.into());
        call(libc::SYS_msgctl, &mut [Arg::Number(self.messages.into()), remove, Arg::Null])?;
        call(libc::SYS_mq_unlink, &mut [Arg::Text(&queue_name(scene))])?;
        if let Some(key) = self.key {
            call(libc::SYS_keyctl, &mut [Arg::Number(UNLINK), Arg::Number(key), Arg::Number(USER_KEYRING)])?;
        }
        fs::remove_file(scene.in_tmp())?;
        fs::remove_file(posix_memory(scene))
    }
}
