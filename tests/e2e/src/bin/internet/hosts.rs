//! Who listens where.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use e2e::internet::{ABSTRACT, NAME_SERVER, OUTSIDE};
use e2e::scene::CANARY;

use crate::record::Record;
use crate::{names, other, postgres, web};

/// How long a host waits for its peer; also bounds what is left behind by one that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Services of the machine on which the command runs, for nobody else's ears.
pub(crate) fn own(record: &Record) -> io::Result<()> {
    serve(80, record, web::serve_closed)?;
    let listener = UnixListener::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(ABSTRACT)?)?;
    spawn(move || {
        listener.incoming().flatten().for_each(|mut peer| drop(io::Write::write_all(&mut peer, CANARY.as_bytes())));
    })
}

/// Every service of every host outside.
pub(crate) fn outside(record: &Record) -> io::Result<()> {
    for port in [80, 8080] {
        serve(port, record, web::serve)?;
    }
    other::prepare(record)?;
    serve(443, record, other::tls)?;
    serve(22, record, other::ssh)?;
    serve(7, record, other::echo)?;
    serve(3128, record, other::proxy)?;
    serve(9, record, other::sink)?;
    serve(6379, record, other::redis)?;
    serve(5432, record, postgres::serve)?;
    serve(53, record, names::serve_stream)?;
    // An answer has to come from the address that was asked, so each has a socket of its own.
    names::serve_datagrams(UdpSocket::bind((NAME_SERVER, 53))?, record)?;
    for port in [7, 443, 5353] {
        for address in OUTSIDE {
            let (socket, record) = (UdpSocket::bind((address, port))?, record.clone());
            spawn(move || other::datagrams(&socket, port, &record))?;
        }
    }
    Ok(())
}

/// Serves a port on every address, each connection in a thread of its own.
fn serve(port: u16, record: &Record, service: fn(TcpStream, &Record)) -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((any(), port)))
        .or_else(|_| TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))?;
    let record = record.clone();
    spawn(move || {
        for peer in listener.incoming().flatten() {
            let record = record.clone();
            let limits = peer.set_read_timeout(Some(PATIENCE)).and_then(|()| peer.set_write_timeout(Some(PATIENCE)));
            if limits.is_ok() {
                drop(spawn(move || service(peer, &record)));
            }
        }
    })
}

/// Every address of both protocols.
fn any() -> Ipv6Addr {
    Ipv6Addr::UNSPECIFIED
}

/// Starts a thread with a small stack, since there may be thousands.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(128 << 10).spawn(work).map(drop)
}

/// Whether a program is installed.
pub(crate) fn installed(program: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').map(|directory| format!("{directory}/{program}")).find(|path| Path::new(path).is_file())
}
