//! Init's side of the socket service: makes sockets inside for the supervisor.
//!
//! Requests come from the supervisor alone: the command never holds the other end. They are looked at all the same, and a
//! malformed one ends the service.

use std::io;
use std::os::fd::AsFd;

use super::sockets;
use crate::stage::channel::{Channel, Received};
use crate::stage::service_message::{Answer, Request, Wanted};

/// Answers the requests that wait. False when no more can come.
///
/// # Errors
/// When the channel fails.
pub(crate) fn serve(channel: &Channel) -> io::Result<bool> {
    loop {
        match channel.receive()? {
            Received::Packet(packet, _) => match Request::decode(&packet) {
                Ok(request) => answer(channel, &request)?,
                Err(_) => return Ok(false),
            },
            Received::Nothing => return Ok(true),
            Received::Closed => return Ok(false),
        }
    }
}

fn answer(channel: &Channel, request: &Request) -> io::Result<()> {
    let made = match request.wanted {
        Wanted::Listen => sockets::listen(request.address),
        Wanted::Connect => sockets::connect(request.address),
    };
    let tell = |errno, sockets: &[_]| channel.send(&Answer { number: request.number, errno }.encode(), sockets);
    match made {
        // A program may have as many descriptors under way as its user may have (`ETOOMANYREFS` of `unix(7)`): then this
        // socket is not made, and others may be later.
        Ok(socket) => tell(0, &[socket.as_fd()]).or_else(|error| tell(error.raw_os_error().unwrap_or(libc::EIO), &[])),
        Err(error) => tell(error.raw_os_error(), &[]),
    }
}
