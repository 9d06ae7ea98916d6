//! Settings of the network namespace (kernel `ip-sysctl.rst`).

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::GateError;

/// Paths below `/proc/sys/net`, and values.
///
/// Listeners for the gate are made by init, which has no capability, and at any port. "Fast open" is off because it
/// connects by `sendmsg(2)`, which is not put to the supervisor: nobody would listen. Programs that ask for it fall back to
/// `connect(2)`. Congestion is left to "reno", which every kernel has: the way to the gate is memory, and where the host has
/// chosen an algorithm that paces what is sent (BBR), pacing takes longer than sending.
const SETTINGS: [(&str, &str); 3] =
    [("ipv4/ip_unprivileged_port_start", "0"), ("ipv4/tcp_fastopen", "0"), ("ipv4/tcp_congestion_control", "reno")];

/// Writes the settings. What `/proc/sys/net` shows belongs to the namespace of whoever looks.
pub(super) fn write() -> Result<(), GateError> {
    for (name, value) in SETTINGS {
        write_one(name, value).map_err(|error| GateError::Setting { name, source: error.into() })?;
    }
    Ok(())
}

fn write_one(name: &str, value: &str) -> Result<(), Errno> {
    let setting = openat(CWD, format!("/proc/sys/net/{name}"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    // The kernel takes a setting whole or not at all.
    rustix::io::write(setting, value.as_bytes())?;
    Ok(())
}
