//! The gate's thread.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{SocketType, sockopt};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::error::GateError;
use super::shared::{New, Setup, Shared};
use crate::event::{Denial, Event, Limit, Reason};
use crate::flow;
use crate::resolver::{self, serve};

/// Threads for what blocks: lookups, and one for sockets inside.
const BLOCKING_THREADS: usize = crate::dial::LOOKUPS_AT_ONCE + 1;

/// How long such a thread is kept without work.
const KEEP_THREAD: Duration = Duration::from_secs(5);

/// Connections that wait to be accepted at one door. The kernel drops what does not fit, and a program that connects tries again
/// only after a second.
const BACKLOG: i32 = 1024;

/// How often doors that nobody uses are closed.
const CLOSING: Duration = Duration::from_secs(1);

/// Starts the thread with everything that can fail already done.
pub(super) fn start(
    shared: Arc<Shared>,
    setup: Setup,
    stop: oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, GateError> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(KEEP_THREAD)
        .build()
        .map_err(GateError::Runtime)?;
    let (tasks, newcomers, respond) = prepare(&runtime, &shared, setup)?;
    let body = move || {
        let ending = Ending { shared: Arc::clone(&shared) };
        let outcome = runtime.block_on(serve_until(&shared, tasks, newcomers, &respond, stop));
        shared.end(outcome.err());
        // What is in the middle of a lookup is not waited for.
        runtime.shutdown_background();
        drop(ending);
    };
    std::thread::Builder::new().name("gate".to_owned()).spawn(body).map_err(GateError::Thread)
}

/// Tells of a panic of the thread.
struct Ending {
    shared: Arc<Shared>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.end(Some("the gate's thread has panicked".to_owned()));
        }
    }
}

type Tasks = JoinSet<()>;

/// Starts what serves the sockets that are there from the start.
fn prepare(
    runtime: &Runtime,
    shared: &Arc<Shared>,
    setup: Setup,
) -> Result<(Tasks, mpsc::Receiver<New>, Arc<impl serve::Respond + use<>>), GateError> {
    let _inside_the_runtime = runtime.enter();
    let mut tasks = JoinSet::new();
    let events = Arc::clone(&shared.events);
    tasks.spawn(async move { events.ring_in_time().await });
    let respond = Arc::new(responder(shared));
    for socket in setup.name_server {
        serve_names(&mut tasks, socket, &respond).map_err(GateError::NameServer)?;
    }
    for listener in setup.publish.0 {
        let listener = self::listener(listener.into()).map_err(GateError::Runtime)?;
        tasks.spawn(flow::publish(Arc::clone(shared), listener));
    }
    Ok((tasks, setup.newcomers, respond))
}

fn serve_names(tasks: &mut Tasks, socket: OwnedFd, respond: &Arc<impl serve::Respond>) -> io::Result<()> {
    let respond = Arc::clone(respond);
    if sockopt::socket_type(&socket)? == SocketType::DGRAM {
        let socket = std::net::UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        tasks.spawn(async move { match serve::serve_udp(socket, respond).await {} });
    } else {
        let listener = listener(socket)?;
        tasks.spawn(async move { match serve::serve_tcp(listener, serve::TcpBounds::default(), respond).await {} });
    }
    Ok(())
}

/// Takes a listening socket over, with room for [`BACKLOG`] connections, whatever it had before. What is accepted from it does
/// not delay small packets.
fn listener(socket: OwnedFd) -> io::Result<tokio::net::TcpListener> {
    rustix::net::listen(&socket, BACKLOG)?;
    flow::set_prompt(&socket)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// What answers messages, and tells of names that are refused.
fn responder(shared: &Arc<Shared>) -> impl serve::Respond + use<> {
    let shared = Arc::clone(shared);
    move |message: &[u8]| {
        let answer = resolver::answer(message, &mut shared.names(), &shared.rules);
        if let Some(denial) = answer.denial {
            shared.events.push(Event::Denied(Box::new(name_denial(denial))));
        }
        answer.response
    }
}

fn name_denial(denial: resolver::Denial) -> Denial {
    let suggestion = denial.suggestion();
    let (reason, rule) = match denial.reason {
        resolver::Reason::Rules { rule: None } => (Reason::NotAllowed, None),
        resolver::Reason::Rules { rule } => (Reason::Denied, rule),
        resolver::Reason::NotAHost => (Reason::NotAHost, None),
        resolver::Reason::Full => (Reason::Limit(Limit::Names), None),
    };
    Denial { host: denial.name, port: None, reason, rule, suggestion, process: None }
}

/// Serves what comes until the supervisor wants an end, or a task that serves sockets has panicked.
async fn serve_until(
    shared: &Arc<Shared>,
    mut tasks: Tasks,
    mut newcomers: mpsc::Receiver<New>,
    respond: &Arc<impl serve::Respond>,
    mut stop: oneshot::Receiver<()>,
) -> Result<(), String> {
    let mut closing = tokio::time::interval(CLOSING);
    closing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stop => return Ok(()),
            Some(ended) = tasks.join_next() => {
                if ended.is_err_and(|error| error.is_panic()) {
                    return Err("a part of the gate that serves sockets has panicked".to_owned());
                }
            }
            _ = closing.tick(), if !shared.doors.is_empty() => shared.doors.close_unused(Instant::now()),
            Some(new) = newcomers.recv() => serve_new(shared, &mut tasks, new, respond),
        }
    }
}

