//! The gate of tier `landlock`, which has no network of its own inside: by address, by name, and past it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::Value;

use crate::Trial;
use crate::place::{CONSENT, Outcome, Place};

pub(crate) const TRIALS: &[Trial] = &[
    ("by_the_gate_a_service_is_reached_by_its_address", by_the_gate_a_service_is_reached_by_its_address),
    ("by_the_gate_a_host_is_reached_by_its_name", by_the_gate_a_host_is_reached_by_its_name),
    ("past_the_gate_nothing_is_reached", past_the_gate_nothing_is_reached),
    ("past_the_gate_several_threads_reach_nothing", past_the_gate_several_threads_reach_nothing),
    ("what_the_gate_cannot_do_is_refused", what_the_gate_cannot_do_is_refused),
    ("inside_another_sandbox_there_is_no_gate", inside_another_sandbox_there_is_no_gate),
];

/// A server of the host that answers HTTP requests, and connects as a proxy to itself. It ends with the test program.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(|client| drop(thread::spawn(|| serve(client)))));
    port
}

/// One connection; a client that breaks it off is nobody's business.
fn serve(mut client: TcpStream) {
    let mut proxied = String::new();
    while let Some(head) = head(&mut client) {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let answer = match head.strip_prefix("CONNECT ") {
            Some(_) => {
                proxied = format!(" for {target}");
                "HTTP/1.1 200 connected\r\n\r\n".to_owned()
            }
            None => format!("HTTP/1.0 200 OK\r\n\r\nserved {target}{proxied}"),
        };
        if client.write_all(answer.as_bytes()).is_err() || !head.starts_with("CONNECT ") {
            return;
        }
    }
}

/// The head of one request.
fn head(client: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        text.push(byte[0]);
    }
    String::from_utf8(text).ok()
}

/// Runs a script of Python behind a gate with these rules, and gives what it printed with the report.
fn behind(place: &Place, environment: &[String], rules: &[&str], script: &str) -> (Outcome, Value) {
    place.file("client.py", script);
    let mut arguments: Vec<&str> = environment.iter().map(String::as_str).collect();
    arguments.extend(["./stockade", "run", "--isolation", "landlock", "--accept-degraded", CONSENT]);
    arguments.extend(["--time", "60s", "--report", "report.json"]);
    arguments.extend(rules.iter().flat_map(|rule| ["--allow", *rule]));
    let done = place.run("env", arguments.into_iter().chain(["--", "python3", "client.py"])).ends(0);
    (done, place.json("report.json"))
}

fn by_the_gate_a_service_is_reached_by_its_address(place: &Place) {
    let port = server();
    let script = format!(
        "import socket, urllib.request
print(urllib.request.urlopen('http://127.0.0.1:{port}/x', timeout=9).read().decode())
with socket.create_connection(('127.0.0.1', {port}), timeout=9) as client:
    print(client.getpeername(), client.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM)
"
    );
    let (done, report) = behind(place, &[], &[&format!("127.0.0.1:{port}")], &script);
    assert_eq!(done.stdout, format!("served /x\n('127.0.0.1', {port}) True\n"), "{done:#?}");
    let connections = report["network"]["connections"].as_array().expect("connections");
    assert_eq!(connections.len(), 2, "{report:#}");
    assert_eq!((&connections[0]["host"], &connections[0]["port"]), (&"127.0.0.1".into(), &port.into()));
    assert!(report["denials"].as_array().is_some_and(Vec::is_empty), "{report:#}");
}

fn by_the_gate_a_host_is_reached_by_its_name(place: &Place) {
    let port = server();
    let script = "import socket, urllib.request, asyncio
print(urllib.request.urlopen('http://web.test/x', timeout=9).read().decode())
async def main():
    reader, writer = await asyncio.open_connection('web.test', 80)
    writer.write(b'GET /y HTTP/1.0\\r\\nHost: web.test\\r\\n\\r\\n')
    print((await reader.read()).split()[-3:])
asyncio.run(main())
try: socket.getaddrinfo('other.test', 80)
except socket.gaierror as error: print(error.errno == socket.EAI_NONAME)
";
    let (done, report) = behind(place, &[format!("https_proxy=http://127.0.0.1:{port}")], &["web.test:80"], script);
    let expected = "served /x for web.test:80\n[b'/y', b'for', b'web.test:80']\nTrue\n";
    assert_eq!(done.stdout, expected, "{done:#?}");
    let connections = report["network"]["connections"].as_array().expect("connections");
    assert!(connections.len() == 2 && connections.iter().all(|one| one["host"] == "web.test"), "{report:#}");
    let denials = report["denials"].as_array().expect("denials");
    let [denial] = denials.as_slice() else { panic!("{report:#}") };
    assert_eq!((&denial["target"], &denial["suggestion"]), (&"other.test".into(), &"--allow other.test".into()));
}

/// Servers of the host, and whether somebody reached them.
struct Targets {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Targets {
    fn new() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let udp = UdpSocket::bind(tcp.local_addr().expect("an address")).expect("a free port");
        tcp.set_nonblocking(true).expect("a flag");
        udp.set_nonblocking(true).expect("a flag");
        Self { tcp, udp }
    }

    fn port(&self) -> u16 {
        self.tcp.local_addr().expect("an address").port()
    }

    fn assert_unreached(&self) {
        assert!(self.tcp.accept().is_err(), "somebody connected");
        assert!(self.udp.recv(&mut [0; 64]).is_err(), "somebody sent");
    }
}

