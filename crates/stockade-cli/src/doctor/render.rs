//! The findings for a person.

use std::fmt;

use stockade::HostFacts;
use stockade::facts::Availability;
use stockade::report::{Enforcement, Level};

use super::Diagnosis;
use crate::render::{escaped, escaped_lines};

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tier() {
            Some(trial) => writeln!(f, "Runs here get tier {}.", trial.tier)?,
            None => writeln!(f, "No tier works here: nothing can be run.")?,
        }
        writeln!(f)?;
        for trial in &self.trials {
            let name = trial.tier.name();
            match (&trial.failure, trial.degraded().count()) {
                (Some(failure), _) => writeln!(f, "  {name:<12} does not work: {}", escaped_lines(failure))?,
                (None, 0) => writeln!(f, "  {name:<12} works")?,
                (None, 1) => writeln!(f, "  {name:<12} works, with one weaker protection")?,
                (None, count) => writeln!(f, "  {name:<12} works, with {count} weaker protections")?,
            }
        }
        machine(f, &self.facts)?;
        if let Some(trial) = self.tier() {
            writeln!(f, "\nProtections in tier {}:", trial.tier)?;
            trial.enforcement.iter().try_for_each(|entry| protection(f, entry))?;
        }
        improvements(f, self)
    }
}

fn machine(f: &mut fmt::Formatter<'_>, facts: &HostFacts) -> fmt::Result {
    writeln!(f, "\nThis machine:")?;
    writeln!(f, "  kernel           {} on {}", escaped(&facts.kernel.release), escaped(&facts.kernel.machine))?;
    match facts.kernel.landlock_abi {
        0 => writeln!(f, "  Landlock         missing or off")?,
        abi => writeln!(f, "  Landlock         ABI {abi}")?,
    }
    let namespaces = match &facts.user_namespaces {
        Availability::Available if !facts.kernel.seccomp_notify => {
            "not tried, as system calls cannot be observed".to_owned()
        }
        Availability::Available => "available".to_owned(),
        Availability::Blocked(obstacle) => format!("blocked: {obstacle:?}"),
    };
    writeln!(f, "  user namespaces  {}", escaped(&namespaces))?;
    writeln!(f, "  control groups   {}", escaped(&groups(facts)))
}

fn groups(facts: &HostFacts) -> String {
    let groups = &facts.cgroups;
    if let Some(v2) = &groups.v2 {
        return format!("version 2 at {} ({})", v2.path.display(), v2.controllers.join(", "));
    }
    if !groups.v1.is_empty() {
        let controllers: Vec<&str> = groups.v1.keys().map(String::as_str).collect();
        return format!("version 1 ({})", controllers.join(", "));
    }
    match &groups.systemd_user {
        Some(_) => "a scope of your systemd manager".to_owned(),
        None => "none that you may use".to_owned(),
    }
}

fn protection(f: &mut fmt::Formatter<'_>, entry: &Enforcement) -> fmt::Result {
    let name = entry.protection.name();
    match &entry.level {
        Level::Enforced => writeln!(f, "  {name:<20} {}", escaped(&entry.mechanism)),
        Level::Degraded { reason } => {
            writeln!(f, "  {name:<20} {} (weaker: {})", escaped(&entry.mechanism), escaped(reason))
        }
    }
}

fn improvements(f: &mut fmt::Formatter<'_>, diagnosis: &Diagnosis) -> fmt::Result {
    if diagnosis.improvements.is_empty() {
        return writeln!(f, "\nNothing would make it stronger.");
    }
    writeln!(f, "\nWhat would make it stronger:")?;
    for improvement in &diagnosis.improvements {
        writeln!(f, "\n* {}", escaped_lines(&improvement.reason))?;
        if !improvement.commands.is_empty() {
            // Not indented: a here-document has to be pasted as it is.
            writeln!(f, "\n{}", escaped_lines(improvement.commands.trim_end()))?;
        }
    }
    Ok(())
}
