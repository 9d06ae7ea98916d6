//! Who calls, and from where: the only place that reads the environment.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Bytes of `/etc/passwd` that are read at most.
const MAX_PASSWD: u64 = 4 << 20;

/// Where home is when neither `HOME` nor `/etc/passwd` names a directory of the caller's own. It need not exist: inside,
/// a private directory is there.
const NO_HOME: &str = "/home/stockade";

/// The caller, as the environment and `/etc/passwd` describe them.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Home: absolute, without symbolic links where it exists.
    pub(crate) home: PathBuf,
    /// The user's shell.
    pub(crate) shell: OsString,
    /// The user's directory of Stockade's configuration.
    pub(crate) configuration: PathBuf,
    /// The user's directory of Stockade's state: journals and quarantine.
    pub(crate) state: PathBuf,
}

impl Caller {
    /// Reads the environment, and `/etc/passwd` only for what is missing in it.
    pub(crate) fn find() -> Self {
        let environment: Vec<_> = std::env::vars_os().collect();
        let uid = rustix::process::getuid().as_raw();
        Self::from_environment(environment, || entry_of(uid, &passwd()))
    }

    fn from_environment(environment: Vec<(OsString, OsString)>, entry: impl Fn() -> PasswdEntry) -> Self {
        let get = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str());
        let absolute = |name: &str| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = |path: &PathBuf| path.is_absolute() && path != Path::new("/");
        let home = absolute("HOME").filter(own).or_else(|| Some(entry().home).filter(own));
        let home = home.unwrap_or_else(|| PathBuf::from(NO_HOME));
        let home = std::fs::canonicalize(&home).ok().filter(own).unwrap_or(home);
        let shell = get("SHELL").filter(|shell| !shell.is_empty()).map_or_else(|| entry().shell, OsStr::to_os_string);
        // The XDG base directory specification has relative paths ignored.
        let configuration = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("stockade");
        let state = absolute("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state")).join("stockade");
        Self { home, shell, configuration, state, environment }
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }
}

/// The current directory, without symbolic links.
///
/// # Errors
/// When it was removed or lies below a directory that cannot be searched.
pub(crate) fn current_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(Failure::CurrentDirectory)
}

/// Two fields of a line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PasswdEntry {
    home: PathBuf,
    shell: OsString,
}

/// The bytes of `/etc/passwd`; none where it cannot be read, as in a container without users.
fn passwd() -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open("/etc/passwd")?.take(MAX_PASSWD).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().unwrap_or_default()
}

/// The entry of a user (`passwd(5)`); an unusable home and `/bin/sh` where there is none.
fn entry_of(uid: u32, passwd: &[u8]) -> PasswdEntry {
    let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let entry = passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [_, _, id, _, _, home, shell] = fields[..] else { return None };
        let ours = OsStr::from_bytes(id).to_str().and_then(|id| id.parse::<u32>().ok()) == Some(uid);
        ours.then(|| PasswdEntry { home: text(home).into(), shell: text(shell) })
    });
    let mut entry = entry.unwrap_or_else(|| PasswdEntry { home: PathBuf::new(), shell: OsString::new() });
    if entry.shell.is_empty() {
        entry.shell = OsString::from("/bin/sh");
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/bash\n# broken\nann:x:1000:1000:Ann,,,:/nonexistent/ann:/bin/zsh\n\
        nosh:x:1001:1001::/nonexistent/nosh:\n";

    fn caller(variables: &[(&str, &str)], uid: u32) -> Caller {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Caller::from_environment(environment, || entry_of(uid, PASSWD))
    }

    #[test]
    fn the_environment_comes_first() {
        let caller = caller(
            &[("HOME", "/nonexistent/h"), ("SHELL", "/bin/fish"), ("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "/c")],
            1000,
        );
        assert_eq!(caller.home, Path::new("/nonexistent/h"));
        assert_eq!(caller.shell, "/bin/fish");
        assert_eq!(caller.state, Path::new("/s/stockade"));
        assert_eq!(caller.configuration, Path::new("/c/stockade"));
    }

    #[test]
    fn passwd_fills_the_gaps() {
        for unusable in ["", "relative", "/"] {
            let caller = caller(&[("HOME", unusable), ("XDG_CONFIG_HOME", "relative")], 1000);
            assert_eq!(caller.home, Path::new("/nonexistent/ann"), "{unusable}");
            assert_eq!(caller.shell, "/bin/zsh");
            assert_eq!(caller.configuration, Path::new("/nonexistent/ann/.config/stockade"));
            assert_eq!(caller.state, Path::new("/nonexistent/ann/.local/state/stockade"));
        }
    }

    #[test]
    fn unknown_users_get_a_home_and_a_shell() {
        let caller = caller(&[], 4242);
        assert_eq!((caller.home.as_path(), caller.shell.as_os_str()), (Path::new(NO_HOME), OsStr::new("/bin/sh")));
        assert_eq!(entry_of(1001, PASSWD).shell, "/bin/sh");
    }
}
