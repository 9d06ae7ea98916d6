//! The program's side of [`crate::run_by`].

use std::cell::Cell;
use std::io::{self, BufReader, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Signal, getpid, kill_process};
use stockade_linux::relay::HostStdio;

use crate::error::Error;
use crate::event::Event;
use crate::run::carry_out;
use crate::wire::{self, Message, Order};

/// How long a command may take to end after its caller has gone and it got SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// Carries out the one order that comes through `socket`, and reports there. Meant for a process of one thread that does
/// nothing else.
///
/// # Errors
/// When the caller cannot be understood or is gone; it is told of everything else.
pub fn serve(socket: OwnedFd) -> Result<(), Error> {
    let socket = UnixStream::from(socket);
    let stdio = receive_streams(&socket).map_err(Error::Conversation)?;
    let mut input = BufReader::new(socket.try_clone().map_err(Error::Conversation)?);
    let order: Option<Order> = wire::read(&mut input).map_err(Error::Conversation)?;
    let order = order.ok_or_else(|| Error::Conversation(io::ErrorKind::UnexpectedEof.into()))?;
    let lost = Cell::new(None);
    let result = order.work().and_then(|work| {
        carry_out(work, stdio, None, &|event| {
            if let Event::Started(_) = event {
                lost.set(end_with_caller(&socket).err());
            }
            // A caller that is gone is noticed by the thread that watches for it.
            let _gone = wire::write(&socket, &Message::from(event));
        })
    });
    if let Err(error) = &result {
        wire::write(&socket, &Message::from(error)).map_err(Error::Conversation)?;
    }
    lost.take().map_or(Ok(()), |error| Err(Error::Conversation(error)))
}

/// Ends the run when the caller goes: first as a person would, so that the sweep still happens, then at once. Whatever is
/// left undone then, the next start does.
fn end_with_caller(socket: &UnixStream) -> io::Result<()> {
    let mut socket = socket.try_clone()?;
    std::thread::Builder::new().name("caller".to_owned()).spawn(move || {
        // The caller says nothing more, so a read returns when it has closed its end.
        let mut nothing = [0];
        while matches!(socket.read(&mut nothing), Ok(1)) {}
        let _ended_meanwhile = kill_process(getpid(), Signal::TERM);
        std::thread::sleep(GRACE);
        let _ended_meanwhile = kill_process(getpid(), Signal::KILL);
    })?;
    Ok(())
}

fn receive_streams(socket: &UnixStream) -> io::Result<HostStdio> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors.collect::<Vec<OwnedFd>>()),
        _ => None,
    };
    let descriptors = control.drain().find_map(rights).unwrap_or_default();
    let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(descriptors)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "three descriptors are due"))?;
    Ok(HostStdio { stdin, stdout, stderr })
}
