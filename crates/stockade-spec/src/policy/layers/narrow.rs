//! The untrusted layer: it takes away, and is refused where it would add.

use super::trusted::{add, add_text};
use crate::policy::diagnostic::{Fault, quoted};
use crate::policy::endpoint::{EndpointRule, HostRule};
use crate::policy::layer::{
    EnvironmentLayer, Field, FilesystemLayer, LastingLayer, Layer, LimitsLayer, List, NetworkLayer,
};
use crate::policy::text::Problems;
use crate::policy::{FilesystemPolicy, LastingPolicy, Limits, NetworkDefault, NetworkPolicy, Policy, WorkspaceAccess};
use crate::tier::Tier;

/// Narrows `policy` by the workspace's layer, and reports everything in it that would widen.
pub(in crate::policy) fn narrow(policy: &mut Policy, layer: Layer, problems: &mut Problems<'_>) {
    if let Some(extends) = layer.extends {
        problems.report(extends.span, widening("choose a profile", "--profile, or `extends` in your own policy"));
    }
    narrow_files(&mut policy.filesystem, layer.filesystem, problems);
    narrow_network(&mut policy.network, layer.network, problems);
    let known = policy.unix.clone();
    take(&mut policy.unix, layer.unix, problems, "connect to", "--unix", |path| known.contains(path));
    narrow_limits(&mut policy.limits, layer.limits);
    narrow_environment(&mut policy.environment.pass, layer.environment, problems);
    narrow_nested(&mut policy.kernel.nested_namespaces, layer.nested_namespaces, problems);
    narrow_lasting(&mut policy.sandbox, layer.sandbox, problems);
    narrow_isolation(&mut policy.isolation, layer.isolation, problems);
    let accepted = policy.accept_degraded.clone();
    take_text(
        &mut policy.accept_degraded,
        layer.accept_degraded,
        problems,
        "accept as degraded",
        "--accept-degraded",
        |p| accepted.iter().any(|name| name == p.name()),
    );
}

/// What to say of an entry that reaches for more.
fn widening(what: &str, remedy: &str) -> Fault {
    Fault::new(
        format!("this file cannot {what}: the sandboxed code can write it, so it may only narrow the policy"),
        format!("remove it here; to allow it, use {remedy}"),
    )
}

/// Paths must be the very ones that a trusted layer names. One below would do for a plain directory, but the code may have
/// put a link in its place.
fn narrow_files(policy: &mut FilesystemPolicy, layer: FilesystemLayer, problems: &mut Problems<'_>) {
    let (read, write) = (policy.read.clone(), policy.write.clone());
    let readable = |path: &String| read.contains(path) || write.contains(path);
    take(&mut policy.read, layer.read, problems, "allow reading", "--read", readable);
    take(&mut policy.write, layer.write, problems, "allow writing", "--write", |path| write.contains(path));
    add(&mut policy.deny, layer.deny);
    add(&mut policy.protect, layer.protect);
    if let Some(access) = layer.workspace {
        if access.value == WorkspaceAccess::Write && policy.workspace != WorkspaceAccess::Write {
            let fault = widening("make the workspace writable", "`workspace = \"write\"` in your own policy");
            problems.report(access.span, fault);
        } else {
            policy.workspace = access.value;
        }
    }
}

fn narrow_network(policy: &mut NetworkPolicy, layer: NetworkLayer, problems: &mut Problems<'_>) {
    let outer: Vec<EndpointRule> = policy.allow.iter().filter_map(|rule| rule.parse().ok()).collect();
    // A name is reached through public addresses only, whatever rule names it; an address that is named may be any.
    let every_name = policy.default == NetworkDefault::Public;
    let is_name = |rule: &EndpointRule| matches!(rule.host, HostRule::Name(_) | HostRule::Below(_));
    take_text(&mut policy.allow, layer.allow, problems, "allow connecting to", "--allow", |inner| {
        every_name && is_name(inner) || outer.iter().any(|rule| rule.covers(inner))
    });
    if let Some(wanted) = layer.default {
        if wanted.value > policy.default {
            let what = format!("set `default` to `{}`", wanted.value.name());
            problems.report(wanted.span, widening(&what, "`[network]` of your own policy, or --allow"));
        } else {
            policy.default = wanted.value;
        }
    }
    add_text(&mut policy.deny, layer.deny);
    let published = policy.publish.clone();
    take(&mut policy.publish, layer.publish, problems, "publish", "--publish", |port| published.contains(port));
    smaller(&mut policy.limits.sent, layer.sent);
    smaller(&mut policy.limits.received, layer.received);
    smaller(&mut policy.limits.connections, layer.connections);
    smaller(&mut policy.limits.connections_at_once, layer.connections_at_once);
    smaller(&mut policy.limits.connections_per_second, layer.connections_per_second);
}

