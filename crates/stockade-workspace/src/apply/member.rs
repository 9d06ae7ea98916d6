//! Makes a staged file, directory, link or pipe from what the sandbox has.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Result;

use super::host::Place;
use super::report::Why;
use super::stage::{Stage, Trouble};
use super::units::PRIVILEGE_BITS;
use super::{attributes, copy};
use crate::directory;
use crate::layers::{Change, Entry, Kind};

/// Which file of a layer a staged one is a copy of: the layer, the number of the file, and whether it keeps its bits.
pub(super) type Origin = (usize, u64, bool);

impl Stage<'_, '_> {
    /// Makes what a change leaves at a path of the staging directory.
    pub(super) fn member(&mut self, change: &Change, target: &[u8]) -> std::result::Result<(), Trouble> {
        let Some(new) = change.new else { return Ok(()) };
        let path = change.path.as_os_str().as_bytes();
        let failed = |operation| move |source| Trouble::of(operation, path, source);
        let place = self.staging.root.place(target).map_err(failed("stage"))?;
        match new.kind {
            Kind::Directory => {
                self.reader.directory(change).map_err(failed("read"))?;
                rustix::fs::mkdirat(&place.dir, &place.name, Mode::RWXU).map_err(failed("make the directory"))
            }
            Kind::File => {
                let key = self.link_key(change, &new);
                if self.link(key, &place) {
                    return Ok(());
                }
                let made = self.file(change, &new, &place).map_err(failed("copy"));
                if made.is_err() {
                    self.staging.root.remove(target).map_err(failed("remove"))?;
                } else if let Some(key) = key {
                    self.links.insert(key, target.to_vec());
                }
                made
            }
            Kind::Symlink => self.symlink(change, &new, &place).map_err(failed("make the link")),
            Kind::Fifo => self.fifo(change, &new, &place).map_err(failed("make the pipe")),
            Kind::Socket => Err(Trouble::Failed(Why::Socket)),
            Kind::Device => Err(Trouble::Failed(Why::Device)),
        }
    }

    /// Which file it is, if it has other names.
    fn link_key(&self, change: &Change, new: &Entry) -> Option<Origin> {
        let layer = change.layer.filter(|_| new.links > 1)?;
        Some((layer, new.inode, self.keeps_bits(change)))
    }

    /// Whether the file may have set-user-id and set-group-id bits, where it has any.
    fn keeps_bits(&self, change: &Change) -> bool {
        self.script.told.cleared.binary_search(&change.path).is_err()
    }

    fn mode(&self, change: &Change, new: &Entry) -> u32 {
        if self.keeps_bits(change) { new.mode } else { new.mode & !PRIVILEGE_BITS }
    }

    /// Gives a staged file one more name. Whether it did; one more may be too many.
    fn link(&mut self, key: Option<Origin>, place: &Place) -> bool {
        let Some(first) = key.and_then(|key| self.links.get(&key)).cloned() else { return false };
        self.staging.root.place(&first).is_ok_and(|first| {
            rustix::fs::linkat(&first.dir, &first.name, &place.dir, &place.name, AtFlags::empty()).is_ok()
        })
    }

    fn file(&mut self, change: &Change, new: &Entry, place: &Place) -> Result<()> {
        let from = self.reader.file(change)?;
        let to = create(place)?;
        copy::content(from.as_fd(), to.as_fd(), new.size, &mut self.meter)?;
        let taken = attributes::copy(from.as_fd(), to.as_fd(), self.mode(change, new), new.modified)?;
        self.note(taken, &change.path);
        Ok(())
    }

    fn symlink(&mut self, change: &Change, new: &Entry, place: &Place) -> Result<()> {
        let text = self.reader.link(change)?;
        rustix::fs::symlinkat(&text, &place.dir, &place.name)?;
        attributes::copy_plain(&self.reader.status(change)?, place.dir.as_fd(), &place.name, new.modified)
    }

    fn fifo(&mut self, change: &Change, new: &Entry, place: &Place) -> Result<()> {
        make_fifo(place, self.mode(change, new))?;
        attributes::copy_plain(&self.reader.status(change)?, place.dir.as_fd(), &place.name, new.modified)
    }
}

/// Creates an empty file.
pub(super) fn create(place: &Place) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&place.dir, &place.name, flags, Mode::RUSR | Mode::WUSR)
}

/// Makes a named pipe.
pub(super) fn make_fifo(place: &Place, mode: u32) -> Result<()> {
    rustix::fs::mknodat(&place.dir, &place.name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let made = directory::open_path(place.dir.as_fd(), &place.name)?;
    directory::set_mode(made.as_fd(), Mode::from_raw_mode(mode))
}
