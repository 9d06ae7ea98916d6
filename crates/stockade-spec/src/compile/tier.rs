//! Which tier isolates.

use super::Input;
use super::error::CompileError;
use crate::facts::{Availability, HostFacts, Obstacle};
use crate::tier::Tier;

/// The machines whose system calls the filters know.
const MACHINES: &[&str] = &["x86_64", "aarch64"];

/// The tier that was asked for, or the strongest that works.
pub(super) fn choose(input: Input<'_>) -> Result<Tier, CompileError> {
    let facts = input.facts;
    let asked = match (input.policy.isolation, input.request.isolation) {
        (Some(only), Some(tier)) if only != tier => {
            let reason = format!("the policy accepts tier `{only}` and no other (`enforcement.isolation`)");
            return Err(CompileError::TierUnavailable { tier, reason });
        }
        (only, asked) => asked.or(only),
    };
    let asked = match input.request.layers {
        // Layers are mounts; where none can be made, that is the error, and not the lack of a weaker tier's.
        Some(_) => Some(asked.unwrap_or(Tier::Namespaces)),
        None => asked,
    };
    match asked {
        Some(Tier::Landlock) if input.request.layers.is_some() => Err(CompileError::LayersNeedMounts),
        Some(tier) => works(tier, facts).map(|()| tier),
        None => works(Tier::Namespaces, facts)
            .map(|()| Tier::Namespaces)
            .or_else(|_| works(Tier::Landlock, facts).map(|()| Tier::Landlock)),
    }
}

/// Whether a tier works on a host.
fn works(tier: Tier, facts: &HostFacts) -> Result<(), CompileError> {
    let unavailable = |reason: String| Err(CompileError::TierUnavailable { tier, reason });
    let machine = facts.kernel.machine.as_str();
    if !MACHINES.contains(&machine) {
        return unavailable(format!("its processor is {machine:?}, and only {} are known", MACHINES.join(" and ")));
    }
    match tier {
        Tier::Namespaces if !facts.kernel.seccomp_notify => unavailable(NO_LISTENER.into()),
        Tier::Namespaces if !facts.kernel_at_least(5, 12) => {
            unavailable(format!("it needs Linux 5.12 or newer (mount_setattr), and this is {:?}", facts.kernel.release))
        }
        Tier::Namespaces => match &facts.user_namespaces {
            Availability::Available => Ok(()),
            Availability::Blocked(obstacle) => unavailable(obstacle_text(obstacle)),
        },
        Tier::Landlock if facts.kernel.landlock_abi < LEAST_ABI => {
            let abi = facts.kernel.landlock_abi;
            unavailable(format!(
                "it needs Landlock ABI {LEAST_ABI} (Linux 6.2) or newer, since older ones let files be truncated, and this \
                 kernel has {}",
                if abi == 0 { "none, or Landlock is off".to_owned() } else { format!("ABI {abi}") }
            ))
        }
        Tier::Landlock => Ok(()),
    }
}

/// Why nobody can be asked about system calls.
const NO_LISTENER: &str = "another sandbox around this one has the only seccomp listener that a process can have, or the \
                           kernel is older than Linux 5.9";

/// The Landlock ABI that tier `landlock` relies on: ABI 3 is the first that refuses truncation, ABI 2 linking between
/// directories (`landlock(7)`).
const LEAST_ABI: u32 = 3;

fn obstacle_text(obstacle: &Obstacle) -> String {
    let text = match obstacle {
        Obstacle::NotInKernel => "the kernel was built without user namespaces",
        Obstacle::MaxUserNamespaces => {
            "user.max_user_namespaces is 0; `sysctl user.max_user_namespaces=10000` as root raises it"
        }
        Obstacle::UnprivilegedUsernsClone => {
            "kernel.unprivileged_userns_clone is 0; `sysctl kernel.unprivileged_userns_clone=1` as root opens it"
        }
        Obstacle::AppArmor => {
            "AppArmor confines user namespaces of programs without a profile; `stockade doctor` prints a profile for Stockade"
        }
        Obstacle::Refused { operation, errno } => {
            return format!("{operation} was refused with error {errno}");
        }
    };
    text.to_owned()
}
