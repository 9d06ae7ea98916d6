//! Calls that name a socket address.
//!
//! In a private network the kernel lets nothing out by itself, so that addresses on loopback pass and the others are
//! refused for the sake of a clear error and a record. Where a gate leads out of it, its keeper is asked about connections
//! of TCP. Without a private network, only Unix sockets can be made, and `sockets` decides which of them may be reached;
//! where a gate is to be reached all the same, some of them stand in for others (`stand_ins`).

use std::net::SocketAddr;

use rustix::io::Errno;
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};
use stockade_spec::plan::NetworkFilter;
use stockade_spec::plan::gate::{EndpointRule, GateRoutes, NAME_SERVER_PORT};
use stockade_spec::report::{Area, ProcessRef, allow_option};

use super::address::{self, Address, MAX_ADDRESS};
use super::asker::Asker;
use super::gatekeeper::{Admission, Gatekeeper, Refusal};
use super::{Answer, Observer, sockets, stand_ins};
use crate::denials::{Attempt, DenialLog};

/// Who decides about what the gate leads out; the observer's own, taken out of it for the time of a decision.
pub(super) type Keeper<'g> = Option<&'g mut (dyn Gatekeeper + 'static)>;

pub(super) fn connect(observer: &Observer, keeper: Keeper<'_>, asker: &Asker<'_>, log: &mut DenialLog<'_>) -> Answer {
    match read_address(asker, 1, 2, address::parse) {
        Ok(address) => reach(observer, keeper, asker, "connect", &address, log),
        Err(error) => unread(observer, error),
    }
}

pub(super) fn send_to(observer: &Observer, keeper: Keeper<'_>, asker: &Asker<'_>, log: &mut DenialLog<'_>) -> Answer {
    match (observer.network, read_address(asker, 4, 5, address::parse_destination)) {
        (_, Err(error)) => unread(observer, error),
        (NetworkFilter::Private, Ok(address)) => reach(observer, keeper, asker, "sendto", &address, log),
        (NetworkFilter::StandIns, Ok(Address::Internet(to))) => stand_ins::send_to(observer, keeper, asker, to, log)
            .unwrap_or_else(|| send_by_connected(asker, "sendto", &Address::Internet(to), log)),
        (_, Ok(address)) => send_by_connected(asker, "sendto", &address, log),
    }
}

pub(super) fn bind(observer: &Observer, asker: &Asker<'_>, log: &mut DenialLog<'_>) -> Answer {
    match (observer.network, read_address(asker, 1, 2, address::parse)) {
        (_, Err(error)) => unread(observer, error),
        (_, Ok(Address::Malformed)) => Answer::Fail(Errno::INVAL),
        (NetworkFilter::Private, Ok(Address::Internet(address))) if !address::is_local(address.ip()) => {
            record_internet(asker, "bind", address, log);
            Answer::Fail(Errno::ADDRNOTAVAIL)
        }
        (NetworkFilter::StandIns, Ok(Address::Internet(address))) => stand_ins::bind(observer, asker, address, log),
        (NetworkFilter::UnixOnly, Ok(Address::Internet(address))) => {
            record_internet(asker, "bind", address, log);
            Answer::Fail(Errno::ACCESS)
        }
        // The kernel holds names to the file rules, and abstract ones to this network namespace.
        (_, Ok(_)) => Answer::Continue,
    }
}

/// Connecting or sending to an address.
fn reach(
    observer: &Observer,
    keeper: Keeper<'_>,
    asker: &Asker<'_>,
    operation: &'static str,
    address: &Address,
    log: &mut DenialLog<'_>,
) -> Answer {
    match (observer.network, address) {
        (_, Address::Malformed) => Answer::Fail(Errno::INVAL),
        (NetworkFilter::Private, Address::Internet(address)) if address::is_local(address.ip()) => {
            reach_loopback(observer, keeper, asker, operation, *address, log)
        }
        (NetworkFilter::Private, Address::Internet(address)) => match &observer.context.gate {
            Some(routes) => leave(routes, keeper, asker, operation, *address, log),
            None => refuse(asker, operation, *address, log),
        },
        (NetworkFilter::StandIns, Address::Internet(address)) => {
            stand_ins::connect(observer, keeper, asker, *address, log)
        }
        (NetworkFilter::UnixOnly, Address::Internet(address)) => refuse(asker, operation, *address, log),
        (NetworkFilter::Private, Address::UnixPath(path)) => {
            sockets::observe_path(asker, operation, path, log);
            Answer::Continue
        }
        (NetworkFilter::Private, Address::UnixAbstract(name)) => {
            sockets::observe_abstract(asker, operation, name, log);
            Answer::Continue
        }
        (NetworkFilter::Private, Address::Unspecified | Address::UnixUnnamed | Address::Other(_)) => Answer::Continue,
        (NetworkFilter::StandIns, Address::Unspecified) => stand_ins::dissolve(observer, asker)
            .unwrap_or_else(|| sockets::connect_on_behalf(observer, asker, address, log)),
        (_, _) => sockets::connect_on_behalf(observer, asker, address, log),
    }
}

/// Loopback is the sandbox's own, but for streams to an address that a rule names: those mean the host's, unless a program
/// inside listens there, which the gatekeeper finds out.
fn reach_loopback(
    observer: &Observer,
    keeper: Keeper<'_>,
    asker: &Asker<'_>,
    operation: &'static str,
    to: SocketAddr,
    log: &mut DenialLog<'_>,
) -> Answer {
    let means = |rule: &EndpointRule| rule.host.has_address(to.ip()) && rule.allows_port(to.port());
    match keeper {
        Some(keeper) if observer.context.host_loopback.iter().any(means) => match kind(asker) {
            Ok(SocketType::STREAM) => admit(keeper, asker, operation, to, log),
            Ok(_) => Answer::Continue,
            Err(error) => Answer::Fail(error),
        },
        _ => Answer::Continue,
    }
}

/// The type of the socket that the first argument names.
fn kind(asker: &Asker<'_>) -> Result<SocketType, Errno> {
    asker.duplicate(asker.number(0)).and_then(|socket| socket_type(&socket))
}

fn admit(
    keeper: &mut (dyn Gatekeeper + 'static),
    asker: &Asker<'_>,
    operation: &'static str,
    to: SocketAddr,
    log: &mut DenialLog<'_>,
) -> Answer {
    let process = asker.process();
    match keeper.admit(to, process.as_ref()) {
        Admission::Continue => Answer::Continue,
        Admission::Refuse(refusal) => refused(refusal, operation, process, log),
        Admission::Later => Answer::Later,
    }
}

/// Connecting or sending to an address beyond loopback, where there is a gate.
///
/// Whatever is let through arrives at a socket inside that the gate listens at, or nowhere; so nothing is lost when the
/// address is another one by the time that the kernel reads it.
fn leave(
    routes: &GateRoutes,
    keeper: Keeper<'_>,
    asker: &Asker<'_>,
    operation: &'static str,
    to: SocketAddr,
    log: &mut DenialLog<'_>,
) -> Answer {
    if to.port() == NAME_SERVER_PORT && routes.name_servers.contains(&to.ip()) {
        return Answer::Continue;
    }
    match (kind(asker), keeper) {
        (Err(error), _) => Answer::Fail(error),
        (Ok(SocketType::STREAM), Some(keeper)) => admit(keeper, asker, operation, to, log),
        // Nothing is sent by it, and programs do it to learn about addresses; `undelivered` sees what is sent later.
        (Ok(SocketType::DGRAM), _)
            if operation == "connect" && routes.local.iter().any(|network| network.contains(&to.ip())) =>
        {
            Answer::Continue
        }
        (Ok(_), keeper) => {
            let target = keeper.map_or_else(|| to.to_string(), |keeper| keeper.describe(to));
            log.record(Attempt::new(Area::Network, operation, target).by(asker.process()));
            Answer::Fail(Errno::ACCESS)
        }
    }
}

/// The gatekeeper said no.
pub(super) fn refused(
    refusal: Refusal,
    operation: &'static str,
    process: Option<ProcessRef>,
    log: &mut DenialLog<'_>,
) -> Answer {
    let Refusal { errno, target, rule, suggestion } = refusal;
    let mut attempt = Attempt::new(Area::Network, operation, target).by(process);
    if let Some(rule) = rule {
        attempt = attempt.rule(rule);
    }
    if let Some(suggestion) = suggestion {
        attempt = attempt.suggestion(suggestion);
    }
    log.record(attempt);
    // The kernel takes no other numbers for an answer.
    Answer::Fail(if (1..4096).contains(&errno) { Errno::from_raw_os_error(errno) } else { Errno::ACCESS })
}

fn refuse(asker: &Asker<'_>, operation: &'static str, to: SocketAddr, log: &mut DenialLog<'_>) -> Answer {
    let mut attempt = Attempt::new(Area::Network, operation, to.to_string()).by(asker.process());
    // A gate would lead connections out, and nothing else.
    let is_connection = || kind(asker).is_ok_and(|kind| kind == SocketType::STREAM);
    if operation == "connect"
        && let Some(option) = allow_option(&to.ip().to_string(), to.port()).filter(|_| is_connection())
    {
        attempt = attempt.suggestion(option);
    }
    log.record(attempt);
    Answer::Fail(Errno::ACCESS)
}

/// Without a private network: lets sockets send that do not look at addresses, and no other.
fn send_by_connected(asker: &Asker<'_>, operation: &'static str, address: &Address, log: &mut DenialLog<'_>) -> Answer {
    let kinds =
        asker.duplicate(asker.number(0)).and_then(|socket| Ok((socket_domain(&socket)?, socket_type(&socket)?)));
    match kinds {
        Err(error) => Answer::Fail(error),
        Ok((AddressFamily::UNIX, SocketType::STREAM | SocketType::SEQPACKET)) => Answer::Continue,
        Ok(_) => {
            match address {
                Address::Internet(address) => record_internet(asker, operation, *address, log),
                Address::UnixPath(path) => {
                    log.record(Attempt::new(Area::Sockets, operation, path).by(asker.process()));
                }
                _ => log.record(Attempt::new(Area::Sockets, operation, "datagram socket").by(asker.process())),
            }
            Answer::Fail(Errno::ACCESS)
        }
    }
}

pub(super) fn record_internet(
    asker: &Asker<'_>,
    operation: &'static str,
    address: SocketAddr,
    log: &mut DenialLog<'_>,
) {
    log.record(Attempt::new(Area::Network, operation, address.to_string()).by(asker.process()));
}

/// What becomes of a call whose address cannot be read. A process need not let its memory be read (`PR_SET_DUMPABLE` of
/// `prctl(2)`), as agents that hold keys do not; a private network holds it all the same, only without a record.
fn unread(observer: &Observer, error: Errno) -> Answer {
    match (observer.network, error) {
        (NetworkFilter::Private, Errno::PERM | Errno::ACCESS) => Answer::Continue,
        _ => Answer::Fail(error),
    }
}

/// Reads the address to which one argument points and whose length another gives.
fn read_address(
    asker: &Asker<'_>,
    address: usize,
    length: usize,
    parse: fn(&[u8]) -> Address,
) -> Result<Address, Errno> {
    let length = usize::try_from(asker.number(length)).ok().filter(|&length| length <= MAX_ADDRESS);
    let bytes = asker.bytes(asker.argument(address), length.ok_or(Errno::INVAL)?)?;
    Ok(parse(&bytes))
}
