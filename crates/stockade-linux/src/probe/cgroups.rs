//! Where the caller may make control groups.
//!
//! Runs at every start, so it takes some tens of system calls at most: known mount points are looked at first, and the
//! list of all mounts is read only where they are not what they usually are.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, CWD, access, getxattr, statfs};
use rustix::process::Pid;
use stockade_spec::facts::{CgroupFacts, CgroupV2};

use crate::limits::kernel_file;

/// Controllers that limits use.
const CONTROLLERS: &[&str] = &["memory", "pids", "cpu"];

/// `CGROUP2_SUPER_MAGIC` and `CGROUP_SUPER_MAGIC` (`include/uapi/linux/magic.h`).
const MAGIC_V2: i64 = 0x6367_7270;
const MAGIC_V1: i64 = 0x0027_e0eb;

/// Usual mount points of version 2: alone, and beside version 1.
const USUAL_V2: &[&str] = &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Parents that are looked at, from the caller's own group upwards.
const MAX_DEPTH: usize = 24;

/// The largest list of groups or mounts that is read, in bytes.
const MAX_LIST: u64 = 4 << 20;

/// Finds out where the caller may make control groups. What cannot be read counts as not there.
#[must_use]
pub fn cgroups() -> CgroupFacts {
    let own = OwnGroups::parse(&text("/proc/self/cgroup"));
    let mut mounts = Mounts::default();
    let managed = Path::new("/run/systemd/system").is_dir();
    CgroupFacts {
        v2: own.v2.as_deref().and_then(|path| {
            let place = mounts.v2(path)?;
            find_v2(&place.mount, &place.directory, managed)
        }),
        v1: v1(&own, &mut mounts),
        systemd_user: systemd_user(),
    }
}

/// The version 2 group that a process is in.
pub(crate) fn group_of(pid: Pid) -> Option<PathBuf> {
    let own = OwnGroups::parse(&text(&format!("/proc/{}/cgroup", pid.as_raw_nonzero())));
    Mounts::default().v2(&own.v2?).map(|place| place.directory)
}

/// The caller's groups, from `/proc/self/cgroup` (`cgroups(7)`).
#[derive(Debug, Default, PartialEq, Eq)]
struct OwnGroups {
    v2: Option<String>,
    v1: BTreeMap<String, String>,
}

impl OwnGroups {
    /// Lines are `number:controllers:path`; version 2 has number 0 and no controllers.
    fn parse(text: &str) -> Self {
        let mut own = Self::default();
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            // A path that leaves the caller's group namespace names nothing that can be reached.
            if Path::new(path).components().any(|component| component == Component::ParentDir) {
                continue;
            }
            if number == "0" && controllers.is_empty() {
                own.v2 = Some(path.to_owned());
            }
            for controller in controllers.split(',').filter(|name| CONTROLLERS.contains(name)) {
                own.v1.insert(controller.to_owned(), path.to_owned());
            }
        }
        own
    }
}

/// Where a tree is mounted, and the caller's directory in it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    mount: PathBuf,
    directory: PathBuf,
}

/// The mounted trees; `/proc/self/mountinfo` is read when first needed.
#[derive(Debug, Default)]
struct Mounts {
    table: Option<String>,
}

impl Mounts {
    fn v2(&mut self, own: &str) -> Option<Place> {
        USUAL_V2
            .iter()
            .find_map(|mount| usual(Path::new(mount), MAGIC_V2, own))
            .or_else(|| in_table(self.table(), "cgroup2", None, own))
    }

    fn v1(&mut self, controller: &str, own: &str) -> Option<Place> {
        usual(&Path::new("/sys/fs/cgroup").join(controller), MAGIC_V1, own)
            .or_else(|| in_table(self.table(), "cgroup", Some(controller), own))
    }

    fn table(&mut self) -> &str {
        self.table.get_or_insert_with(|| text("/proc/self/mountinfo"))
    }
}

/// The place at a usual mount point, if a tree of that kind is mounted there and holds the caller's group.
fn usual(mount: &Path, magic: i64, own: &str) -> Option<Place> {
    // The type of this field differs between architectures.
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "not useless where the field is 32 bits wide"
    )]
    let kind = statfs(mount).ok()?.f_type as i64;
    let directory = below(mount, own);
    (kind == magic && access(&directory, Access::EXISTS).is_ok()).then(|| Place { mount: mount.to_owned(), directory })
}

