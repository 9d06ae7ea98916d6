//! The web server of every host: it serves whoever asks in whatever way, and is as lenient as the worst of its kind.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use e2e::internet::{HIDDEN, is_open};
use e2e::scene::CANARY;

use crate::record::Record;

/// Bytes of a request's head, and of what follows an upgrade, that are read.
const LIMIT: u64 = 64 << 10;

/// Serves a connection to a host outside.
pub(crate) fn serve(peer: TcpStream, record: &Record) {
    let open = peer.local_addr().is_ok_and(|address| is_open(address.ip()));
    drop(connection(peer, record, open));
}

/// Serves a connection to the machine itself, which has only secrets.
pub(crate) fn serve_closed(peer: TcpStream, record: &Record) {
    drop(connection(peer, record, false));
}

/// One request: its lines, without what ends them.
struct Request {
    lines: Vec<Vec<u8>>,
}

impl Request {
    /// The value of every header of a name, however it is spelt.
    fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = String> + 'r {
        self.lines.iter().skip(1).filter_map(move |line| {
            let line = String::from_utf8_lossy(line).to_ascii_lowercase();
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    }

    fn target(&self) -> String {
        let first = self.lines.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
        first.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned()
    }

    fn method(&self) -> &[u8] {
        self.lines.first().map_or(&[], |line| line.split(|byte| *byte == b' ').next().unwrap_or_default())
    }

    /// Whether any part of it could mean the hidden host. Its label alone would do: what follows may be spelt oddly.
    fn means_hidden(&self) -> bool {
        let label = HIDDEN.split('.').next().unwrap_or(HIDDEN);
        self.target().to_ascii_lowercase().contains(label) || self.values("host").any(|host| host.contains(label))
    }
}

fn connection(peer: TcpStream, record: &Record, open: bool) -> io::Result<()> {
    let mut output = peer.try_clone()?;
    let mut input = BufReader::new(peer);
    while let Some(request) = head(&mut input)? {
        record.line("http", &request.lines.join(&b'|'));
        // Like most servers, this one passes over an offer to upgrade, but for one path.
        let upgraded = request.values("upgrade").next().filter(|_| request.target() == "/upgrade");
        if request.method() == b"CONNECT" || request.method() == b"PRI" || upgraded.is_some() {
            return other_protocol(&mut input, &mut output, &request, upgraded);
        }
        let body = body(&mut input, &request)?;
        respond(&mut output, record, &request, &body, open && !request.means_hidden())?;
        if request.values("connection").any(|value| value == "close") {
            break;
        }
    }
    Ok(())
}

/// The next request's head; nothing where the connection ends.
fn head(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    let mut input = input.take(LIMIT);
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        match (line.is_empty(), lines.is_empty()) {
            (true, true) => {}
            (true, false) => return Ok(Some(Request { lines })),
            // Where a connection comes from, as a server behind one that balances load is told.
            (false, true) if line.starts_with(b"PROXY ") || line.starts_with(b"\0") || line == b"QUIT" => {}
            // A folded line belongs to the one before it (RFC 9112, 5.2).
            (false, false) if matches!(line[0], b' ' | b'\t') => {
                if let Some(last) = lines.last_mut() {
                    Vec::extend(last, line);
                }
            }
            // Some take a lone CR for the end of a line.
            _ => lines.extend(line.split(|byte| *byte == b'\r').map(<[u8]>::to_vec)),
        }
    }
}

/// The body: in chunks if any header says so in any spelling, and else as long as the last length says.
fn body(input: &mut impl BufRead, request: &Request) -> io::Result<Vec<u8>> {
    if request.values("transfer-encoding").any(|value| value.contains("chunked")) {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            input.take(LIMIT).read_line(&mut line)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = u64::from_str_radix(digits, 16).unwrap_or_default();
            input.take(length.min(1 << 20)).read_to_end(&mut body)?;
            input.take(LIMIT).read_line(&mut line)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
    let length: u64 = request.values("content-length").last().and_then(|value| value.parse().ok()).unwrap_or_default();
    let mut body = Vec::new();
    input.take(length.min(8 << 20)).read_to_end(&mut body)?;
    Ok(body)
}

fn respond(output: &mut TcpStream, record: &Record, request: &Request, body: &[u8], open: bool) -> io::Result<()> {
    let target = request.target();
    let path =
        target.split_once("//").map_or(target.as_str(), |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = path.split('?').next().unwrap_or_default();
    let (status, location, content) = match path {
        _ if !open => ("200 OK", "", format!("{CANARY} of a closed host\n").into_bytes()),
        "/redirect" => ("302 Found", "Location: http://denied.example/\r\n", Vec::new()),
        "/hang" => return wait(),
        "/length" => ("200 OK", "", format!("{} bytes\n", body.len()).into_bytes()),
        path if path.starts_with("/files/") && !path.contains("..") => {
            match fs::read(record.base().join("outside").join(&path[1..])) {
                Ok(content) => ("200 OK", "", content),
                Err(_) => ("404 Not Found", "", Vec::new()),
            }
        }
        path => ("200 OK", "", format!("welcome to {path}\n").into_bytes()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{location}Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    output.write_all(head.as_bytes())?;
    if request.method() == b"HEAD" { Ok(()) } else { output.write_all(&content) }
}

/// A host that hangs.
fn wait() -> io::Result<()> {
    thread::sleep(Duration::from_secs(60));
    Ok(())
}

/// What follows an upgrade, `CONNECT`, or the preface of HTTP/2: any bytes, in which the hidden host may be meant.
fn other_protocol(
    input: &mut impl BufRead,
    output: &mut TcpStream,
    request: &Request,
    upgraded: Option<String>,
) -> io::Result<()> {
    match upgraded {
        Some(protocol) => {
            write!(output, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")?
        }
        None if request.method() == b"CONNECT" => output.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?,
        // An empty SETTINGS frame (RFC 9113, 6.5).
        None => output.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])?,
    }
    let mut seen = if request.means_hidden() { HIDDEN.as_bytes().to_vec() } else { Vec::new() };
    while seen.len() < 65_536 {
        if seen.windows(HIDDEN.len()).any(|window| window == HIDDEN.as_bytes()) {
            return output.write_all(CANARY.as_bytes());
        }
        let more = input.fill_buf()?;
        let length = more.len();
        if length == 0 {
            break;
        }
        seen.extend(more);
        input.consume(length);
    }
    Ok(())
}
