//! What would make this machine enforce more, with the exact commands: a pure function of the facts.

use serde::Serialize;
use stockade::HostFacts;
use stockade::facts::{Availability, Obstacle};

/// Lowest Landlock ABI that confines signals and abstract sockets (kernel 6.12, `landlock(7)`).
const LANDLOCK_SCOPES: u32 = 6;

/// The controllers that carry limits.
const CONTROLLERS: &[&str] = &["cpu", "memory", "pids"];

const APPARMOR: &str = include_str!("apparmor.txt");
const CGROUPS: &str = include_str!("cgroups.txt");
const CGROUPS_BY_HAND: &str = include_str!("cgroups-by-hand.txt");
const MAX_USER_NAMESPACES: &str = include_str!("max-user-namespaces.txt");
const USERNS_CLONE: &str = include_str!("userns-clone.txt");
const CONTAINER: &str = include_str!("container.txt");
const LANDLOCK: &str = include_str!("landlock.txt");

/// One change to the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Improvement {
    /// What is missing, and what it would give.
    pub(crate) reason: String,
    /// The commands, ready to paste; empty where there are none.
    pub(crate) commands: String,
}

/// What surrounds this process, besides the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Surroundings {
    /// Where this program lies.
    pub(crate) program: String,
    /// The container manager that it runs under, where there is one.
    pub(crate) container: Option<String>,
    /// Whether systemd manages this machine.
    pub(crate) systemd: bool,
}

/// Everything that would help here, most helpful first.
pub(crate) fn improvements(facts: &HostFacts, surroundings: &Surroundings) -> Vec<Improvement> {
    let mut list = Vec::new();
    list.extend(user_namespaces(facts, surroundings));
    list.extend(landlock(facts));
    list.extend(seccomp(facts));
    list.extend(cgroups(facts, surroundings));
    list
}

fn user_namespaces(facts: &HostFacts, surroundings: &Surroundings) -> Option<Improvement> {
    let Availability::Blocked(obstacle) = &facts.user_namespaces else { return None };
    let (reason, commands) = match obstacle {
        Obstacle::NotInKernel => (
            "The kernel was built without user namespaces (CONFIG_USER_NS): tier namespaces needs a kernel that has them."
                .to_owned(),
            String::new(),
        ),
        Obstacle::MaxUserNamespaces => (
            "No user namespace may be made (user.max_user_namespaces is 0). Allowing them gives tier namespaces."
                .to_owned(),
            MAX_USER_NAMESPACES.to_owned(),
        ),
        Obstacle::UnprivilegedUsernsClone => (
            "Only root may make user namespaces (kernel.unprivileged_userns_clone is 0). Allowing them gives tier namespaces."
                .to_owned(),
            USERNS_CLONE.to_owned(),
        ),
        Obstacle::AppArmor => (
            "AppArmor takes the capabilities from user namespaces of programs without a profile. A profile for this program gives tier namespaces, and leaves the restriction in place for all others."
                .to_owned(),
            APPARMOR.replace("PROGRAM", &surroundings.program),
        ),
        Obstacle::Refused { operation, errno } => refused(operation, *errno, surroundings),
        other => (format!("User namespaces cannot be used: {other:?}."), String::new()),
    };
    Some(Improvement { reason, commands })
}

fn refused(operation: &str, errno: i32, surroundings: &Surroundings) -> (String, String) {
    let error = std::io::Error::from_raw_os_error(errno);
    match &surroundings.container {
        Some(container) => (
            format!(
                "This runs in a container ({container}) whose own filter refuses `{operation}` ({error}). Start the container with a filter that permits namespaces and mounts, or keep tier landlock."
            ),
            CONTAINER.to_owned(),
        ),
        None => (
            format!(
                "User namespaces exist, but `{operation}` is refused ({error}): another sandbox or a security module stands in between. Where this is a sandbox, tier landlock is what it allows."
            ),
            String::new(),
        ),
    }
}

fn landlock(facts: &HostFacts) -> Option<Improvement> {
    let release = &facts.kernel.release;
    let abi = facts.kernel.landlock_abi;
    if abi == 0 {
        let reason = format!(
            "Landlock is missing or off in kernel {release}: the second lock on files is not there, and tier landlock cannot work. It needs kernel 5.13 or newer with landlock among the security modules."
        );
        return Some(Improvement { reason, commands: LANDLOCK.to_owned() });
    }
    (abi < LANDLOCK_SCOPES).then(|| Improvement {
        reason: format!(
            "Landlock has ABI {abi} in kernel {release}; from ABI {LANDLOCK_SCOPES}, kernel 6.12, on it also confines signals and abstract Unix sockets."
        ),
        commands: String::new(),
    })
}

/// First version with everything that the observer of system calls relies on.
const OBSERVABLE: (u32, u32) = (5, 9);

fn seccomp(facts: &HostFacts) -> Option<Improvement> {
    let release = &facts.kernel.release;
    let reason = if facts.kernel.version < OBSERVABLE {
        format!(
            "Kernel {release} does not let a supervisor observe system calls (seccomp user notification, kernel 5.9 or newer), which every tier needs."
        )
    } else {
        "This runs inside another sandbox, which observes system calls itself; the kernel lets only one of them do that. So runs here get tier landlock, refused calls do not become events, changes of protected files are found only afterwards, and neither --trace, rules about the network, nor deny rules for parts of allowed directories work. Outside of that sandbox all of this works."
            .to_owned()
    };
    (!facts.kernel.seccomp_notify).then(|| Improvement { reason, commands: String::new() })
}

