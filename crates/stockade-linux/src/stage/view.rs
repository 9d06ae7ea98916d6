//! The file view of tier `namespaces`: an empty root in memory, into which the plan's files and directories are bound.
//!
//! One file system in memory, the *store*, holds everything that the run may write besides the workspace. Its
//! directories:
//!
//! - `view` becomes the root of the sandbox, and is read-only in the end;
//! - what the command may write in it is bound onto itself, writable; where something else is in the way already,
//!   `private-N` is bound there;
//! - `upper-N` and `work-N` serve copy-on-write directories, and cannot be reached from inside;
//! - `empty-file` and `empty-directory` cover what is hidden.
//!
//! Sources are paths of the host and are opened while the old root is still the root. Targets are resolved below the
//! view by `openat2(2)` with `RESOLVE_IN_ROOT`, so that no symbolic link of the workspace leads out of it; except those
//! whose every directory was made here, where there are no symbolic links.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use stockade_spec::plan::BindAccess;
use stockade_spec::request::Upper;

use super::overlay;

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
    /// Directories of the view that were made here, in others of these, with nothing of the host mounted on them. Nothing
    /// but this process can change them before the view is complete.
    own: BTreeSet<PathBuf>,
    /// Numbers private and upper directories.
    next: u32,
    /// What the caller's umask was. There is none while the view is built, so that every mode is what the plan says.
    umask: Mode,
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
        let umask = rustix::process::umask(Mode::empty());
        rustix::fs::mkdirat(&store, VIEW, Mode::from_raw_mode(0o755))?;
        rustix::fs::mkdirat(&store, EMPTY_DIRECTORY, Mode::empty())?;
        create_file(store.as_fd(), Path::new(EMPTY_FILE), Mode::empty())?;
        let root = clone_tree(store.as_fd(), Path::new(VIEW), false)?;
        attach(root.as_fd(), store.as_fd(), Path::new(VIEW))?;
        Ok(Self { store, root, own: BTreeSet::from([PathBuf::from("/")]), next: 0, umask })
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
    pub(crate) fn directory(&mut self, target: &Path, mode: u32) -> io::Result<()> {
        let is_own = self.make_parents(target)?;
        if self.make(target, Shape::Directory, mode)? && is_own {
            self.own.insert(target.to_owned());
        }
        Ok(())
    }

    /// Makes a file with fixed content.
    pub(crate) fn file(&mut self, target: &Path, content: &str, mode: u32) -> io::Result<()> {
        self.make_parents(target)?;
        write_file(self.root.as_fd(), below_root(target), content, mode)
    }

    /// Covers the file at `target` with one of fixed content, read-only.
    pub(crate) fn cover_file(&mut self, target: &Path, content: &str, mode: u32) -> io::Result<()> {
        let cover = PathBuf::from(format!("cover-{}", self.number()));
        write_file(self.store.as_fd(), &cover, content, mode)?;
        let tree = clone_tree(self.store.as_fd(), &cover, false)?;
        set_attributes(tree.as_fd(), MountAttributes::READ_ONLY, false)?;
        self.disown(target);
        attach_to(tree.as_fd(), self.existing(target)?.as_fd())
    }

    /// Binds a socket of the host. What is opened is what is looked at and bound, whoever moves names meanwhile.
    pub(crate) fn socket(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let socket = rustix::fs::openat2(CWD, source, flags, Mode::empty(), resolve)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode) != FileType::Socket {
            return Err(io::Error::from_raw_os_error(libc::ENOTSOCK));
        }
        let tree = clone_tree(socket.as_fd(), Path::new(""), false)?;
        set_attributes(tree.as_fd(), MountAttributes::NO_SUID.and(MountAttributes::NO_DEV), false)?;
        self.attach_at(tree.as_fd(), target, Shape::File)
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink(&mut self, target: &Path, text: &Path) -> io::Result<()> {
        self.make_parents(target)?;
        match rustix::fs::symlinkat(text, &self.root, below_root(target)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a writable directory of the store and binds it.
    pub(crate) fn private_store(&mut self, target: &Path, mode: u32) -> io::Result<()> {
        if self.make_parents(target)? && self.make(target, Shape::Directory, mode)? {
            let tree = clone_tree(self.root.as_fd(), below_root(target), false)?;
            attach(tree.as_fd(), self.root.as_fd(), below_root(target))?;
            self.own.insert(target.to_owned());
            return Ok(());
        }
        let directory = PathBuf::from(format!("private-{}", self.number()));
        rustix::fs::mkdirat(&self.store, &directory, Mode::from_raw_mode(mode))?;
        let tree = clone_tree(self.store.as_fd(), &directory, false)?;
        self.attach_at(tree.as_fd(), target, Shape::Directory)
    }

    /// Binds a file or directory of the host, with what is mounted below it.
    pub(crate) fn bind(&mut self, source: &Path, target: &Path, access: BindAccess) -> io::Result<()> {
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
            let path = PathBuf::from(format!("{name}-{number}"));
            rustix::fs::mkdirat(&self.store, &path, Mode::from_raw_mode(0o755))?;
            Ok(rustix::fs::openat(&self.store, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
        };
        let writes = Some([layer("upper")?, layer("work")?]);
        let mount = overlay::mount(&[overlay::open_layer(source)?], writes.as_ref())?;
        self.attach_at(mount.as_fd(), target, Shape::Directory)
    }

    /// Shows a directory of the host under layers of the host.
    pub(crate) fn layered(
        &mut self,
        source: &Path,
        target: &Path,
        sealed: &[PathBuf],
        writes: Option<&Upper>,
    ) -> io::Result<()> {
        let mut lower = sealed.iter().map(|layer| overlay::open_layer(layer)).collect::<io::Result<Vec<_>>>()?;
        lower.push(overlay::open_layer(source)?);
        let open = |Upper { upper, work }: &Upper| -> io::Result<[OwnedFd; 2]> {
            Ok([overlay::open_layer(upper)?, overlay::open_layer(work)?])
        };
        let mount = overlay::mount(&lower, writes.map(open).transpose()?.as_ref())?;
        self.attach_at(mount.as_fd(), target, Shape::Directory)
    }

    /// Covers what is at `target` with an empty file or directory that cannot be read.
    pub(crate) fn mask(&mut self, target: &Path, directory: bool) -> io::Result<()> {
        let cover = if directory { EMPTY_DIRECTORY } else { EMPTY_FILE };
        let tree = clone_tree(self.store.as_fd(), Path::new(cover), false)?;
        set_attributes(tree.as_fd(), MountAttributes::READ_ONLY, false)?;
        self.disown(target);
        attach_to(tree.as_fd(), self.existing(target)?.as_fd())
    }

    /// Binds what is at `target` onto itself, read-only.
    pub(crate) fn read_only(&mut self, target: &Path) -> io::Result<()> {
        self.rebind(target, Some(MountAttributes::READ_ONLY))
    }

    /// Binds what is at `target` onto itself: a mount point can be neither renamed nor removed.
    pub(crate) fn pin(&mut self, target: &Path) -> io::Result<()> {
        self.rebind(target, None)
    }

    fn rebind(&mut self, target: &Path, attributes: Option<MountAttributes>) -> io::Result<()> {
        self.disown(target);
        let place = self.existing(target)?;
        let tree = clone_tree(place.as_fd(), Path::new(""), true)?;
        if let Some(attributes) = attributes {
            set_attributes(tree.as_fd(), attributes, true)?;
        }
        attach_to(tree.as_fd(), place.as_fd())
    }

    /// Mounts a file system that needs no source.
    pub(crate) fn mount_fresh(&mut self, kind: &str, target: &Path, options: &[(&str, &str)]) -> io::Result<()> {
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
        rustix::process::umask(self.umask);
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

    fn attach_at(&mut self, mount: BorrowedFd<'_>, target: &Path, shape: Shape) -> io::Result<()> {
        if self.make_parents(target)? && self.make(target, shape, shape.mode())? {
            // Just made, in directories of ours: the path leads nowhere else.
            return attach(mount, self.root.as_fd(), below_root(target));
        }
        self.disown(target);
        let place = match self.existing(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(target, shape, shape.mode())?;
                self.existing(target)?
            }
            found => found?,
        };
        attach_to(mount, place.as_fd())
    }

    /// Makes a file or directory; whether it was not there.
    fn make(&self, target: &Path, shape: Shape, mode: u32) -> io::Result<bool> {
        let (path, mode) = (below_root(target), Mode::from_raw_mode(mode));
        let made = match shape {
            Shape::Directory => rustix::fs::mkdirat(&self.root, path, mode).map_err(io::Error::from),
            Shape::File => create_file(self.root.as_fd(), path, mode).map(drop),
        };
        match made {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Something of the host is about to cover it.
    fn disown(&mut self, target: &Path) {
        self.own.retain(|directory| !directory.starts_with(target));
    }

    /// Opens what is at `target`, which must not be a symbolic link, without leaving the view.
    fn existing(&self, target: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let place = rustix::fs::openat2(&self.root, below_root(target), flags, Mode::empty(), resolve)?;
        Ok(place)
    }

    /// Makes the directories above `target`; whether all of them are our own.
    fn make_parents(&mut self, target: &Path) -> io::Result<bool> {
        let Some(parent) = target.parent() else { return Ok(false) };
        if self.own.contains(parent) {
            return Ok(true);
        }
        let is_own = self.make_parents(parent)?;
        if !is_own {
            match self.existing(parent) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => return found.map(|_| false),
            }
        }
        let made = self.make(parent, Shape::Directory, Shape::Directory.mode())?;
        if is_own && made {
            self.own.insert(parent.to_owned());
        }
        Ok(is_own && made)
    }
}

impl Shape {
    /// The permissions of a mount point, which show where nothing is mounted on it.
    const fn mode(self) -> u32 {
        match self {
            Self::Directory => 0o755,
            Self::File => 0o644,
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
    let directory = FileType::from_raw_mode(mode).is_dir();
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
