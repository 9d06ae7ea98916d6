//! A plan in words, one line for each step.

use std::fmt;
use std::path::Path;

use super::gate::{GateRoutes, GateRules};
use super::{
    BindAccess, FileObservation, LandlockAccess, LandlockRuleset, LimitMechanism, NetworkFilter, Operation, Plan,
    Resource, Shown, SystemCallFilter,
};
use crate::units::{ByteSize, Span};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tier {}, profile {}", self.tier, Shown::new(&self.profile))?;
        writeln!(f, "workspace {}", Shown::new(&self.workspace))?;
        writeln!(f, "home {}", Shown::new(&self.home))?;
        writeln!(f, "\nsteps:")?;
        let width = self.steps.iter().map(|step| step.protection.name().len()).max().unwrap_or(0);
        for step in &self.steps {
            let optional = if step.degradable { " (left out if it fails)" } else { "" };
            writeln!(f, "  {:width$}  {}{optional}", step.protection.name(), step.operation)?;
        }
        let notes: Vec<_> = self.gate().into_iter().flat_map(GateRules::notes).collect();
        if !notes.is_empty() {
            writeln!(f, "\nnotes:")?;
            notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        if !self.degraded.is_empty() {
            writeln!(f, "\nweaker than the strongest tier:")?;
            for degradation in &self.degraded {
                writeln!(f, "  {}: {}", degradation.protection, Shown::new(&degradation.reason))?;
            }
        }
        writeln!(f, "\nrun in {}:", Shown::new(&self.command.directory))?;
        let arguments: Vec<_> = self.command.arguments.iter().map(|word| Shown::new(word).to_string()).collect();
        writeln!(f, "  {}", arguments.join(" "))?;
        // Values may be secrets that the policy lets pass, so names are all that is printed.
        let names: Vec<_> = self.command.environment.iter().map(|(name, _)| Shown::new(name).to_string()).collect();
        writeln!(f, "\nenvironment:\n  {}", names.join(" "))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { resource, value, mechanism } => {
                write!(f, "limit {} by {mechanism}", Amount { resource: *resource, value: *value })
            }
            Self::SweepProtected { workspace, patterns } => write!(
                f,
                "watch {} for new protected files of {} kinds, and move them to quarantine",
                Shown::new(workspace),
                patterns.len()
            ),
            Self::CreateNamespaces => {
                f.write_str("make new user, mount, process, network, IPC, host-name and cgroup namespaces")
            }
            Self::PrivateDirectory { path } => write!(f, "make {}, removed at the end", Shown::new(path)),
            Self::Gate { rules } => rules.fmt(f),
            Self::DieWithSupervisor => f.write_str("end when the supervisor ends"),
            Self::Subreaper => f.write_str("adopt orphaned descendants"),
            Self::MapIdentity { uid, gid } => write!(f, "map user {uid} and group {gid} to themselves"),
            Self::LoopbackUp => f.write_str("bring the loopback interface up"),
            Self::GateRoutes { routes } => routes.fmt(f),
            Self::HostName { name } => write!(f, "name the host {}", Shown::new(name)),
            Self::CloseDescriptors => f.write_str("close every inherited descriptor"),
            Self::DropCapabilities => f.write_str("drop every capability"),
            Self::NoNewPrivileges => f.write_str("gain no privileges by executing programs"),
            Self::Landlock { ruleset } => ruleset.fmt(f),
            Self::SystemCalls { filter } => filter.fmt(f),
            Self::MountRoot { size, inodes } => {
                write!(f, "start from an empty root in memory: {} and {inodes} files at most", ByteSize(*size))
            }
            Self::Directory { target, mode } => write!(f, "make directory {}, mode {mode:o}", Shown::new(target)),
            Self::PrivateStore { target, mode } => {
                write!(f, "make private, writable {}, mode {mode:o}", Shown::new(target))
            }
            Self::File { target, content, mode } => {
                write!(f, "write {}, mode {mode:o}: {} bytes", Shown::new(target), content.len())
            }
            Self::CoverFile { target, content, mode } => {
                write!(f, "put in the place of {}, mode {mode:o}: {} bytes", Shown::new(target), content.len())
            }
            Self::Symlink { target, text } => write!(f, "link {} to {}", Shown::new(target), Shown::new(text)),
            Self::Bind { source, target, access } => {
                let verb = match access {
                    BindAccess::ReadOnly => "show read-only",
                    BindAccess::Write => "show writable",
                    BindAccess::Device => "show device",
                };
                write!(f, "{verb} {}", Place { source, target })
            }
            Self::Socket { source, target } => write!(f, "show socket {}", Place { source, target }),
            Self::CopyOnWrite { source, target } => write!(f, "show copy-on-write {}", Place { source, target }),
            Self::Layered { source, target, sealed, writes } => {
                let kept = if writes.is_some() { "with writes kept apart" } else { "read-only" };
                let (place, count) = (Place { source, target }, sealed.len());
                write!(f, "show {place} {kept}")?;
                if count == 0 { Ok(()) } else { write!(f, ", under {count} layers") }
            }
            Self::Mask { target, directory } => {
                let kind = if *directory { "directory" } else { "file" };
                write!(f, "hide {kind} {}", Shown::new(target))
            }
            Self::ReadOnly { target } => write!(f, "hold read-only {}", Shown::new(target)),
            Self::Pin { target } => write!(f, "hold in place {}", Shown::new(target)),
            Self::ServeCommands => f.write_str("start commands on request"),
            Self::MountProc => f.write_str("mount a fresh /proc"),
            Self::MountDevPts => f.write_str("mount a fresh /dev/pts"),
            Self::MountMqueue => f.write_str("mount a fresh /dev/mqueue"),
            Self::SwitchRoot => {
                f.write_str("switch to the new root, detach the old one and hold the new one read-only")
            }
        }
    }
}

