//! Which control files a limit sets, and to what: pure text.
//!
//! Formats: `Documentation/admin-guide/cgroup-v2.rst`, `cgroup-v1/memory.rst`, `cgroup-v1/pids.rst` and
//! `scheduler/sched-bwc.rst` of the kernel.

use stockade_spec::plan::Resource;

/// A version of the control group interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One tree for each controller.
    V1,
    /// One tree for all controllers.
    V2,
}

/// One limit on a resource, in the units of [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What is bounded.
    pub resource: Resource,
    /// How much of it there may be.
    pub value: u64,
}

/// One control file and its content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The file.
    pub(crate) file: &'static str,
    /// The content.
    pub(crate) value: String,
    /// Whether a kernel without that file is an error.
    pub(crate) required: bool,
}

/// The controller that bounds a resource, if one does.
pub(crate) const fn controller(resource: Resource) -> Option<&'static str> {
    match resource {
        Resource::Memory => Some("memory"),
        Resource::Cpu => Some("cpu"),
        Resource::Processes => Some("pids"),
        Resource::Files | Resource::Disk | Resource::Time | Resource::Output => None,
    }
}

/// The files to write for a bound, in order. Empty for a resource that no controller bounds.
pub(crate) fn settings(version: Version, bound: Bound) -> Vec<Setting> {
    let value = bound.value;
    match (bound.resource, version) {
        (Resource::Memory, Version::V2) => vec![
            required("memory.max", value.to_string()),
            // Swap would otherwise hold as much again. The file is missing where the kernel has no swap.
            optional("memory.swap.max", "0"),
            // All processes end together, so that none goes on with a part of its helpers gone (since 4.19).
            optional("memory.oom.group", "1"),
        ],
        (Resource::Memory, Version::V1) => vec![
            required("memory.limit_in_bytes", value.to_string()),
            // Memory and swap together. The file is missing where swap is not accounted.
            Setting { required: false, ..required("memory.memsw.limit_in_bytes", value.to_string()) },
        ],
        (Resource::Processes, _) => vec![required("pids.max", value.to_string())],
        (Resource::Cpu, Version::V2) => {
            let (quota, period) = bandwidth(value);
            vec![required("cpu.max", format!("{quota} {period}"))]
        }
        (Resource::Cpu, Version::V1) => {
            let (quota, period) = bandwidth(value);
            vec![required("cpu.cfs_period_us", period.to_string()), required("cpu.cfs_quota_us", quota.to_string())]
        }
        (Resource::Files | Resource::Disk | Resource::Time | Resource::Output, _) => Vec::new(),
    }
}

/// Quota and period in microseconds for thousandths of a processor. The kernel refuses quotas below a millisecond and
/// periods above a second; the usual period is a tenth of a second.
fn bandwidth(milli_cpus: u64) -> (u64, u64) {
    if milli_cpus >= 10 { (milli_cpus.saturating_mul(100), 100_000) } else { (milli_cpus.max(1) * 1_000, 1_000_000) }
}

const fn required(file: &'static str, value: String) -> Setting {
    Setting { file, value, required: true }
}

fn optional(file: &'static str, value: &str) -> Setting {
    Setting { file, value: value.to_owned(), required: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(version: Version, resource: Resource, value: u64) -> Vec<String> {
        let settings = settings(version, Bound { resource, value });
        settings.iter().map(|setting| format!("{}={}", setting.file, setting.value)).collect()
    }

    #[test]
    fn each_bound_has_its_files() {
        for (version, resource, value, expected) in [
            (Version::V2, Resource::Memory, 4096, &["memory.max=4096", "memory.swap.max=0", "memory.oom.group=1"][..]),
            (
                Version::V1,
                Resource::Memory,
                4096,
                &["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=4096"][..],
            ),
            (Version::V2, Resource::Processes, 7, &["pids.max=7"][..]),
            (Version::V1, Resource::Processes, 7, &["pids.max=7"][..]),
            (Version::V2, Resource::Cpu, 1500, &["cpu.max=150000 100000"][..]),
            (Version::V2, Resource::Cpu, 3, &["cpu.max=3000 1000000"][..]),
            (Version::V1, Resource::Cpu, 250, &["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=25000"][..]),
            (Version::V2, Resource::Files, 7, &[][..]),
        ] {
            assert_eq!(text(version, resource, value), expected);
        }
    }

    #[test]
    fn no_quota_is_below_what_the_kernel_accepts() {
        for milli in 0..20_000 {
            let (quota, period) = bandwidth(milli);
            assert!(quota >= 1_000 && period <= 1_000_000, "{milli}");
        }
    }
}
