//! What surrounds this process, as far as it bears on what can be improved.

use std::io::Read;
use std::path::Path;

use super::Surroundings;
use crate::caller::Caller;

/// Files by whose presence container managers make themselves known.
const MARKS: &[(&str, &str)] = &[("/run/.containerenv", "podman"), ("/.dockerenv", "docker")];

/// Where systemd and the managers that follow its interface write their name
/// (<https://systemd.io/CONTAINER_INTERFACE>).
const MANAGER: &str = "/run/systemd/container";

/// The directory by which systemd says that it runs (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";

/// Bytes of a manager's name that are read at most.
const MAX_NAME: u64 = 64;

/// Looks around.
pub(crate) fn look(caller: &Caller) -> Surroundings {
    // The name under which it was started is a fallback good enough for an example command.
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/stockade".into());
    let named = caller.variable("container").map(|name| name.to_string_lossy().into_owned());
    Surroundings {
        program: program.to_string_lossy().into_owned(),
        container: named.or_else(marked),
        systemd: Path::new(SYSTEMD).is_dir(),
    }
}

fn marked() -> Option<String> {
    let mark = MARKS.iter().find(|(path, _)| Path::new(path).exists());
    mark.map(|(_, name)| (*name).to_owned()).or_else(|| {
        let mut name = String::new();
        std::fs::File::open(MANAGER).ok()?.take(MAX_NAME).read_to_string(&mut name).ok()?;
        Some(name.trim().to_owned())
    })
}
