//! Looking names up with the host's own resolver.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::error::DialError;

/// Lookups at once. `getaddrinfo(3)` blocks a thread, for as long as its name servers take.
pub(crate) const AT_ONCE: usize = 16;

/// Longest time that a lookup takes, with waiting for its turn.
const WITHIN: Duration = Duration::from_secs(10);

/// Addresses of a name that are looked at; the rest is dropped.
const MOST_ADDRESSES: usize = 64;

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
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").finish_non_exhaustive()
    }
}

impl Bounded {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// At least one address.
    pub(super) async fn find(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let found = tokio::time::timeout(WITHIN, self.in_turn(name, port))
            .await
            .map_err(|_| DialError::LookupTimeout { name: name.to_owned(), bound: WITHIN })?;
        let mut found = found.map_err(|source| DialError::Lookup { name: name.to_owned(), source })?;
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() { Err(DialError::NoAddress(name.to_owned())) } else { Ok(found) }
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
