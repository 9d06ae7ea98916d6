//! The sections of a policy and their keys.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problems::Problems;
use super::values::{Value, boolean, count, field, list, port, processors, size, span, table, text, whole};
use crate::policy::WorkspaceAccess;
use crate::policy::checks;
use crate::policy::diagnostic::{Fault, quoted};
use crate::policy::layer::{EnvironmentLayer, FilesystemLayer, Layer, LimitsLayer, List, Located, NetworkLayer};
use crate::policy::suggest;

/// The one version of the policy language.
const VERSION: u64 = 1;

/// Every section with its keys; the first is the top of the document. `environment.set` holds names of the writer's own.
pub(in crate::policy) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "version",
            "extends",
            "filesystem",
            "network",
            "unix",
            "limits",
            "environment",
            "kernel",
            "sandbox",
            "enforcement",
        ],
    ),
    ("filesystem", &["workspace", "read", "write", "deny", "protect"]),
    ("network", &["default", "allow", "deny", "publish", "limits"]),
    ("network.limits", &["sent", "received", "connections", "connections_at_once", "connections_per_second"]),
    ("unix", &["allow"]),
    ("limits", &["memory", "cpus", "processes", "files", "disk", "time", "output"]),
    ("environment", &["pass", "set"]),
    ("kernel", &["nested-namespaces"]),
    ("sandbox", &["checkpoint", "linger"]),
    ("enforcement", &["isolation", "accept_degraded"]),
];

type Key<'i> = Spanned<DeString<'i>>;

pub(super) fn document(document: &DeTable<'_>, layer: &mut Layer, problems: &mut Problems<'_>) {
    for (key, value) in document {
        let name = key.get_ref().as_ref();
        match name {
            "version" => drop(field(value, problems, version)),
            "extends" => layer.extends = field(value, problems, text(checks::profile)),
            "filesystem" => each(value, problems, |key, value, p| filesystem(&mut layer.filesystem, key, value, p)),
            "network" => each(value, problems, |key, value, p| network(&mut layer.network, key, value, p)),
            "unix" => each(value, problems, |key, value, p| match key.get_ref().as_ref() {
                "allow" => layer.unix = list(value, p, text(checks::socket_path)),
                _ => unknown("unix", key, p),
            }),
            "limits" => each(value, problems, |key, value, p| limits(&mut layer.limits, key, value, p)),
            "environment" => each(value, problems, |key, value, p| environment(&mut layer.environment, key, value, p)),
            "kernel" => each(value, problems, |key, value, p| match key.get_ref().as_ref() {
                "nested-namespaces" => layer.nested_namespaces = field(value, p, boolean),
                _ => unknown("kernel", key, p),
            }),
            "sandbox" => each(value, problems, |key, value, p| match key.get_ref().as_ref() {
                "checkpoint" => layer.sandbox.checkpoint = field(value, p, text(checks::checkpoints)),
                "linger" => layer.sandbox.linger = field(value, p, span(checks::linger)),
                _ => unknown("sandbox", key, p),
            }),
            "enforcement" => each(value, problems, |key, value, p| enforcement(layer, key, value, p)),
            _ => unknown("", key, problems),
        }
    }
}

