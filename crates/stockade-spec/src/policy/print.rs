//! Prints a policy as the text that loads to the same policy.

use std::fmt::{self, Display, Write};

use super::{LastingPolicy, Limits, NetworkPolicy, Policy, WorkspaceAccess};
use crate::tier::Tier;

/// Entries of a list that stand on one line.
const INLINE: usize = 4;

/// A policy as TOML; see [`Policy::to_toml`].
struct Toml<'p>(&'p Policy);

impl Policy {
    /// The policy as a policy text, every layer merged. Loading it by itself gives an equal policy.
    #[must_use]
    pub fn to_toml(&self) -> String {
        Toml(self).to_string()
    }
}

impl Display for Toml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.0;
        writeln!(f, "version = 1\nextends = {}", Text(&policy.profile))?;
        filesystem(f, policy)?;
        network(f, &policy.network)?;
        writeln!(f, "\n[unix]")?;
        list(f, "allow", &policy.unix)?;
        limits(f, &policy.limits)?;
        writeln!(f, "\n[environment]")?;
        list(f, "pass", &policy.environment.pass)?;
        if !policy.environment.set.is_empty() {
            writeln!(f, "\n[environment.set]")?;
        }
        for (name, value) in &policy.environment.set {
            writeln!(f, "{} = {}", Text(name), Text(value))?;
        }
        writeln!(f, "\n[kernel]\nnested-namespaces = {}", policy.kernel.nested_namespaces)?;
        let LastingPolicy { checkpoint, linger } = policy.sandbox;
        writeln!(f, "\n[sandbox]\ncheckpoint = \"{}\"\nlinger = \"{linger}\"", checkpoint.name())?;
        writeln!(f, "\n[enforcement]\nisolation = \"{}\"", policy.isolation.map_or("strongest", Tier::name))?;
        list(f, "accept_degraded", &policy.accept_degraded)
    }
}

fn filesystem(f: &mut fmt::Formatter<'_>, policy: &Policy) -> fmt::Result {
    let files = &policy.filesystem;
    let workspace = match files.workspace {
        WorkspaceAccess::Write => "write",
        WorkspaceAccess::ReadOnly => "read-only",
    };
    writeln!(f, "\n[filesystem]\nworkspace = \"{workspace}\"")?;
    list(f, "read", &files.read)?;
    list(f, "write", &files.write)?;
    list(f, "deny", &files.deny)?;
    list(f, "protect", &files.protect)
}

fn network(f: &mut fmt::Formatter<'_>, network: &NetworkPolicy) -> fmt::Result {
    writeln!(f, "\n[network]\ndefault = \"{}\"", network.default.name())?;
    list(f, "allow", &network.allow)?;
    list(f, "deny", &network.deny)?;
    list(f, "publish", &network.publish.iter().map(u16::to_string).collect::<Vec<_>>())?;
    if network.limits != super::NetworkLimits::default() {
        writeln!(f, "\n[network.limits]")?;
    }
    quantity(f, "sent", network.limits.sent)?;
    quantity(f, "received", network.limits.received)?;
    number(f, "connections", network.limits.connections)?;
    number(f, "connections_at_once", network.limits.connections_at_once)?;
    number(f, "connections_per_second", network.limits.connections_per_second)
}

fn limits(f: &mut fmt::Formatter<'_>, limits: &Limits) -> fmt::Result {
    writeln!(f, "\n[limits]")?;
    quantity(f, "memory", limits.memory)?;
    number(f, "cpus", limits.milli_cpus.map(Processors))?;
    number(f, "processes", limits.processes)?;
    number(f, "files", limits.files)?;
    quantity(f, "disk", limits.disk)?;
    quantity(f, "time", limits.time)?;
    quantity(f, "output", limits.output)
}

fn quantity(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "{key} = \"{value}\""))
}

fn number(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "{key} = {value}"))
}

fn list(f: &mut fmt::Formatter<'_>, key: &str, entries: &[String]) -> fmt::Result {
    let (open, between, close) = if entries.len() > INLINE { ("\n    ", ",\n    ", ",\n") } else { ("", ", ", "") };
    write!(f, "{key} = [{open}")?;
    for (position, entry) in entries.iter().enumerate() {
        let separator = if position == 0 { "" } else { between };
        write!(f, "{separator}{}", Text(entry))?;
    }
    writeln!(f, "{close}]")
}

/// Thousandths of a processor as a decimal number.
pub(super) struct Processors(pub(super) u32);

impl Display for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1_000, self.0 % 1_000);
        if thousandths == 0 {
            return whole.fmt(f);
        }
        let decimals = format!("{thousandths:03}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// A TOML basic string.
struct Text<'t>(&'t str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                _ if character.is_control() => write!(f, "\\u{:04X}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}
