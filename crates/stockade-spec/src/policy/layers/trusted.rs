//! Trusted layers: lists add up, single values are replaced.

use crate::policy::layer::{Field, Layer, LimitsLayer, List, NetworkLayer};
use crate::policy::{Limits, NetworkPolicy, Policy};

/// Puts a stronger layer on top.
pub(in crate::policy) fn merge(policy: &mut Policy, layer: Layer) {
    let files = layer.filesystem;
    replace(&mut policy.filesystem.workspace, files.workspace);
    add(&mut policy.filesystem.read, files.read);
    add(&mut policy.filesystem.write, files.write);
    add(&mut policy.filesystem.deny, files.deny);
    add(&mut policy.filesystem.protect, files.protect);
    merge_network(&mut policy.network, layer.network);
    add(&mut policy.unix, layer.unix);
    merge_limits(&mut policy.limits, layer.limits);
    add(&mut policy.environment.pass, layer.environment.pass);
    policy.environment.set.extend(layer.environment.set.into_iter().flatten().map(|pair| pair.value));
    replace(&mut policy.kernel.nested_namespaces, layer.nested_namespaces);
    replace(&mut policy.sandbox.checkpoint, layer.sandbox.checkpoint);
    replace(&mut policy.sandbox.linger, layer.sandbox.linger);
    replace(&mut policy.isolation, layer.isolation);
    add_text(&mut policy.accept_degraded, layer.accept_degraded);
}

fn merge_network(policy: &mut NetworkPolicy, layer: NetworkLayer) {
    add_text(&mut policy.allow, layer.allow);
    add_text(&mut policy.deny, layer.deny);
    replace(&mut policy.default, layer.default);
    add(&mut policy.publish, layer.publish);
    override_with(&mut policy.limits.sent, layer.sent);
    override_with(&mut policy.limits.received, layer.received);
    override_with(&mut policy.limits.connections, layer.connections);
    override_with(&mut policy.limits.connections_at_once, layer.connections_at_once);
    override_with(&mut policy.limits.connections_per_second, layer.connections_per_second);
}

fn merge_limits(policy: &mut Limits, layer: LimitsLayer) {
    override_with(&mut policy.memory, layer.memory);
    override_with(&mut policy.milli_cpus, layer.milli_cpus);
    override_with(&mut policy.processes, layer.processes);
    override_with(&mut policy.files, layer.files);
    override_with(&mut policy.disk, layer.disk);
    override_with(&mut policy.time, layer.time);
    override_with(&mut policy.output, layer.output);
}

fn replace<T>(current: &mut T, layer: Field<T>) {
    if let Some(located) = layer {
        *current = located.value;
    }
}

fn override_with<T>(current: &mut Option<T>, layer: Field<T>) {
    if let Some(located) = layer {
        *current = Some(located.value);
    }
}

/// Adds what is not there yet.
pub(super) fn add<T: PartialEq>(list: &mut Vec<T>, layer: List<T>) {
    for located in layer.into_iter().flatten() {
        if !list.contains(&located.value) {
            list.push(located.value);
        }
    }
}

/// As [`add`], for lists that hold the canonical text.
pub(super) fn add_text<T: ToString>(list: &mut Vec<String>, layer: List<T>) {
    for located in layer.into_iter().flatten() {
        let text = located.value.to_string();
        if !list.contains(&text) {
            list.push(text);
        }
    }
}
