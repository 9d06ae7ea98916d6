//! One connection of a program inside, from its acceptance to its end.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::net::TcpStream;

use super::doors::Door;
use super::first;
use super::limits::Slot;
use super::pair::{self, Break, Ends};
use super::pump::{Broken, Leg};
use super::record::Record;
use crate::dial::{DialError, Dialled};
use crate::event::{Direction, End, Limit, Reason};
use crate::gate::Shared;
use crate::rules::Host;

/// Dials, carries, and tells.
pub(super) async fn run(shared: Arc<Shared>, door: Arc<Door>, client: TcpStream, slot: Slot) {
    let record = Record::new(&shared.events, Direction::Outward, door.host.to_string(), door.address.port());
    record.set_cause(&door.rule, door.process());
    let mut client = Ends::new(client);
    let end = match dial(&shared, &door, client.socket()).await {
        Err(Some(error)) => unreachable(&shared, &door, error),
        Err(None) => End::Reset,
        Ok(Dialled { socket, address }) => {
            record.set_address(address);
            let mut server = Ends::new(socket);
            let outcome = match set_up(server.socket(), address) {
                Ok(()) => carry(&shared, &door, (client.socket(), server.socket()), &record).await,
                Err(_) => Err(Break::Up(Broken::Socket)),
            };
            if outcome.is_ok() {
                client.finish();
                server.finish();
            }
            end(&shared, &door, outcome)
        }
    };
    record.set_end(end);
    drop(client);
    drop(slot);
}

/// Connects to the host, unless the client breaks off in the meantime.
async fn dial(shared: &Shared, door: &Door, client: &TcpStream) -> Result<Dialled, Option<DialError>> {
    tokio::select! {
        dialled = shared.dialer.dial(&door.host, door.address.port(), pair::has_spoken(client)) => dialled.map_err(Some),
        _ = client.ready(Interest::ERROR) => Err(None),
    }
}

/// Sets the options of a socket that leads to an address, or to a proxy.
fn set_up(server: &TcpStream, address: Option<IpAddr>) -> io::Result<()> {
    pair::set_prompt(server)?;
    if address.is_some_and(|address| address.is_loopback()) {
        pair::set_unpaced(server);
        return Ok(());
    }
    pair::set_probing(server)
}

/// Moves bytes both ways. What the server says flows at once; what the client says is looked at first where the door stands for
/// a name.
async fn carry(
    shared: &Shared,
    door: &Door,
    (client, server): (&TcpStream, &TcpStream),
    record: &Record,
) -> Result<(), Break> {
    let traffic = &shared.traffic;
    let pipes = &shared.pipes;
    let up = Leg { from: client, to: server, meter: Some(&traffic.sent), moved: &record.sent, pipes };
    let down = Leg { from: server, to: client, meter: Some(&traffic.received), moved: &record.received, pipes };
    let up = async {
        if let Host::Name(name) = &door.host {
            first::inspect(&up, name, door.address.port(), record).await?;
        }
        up.run().await
    };
    pair::run(up, down.run(), (client, server), (&record.sent, &record.received)).await
}

/// What becomes of a connection that could not be made.
fn unreachable(shared: &Shared, door: &Door, error: DialError) -> End {
    match error {
        DialError::Refused { address, why } => {
            shared.deny(door, Reason::Address(address, why));
            End::Refused
        }
        error => End::Unreachable(error.to_string()),
    }
}

/// What the end of a connection was, with a denial where it was the gate's doing.
fn end(shared: &Shared, door: &Door, outcome: Result<(), Break>) -> End {
    let reason = match outcome {
        Ok(()) => return End::Closed,
        Err(Break::Idle | Break::Up(Broken::Socket) | Break::Down(Broken::Socket)) => return End::Reset,
        Err(Break::Up(Broken::UsedUp)) => Reason::Limit(Limit::Sent),
        Err(Break::Down(Broken::UsedUp)) => Reason::Limit(Limit::Received),
        Err(Break::Up(Broken::Refused(reason)) | Break::Down(Broken::Refused(reason))) => reason,
        Err(Break::Up(Broken::NoPipe(error)) | Break::Down(Broken::NoPipe(error))) => {
            Reason::Unserved(format!("no pipe is to be had: {error}; raise the limit on open files of the supervisor"))
        }
    };
    shared.deny(door, reason);
    End::Refused
}
