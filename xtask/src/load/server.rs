//! What the contestants' clients talk to.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::{CHUNK, PATIENCE, SHARE, STREAM, Wish};

/// Threads that accept, and serve what they have accepted.
const THREADS: usize = 4;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Stack of a thread that serves one of many connections at once.
const SMALL_STACK: usize = 64 << 10;

/// A server on the host's loopback. Its threads end with the process.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it at a free port.
    pub(crate) fn start() -> io::Result<Self> {
        super::raise_descriptor_limit();
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        // The standard library asks for fewer than the load opens at once; a connection that finds no place tries again only
        // after a second.
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        for _ in 0..THREADS {
            let listener = Arc::clone(&listener);
            thread::spawn(move || {
                for socket in listener.incoming().flatten() {
                    // The client notices, and tells.
                    serve(socket).ok();
                }
            });
        }
        Ok(Self { address })
    }
}

fn serve(mut socket: TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut wish = [0];
    socket.read_exact(&mut wish)?;
    match Wish::read(wish[0]) {
        Some(Wish::Echo) => socket.write_all(&wish),
        Some(Wish::Take) => take(&mut socket).and_then(|()| socket.write_all(&wish)),
        Some(Wish::Give) => give(&mut socket),
        Some(Wish::Share) => {
            thread::Builder::new().stack_size(SMALL_STACK).spawn(move || share(socket))?;
            Ok(())
        }
        None => Ok(()),
    }
}

fn share(mut socket: TcpStream) -> io::Result<()> {
    let mut bytes = vec![0; SHARE];
    socket.read_exact(&mut bytes)?;
    socket.write_all(&bytes)
}

/// Reads [`STREAM`] bytes.
pub(super) fn take(socket: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut left = STREAM;
    while left > 0 {
        match socket.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// Writes as many.
pub(super) fn give(socket: &mut TcpStream) -> io::Result<()> {
    let buffer = vec![0; CHUNK];
    (0..STREAM / CHUNK).try_for_each(|_| socket.write_all(&buffer))
}