fn past_the_gate_nothing_is_reached(place: &Place) {
    let (port, targets) = (server(), Targets::new());
    let script = format!(
        "import socket, ctypes
allowed, target = ('127.0.0.1', {port}), ('127.0.0.1', {})
FASTOPEN = 0x20000000
def tries(client):
    for call in [lambda: client.connect(target), lambda: client.sendto(b'x', target), lambda: client.sendto(b'x', FASTOPEN, target),
                 lambda: client.sendmsg([b'x'], [], 0, target), lambda: client.sendmsg([b'x'], [], FASTOPEN, target),
                 lambda: client.setsockopt(6, 30, 1), lambda: client.setsockopt(0, 4, b'\\x83\\x07\\x04\\x7f\\x00\\x00\\x01')]:
        try: call()
        except OSError: pass
libc = ctypes.CDLL(None, use_errno=True)
def unspecified(client): libc.connect(client.fileno(), bytes(16), 16)
for kind in [socket.SOCK_STREAM, socket.SOCK_DGRAM]:
    client = socket.socket(socket.AF_INET, kind)
    client.settimeout(1)
    tries(client)
    unspecified(client); tries(client)
    try: client.connect(allowed)
    except OSError as error: print(error.errno, kind == socket.SOCK_DGRAM)
    tries(client); unspecified(client); tries(client)
    client.shutdown(2)
    tries(client); unspecified(client); tries(client)
for family, kind, protocol in [(2, 3, 1), (2, 3, 6), (2, 2, 1), (2, 2, 136), (2, 5, 132), (17, 3, 0), (40, 1, 0), (2, 1, 262), (43, 1, 0)]:
    try: print(socket.socket(family, kind, protocol), 'was made')
    except OSError: pass
for listen in [('127.0.0.1', 0), ('0.0.0.0', 0), ('0.0.0.0', {port})]:
    try: print(socket.create_server(listen), 'listens')
    except OSError: pass
client = socket.socket()
try: client.listen(); print('listens unbound')
except OSError: pass
print(libc.syscall(425, 1, bytes(128)))
",
        targets.port()
    );
    let (done, report) = behind(place, &[], &[&format!("127.0.0.1:{port}")], &script);
    targets.assert_unreached();
    assert_eq!(done.stdout, "13 True\n-1\n", "{done:#?}");
    let told = report["denials"].to_string();
    assert!(told.contains(&format!("--allow 127.0.0.1:{}", targets.port())), "{report:#}");
}

/// Threads change the address, and what the descriptor is, while others connect.
fn past_the_gate_several_threads_reach_nothing(place: &Place) {
    let (port, targets) = (server(), Targets::new());
    let script = format!(
        "import ctypes, os, socket, struct, threading, time
right, wrong = {port}, {}
libc = ctypes.CDLL(None, use_errno=True)
address = ctypes.create_string_buffer(struct.pack('=H', 2) + struct.pack('>H', right) + socket.inet_aton('127.0.0.1') + bytes(8), 16)
unix = ctypes.create_string_buffer(struct.pack('=H', 1) + b'/dev/log' + bytes(6), 16)
end = time.monotonic() + 3
number = socket.socket(socket.AF_UNIX).detach()
def flip():
    texts = [struct.pack('>H', port) for port in (right, wrong)]
    while time.monotonic() < end:
        for text in texts: ctypes.memmove(ctypes.addressof(address) + 2, text, 2)
def swap():
    while time.monotonic() < end:
        for kind in [(socket.AF_UNIX, 1), (socket.AF_INET, 1), (socket.AF_INET, 2)]:
            with socket.socket(*kind) as other: os.dup2(other.fileno(), number)
threads = [threading.Thread(target=work) for work in (flip, flip, swap)]
for thread in threads: thread.start()
made = refused = 0
while time.monotonic() < end:
    for how in (address, unix):
        if libc.connect(number, how, 16) == 0: made += 1
        else: refused += 1
        libc.send(number, b'x', 1, 0x4040)
        libc.sendto(number, b'x', 1, 0x20004040, how, 16)
    with socket.socket() as client:
        if libc.connect(client.fileno(), address, 16) == 0: made += 1
        else: refused += 1
for thread in threads: thread.join()
print(made > 0, refused > 0)
",
        targets.port()
    );
    let (done, _) = behind(place, &[], &[&format!("127.0.0.1:{port}")], &script);
    targets.assert_unreached();
    assert_eq!(done.stdout, "True True\n", "the race has to be lost and won: {done:#?}");
}

fn what_the_gate_cannot_do_is_refused(place: &Place) {
    let socket = place.workspace().join("socket").into_os_string().into_string().expect("UTF-8");
    let _bound = UnixListener::bind(&socket).expect("a new socket");
    for option in [["--publish", "8080"], ["--unix", socket.as_str()]] {
        let start = ["run", "--isolation", "landlock", "--accept-degraded", CONSENT];
        let arguments = start.into_iter().chain(option).chain(["--", "touch", "made"]);
        let done = place.run("./stockade", arguments).ends(125);
        assert!(done.stderr.contains("needs tier `namespaces`"), "{done:#?}");
        assert!(!place.workspace().join("made").exists(), "it ran");
    }
}

fn inside_another_sandbox_there_is_no_gate(place: &Place) {
    let script = format!("./stockade run --accept-degraded {CONSENT} --allow web.test -- touch made");
    let done = place.outer(&script).ends(125);
    assert!(done.stderr.contains("run outside of that sandbox"), "{done:#?}");
    assert!(!place.workspace().join("made").exists(), "it ran");
}
