//! What single values must be like, wherever they were written: in a file or as an option's value.

mod limits;
mod paths;

pub(super) use limits::{
    connections, connections_at_once, connections_per_second, cpus, disk, file_count, linger, memory, milli_cpus,
    output, process_count, received, sent, time,
};
pub(super) use paths::{allowed_path, deny_rule, protect_rule, socket_path};

use super::diagnostic::{Fault, quoted};
use super::endpoint::{EndpointError, EndpointRule, port};
use super::profiles::PROFILES;
use super::{Checkpoints, NetworkDefault, suggest};
use crate::report::Protection;
use crate::tier::Tier;

/// Longest name of an environment variable, in bytes.
const MAX_NAME: usize = 256;
/// Longest value of an environment variable, in bytes; the kernel takes 128 KiB for both (`MAX_ARG_STRLEN`).
const MAX_VALUE: usize = 64 << 10;

pub(super) fn profile(name: &str) -> Result<&'static str, Fault> {
    let names = || PROFILES.iter().map(|(name, _)| *name);
    if let Some(known) = names().find(|known| *known == name) {
        return Ok(known);
    }
    let choice = format!("the profiles are {}", suggest::listed(names()));
    let hint = suggest::nearest(name, names()).map_or(choice, |near| format!("did you mean `{near}`?"));
    Err(Fault::new(format!("there is no profile {}", quoted(name)), hint))
}

pub(super) fn isolation(name: &str) -> Result<Option<Tier>, Fault> {
    match name {
        "strongest" => Ok(None),
        "namespaces" => Ok(Some(Tier::Namespaces)),
        "landlock" => Ok(Some(Tier::Landlock)),
        _ => Err(Fault::new(
            format!("there is no isolation {}", quoted(name)),
            "write `strongest`, `namespaces` or `landlock`",
        )),
    }
}

pub(super) fn protection(name: &str) -> Result<Protection, Fault> {
    Protection::from_name(name).ok_or_else(|| {
        let names = || Protection::ALL.iter().map(|protection| protection.name());
        let hint = suggest::nearest(name, names()).map_or_else(
            || format!("the protections are {}", suggest::listed(names())),
            |near| format!("did you mean `{near}`?"),
        );
        Fault::new(format!("there is no protection {}", quoted(name)), hint)
    })
}

pub(super) fn network_default(name: &str) -> Result<NetworkDefault, Fault> {
    NetworkDefault::ALL.iter().copied().find(|default| default.name() == name).ok_or_else(|| {
        let message = format!("{} says nothing about endpoints that no rule names", quoted(name));
        Fault::new(message, "write `\"deny\"`, `\"ask\"` or `\"public\"`")
    })
}

pub(super) fn checkpoints(name: &str) -> Result<Checkpoints, Fault> {
    Checkpoints::ALL.iter().copied().find(|when| when.name() == name).ok_or_else(|| {
        let message = format!("{} does not say when checkpoints are taken", quoted(name));
        Fault::new(message, "write `\"asked\"` or `\"each-command\"`")
    })
}

/// A rule that denies.
pub(super) fn endpoint(text: &str) -> Result<EndpointRule, Fault> {
    text.parse().map_err(|error: EndpointError| no_endpoint(text, &error))
}

/// A rule that allows.
pub(super) fn allowed_endpoint(text: &str) -> Result<EndpointRule, Fault> {
    let rule = endpoint(text)?;
    rule.check_allowed().map_err(|error| no_endpoint(text, &error))?;
    Ok(rule)
}

fn no_endpoint(text: &str, error: &EndpointError) -> Fault {
    Fault::new(format!("{}: {error}", quoted(text)), error.hint())
}

pub(super) fn published_port(text: &str) -> Result<u16, Fault> {
    port(text).map_err(|_| {
        Fault::new(format!("{} is not a port", quoted(text)), "write the port inside, 1 to 65535: `\"8080\"`")
    })
}

fn variable_name(name: &str) -> Result<String, Fault> {
    let wrong = |message: &str, hint: &str| Err(Fault::new(format!("{} {message}", quoted(name)), hint));
    if name.is_empty() {
        return wrong("is no name of a variable: it is empty", "write the name, such as `LANG`");
    }
    if name.len() > MAX_NAME {
        return wrong("is too long for the name of a variable", "names have at most 256 bytes");
    }
    if name.contains('=') {
        return wrong("holds `=`, which ends a name", "put a value into `set`: `set = { NAME = \"value\" }`");
    }
    if name.contains(|c: char| !c.is_ascii_graphic()) {
        return wrong("is no name of a variable", "names are printable ASCII without spaces");
    }
    Ok(name.to_owned())
}

/// A name to pass on, or a pattern with `*` for the names to pass on; names that look like secrets need to be written out.
pub(super) fn passed_name(name: &str) -> Result<String, Fault> {
    if !name.is_empty() && name.bytes().all(|byte| byte == b'*') {
        let message = format!("{} stands for every variable", quoted(name));
        return Err(Fault::new(
            message,
            "name the variables that are needed, such as `LANG`, or a family of them: `LC_*`",
        ));
    }
    variable_name(name)
}

/// The name of a variable to set.
pub(super) fn set_name(name: &str) -> Result<String, Fault> {
    if name.contains('*') {
        let message = format!("{} is a pattern, and a value is for one variable", quoted(name));
        return Err(Fault::new(message, "write out the name"));
    }
    variable_name(name)
}

pub(super) fn variable_value(value: &str) -> Result<String, Fault> {
    if value.contains('\0') {
        return Err(Fault::new("the value of a variable holds a NUL byte", "remove it: no program could see it"));
    }
    if value.len() > MAX_VALUE {
        let message = format!("a value of {} bytes is too long for a variable", value.len());
        return Err(Fault::new(message, "values have at most 64 KiB; put more into a file"));
    }
    Ok(value.to_owned())
}
