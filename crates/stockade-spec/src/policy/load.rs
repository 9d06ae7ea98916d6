//! From texts and options to one policy: the whole way, in order.

use super::diagnostic::{Diagnostic, Source};
use super::layer::Layer;
use super::layers;
use super::overrides::Overrides;
use super::profiles::{DEFAULT_PROFILE, profile_text};
use super::text::{self, Problems};
use super::{EnvironmentPolicy, FilesystemPolicy, KernelPolicy, LastingPolicy, Limits, NetworkPolicy, Policy};

/// Reads and merges: the built-in profile, then `layers` (weakest first), then `overrides`, and last what `workspace`
/// takes away.
///
/// The profile is the one that `overrides` names, else the one that the strongest layer with an `extends` names, else
/// `default`. Every field has one way of being merged:
///
/// | field | a trusted layer (machine, user, command line) | the workspace's own file |
/// |---|---|---|
/// | `read`, `write`, `network.allow`, `publish`, `unix.allow`, `pass`, `accept_degraded` | adds to the list | if present, *is* the list: each entry must be allowed already |
/// | `filesystem.deny`, `protect`, `network.deny` | adds to the list | adds to the list |
/// | limits of both sections | replaces the value | the smaller value holds |
/// | `workspace`, `nested-namespaces`, `isolation` | replaces the value | the same value or a stricter one |
/// | `environment.set` | adds, and replaces by name | refused |
/// | `extends` | the strongest layer's profile is the start | refused |
///
/// # Errors
/// Everything that is wrong with any of the texts and options, in that order, at most a few dozen for each text.
pub fn load(
    layers: &[Source<'_>],
    workspace: Option<Source<'_>>,
    overrides: &Overrides,
) -> Result<Policy, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let mut trusted: Vec<Layer> = layers.iter().map(|source| gather(text::parse(*source), &mut wrong)).collect();
    match overrides.layer() {
        Ok(layer) => trusted.push(layer),
        Err(found) => wrong.extend(found),
    }
    let own = workspace.map(|source| (source, gather(text::parse(source), &mut wrong)));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let extends = trusted.iter().rev().find_map(|layer| layer.extends.as_ref());
    let mut policy = profile(extends.map_or(DEFAULT_PROFILE, |extends| extends.value))?;
    for layer in trusted {
        layers::merge(&mut policy, layer);
    }
    if let Some((source, layer)) = own {
        narrow(&mut policy, source, layer)?;
    }
    Ok(policy)
}

/// Everything that is wrong with one text, taken by itself as a trusted layer.
#[must_use]
pub fn check(source: Source<'_>) -> Vec<Diagnostic> {
    text::parse(source).1
}

/// Everything that is wrong with one text as a workspace's own file on top of `policy`, which it may only narrow.
#[must_use]
pub fn check_workspace(policy: &Policy, source: Source<'_>) -> Vec<Diagnostic> {
    let (layer, wrong) = text::parse(source);
    if wrong.is_empty() { narrow(&mut policy.clone(), source, layer).err().unwrap_or_default() } else { wrong }
}

fn gather((layer, found): (Layer, Vec<Diagnostic>), wrong: &mut Vec<Diagnostic>) -> Layer {
    wrong.extend(found);
    layer
}

fn narrow(policy: &mut Policy, source: Source<'_>, layer: Layer) -> Result<(), Vec<Diagnostic>> {
    let mut problems = Problems::new(source);
    layers::narrow(policy, layer, &mut problems);
    let wrong = problems.finish();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// A built-in profile on an empty policy, in which nothing is allowed and nothing bounded.
fn profile(name: &'static str) -> Result<Policy, Vec<Diagnostic>> {
    let (layer, wrong) = text::parse(Source { name, text: profile_text(name).unwrap_or_default() });
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut policy = Policy {
        profile: name.to_owned(),
        filesystem: FilesystemPolicy::default(),
        network: NetworkPolicy::default(),
        unix: Vec::new(),
        limits: Limits::default(),
        environment: EnvironmentPolicy::default(),
        kernel: KernelPolicy::default(),
        sandbox: LastingPolicy::default(),
        isolation: None,
        accept_degraded: Vec::new(),
    };
    layers::merge(&mut policy, layer);
    Ok(policy)
}