fn narrow_limits(policy: &mut Limits, layer: LimitsLayer) {
    smaller(&mut policy.memory, layer.memory);
    smaller(&mut policy.milli_cpus, layer.milli_cpus);
    smaller(&mut policy.processes, layer.processes);
    smaller(&mut policy.files, layer.files);
    smaller(&mut policy.disk, layer.disk);
    smaller(&mut policy.time, layer.time);
    smaller(&mut policy.output, layer.output);
}

fn narrow_environment(pass: &mut Vec<String>, layer: EnvironmentLayer, problems: &mut Problems<'_>) {
    let passed = pass.clone();
    take(pass, layer.pass, problems, "pass", "--env", |name| passed.contains(name));
    for variable in layer.set.into_iter().flatten() {
        let what = format!("set {}", quoted(&variable.value.0));
        problems.report(variable.span, widening(&what, "--env NAME=VALUE, or `set` in your own policy"));
    }
}

fn narrow_nested(nested: &mut bool, layer: Field<bool>, problems: &mut Problems<'_>) {
    match layer {
        Some(wanted) if wanted.value && !*nested => {
            let remedy = "`nested-namespaces = true` in your own policy";
            problems.report(wanted.span, widening("open nested namespaces", remedy));
        }
        Some(wanted) => *nested = wanted.value,
        None => {}
    }
}

/// More checkpoints may be taken, and a sandbox may end earlier.
fn narrow_lasting(policy: &mut LastingPolicy, layer: LastingLayer, problems: &mut Problems<'_>) {
    if let Some(wanted) = layer.checkpoint {
        if wanted.value < policy.checkpoint {
            let remedy = "`checkpoint = \"asked\"` in your own policy";
            problems.report(wanted.span, widening("have fewer checkpoints taken", remedy));
        } else {
            policy.checkpoint = wanted.value;
        }
    }
    if let Some(wanted) = layer.linger {
        policy.linger = policy.linger.min(wanted.value);
    }
}

fn narrow_isolation(isolation: &mut Option<Tier>, layer: Field<Option<Tier>>, problems: &mut Problems<'_>) {
    match layer {
        Some(wanted) if strictness(wanted.value) < strictness(*isolation) => {
            problems.report(wanted.span, widening("choose a weaker isolation", "--isolation"));
        }
        Some(wanted) => *isolation = wanted.value,
        None => {}
    }
}

/// How strict a choice of tier is: one that insists on the strongest tier is stricter than one that takes what there is.
const fn strictness(isolation: Option<Tier>) -> u8 {
    match isolation {
        Some(Tier::Landlock) => 0,
        None => 1,
        Some(Tier::Namespaces) => 2,
    }
}

fn smaller<T: Ord + Copy>(current: &mut Option<T>, layer: Field<T>) {
    if let Some(wanted) = layer {
        *current = Some(current.map_or(wanted.value, |current| current.min(wanted.value)));
    }
}

/// Replaces the list by the layer's, where there is one; entries that were not allowed before are reported.
fn take<T: PartialEq + ToString>(
    list: &mut Vec<T>,
    layer: List<T>,
    problems: &mut Problems<'_>,
    verb: &str,
    option: &str,
    allowed: impl Fn(&T) -> bool,
) {
    if layer.is_some() {
        list.clear();
        add(list, allowed_only(layer, problems, verb, option, allowed));
    }
}

/// As [`take`], for lists that hold the canonical text.
fn take_text<T: ToString>(
    list: &mut Vec<String>,
    layer: List<T>,
    problems: &mut Problems<'_>,
    verb: &str,
    option: &str,
    allowed: impl Fn(&T) -> bool,
) {
    if layer.is_some() {
        list.clear();
        add_text(list, allowed_only(layer, problems, verb, option, allowed));
    }
}

fn allowed_only<T: ToString>(
    layer: List<T>,
    problems: &mut Problems<'_>,
    verb: &str,
    option: &str,
    allowed: impl Fn(&T) -> bool,
) -> List<T> {
    let mut kept = Vec::new();
    for entry in layer? {
        if allowed(&entry.value) {
            kept.push(entry);
        } else {
            let text = quoted(&entry.value.to_string());
            problems.report(entry.span, widening(&format!("{verb} {text}"), &format!("{option}, or your own policy")));
        }
    }
    Some(kept)
}
