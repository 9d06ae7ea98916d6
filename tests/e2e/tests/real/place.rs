//! Where everything of these tests lies, and the `stockade` that they test.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::user::User;

/// The repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// A directory below `target` that every user can reach; where `target` lies in a closed home, one in `/var/tmp`.
pub(crate) fn base() -> Result<PathBuf, String> {
    let below_target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real");
    let open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.mode() & 0o001 != 0);
    fs::create_dir_all(&below_target).map_err(|error| format!("cannot make {}: {error}", below_target.display()))?;
    if below_target.ancestors().all(open) {
        return Ok(below_target);
    }
    let own = fs::metadata("/proc/self").map_err(|error| format!("cannot read /proc/self: {error}"))?.uid();
    let elsewhere = PathBuf::from(format!("/var/tmp/stockade-real-{own}"));
    fs::create_dir_all(&elsewhere).map_err(|error| format!("cannot make {}: {error}", elsewhere.display()))?;
    let found = fs::symlink_metadata(&elsewhere).map_err(|error| error.to_string())?;
    if !found.is_dir() || found.uid() != own {
        return Err(format!("{} is not a directory of uid {own}; remove it", elsewhere.display()));
    }
    Ok(elsewhere)
}

/// The `stockade` under test, where every user can run it: the one that `STOCKADE_BIN` names, or else the one that is built
/// from this repository now.
pub(crate) fn stockade() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(find_stockade).clone()
}

fn find_stockade() -> Result<PathBuf, String> {
    let built = match std::env::var_os("STOCKADE_BIN") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    // Other tests may run at the same time: a copy under a name of its content's is put in place at once.
    let bytes = fs::read(&built).map_err(|error| format!("cannot read {}: {error}", built.display()))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let directory = base()?.join(format!("bin-{:016x}", hasher.finish()));
    let copy = directory.join("stockade");
    if !copy.exists() {
        let new = directory.join(format!("new-{}", std::process::id()));
        let put = || {
            fs::create_dir_all(&directory)?;
            fs::write(&new, &bytes)?;
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
            fs::rename(&new, &copy)
        };
        put().map_err(|error| format!("cannot copy {} to {}: {error}", built.display(), copy.display()))?;
    }
    Ok(copy)
}

fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status =
        Command::new(cargo).args(["build", "--quiet", "--package", "stockade-cli"]).current_dir(repository()).status();
    match status {
        Ok(status) if status.success() => {}
        other => return Err(format!("building stockade failed: {other:?}")),
    }
    // This program is `target/PROFILE/deps/real-HASH`; what was built just now is of the development profile.
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let target = own.ancestors().nth(3).ok_or("this program lies in no target directory")?;
    Ok(target.join("debug/stockade"))
}

/// A lock that one process holds at a time, until the file is dropped.
pub(crate) fn lock(name: &str) -> Result<fs::File, String> {
    let path = base()?.join(format!("{name}.lock"));
    let file = fs::File::create(&path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    file.lock().map_err(|error| format!("cannot lock {}: {error}", path.display()))?;
    Ok(file)
}

/// A fresh directory of a user's, in which only one test at a time works.
pub(crate) fn fresh(name: &str, user: &User) -> Result<PathBuf, String> {
    let path = base()?.join(format!("{name}-{}", user.name));
    if path.exists() {
        fs::remove_dir_all(&path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
    }
    let make = || {
        fs::create_dir(&path)?;
        std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid))
    };
    make().map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    Ok(path)
}
