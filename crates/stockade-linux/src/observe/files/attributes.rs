//! Attributes of files, as the calls that change them give them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid, XattrFlags, chmod, chownat, ftruncate, open,
    removexattr, setxattr, utimensat,
};
use rustix::io::Errno;

use crate::observe::asker::Asker;
use crate::observe::walk::{in_proc, link_of};

/// A change of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Mode(u32),
    /// `u32::MAX` leaves one as it is.
    Owner {
        user: u32,
        group: u32,
    },
    Length(u64),
    Times(Times),
    SetExtended {
        name: Vec<u8>,
        value: Vec<u8>,
        flags: XattrFlags,
    },
    RemoveExtended {
        name: Vec<u8>,
    },
}

/// Times of last access and last change: seconds, and nanoseconds or one of `utimensat(2)`'s special values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times([(i64, i64); 2]);

impl Times {
    const NOW: Self = Self([(0, UTIME_NOW); 2]);

    /// `struct utimbuf`: two numbers of seconds.
    pub(super) fn seconds(asker: &Asker<'_>, argument: usize) -> Result<Self, Errno> {
        read::<2>(asker, argument)
            .map(|numbers| numbers.map_or(Self::NOW, |[access, change]| Self([(access, 0), (change, 0)])))
    }

    /// Two of `struct timeval`.
    pub(super) fn microseconds(asker: &Asker<'_>, argument: usize) -> Result<Self, Errno> {
        let Some([access, access_part, change, change_part]) = read::<4>(asker, argument)? else {
            return Ok(Self::NOW);
        };
        if !(0..1_000_000).contains(&access_part) || !(0..1_000_000).contains(&change_part) {
            return Err(Errno::INVAL);
        }
        Ok(Self([(access, access_part * 1000), (change, change_part * 1000)]))
    }

    /// Two of `struct timespec`.
    pub(super) fn nanoseconds(asker: &Asker<'_>, argument: usize) -> Result<Self, Errno> {
        let numbers = read::<4>(asker, argument)?;
        Ok(numbers.map_or(Self::NOW, |[access, access_part, change, change_part]| {
            Self([(access, access_part), (change, change_part)])
        }))
    }

    fn timestamps(self) -> Timestamps {
        let [last_access, last_modification] = self.0.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
        Timestamps { last_access, last_modification }
    }
}

/// Numbers in the asker's memory; `None` for a null pointer.
fn read<const N: usize>(asker: &Asker<'_>, argument: usize) -> Result<Option<[i64; N]>, Errno> {
    if asker.argument(argument) == 0 {
        return Ok(None);
    }
    let bytes = asker.bytes(asker.argument(argument), N * 8)?;
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *number = i64::from_ne_bytes(*bytes);
    }
    Ok(Some(numbers))
}

/// Changes an attribute of an opened place. Links themselves have owners and times, nothing else that can be changed.
pub(super) fn change(object: &OwnedFd, is_link: bool, attribute: &Attribute) -> Result<(), Errno> {
    let object = object.as_fd();
    if in_proc(object)? {
        return Err(Errno::PERM);
    }
    match attribute {
        Attribute::Owner { user, group } => change_owner(object, *user, *group),
        Attribute::Times(times) => utimensat(object, "", &times.timestamps(), AtFlags::EMPTY_PATH),
        _ if is_link => Err(Errno::OPNOTSUPP),
        Attribute::Mode(mode) => chmod(link_of(object), Mode::from_bits_truncate(mode & 0o7777)),
        Attribute::Length(length) => {
            let file = open(link_of(object), OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
            ftruncate(file, *length)
        }
        Attribute::SetExtended { name, value, flags } => setxattr(link_of(object), name.as_slice(), value, *flags),
        Attribute::RemoveExtended { name } => removexattr(link_of(object), name.as_slice()),
    }
}

fn change_owner(object: BorrowedFd<'_>, user: u32, group: u32) -> Result<(), Errno> {
    let user = (user != u32::MAX).then(|| Uid::from_raw(user));
    let group = (group != u32::MAX).then(|| Gid::from_raw(group));
    chownat(object, "", user, group, AtFlags::EMPTY_PATH)
}