fn cgroups(facts: &HostFacts, surroundings: &Surroundings) -> Option<Improvement> {
    let has = |controllers: &[String]| CONTROLLERS.iter().all(|name| controllers.iter().any(|has| has == name));
    let complete = facts.cgroups.v2.as_ref().is_some_and(|v2| has(&v2.controllers))
        || CONTROLLERS.iter().all(|name| facts.cgroups.v1.contains_key(*name));
    (!complete && facts.cgroups.systemd_user.is_none()).then(|| Improvement {
        reason: "No control group with cpu, memory and pids is delegated to you: limits on memory and processes are \
                 kept by weaker means (resource limits and sampling)."
            .to_owned(),
        commands: if surroundings.systemd { CGROUPS } else { CGROUPS_BY_HAND }.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stockade::facts::{CgroupFacts, CgroupV2, GitIdentity, KernelFacts};

    use super::*;

    /// A machine on which nothing is missing.
    fn facts() -> HostFacts {
        let controllers = CONTROLLERS.iter().map(|name| (*name).to_owned()).collect();
        HostFacts {
            uid: 1000,
            gid: 1000,
            cpus: 4,
            memory: 8 << 30,
            kernel: KernelFacts {
                release: "6.12.0".into(),
                version: (6, 12),
                machine: "x86_64".into(),
                landlock_abi: LANDLOCK_SCOPES,
                seccomp_notify: true,
            },
            user_namespaces: Availability::Available,
            cgroups: CgroupFacts { v2: Some(CgroupV2 { path: "/g".into(), controllers }), ..CgroupFacts::default() },
            paths: BTreeMap::new(),
            protected: Vec::new(),
            git_identity: GitIdentity::default(),
        }
    }

    fn surroundings() -> Surroundings {
        Surroundings { program: "/opt/my tools/stockade".into(), container: None, systemd: true }
    }

    fn only(facts: &HostFacts, surroundings: &Surroundings) -> Improvement {
        let mut list = improvements(facts, surroundings);
        assert_eq!(list.len(), 1, "{list:?}");
        list.remove(0)
    }

    #[test]
    fn a_machine_that_has_everything_needs_nothing() {
        assert_eq!(improvements(&facts(), &surroundings()), []);
    }

    #[test]
    fn every_obstacle_has_its_remedy() {
        let refused = Obstacle::Refused { operation: "mount proc".into(), errno: 1 };
        let docker = Surroundings { container: Some("docker".into()), ..surroundings() };
        for (obstacle, around, reason, commands) in [
            (Obstacle::NotInKernel, surroundings(), "CONFIG_USER_NS", ""),
            (Obstacle::MaxUserNamespaces, surroundings(), "is 0", "user.max_user_namespaces"),
            (Obstacle::UnprivilegedUsernsClone, surroundings(), "Only root", "kernel.unprivileged_userns_clone = 1"),
            (Obstacle::AppArmor, surroundings(), "AppArmor", "profile stockade \"/opt/my tools/stockade\""),
            (refused.clone(), surroundings(), "another sandbox", ""),
            (refused, docker, "container (docker)", "seccomp=unconfined"),
        ] {
            let facts = HostFacts { user_namespaces: Availability::Blocked(obstacle), ..facts() };
            let improvement = only(&facts, &around);
            assert!(improvement.reason.contains(reason), "{improvement:?}");
            assert!(improvement.commands.contains(commands), "{improvement:?}");
            assert_eq!(improvement.commands.is_empty(), commands.is_empty(), "{improvement:?}");
        }
    }

    #[test]
    fn kernels_and_control_groups_are_looked_at() {
        let mut old = facts();
        old.kernel = KernelFacts { landlock_abi: 0, seccomp_notify: false, version: (5, 4), ..old.kernel };
        let reasons: Vec<_> = improvements(&old, &surroundings()).into_iter().map(|entry| entry.reason).collect();
        assert!(reasons[0].contains("5.13") && reasons[1].contains("5.9"), "{reasons:?}");
        old.kernel = KernelFacts { landlock_abi: LANDLOCK_SCOPES, version: (6, 12), ..old.kernel };
        assert!(only(&old, &surroundings()).reason.contains("inside another sandbox"));
        old.kernel = KernelFacts { landlock_abi: 5, seccomp_notify: true, ..old.kernel };
        assert!(only(&old, &surroundings()).reason.contains("6.12"));

        let bare = HostFacts { cgroups: CgroupFacts::default(), ..facts() };
        assert!(only(&bare, &surroundings()).commands.contains("Delegate="));
        let by_hand = Surroundings { systemd: false, ..surroundings() };
        assert!(only(&bare, &by_hand).commands.contains("cgroup.subtree_control"));
        let scope = CgroupFacts { systemd_user: Some("/run/bus".into()), ..CgroupFacts::default() };
        assert_eq!(improvements(&HostFacts { cgroups: scope, ..facts() }, &surroundings()), []);
        let some = CgroupV2 { path: "/g".into(), controllers: vec!["memory".into()] };
        let part = CgroupFacts { v2: Some(some), ..CgroupFacts::default() };
        only(&HostFacts { cgroups: part, ..facts() }, &surroundings());
    }
}
