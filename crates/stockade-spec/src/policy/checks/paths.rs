//! Paths and path rules. They stay relative to what they were written against; the compiler resolves them.

use super::{Fault, quoted};
use crate::glob::{Glob, MAX_BYTES};

/// Directories that the sandbox makes anew; the host's would show or touch what is outside.
const OWN: &[&str] = &["/proc", "/sys", "/dev"];

/// A path of `read` or `write`, without repeated or trailing slashes.
pub(in crate::policy) fn allowed_path(text: &str) -> Result<String, Fault> {
    let path =
        plain_path(text, "a path that may be read or written is one file or directory; patterns work in `deny`")?;
    if path == "/" || path == "~" {
        let message = format!("{} is too broad: it would take away what the sandbox is for", quoted(text));
        return Err(Fault::new(message, "name the directories that are needed, such as `~/datasets`"));
    }
    if path == "." {
        let hint = "remove it; `workspace = \"write\"` or `\"read-only\"` says how the workspace is seen";
        return Err(Fault::new(format!("{} is the workspace itself", quoted(text)), hint));
    }
    match OWN.iter().find(|own| path.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))) {
        Some(own) => {
            let message = format!("{} cannot be let in: the sandbox has a `{own}` of its own", quoted(text));
            Err(Fault::new(message, format!("remove it; what programs need of `{own}` is there")))
        }
        None => Ok(path),
    }
}

/// The path of a Unix socket on the host.
pub(in crate::policy) fn socket_path(text: &str) -> Result<String, Fault> {
    if text.starts_with('@') {
        let message = format!("{} is an abstract socket, which has no path", quoted(text));
        return Err(Fault::new(message, "only sockets with a path can be let in"));
    }
    let path = plain_path(text, "write out the path of each socket")?;
    if path.starts_with('/') && path != "/" || path.starts_with("~/") {
        return Ok(path);
    }
    let message = format!("{} is not the path of a socket on the host", quoted(text));
    Err(Fault::new(message, "write an absolute path, or one that starts with `~/`"))
}

/// A path or glob that may be neither read nor written.
pub(in crate::policy) fn deny_rule(text: &str) -> Result<String, Fault> {
    foreign(text)?;
    let below = text.strip_prefix("~/").unwrap_or(text);
    if below.trim_matches('/').is_empty() || below == "." {
        let message = format!("{} is no rule: it would deny everything, or nothing", quoted(text));
        return Err(Fault::new(message, "name what is denied, such as `**/.env` or `secrets/`"));
    }
    Glob::new(below).map_err(|error| Fault::bare(error.to_string()))?;
    Ok(text.to_owned())
}

/// A glob below the workspace that may be read but not written.
pub(in crate::policy) fn protect_rule(text: &str) -> Result<String, Fault> {
    if text.starts_with(['/', '~']) {
        let message = format!("{} is not below the workspace", quoted(text));
        return Err(Fault::new(message, "protected files are below the workspace: write the path from there"));
    }
    deny_rule(text)
}

fn plain_path(text: &str, pattern_hint: &str) -> Result<String, Fault> {
    foreign(text)?;
    if text.contains(['*', '?', '[', '{']) {
        return Err(Fault::new(format!("{} is a pattern", quoted(text)), pattern_hint));
    }
    if text.len() > MAX_BYTES {
        return Err(Fault::new("the path is too long", format!("paths have at most {MAX_BYTES} bytes")));
    }
    if text.split('/').any(|component| component == "..") {
        let message = format!("{} holds `..`, which leads elsewhere than it seems where there are links", quoted(text));
        return Err(Fault::new(message, "write the path that is meant without `..`"));
    }
    Ok(tidy(text))
}

/// Refuses what no path rule holds.
fn foreign(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("the path is empty", "name a file or directory, or remove the entry"));
    }
    if text.contains(char::is_control) {
        let message = format!("{} holds a NUL or control character", quoted(text));
        return Err(Fault::new(message, "remove the character"));
    }
    if text.starts_with('$') {
        let message = format!("{} starts with a variable, which a policy does not know", quoted(text));
        return Err(Fault::new(message, "write the path itself; `~/` stands for the home directory"));
    }
    if text.starts_with('~') && text != "~" && !text.starts_with("~/") {
        let message = format!("{} is in some other user's home directory", quoted(text));
        return Err(Fault::new(message, "write the absolute path; `~/` stands for your own home directory"));
    }
    Ok(())
}

/// The path without empty and `.` components and without a slash at the end.
fn tidy(text: &str) -> String {
    let components: Vec<_> = text.split('/').filter(|component| !matches!(*component, "" | ".")).collect();
    let joined = components.join("/");
    match (text.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
