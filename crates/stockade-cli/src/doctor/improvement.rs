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
}

/// Everything that would help here, most helpful first.
pub(crate) fn improvements(facts: &HostFacts, surroundings: &Surroundings) -> Vec<Improvement> {
    let mut list = Vec::new();
    list.extend(user_namespaces(facts, surroundings));
    list.extend(landlock(facts));
    list.extend(seccomp(facts));
    list.extend(cgroups(facts));
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

fn seccomp(facts: &HostFacts) -> Option<Improvement> {
    (!facts.kernel.seccomp_notify).then(|| Improvement {
        reason: format!(
            "Kernel {} does not let a supervisor observe system calls (seccomp user notification, kernel 5.9 or newer): refused calls are not reported, and --trace does not work.",
            facts.kernel.release
        ),
        commands: String::new(),
    })
}

fn cgroups(facts: &HostFacts) -> Option<Improvement> {
    let has = |controllers: &[String]| CONTROLLERS.iter().all(|name| controllers.iter().any(|has| has == name));
    let complete = facts.cgroups.v2.as_ref().is_some_and(|v2| has(&v2.controllers))
        || CONTROLLERS.iter().all(|name| facts.cgroups.v1.contains_key(*name));
    (!complete && facts.cgroups.systemd_user.is_none()).then(|| Improvement {
        reason: "No control group with cpu, memory and pids is delegated to you: limits on memory and processes are \
                 kept by weaker means (resource limits and sampling)."
            .to_owned(),
        commands: CGROUPS.to_owned(),
    })
}
