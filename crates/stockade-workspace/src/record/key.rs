//! The key with which this machine and user sign the heads of their records.
//!
//! One line of text in `STATE/key`: `stockade-key-1` and the 32 secret bytes in hexadecimal digits. It is made on first use: written
//! to a file with a name of its own, forced to disk, and given its name by link(2), so that it is never there in part and never
//! takes the place of another one.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::str::FromStr;

use ed25519_compact::{KeyPair, Seed, Signature};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use super::error::KeyError;
use super::hex;
use crate::directory;
use crate::state::StateDirectory;

/// The file in the state directory.
const NAME: &str = "key";

const BEGINNING: &str = "stockade-key-1 ";

/// The secret key.
pub struct Key {
    pair: KeyPair,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.public()).finish()
    }
}

/// The key by which signatures are checked. Its text is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hexadecimal digits in lower case")]
pub struct NotAKey;

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        hex::decode(text.as_bytes()).map(Self).ok_or(NotAKey)
    }
}

impl PublicKey {
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        ed25519_compact::PublicKey::new(self.0).verify(message, &Signature::new(*signature)).is_ok()
    }
}

impl Key {
    /// The key of the state directory, which is made with it where there is none.
    ///
    /// # Errors
    /// When something lies in its place that is not a key of the caller's own which only they can get at, or the system
    /// refuses a step. Nothing that is there is ever changed.
    pub fn load_or_create(state: &StateDirectory) -> Result<Self, KeyError> {
        let folder = Folder::open_or_make(state)?;
        match folder.load()? {
            Some(key) => Ok(key),
            None => folder.create(),
        }
    }

    /// The key of the state directory; `None` where there is none.
    ///
    /// # Errors
    /// As for [`Self::load_or_create`].
    pub fn load(state: &StateDirectory) -> Result<Option<Self>, KeyError> {
        match Folder::open(state)? {
            Some(folder) => folder.load(),
            None => Ok(None),
        }
    }

    /// The public part.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.pair.pk)
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        *self.pair.sk.sign(message, None)
    }

    /// `None` for the one seed that makes no key, which is all zeros.
    fn from_seed(seed: [u8; 32]) -> Option<Self> {
        KeyPair::try_from_seed(Seed::new(seed)).ok().map(|pair| Self { pair })
    }
}

/// The state directory, opened.
struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Folder {
    fn open(state: &StateDirectory) -> Result<Option<Self>, KeyError> {
        let path = state.path().to_owned();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(KeyError::Io { operation: "open", path, source: error.into() }),
        };
        check(&descriptor, &path, FileType::Directory, 0o022)?;
        Ok(Some(Self { descriptor, path }))
    }

    fn open_or_make(state: &StateDirectory) -> Result<Self, KeyError> {
        use std::os::unix::fs::DirBuilderExt;
        if let Some(folder) = Self::open(state)? {
            return Ok(folder);
        }
        let failed = |source| KeyError::Io { operation: "make the directory", path: state.path().to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state.path()).map_err(failed)?;
        Self::open(state)?.ok_or_else(|| failed(Errno::NOENT.into()))
    }

    fn failed(&self, operation: &'static str, error: impl Into<std::io::Error>) -> KeyError {
        KeyError::Io { operation, path: self.path.join(NAME), source: error.into() }
    }

    fn load(&self) -> Result<Option<Key>, KeyError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let path = self.path.join(NAME);
        let file = match rustix::fs::openat(&self.descriptor, NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(KeyError::Kind { path }),
            Err(error) => return Err(self.failed("open", error)),
        };
        check(&file, &path, FileType::RegularFile, 0o077)?;
        let mut text = String::new();
        let read = File::from(file).take(256).read_to_string(&mut text);
        read.map_err(|error| self.failed("read", error))?;
        let seed = text.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix('\n'));
        let key = seed.and_then(|seed| hex::decode(seed.as_bytes())).and_then(Key::from_seed);
        key.map(Some).ok_or(KeyError::Content { path })
    }

    fn create(&self) -> Result<Key, KeyError> {
        let seed: [u8; 32] = random().map_err(|error| self.failed("get random bytes for", error))?;
        let name: [u8; 8] = random().map_err(|error| self.failed("get random bytes for", error))?;
        let temporary = format!("{NAME}.{}", hex::encode(&name));
        let result = self.write(&temporary, &seed).and_then(|()| {
            // Where somebody else was faster, it is their key that holds.
            match rustix::fs::linkat(&self.descriptor, &*temporary, &self.descriptor, NAME, AtFlags::empty()) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(error) => Err(self.failed("create", error)),
            }
        });
        rustix::fs::unlinkat(&self.descriptor, &*temporary, AtFlags::empty()).ok();
        result?;
        rustix::fs::fsync(&self.descriptor).map_err(|error| self.failed("sync", error))?;
        self.load()?.ok_or_else(|| self.failed("open", Errno::NOENT))
    }

    fn write(&self, temporary: &str, seed: &[u8; 32]) -> Result<(), KeyError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.descriptor, temporary, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| self.failed("create", error))?);
        let text = format!("{BEGINNING}{}\n", hex::encode(seed));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| self.failed("write", error))
    }
}

/// Whether what is open is of that kind, the caller's own, and free of those permission bits.
fn check(file: &OwnedFd, path: &std::path::Path, kind: FileType, forbidden: u32) -> Result<(), KeyError> {
    let path = path.to_owned();
    let status = directory::own_status(file.as_fd());
    let status =
        status.map_err(|error| KeyError::Io { operation: "look at", path: path.clone(), source: error.into() })?;
    let mode = u32::from(status.stx_mode);
    if FileType::from_raw_mode(mode) != kind {
        return Err(KeyError::Kind { path });
    }
    if status.stx_uid != rustix::process::geteuid().as_raw() {
        return Err(KeyError::Owner { path, owner: status.stx_uid });
    }
    if mode & forbidden != 0 { Err(KeyError::Mode { path, mode: mode & 0o7777 }) } else { Ok(()) }
}

/// Random bytes of the kernel (`getrandom(2)`).
fn random<const N: usize>() -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match rustix::rand::getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
