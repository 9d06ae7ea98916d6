//! Serving a door: accepting what passes, and refusing the rest.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::accept::{self, Accepted};
use super::doors::Door;
use super::{carry, pair};
use crate::event::{Denial, Event, Limit, Reason};
use crate::gate::Shared;

/// Why connections are broken off when no descriptor is left.
const NO_DESCRIPTOR: &str = "the gate has no descriptor left; raise the limit on open files of the supervisor";

/// Accepts connections until the door is closed.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    door: Arc<Door>,
    listener: TcpListener,
    mut closed: oneshot::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            _ = &mut closed => return,
            accepted = accept::next(&listener, &shared.spare) => accepted,
        };
        match accepted {
            Accepted::Socket(client) => begin(&shared, &door, client),
            Accepted::Shed => shared.deny(&door, Reason::Unserved(NO_DESCRIPTOR.to_owned())),
        }
    }
}

/// Starts to carry a connection, or breaks it off.
pub(crate) fn begin(shared: &Arc<Shared>, door: &Arc<Door>, client: TcpStream) {
    if shared.events.is_full() {
        // The supervisor does not keep up, and each connection would be one more to tell of.
        pair::close_with_reset(&client);
        return shared.deny(door, Reason::Limit(Limit::PerSecond));
    }
    if !door.pass() {
        pair::close_with_reset(&client);
        return shared.deny(door, Reason::Declined);
    }
    match shared.traffic.open(Instant::now()) {
        Ok(slot) => drop(tokio::spawn(carry::run(Arc::clone(shared), Arc::clone(door), client, slot))),
        Err(limit) => {
            pair::close_with_reset(&client);
            shared.deny(door, Reason::Limit(limit));
        }
    }
}

impl Shared {
    /// Tells of a refusal at a door.
    pub(crate) fn deny(&self, door: &Door, reason: Reason) {
        let denial = Denial {
            host: door.host.to_string(),
            port: Some(door.address.port()),
            reason,
            rule: None,
            suggestion: None,
            process: door.process(),
        };
        self.events.push(Event::Denied(Box::new(denial)));
    }

    /// Gives up a door whose socket cannot be served.
    pub(crate) fn unserved(&self, door: &Door, error: &io::Error) {
        self.doors.remove(&door.address);
        self.deny(door, Reason::Unserved(format!("{NO_DESCRIPTOR} ({error})")));
    }
}
