//! Being told when a version 2 group runs out of memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::limits::kernel_file;

/// `memory.events` of a group, which has "priority data" when it changes, and a descriptor that is plainly readable
/// then.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    descriptor: OwnedFd,
    /// The kernel forgets what it was to watch when this is closed.
    events: OwnedFd,
}

impl MemoryWatch {
    /// `None` for a group without the memory controller.
    pub(super) fn start(directory: &OwnedFd) -> rustix::io::Result<Option<Self>> {
        let events = match kernel_file::open(directory, "memory.events", OFlags::RDONLY) {
            Err(Errno::NOENT) => return Ok(None),
            events => events?,
        };
        let descriptor = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&descriptor, &events, EventData::new_u64(0), EventFlags::PRI)?;
        let watch = Self { descriptor, events };
        watch.acknowledge()?;
        Ok(Some(watch))
    }

    /// Takes note of all changes so far: the descriptor is readable again after the next one.
    pub(super) fn acknowledge(&self) -> rustix::io::Result<()> {
        match rustix::io::pread(&self.events, &mut [0_u8; kernel_file::SMALL], 0) {
            // The group has been removed, so nothing changes any more.
            Ok(_) | Err(Errno::NODEV) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Readable when the group's counts of events have changed.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
