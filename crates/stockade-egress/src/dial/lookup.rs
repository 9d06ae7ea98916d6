//! Looking names up with the host's own resolver.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::error::DialError;

/// Lookups at once. `getaddrinfo(3)` blocks a thread, for as long as its name servers take.
pub(crate) const AT_ONCE: usize = 16;

/// Longest time that a lookup takes, with waiting for its turn.
const WITHIN: Duration = Duration::from_secs(10);

/// Addresses of a name that are looked at; the rest is dropped.
const MOST_ADDRESSES: usize = 64;

/// How long an answer is used again. Programs open several connections to a host at once, and what protects from answers that
/// change is the check of each address, not asking often.
const FRESH: Duration = Duration::from_secs(2);

/// Names whose answers are kept.
const MOST_KEPT: usize = 256;

/// Finds the addresses of names.
///
/// Called from threads that may block, several at once.
pub trait Lookup: Send + Sync {
    /// The addresses of `name`, in the order of preference, each with `port`.
    ///
    /// # Errors
    /// What the resolver says; the text is told in the connection's event.
    fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The host's resolver: `getaddrinfo(3)`, so that `/etc/hosts`, `nsswitch.conf` and whatever else the host uses apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((name, port).to_socket_addrs()?.take(MOST_ADDRESSES).collect())
    }
}

/// A lookup with bounds on time and on how many run at once.
pub(super) struct Bounded {
    lookup: Arc<dyn Lookup>,
    turns: Arc<Semaphore>,
    kept: Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>,
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").finish_non_exhaustive()
    }
}

impl Bounded {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, turns: Arc::new(Semaphore::new(AT_ONCE)), kept: Mutex::default() }
    }

    /// At least one address.
    pub(super) async fn find(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        if let Some(found) = self.kept(name) {
            return Ok(found.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect());
        }
        let found = tokio::time::timeout(WITHIN, self.in_turn(name, port))
            .await
            .map_err(|_| DialError::LookupTimeout { name: name.to_owned(), bound: WITHIN })?;
        let mut found = found.map_err(|source| DialError::Lookup { name: name.to_owned(), source })?;
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() {
            return Err(DialError::NoAddress(name.to_owned()));
        }
        self.keep(name, &found);
        Ok(found)
    }

    fn kept(&self, name: &str) -> Option<Vec<SocketAddr>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(name).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, found)| found.clone())
    }

    fn keep(&self, name: &str, found: &[SocketAddr]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        if kept.len() < MOST_KEPT {
            kept.insert(name.to_owned(), (Instant::now(), found.to_vec()));
        }
    }

    async fn in_turn(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(io::Error::other)?;
        let (lookup, name) = (Arc::clone(&self.lookup), name.to_owned());
        let running = tokio::task::spawn_blocking(move || {
            // The turn ends with the thread, not with whoever waits for it: one that hangs still blocks a thread.
            let found = lookup.lookup(&name, port);
            drop(turn);
            found
        });
        running.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Answers with another address each time; hangs for the name `slow.test`.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Lookup for Counting {
        fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            if name == "slow.test" {
                std::thread::sleep(Duration::from_millis(300));
            }
            let count = self.0.fetch_add(1, Ordering::SeqCst);
            Ok(if name == "none.test" { Vec::new() } else { vec![([192, 0, 2, count], port).into()] })
        }
    }

    #[test]
    fn answers_are_kept_for_a_moment_and_in_a_bounded_number() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lookup = Bounded::new(Arc::new(Counting::default()));
        runtime.block_on(async {
            let first = lookup.find("a.test", 443).await.unwrap();
            let again = lookup.find("a.test", 80).await.unwrap();
            assert_eq!((first[0].ip(), again[0].port()), (again[0].ip(), 80));
            for number in 0..2 * MOST_KEPT {
                lookup.find(&format!("{number}.test"), 443).await.unwrap();
            }
            assert_eq!(lookup.kept.lock().unwrap().len(), MOST_KEPT);
            tokio::time::sleep(FRESH).await;
            assert_ne!(lookup.find("a.test", 443).await.unwrap(), first);
            assert!(matches!(lookup.find("none.test", 443).await, Err(DialError::NoAddress(_))));
        });
    }

    #[test]
    fn no_more_than_sixteen_lookups_run_at_once_also_when_nobody_waits_for_them() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lookup = Bounded::new(Arc::new(Counting::default()));
        runtime.block_on(async {
            for _ in 0..AT_ONCE {
                let impatient = tokio::time::timeout(Duration::from_millis(1), lookup.find("slow.test", 443));
                assert!(impatient.await.is_err());
            }
            assert_eq!(lookup.turns.available_permits(), 0);
            lookup.find("a.test", 443).await.unwrap();
        });
    }
}
