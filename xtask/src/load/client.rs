//! What runs in each contestant.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use super::{AT_ONCE, Failure, Job, Measured, PATIENCE, SHARE, STREAM, Wish};

/// Connections whose first byte is timed, one after the other.
const TIMED: usize = 100;
/// Threads that make connections, and how many each makes.
const THREADS: usize = 8;
const EACH: usize = 100;

pub(super) fn run(job: Job, server: SocketAddr) -> Result<Measured, Failure> {
    match job {
        Job::Speed => speed(server),
        Job::AtOnce => Ok(Measured { at_once: at_once(server)?, ..Measured::default() }),
    }
}

fn speed(server: SocketAddr) -> Result<Measured, Failure> {
    // The first connection is a contestant's start, which is measured apart.
    echo(server)?;
    let first_byte: io::Result<Vec<f64>> = (0..TIMED).map(|_| first_byte(server)).collect();
    Ok(Measured {
        first_byte: first_byte?,
        per_second: per_second(server)?,
        up: up(server)?,
        down: down(server)?,
        at_once: 0.0,
    })
}

fn connect(server: SocketAddr, wish: Wish) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(&[wish as u8])?;
    Ok(socket)
}

fn echo(server: SocketAddr) -> io::Result<()> {
    connect(server, Wish::Echo)?.read_exact(&mut [0])
}

fn first_byte(server: SocketAddr) -> io::Result<f64> {
    let begun = Instant::now();
    echo(server)?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

fn per_second(server: SocketAddr) -> Result<f64, Failure> {
    let begun = Instant::now();
    let work = move || (0..EACH).try_for_each(|_| echo(server));
    let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(work)).collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread of the load has panicked")??;
    }
    let count = u32::try_from(THREADS * EACH)?;
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn up(server: SocketAddr) -> Result<f64, Failure> {
    let mut socket = connect(server, Wish::Take)?;
    let begun = Instant::now();
    super::server::give(&mut socket)?;
    // What lies in buffers has not arrived.
    socket.read_exact(&mut [0])?;
    mib_per_second(begun)
}

fn down(server: SocketAddr) -> Result<f64, Failure> {
    let mut socket = connect(server, Wish::Give)?;
    let begun = Instant::now();
    super::server::take(&mut socket)?;
    mib_per_second(begun)
}

fn mib_per_second(begun: Instant) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(STREAM >> 20)?) / begun.elapsed().as_secs_f64())
}

/// All are open before the first one ends. Milliseconds.
fn at_once(server: SocketAddr) -> io::Result<f64> {
    let begun = Instant::now();
    let mut sockets = Vec::new();
    for _ in 0..AT_ONCE {
        sockets.push(connect(server, Wish::Share)?);
    }
    let share = vec![b'x'; SHARE];
    for socket in &mut sockets {
        socket.write_all(&share)?;
    }
    let mut answer = vec![0; SHARE];
    for mut socket in sockets {
        socket.read_exact(&mut answer)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
