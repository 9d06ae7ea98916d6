//! Mounting overlays in a user namespace (kernel `Documentation/filesystems/overlayfs.rst`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// The longest value of an option, with its NUL (`strndup_user` in the kernel's `fs/fsopen.c`).
const LONGEST_OPTION: usize = 256;

/// Opens a directory that becomes a layer.
pub(super) fn open_layer(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Makes an overlay of the lower layers, the topmost first, with an upper and a work directory if it is to be written. It is
/// attached nowhere.
///
/// # Errors
/// Those of `fsconfig(2)`; `EINVAL` also where the file system of the upper directory cannot hold one.
pub(super) fn mount(lower: &[OwnedFd], writes: Option<&[OwnedFd; 2]>) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Descriptors named through /proc need no escaping, whatever the paths hold.
    let name = |layer: &OwnedFd| format!("/proc/self/fd/{}", layer.as_raw_fd());
    let set = |key: &str, value: String| rustix::mount::fsconfig_set_string(&context, key, value);
    let joined = lower.iter().map(name).collect::<Vec<_>>().join(":");
    if joined.len() < LONGEST_OPTION {
        set("lowerdir", joined)?;
    } else {
        // One by one since Linux 6.8; an older kernel cannot be told of so many.
        let told = lower.iter().try_for_each(|layer| set("lowerdir+", name(layer)));
        told.map_err(|error| if error == Errno::INVAL { Errno::TOOBIG } else { error })?;
    }
    if let Some([upper, work]) = writes {
        set("upperdir", name(upper))?;
        set("workdir", name(work))?;
    }
    // Overlays of a user namespace keep their marks in user extended attributes.
    rustix::mount::fsconfig_set_flag(&context, "userxattr")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}