/// Begins to serve one. Where that fails its socket is closed, so that the program is refused; it may try again.
fn serve_new(shared: &Arc<Shared>, tasks: &mut Tasks, new: New, respond: &Arc<impl serve::Respond>) {
    match new {
        New::Door { door, socket, closed } => match listener(socket) {
            Ok(listener) => {
                tasks.spawn(flow::serve(Arc::clone(shared), door, listener, closed));
            }
            Err(error) => shared.unserved(&door, &error),
        },
        New::Stream { door, socket } => match stream(socket) {
            Ok(client) => flow::begin(shared, &door, client),
            Err(error) => shared.unserved(&door, &error),
        },
        New::Names { socket, place } => {
            // Fails where descriptors are used up, as for all others.
            let Ok(line) = UnixDatagram::from_std(socket.into()) else { return };
            let respond = Arc::clone(respond);
            tasks.spawn(async move {
                serve::serve_line(line, respond).await;
                drop(place);
            });
        }
    }
}

/// A connection that was made by others. It may be one of Unix: what carries it asks for nothing but a stream.
fn stream(socket: OwnedFd) -> io::Result<TcpStream> {
    flow::set_prompt(&socket)?;
    let socket = std::net::TcpStream::from(socket);
    socket.set_nonblocking(true)?;
    TcpStream::from_std(socket)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;

    use super::*;
    use crate::gate::{Admission, GateConfig, Inside};
    use crate::rules::Rules;

    /// A sandbox in which nothing can be opened.
    struct Nothing;

    impl Inside for Nothing {
        fn listen(&mut self, _at: SocketAddr) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn connect(&mut self, _to: SocketAddr) -> io::Result<OwnedFd> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn after_a_panic_everything_is_refused_and_the_supervisor_is_told() {
        let rules = Rules::new(&["192.0.2.1:443".parse().unwrap()], &[], crate::rules::NetworkDefault::Deny);
        let config = GateConfig::new(rules, "198.18.0.0/15".parse().unwrap(), None);
        let (shared, setup) = Shared::new(config, Box::new(Nothing)).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (mut tasks, newcomers, respond) = prepare(&runtime, &shared, setup).unwrap();
        let (_go_on, stop) = oneshot::channel();
        let _inside_the_runtime = runtime.enter();
        tasks.spawn(async { panic!("on purpose") });
        let outcome = runtime.block_on(serve_until(&shared, tasks, newcomers, &respond, stop));
        shared.end(outcome.err());
        assert!(matches!(&shared.events.drain()[..], [Event::Failed(why)] if why.contains("panicked")));
        let refused = shared.try_admit("192.0.2.1:443".parse().unwrap(), None);
        let Some(Admission::Refuse { errno, denial }) = refused else { panic!("{refused:?}") };
        assert_eq!((errno, denial.reason), (rustix::io::Errno::NETDOWN.raw_os_error(), Reason::Failed));
        let loopback = shared.try_admit("127.0.0.1:443".parse().unwrap(), None);
        assert_eq!(loopback, Some(Admission::Continue), "what stays inside is not the gate's");
    }

    #[test]
    fn what_is_accepted_is_prompt() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = listener(std::net::TcpListener::bind("127.0.0.1:0").unwrap().into()).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            assert!(!client.nodelay().unwrap() && accepted.nodelay().unwrap());
        });
    }

    #[test]
    fn a_thread_that_panics_leaves_word() {
        let config = GateConfig::new(Rules::default(), "198.18.0.0/15".parse().unwrap(), None);
        let (shared, _setup) = Shared::new(config, Box::new(Nothing)).unwrap();
        let ending = Ending { shared: Arc::clone(&shared) };
        let thread = std::thread::spawn(move || {
            let _told_at_the_end = ending;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert!(shared.has_ended() && matches!(&shared.events.drain()[..], [Event::Failed(_)]));
    }
}