/// A path inside, with the host's where that is another.
struct Place<'a> {
    source: &'a Path,
    target: &'a Path,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown::new(self.target))?;
        if self.source == self.target { Ok(()) } else { write!(f, " (on the host {})", Shown::new(self.source)) }
    }
}

/// A limit with its unit.
struct Amount {
    resource: Resource,
    value: u64,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        match self.resource {
            Resource::Memory => write!(f, "memory to {}", ByteSize(value)),
            Resource::Cpu if value.is_multiple_of(1_000) => write!(f, "processors to {}", value / 1_000),
            Resource::Cpu => write!(f, "processors to {}.{:03}", value / 1_000, value % 1_000),
            Resource::Processes => write!(f, "processes to {value}"),
            Resource::Files => write!(f, "open files of each process to {value}"),
            Resource::Disk => write!(f, "disk to {}", ByteSize(value)),
            Resource::Time => write!(f, "time to {}", Span { milliseconds: value }),
            Resource::Output => write!(f, "output to {}", ByteSize(value)),
        }
    }
}

impl fmt::Display for LimitMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "control group (v2)",
            Self::CgroupV1 => "control group (v1)",
            Self::SystemdScope => "systemd scope",
            Self::Rlimit => "resource limit",
            Self::Affinity => "processor affinity",
            Self::PrivateStoreSize => "size of the private store",
            Self::Sampler => "sampling supervisor",
            Self::Timer => "timer",
            Self::Relay => "output relay",
        })
    }
}

impl fmt::Display for GateRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open the gate; by default {}", self.default.name())?;
        for (rules, words) in [(&self.allow, "allow"), (&self.deny, "deny")] {
            if !rules.is_empty() {
                let rules: Vec<_> = rules.iter().map(|rule| Shown::new(rule).to_string()).collect();
                write!(f, "; {words} {}", rules.join(" "))?;
            }
        }
        if !self.publish.is_empty() {
            let ports: Vec<_> = self.publish.iter().map(u16::to_string).collect();
            write!(f, "; publish {}", ports.join(" "))?;
        }
        let limits = self.limits;
        for (bytes, words) in [(limits.sent, "sent"), (limits.received, "received")] {
            bytes.map_or(Ok(()), |bytes| write!(f, "; at most {} {words}", ByteSize(bytes)))?;
        }
        limits.connections.map_or(Ok(()), |connections| write!(f, "; at most {connections} connections"))?;
        write!(f, "; at most {} connections at once", limits.connections_at_once)?;
        write!(f, "; at most {} new ones a second", limits.connections_per_second)
    }
}

impl fmt::Display for GateRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local: Vec<_> = self.local.iter().map(ToString::to_string).collect();
        let servers: Vec<_> = self.name_servers.iter().map(ToString::to_string).collect();
        write!(f, "lead to the gate {}; name server at {}", local.join(" "), servers.join(" "))
    }
}

impl fmt::Display for LandlockRuleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "install a Landlock domain (ABI {})", self.abi)?;
        for (access, words) in
            [(LandlockAccess::Read, "read"), (LandlockAccess::Write, "write"), (LandlockAccess::Device, "use")]
        {
            let paths = self.rules.iter().filter(|rule| rule.access == access);
            let paths: Vec<_> = paths.map(|rule| Shown::new(&rule.path).to_string()).collect();
            if !paths.is_empty() {
                write!(f, "; {words} {}", paths.join(" "))?;
            }
        }
        let flags = [
            (self.refuse_tcp, "no TCP"),
            (self.scope_abstract_sockets, "no abstract sockets of others"),
            (self.scope_signals, "no signals to others"),
        ];
        flags.iter().filter(|(on, _)| *on).try_for_each(|(_, words)| write!(f, "; {words}"))
    }
}

impl fmt::Display for SystemCallFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("filter system calls: ")?;
        f.write_str(match self.network {
            NetworkFilter::Private => "private network",
            NetworkFilter::UnixOnly => "Unix sockets only",
            NetworkFilter::StandIns => "Unix sockets only, some of which lead to the gate",
        })?;
        let flags = [
            (self.nested_namespaces, "; programs may make namespaces"),
            (self.notify, "; refusals become events"),
            (self.decide_signals, "; signals to others are decided"),
            (self.keep_processors, "; programs cannot choose their processors"),
        ];
        flags.iter().filter(|(on, _)| *on).try_for_each(|(_, words)| f.write_str(words))?;
        self.files.fmt(f)
    }
}

impl fmt::Display for FileObservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.trace_reads {
            f.write_str("; every refused file operation becomes an event")?;
        } else if self.trace_writes {
            f.write_str("; every refused change of a file becomes an event")?;
        }
        for (globs, words) in [(&self.deny, "refuse"), (&self.protect, "refuse to change")] {
            if !globs.is_empty() {
                let globs: Vec<_> = globs.iter().map(|glob| Shown::new(glob).to_string()).collect();
                write!(f, "; {words} {}", globs.join(" "))?;
            }
        }
        Ok(())
    }
}
