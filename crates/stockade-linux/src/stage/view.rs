//! The file view of tier `namespaces`: an empty root in memory, into which the plan's files and directories are bound.
//!
//! One file system in memory, the *store*, holds everything that the run may write besides the workspace. Its
//! directories:
//!
//! - `view` becomes the root of the sandbox, and is read-only in the end;
//! - `private/N` are bound into the view, writable;
//! - `upper/N` and `work/N` serve copy-on-write directories, and cannot be reached from inside;
//! - `empty-file` and `empty-directory` cover what is hidden.
//!
//! Sources are paths of the host and are opened while the old root is still the root. Targets are resolved below the
//! view by `openat2(2)` with `RESOLVE_IN_ROOT`, so that no symbolic link of the workspace leads out of it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use stockade_spec::plan::BindAccess;

use crate::sys::mount::{MountAttributes, set_attributes};

/// Where the store is attached until the old root is detached: a directory of every host from which nothing is bound.
///
/// It must lie below the old root and not on it. A mount on top of the old root would be what `umount2(2)` finds at the
/// end, and the old root would stay, one `..` above the new one.
const ANCHOR: &str = "/proc/sys";
const VIEW: &str = "view";
const EMPTY_FILE: &str = "empty-file";
const EMPTY_DIRECTORY: &str = "empty-directory";

/// The view while it is being built.
#[derive(Debug)]
pub(crate) struct View {
    store: OwnedFd,
    root: OwnedFd,
    /// Numbers private and upper directories.
    next: u32,
}

/// Whether a mount point that does not exist is a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    File,
    Directory,
}

impl View {
    /// Mounts the store and makes `view` in it.
    pub(crate) fn new(size: u64, inodes: u64) -> io::Result<Self> {
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in [("size", size), ("nr_inodes", inodes)] {
            rustix::mount::fsconfig_set_string(&context, key, value.to_string())?;
        }
        rustix::mount::fsconfig_set_string(&context, "mode", "0755")?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let store = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        attach(store.as_fd(), CWD, Path::new(ANCHOR))?;
        for directory in [VIEW, "private", "upper", "work"] {
            rustix::fs::mkdirat(&store, directory, Mode::from_raw_mode(0o755))?;
        }
        rustix::fs::mkdirat(&store, EMPTY_DIRECTORY, Mode::empty())?;
        create_file(store.as_fd(), Path::new(EMPTY_FILE), Mode::empty())?;
        let root = clone_tree(store.as_fd(), Path::new(VIEW), false)?;
        attach(root.as_fd(), store.as_fd(), Path::new(VIEW))?;
        Ok(Self { store, root, next: 0 })
    }