/// Walks a section's keys.
fn each(
    section: &Value<'_>,
    problems: &mut Problems<'_>,
    mut read: impl FnMut(&Key<'_>, &Value<'_>, &mut Problems<'_>),
) {
    if let Some(table) = table(section, problems, "[section]") {
        for (key, value) in table {
            read(key, value, problems);
        }
    }
}

fn version(value: &DeValue<'_>) -> Result<(), Fault> {
    match value {
        DeValue::Integer(number) if whole(number) == Ok(VERSION) => Ok(()),
        DeValue::Integer(number) => Err(Fault::new(
            format!("this Stockade does not know version {} of policies", quoted(number.as_str())),
            "write `version = 1`, or use a newer Stockade",
        )),
        _ => Err(Fault::new("the version of a policy is a whole number", "write `version = 1`")),
    }
}

fn filesystem(layer: &mut FilesystemLayer, key: &Key<'_>, value: &Value<'_>, problems: &mut Problems<'_>) {
    match key.get_ref().as_ref() {
        "workspace" => layer.workspace = field(value, problems, text(workspace_access)),
        "read" => layer.read = list(value, problems, text(checks::allowed_path)),
        "write" => layer.write = list(value, problems, text(checks::allowed_path)),
        "deny" => layer.deny = list(value, problems, text(checks::deny_rule)),
        "protect" => layer.protect = list(value, problems, text(checks::protect_rule)),
        _ => unknown("filesystem", key, problems),
    }
}

fn workspace_access(name: &str) -> Result<WorkspaceAccess, Fault> {
    match name {
        "write" => Ok(WorkspaceAccess::Write),
        "read-only" => Ok(WorkspaceAccess::ReadOnly),
        _ => {
            let message = format!("the workspace cannot be seen as {}", quoted(name));
            Err(Fault::new(message, "write `\"write\"` or `\"read-only\"`"))
        }
    }
}

fn network(layer: &mut NetworkLayer, key: &Key<'_>, value: &Value<'_>, problems: &mut Problems<'_>) {
    match key.get_ref().as_ref() {
        "default" => layer.default = field(value, problems, text(checks::network_default)),
        "allow" => layer.allow = list(value, problems, text(checks::allowed_endpoint)),
        "deny" => layer.deny = list(value, problems, text(checks::endpoint)),
        "publish" => layer.publish = list(value, problems, port),
        "limits" => each(value, problems, |key, value, p| match key.get_ref().as_ref() {
            "sent" => layer.sent = field(value, p, size(checks::sent)),
            "received" => layer.received = field(value, p, size(checks::received)),
            "connections" => layer.connections = field(value, p, count(checks::connections)),
            "connections_at_once" => layer.connections_at_once = field(value, p, count(checks::connections_at_once)),
            "connections_per_second" => {
                layer.connections_per_second = field(value, p, count(checks::connections_per_second));
            }
            _ => unknown("network.limits", key, p),
        }),
        _ => unknown("network", key, problems),
    }
}

fn limits(layer: &mut LimitsLayer, key: &Key<'_>, value: &Value<'_>, problems: &mut Problems<'_>) {
    match key.get_ref().as_ref() {
        "memory" => layer.memory = field(value, problems, size(checks::memory)),
        "cpus" => layer.milli_cpus = field(value, problems, processors),
        "processes" => layer.processes = field(value, problems, count(checks::process_count)),
        "files" => layer.files = field(value, problems, count(checks::file_count)),
        "disk" => layer.disk = field(value, problems, size(checks::disk)),
        "time" => layer.time = field(value, problems, span(checks::time)),
        "output" => layer.output = field(value, problems, size(checks::output)),
        _ => unknown("limits", key, problems),
    }
}

fn environment(layer: &mut EnvironmentLayer, key: &Key<'_>, value: &Value<'_>, problems: &mut Problems<'_>) {
    match key.get_ref().as_ref() {
        "pass" => layer.pass = list(value, problems, text(checks::passed_name)),
        "set" => layer.set = variables(value, problems),
        _ => unknown("environment", key, problems),
    }
}

fn variables(value: &Value<'_>, problems: &mut Problems<'_>) -> List<(String, String)> {
    let table = table(value, problems, "set = { NAME = \"value\" }")?;
    if table.len() > super::MAX_ENTRIES {
        let message = format!("{} variables are too many", table.len());
        problems.report(value.span(), Fault::new(message, format!("at most {} are read", super::MAX_ENTRIES)));
        return None;
    }
    let mut read = Vec::new();
    for (key, value) in table {
        let name = problems.accept(key.span(), checks::set_name(key.get_ref()));
        let value = field(value, problems, text(checks::variable_value));
        if let (Some(name), Some(Located { value, span })) = (name, value) {
            read.push(Located { value: (name, value), span: key.span().start..span.end });
        }
    }
    Some(read)
}

fn enforcement(layer: &mut Layer, key: &Key<'_>, value: &Value<'_>, problems: &mut Problems<'_>) {
    match key.get_ref().as_ref() {
        "isolation" => layer.isolation = field(value, problems, text(checks::isolation)),
        "accept_degraded" => layer.accept_degraded = list(value, problems, text(checks::protection)),
        _ => unknown("enforcement", key, problems),
    }
}

/// Reports a key that no policy has, with the one that was probably meant.
fn unknown(section: &str, key: &Key<'_>, problems: &mut Problems<'_>) {
    let name = key.get_ref().as_ref();
    let place = if section.is_empty() { "a policy".to_owned() } else { format!("`[{section}]`") };
    let keys = SECTIONS.iter().find(|(known, _)| *known == section).map_or(&[][..], |(_, keys)| keys);
    let elsewhere = SECTIONS.iter().find(|(_, keys)| keys.contains(&name));
    let hint = match (suggest::nearest(name, keys.iter().copied()), elsewhere) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(("", _))) => format!("`{name}` belongs to the top of the file, before every `[section]`"),
        (None, Some((owner, _))) => format!("`{name}` belongs to `[{owner}]`"),
        (None, None) => format!("it has {}", suggest::listed(keys.iter().copied())),
    };
    problems.report(key.span(), Fault::new(format!("{place} has no key {}", quoted(name)), hint));
}