/// The place according to the list of mounts (`proc_pid_mountinfo(5)`): fields 4 and 5 are the part of the tree that is
/// mounted and where; after ` - ` come the file system's type, its source, and its options, which name the controllers.
fn in_table(table: &str, kind: &str, controller: Option<&str>, own: &str) -> Option<Place> {
    table.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let (found, options) = (file_system.next()?, file_system.nth(1).unwrap_or(""));
        if found != kind || controller.is_some_and(|name| !options.split(',').any(|option| option == name)) {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), PathBuf::from(unescape(fields.next()?)));
        let directory = below(&point, Path::new(own).strip_prefix(&root).ok()?);
        Some(Place { mount: point, directory })
    })
}

/// `path`, which may start with a slash, below `mount`.
fn below(mount: &Path, path: impl AsRef<Path>) -> PathBuf {
    let relative = path.as_ref();
    let relative = relative.strip_prefix("/").unwrap_or(relative);
    if relative.as_os_str().is_empty() { mount.to_owned() } else { mount.join(relative) }
}

/// Blanks and backslashes in mount paths are written as three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

/// The nearest group at or above the caller's in which a child with the memory or the process controller can be made.
/// Nearest, so that limits that hold for the caller still hold inside.
fn find_v2(mount: &Path, own: &Path, managed: bool) -> Option<CgroupV2> {
    let parents = own.ancestors().take(MAX_DEPTH).take_while(|directory| directory.starts_with(mount));
    parents
        .map(|directory| children_of(directory, managed))
        .find_map(|place| place.filter(|place| place.controllers.iter().any(|name| name == "memory" || name == "pids")))
}

/// What children of `directory` would get; `None` when the caller can make none.
///
/// Moving a process needs write access to the `cgroup.procs` of the nearest common parent, which is `directory` itself.
/// A controller that is not on yet can be turned on if no process is in `directory` (the root may have some). On a
/// machine that systemd runs, it belongs to systemd, and is changed only where it was delegated.
fn children_of(directory: &Path, managed: bool) -> Option<CgroupV2> {
    access(directory, Access::WRITE_OK | Access::EXEC_OK).ok()?;
    access(directory.join("cgroup.procs"), Access::WRITE_OK).ok()?;
    let switch = directory.join("cgroup.subtree_control");
    let mut controllers = controllers_in(&switch);
    if access(&switch, Access::WRITE_OK).is_ok()
        && (!managed || delegated(directory))
        && may_have_controllers(directory)
    {
        for controller in controllers_in(&directory.join("cgroup.controllers")) {
            if !controllers.contains(&controller) {
                controllers.push(controller);
            }
        }
    }
    Some(CgroupV2 { path: directory.to_owned(), controllers })
}

/// Whether systemd left this group to someone: it marks such groups with an extended attribute, except that a user's
/// own manager is one that manages.
fn delegated(directory: &Path) -> bool {
    let marked = |name| getxattr(directory, name, &mut [0_u8; 1]).is_ok();
    let manager = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with("user@"));
    !manager && (marked("user.delegate") || marked("trusted.delegate"))
}

/// Whether the group is the root, which alone has no `cgroup.type`, or holds no process.
fn may_have_controllers(directory: &Path) -> bool {
    let root = access(directory.join("cgroup.type"), Access::EXISTS).is_err();
    root || kernel_file::read(CWD, directory.join("cgroup.procs"), &mut [0; 1]).is_ok_and(<[u8]>::is_empty)
}

/// The controllers that limits use among those that a file lists.
fn controllers_in(file: &Path) -> Vec<String> {
    let mut buffer = [0; kernel_file::SMALL];
    let content = kernel_file::read(CWD, file, &mut buffer).unwrap_or_default();
    kernel_file::words(content).filter(|name| CONTROLLERS.contains(name)).map(str::to_owned).collect()
}

/// Version 1 lets groups hold processes and have children, so the caller's own group serves.
fn v1(own: &OwnGroups, mounts: &mut Mounts) -> BTreeMap<String, PathBuf> {
    let mut places = BTreeMap::new();
    for (controller, path) in &own.v1 {
        let writable = |place: &Place| access(&place.directory, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        if let Some(place) = mounts.v1(controller, path).filter(writable) {
            places.insert(controller.clone(), place.directory);
        }
    }
    places
}

/// The socket on which the user's systemd listens for its owner alone.
fn systemd_user() -> Option<PathBuf> {
    let path = PathBuf::from(format!("/run/user/{}/systemd/private", rustix::process::geteuid().as_raw()));
    access(&path, Access::WRITE_OK).is_ok().then_some(path)
}

fn text(path: &str) -> String {
    let mut content = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(MAX_LIST).read_to_end(&mut content)) {
        Ok(_) => String::from_utf8_lossy(&content).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
