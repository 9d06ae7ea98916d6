//! A gate that leads nowhere: whoever is let through is told where the connection arrived.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use stockade_linux::observe::gatekeeper::{Admission, Gatekeeper, Refusal};
use stockade_spec::report::ProcessRef;

use crate::run::Inside;

/// Lets some addresses through, each by a listener of its own.
#[derive(Debug)]
pub(crate) struct Keeper {
    inside: Inside,
    allowed: Vec<SocketAddr>,
    /// How often it is asked in vain about each address before it decides.
    hesitates: u32,
    hesitated: Vec<SocketAddr>,
    listening: Vec<SocketAddr>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn new(inside: Inside, allowed: &[&str]) -> Self {
        let allowed = allowed.iter().map(|address| address.parse().unwrap()).collect();
        Self {
            inside,
            allowed,
            hesitates: 0,
            hesitated: Vec::new(),
            listening: Vec::new(),
            over: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Asks somebody about every address, who takes that many looks at the clock to decide.
    pub(crate) fn hesitant(mut self, hesitates: u32) -> Self {
        self.hesitates = hesitates;
        self
    }

    fn hesitates_about(&mut self, to: SocketAddr) -> bool {
        let before = self.hesitated.iter().filter(|address| **address == to).count();
        self.hesitated.push(to);
        u32::try_from(before).unwrap() < self.hesitates
    }

    /// Lets something else go on besides, until the run is over.
    pub(crate) fn beside(mut self, work: impl FnOnce(&Inside, &Arc<AtomicBool>) -> JoinHandle<()>) -> Self {
        self.threads.push(work(&self.inside, &self.over));
        self
    }

    /// Takes connections, and says to each of them where it arrived.
    fn listen(&mut self, at: SocketAddr) -> Result<(), i32> {
        if self.listening.contains(&at) {
            return Ok(());
        }
        let listener = self.inside.service.listen(at).map_err(|error| {
            let error = std::io::Error::from(error);
            error.raw_os_error().unwrap_or(libc::EIO)
        })?;
        self.listening.push(at);
        self.threads.push(greet(listener, Arc::clone(&self.over)));
        Ok(())
    }
}

/// Greets whoever connects.
pub(crate) fn greet(listener: OwnedFd, over: Arc<AtomicBool>) -> JoinHandle<()> {
    let listener = TcpListener::from(listener);
    spawn(move || {
        while !over.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((mut stream, _)) => drop(write!(stream, "at {}", stream.local_addr().unwrap())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(2)),
                Err(error) => panic!("{error}"),
            }
        }
    })
}

impl Gatekeeper for Keeper {
    fn admit(&mut self, to: SocketAddr, process: Option<&ProcessRef>) -> Admission {
        let name = process.map(|process| process.name.clone()).unwrap_or_default();
        assert!(name.starts_with("gate"), "{name}");
        let refused = |errno, rule: &str| {
            Admission::Refuse(Refusal {
                errno,
                target: format!("name-of.{}:{}", to.ip(), to.port()),
                rule: Some(rule.to_owned()),
                suggestion: Some(format!("--allow {to}")),
            })
        };
        if self.hesitates_about(to) {
            return Admission::Later;
        }
        if !self.allowed.contains(&to) {
            return refused(libc::EACCES, "nothing allows it");
        }
        match self.listen(to) {
            Ok(()) => Admission::Continue,
            Err(errno) => refused(errno, "cannot listen"),
        }
    }

    fn carry(&mut self, to: SocketAddr, _process: Option<&ProcessRef>, _socket: BorrowedFd<'_>) -> Admission {
        panic!("there is a network inside, and {to} is connected to in it");
    }

    fn answer_names(&mut self, _socket: OwnedFd) -> std::io::Result<()> {
        panic!("there is a name server inside");
    }

    fn describe(&self, address: SocketAddr) -> String {
        describe(address)
    }
}

/// The text for an address: a name that is known to stand for it.
pub(crate) fn describe(address: SocketAddr) -> String {
    if address.ip() == IpAddr::from([198, 18, 0, 8]) { "known.example:53".to_owned() } else { address.to_string() }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}
