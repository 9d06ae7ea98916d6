//! The facts of this host, by a few cheap system calls: nothing is tried out, since every run asks.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use stockade_spec::HostFacts;
use stockade_spec::facts::{Availability, CgroupFacts, GitIdentity, KernelFacts, Obstacle, PathFact};
use thiserror::Error;

use super::git_identity;
use super::listing::Listing;

/// Why the host cannot be probed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The set of processors cannot be read.
    #[error("cannot read the set of processors that this process may run on")]
    Processors(#[source] io::Error),
    /// A path cannot be looked at.
    #[error("cannot look at `{}`", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Finds the facts: what lies at the surveyed paths, and what the kernel offers. `protected` is left empty; it is found
/// by walking the workspace.
///
/// # Errors
/// See [`ProbeError`].
pub fn probe(survey: &[PathBuf], home: &Path) -> Result<HostFacts, ProbeError> {
    let uid = rustix::process::geteuid().as_raw();
    let processors =
        rustix::thread::sched_getaffinity(None).map_err(|error| ProbeError::Processors(error.into()))?.count();
    let system = rustix::system::sysinfo();
    let kernel = kernel();
    Ok(HostFacts {
        uid,
        gid: rustix::process::getegid().as_raw(),
        cpus: processors,
        memory: system.totalram.saturating_mul(u64::from(system.mem_unit)),
        user_namespaces: user_namespaces(uid, kernel.seccomp_notify),
        cgroups: cgroups(kernel.seccomp_notify),
        kernel,
        paths: survey_paths(survey, home)?,
        protected: Vec::new(),
        git_identity: identity(home),
    })
}

/// Where control groups can be made. A sandbox around this process that takes the listener keeps what its files rules
/// refuse from `access(2)`, and no process may leave the group that such a sandbox has put it into.
fn cgroups(seccomp_notify: bool) -> CgroupFacts {
    if seccomp_notify { super::cgroups() } else { CgroupFacts::default() }
}

fn kernel() -> KernelFacts {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    KernelFacts {
        version: version_of(&release),
        release,
        machine: uname.machine().to_string_lossy().into_owned(),
        landlock_abi: crate::sys::landlock::abi(),
        seccomp_notify: crate::sys::seccomp::can_notify(),
    }
}

/// Major and minor version in `6.1.0-50-amd64`; zeros for what is no number.
fn version_of(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether user namespaces can be made. Where a filter is in force, which may refuse them, that is tried out; a security
/// module may still refuse, which the launch finds out. Without a listener they are of no use, and to try would be an
/// event of the sandbox around this one.
fn user_namespaces(uid: u32, seccomp_notify: bool) -> Availability {
    match switches(uid) {
        Availability::Available if seccomp_notify && crate::sys::seccomp::is_filtered() => tried_out(),
        found => found,
    }
}

fn tried_out() -> Availability {
    match crate::sys::clone::try_user_namespace().map_err(|error| error.raw_os_error()) {
        Err(Some(errno)) => {
            Availability::Blocked(Obstacle::Refused { operation: "create namespaces".to_owned(), errno })
        }
        _ => Availability::Available,
    }
}

/// What the kernel's switches say of user namespaces.
pub(crate) fn switches(uid: u32) -> Availability {
    let setting = |path: &str| read_start(path).and_then(|text| text.trim().parse::<u64>().ok());
    if rustix::fs::access("/proc/self/ns/user", Access::EXISTS).is_err() {
        return Availability::Blocked(Obstacle::NotInKernel);
    }
    if setting("/proc/sys/user/max_user_namespaces") == Some(0) {
        return Availability::Blocked(Obstacle::MaxUserNamespaces);
    }
    if uid == 0 {
        return Availability::Available;
    }
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return Availability::Blocked(Obstacle::UnprivilegedUsernsClone);
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) && !has_apparmor_profile() {
        return Availability::Blocked(Obstacle::AppArmor);
    }
    Availability::Available
}

/// Whether an `AppArmor` profile applies to this process; then the profile decides on user namespaces.
fn has_apparmor_profile() -> bool {
    let current = read_start("/proc/self/attr/apparmor/current").or_else(|| read_start("/proc/self/attr/current"));
    current.is_some_and(|label| !label.trim_matches(['\0', '\n', ' ']).starts_with("unconfined"))
}

/// The start of a small file; `None` when it cannot be read.
pub(crate) fn read_start(path: &str) -> Option<String> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 256];
    let length = rustix::io::read(file, &mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn survey_paths(survey: &[PathBuf], home: &Path) -> Result<BTreeMap<PathBuf, PathFact>, ProbeError> {
    let mut facts = Vec::with_capacity(survey.len());
    let listing = Listing::read(home);
    for path in survey.iter().filter(|path| listing.as_ref().is_none_or(|listing| listing.may_hold(path))) {
        match look_at(path) {
            Ok(PathFact::Missing) => {}
            Ok(fact) => facts.push((path.clone(), fact)),
            Err(error) => return Err(ProbeError::Path { path: path.clone(), source: error.into() }),
        }
    }
    // To compare paths takes many times as long as to compare bytes, and a map is made from sorted entries at once.
    facts.sort_unstable_by(|(a, _), (b, _)| a.as_os_str().cmp(b.as_os_str()));
    Ok(facts.into_iter().collect())
}

fn look_at(path: &Path) -> rustix::io::Result<PathFact> {
    let status = match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => status,
        // What the caller cannot reach, the command cannot either.
        Err(
            rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS | rustix::io::Errno::LOOP,
        ) => {
            return Ok(PathFact::Missing);
        }
        Err(error) => return Err(error),
    };
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile | FileType::Directory if is_sealed(path, status.st_mode) => PathFact::Sealed,
        FileType::RegularFile => PathFact::File,
        FileType::Directory => PathFact::Directory,
        FileType::Symlink => symlink(path)?,
        FileType::Socket => PathFact::Socket,
        _ => PathFact::Special,
    })
}