    /// The store's descriptor, by which its use can be measured from outside.
    pub(crate) fn store(&self) -> BorrowedFd<'_> {
        self.store.as_fd()
    }

    /// The descriptors that are still needed.
    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.store.as_fd(), self.root.as_fd()]
    }

    /// Makes a directory and its parents.
    pub(crate) fn directory(&self, target: &Path, mode: u32) -> io::Result<()> {
        self.create_parents(target)?;
        match rustix::fs::mkdirat(&self.root, below_root(target), Mode::from_raw_mode(mode)) {
            // mkdirat(2) applies the umask; some directories need bits that it takes away.
            Ok(()) => {
                Ok(rustix::fs::chmodat(&self.root, below_root(target), Mode::from_raw_mode(mode), AtFlags::empty())?)
            }
            Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a file with fixed content.
    pub(crate) fn file(&self, target: &Path, content: &str, mode: u32) -> io::Result<()> {
        self.create_parents(target)?;
        write_file(self.root.as_fd(), below_root(target), content, mode)
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink(&self, target: &Path, text: &Path) -> io::Result<()> {
        self.create_parents(target)?;
        match rustix::fs::symlinkat(text, &self.root, below_root(target)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a writable directory of the store and binds it.
    pub(crate) fn private_store(&mut self, target: &Path, mode: u32) -> io::Result<()> {
        let directory = PathBuf::from(format!("private/{}", self.number()));
        rustix::fs::mkdirat(&self.store, &directory, Mode::from_raw_mode(0o700))?;
        rustix::fs::chmodat(&self.store, &directory, Mode::from_raw_mode(mode), AtFlags::empty())?;
        let tree = clone_tree(self.store.as_fd(), &directory, false)?;
        self.attach_at(tree.as_fd(), target, Shape::Directory)
    }

    /// Binds a file or directory of the host, with what is mounted below it.
    pub(crate) fn bind(&self, source: &Path, target: &Path, access: BindAccess) -> io::Result<()> {
        let tree = clone_tree(CWD, source, true)?;
        let attributes = match access {
            BindAccess::ReadOnly => {
                MountAttributes::READ_ONLY.and(MountAttributes::NO_SUID).and(MountAttributes::NO_DEV)
            }
            BindAccess::Write => MountAttributes::NO_SUID.and(MountAttributes::NO_DEV),
            BindAccess::Device => MountAttributes::NO_SUID,
        };
        set_attributes(tree.as_fd(), attributes, true)?;
        let shape = shape_of(tree.as_fd())?;
        self.attach_at(tree.as_fd(), target, shape)
    }

    /// Shows a directory of the host under an overlay whose upper layer is in the store.
    pub(crate) fn copy_on_write(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        let number = self.number();
        let layer = |name: &str| -> io::Result<OwnedFd> {
            let path = PathBuf::from(format!("{name}/{number}"));
            rustix::fs::mkdirat(&self.store, &path, Mode::from_raw_mode(0o755))?;
            Ok(rustix::fs::openat(&self.store, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
        };
        let (upper, work) = (layer("upper")?, layer("work")?);
        let lower = rustix::fs::open(source, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        // Descriptors named through /proc need no escaping, whatever the paths hold.
        for (key, layer) in [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)] {
            let path = format!("/proc/self/fd/{}", layer.as_raw_fd());
            rustix::mount::fsconfig_set_string(&context, key, path)?;
        }
        // Overlays of a user namespace keep their marks in user extended attributes (kernel overlayfs.rst).
        rustix::mount::fsconfig_set_flag(&context, "userxattr")?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mount = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        self.attach_at(mount.as_fd(), target, Shape::Directory)
    }

    /// Covers what is at `target` with an empty file or directory that cannot be read.
    pub(crate) fn mask(&self, target: &Path, directory: bool) -> io::Result<()> {
        let cover = if directory { EMPTY_DIRECTORY } else { EMPTY_FILE };
        let tree = clone_tree(self.store.as_fd(), Path::new(cover), false)?;
        set_attributes(tree.as_fd(), MountAttributes::READ_ONLY, false)?;
        attach_to(tree.as_fd(), self.existing(target)?.as_fd())
    }

    /// Binds what is at `target` onto itself, read-only.
    pub(crate) fn read_only(&self, target: &Path) -> io::Result<()> {
        self.rebind(target, Some(MountAttributes::READ_ONLY))
    }

    /// Binds what is at `target` onto itself: a mount point can be neither renamed nor removed.
    pub(crate) fn pin(&self, target: &Path) -> io::Result<()> {
        self.rebind(target, None)
    }

    fn rebind(&self, target: &Path, attributes: Option<MountAttributes>) -> io::Result<()> {
        let place = self.existing(target)?;
        let tree = clone_tree(place.as_fd(), Path::new(""), true)?;
        if let Some(attributes) = attributes {
            set_attributes(tree.as_fd(), attributes, true)?;
        }
        attach_to(tree.as_fd(), place.as_fd())
    }

    /// Mounts a file system that needs no source.
    pub(crate) fn mount_fresh(&self, kind: &str, target: &Path, options: &[(&str, &str)]) -> io::Result<()> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            rustix::mount::fsconfig_set_string(&context, *key, *value)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        if kind != "devpts" {
            attributes |= MountAttrFlags::MOUNT_ATTR_NODEV;
        }
        let mount = rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        self.attach_at(mount.as_fd(), target, Shape::Directory)
    }

    /// Makes the view the root directory, detaches everything else, and holds the view itself read-only.
    pub(crate) fn switch_root(&self) -> io::Result<()> {
        rustix::process::fchdir(&self.root)?;
        // With both arguments the same, the old root ends up on top of the new one (pivot_root(2)).
        rustix::process::pivot_root(".", ".")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        set_attributes(self.root.as_fd(), MountAttributes::READ_ONLY, false)
    }

    const fn number(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn attach_at(&self, mount: BorrowedFd<'_>, target: &Path, shape: Shape) -> io::Result<()> {
        let place = match self.existing(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_parents(target)?;
                match shape {
                    Shape::Directory => {
                        rustix::fs::mkdirat(&self.root, below_root(target), Mode::from_raw_mode(0o755))?;
                    }
                    Shape::File => {
                        create_file(self.root.as_fd(), below_root(target), Mode::from_raw_mode(0o644))?;
                    }
                }
                self.existing(target)?
            }
            found => found?,
        };
        attach_to(mount, place.as_fd())
    }

    /// Opens what is at `target`, which must not be a symbolic link, without leaving the view.
    fn existing(&self, target: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let place = rustix::fs::openat2(&self.root, below_root(target), flags, Mode::empty(), resolve)?;
        Ok(place)
    }

    fn create_parents(&self, target: &Path) -> io::Result<()> {
        let Some(parent) = target.parent() else { return Ok(()) };
        let missing = |path: &Path| match self.existing(path) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        };
        if !missing(parent)? {
            return Ok(());
        }
        self.create_parents(parent)?;
        match rustix::fs::mkdirat(&self.root, below_root(parent), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The path relative to the root directory: `.` for the root itself.
fn below_root(target: &Path) -> &Path {
    match target.strip_prefix("/") {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        Err(_) => target,
    }
}

/// Makes a file with fixed content where there is none.
pub(super) fn write_file(directory: BorrowedFd<'_>, path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let file = create_file(directory, path, Mode::from_raw_mode(mode))?;
    let mut rest = content.as_bytes();
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

fn create_file(directory: BorrowedFd<'_>, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, path, flags, mode)?)
}

fn shape_of(mount: BorrowedFd<'_>) -> io::Result<Shape> {
    let mode = rustix::fs::fstat(mount)?.st_mode;
    let directory = rustix::fs::FileType::from_raw_mode(mode).is_dir();
    Ok(if directory { Shape::Directory } else { Shape::File })
}

fn clone_tree(directory: BorrowedFd<'_>, path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    Ok(rustix::mount::open_tree(directory, path, flags)?)
}

fn attach(mount: BorrowedFd<'_>, directory: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(mount, "", directory, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn attach_to(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", place, "", flags)?)
}