/// Whether the caller may not read it. What everybody may read needs no second look.
fn is_sealed(path: &Path, mode: u32) -> bool {
    mode & 0o004 == 0 && rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).is_err()
}

fn symlink(path: &Path) -> rustix::io::Result<PathFact> {
    let text = path_of(rustix::fs::readlink(path, Vec::new())?);
    let Ok(target) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(PathFact::Symlink { text, resolved: None, directory: false });
    };
    let resolved = rustix::fs::readlink(format!("/proc/self/fd/{}", target.as_raw_fd()), Vec::new())?;
    let directory = FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode).is_dir();
    Ok(PathFact::Symlink { text, resolved: Some(path_of(resolved)), directory })
}

fn path_of(text: std::ffi::CString) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(text.into_bytes()))
}

/// The identity in the caller's git configuration, the later file winning, as git reads them (`git-config(1)`, FILES).
fn identity(home: &Path) -> GitIdentity {
    let mut identity = GitIdentity::default();
    for file in [home.join(".config/git/config"), home.join(".gitconfig")] {
        if let Some(text) = git_identity::read_configuration(&file) {
            git_identity::add(&mut identity, &text);
        }
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_read() {
        assert_eq!(version_of("6.1.0-50-amd64"), (6, 1));
        assert_eq!(version_of("6.18.44-fc"), (6, 18));
        assert_eq!(version_of("odd"), (0, 0));
    }

    #[test]
    fn links_are_resolved_and_missing_paths_left_out() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().canonicalize().expect("it exists");
        std::os::unix::fs::symlink("target", root.join("link")).expect("a link");
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).expect("a link");
        std::fs::create_dir(root.join("target")).expect("a directory");
        let paths = ["link", "dangling", "target", "missing"].map(|name| root.join(name));
        let facts = survey_paths(&paths, &root).expect("all can be looked at");
        let link = PathFact::Symlink { text: "target".into(), resolved: Some(root.join("target")), directory: true };
        assert_eq!(facts.get(&paths[0]), Some(&link));
        let dangling = PathFact::Symlink { text: "nowhere".into(), resolved: None, directory: false };
        assert_eq!(facts.get(&paths[1]), Some(&dangling));
        assert_eq!(facts.get(&paths[2]), Some(&PathFact::Directory));
        assert_eq!(facts.get(&paths[3]), None);
    }
}
