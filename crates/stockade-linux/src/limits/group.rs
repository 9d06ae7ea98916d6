//! A control group for one run: made, bounded, read and removed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use stockade_spec::facts::CgroupFacts;

use super::error::LimitError;
use super::hits::Hits;
use super::janitor::Janitor;
use super::settings::{Bound, Setting, Version};
use super::site;
use super::{kernel_file, members};

/// Numbers the groups of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The control group of one run: one directory in version 2, one for each controller in version 1.
///
/// Dropping it kills what is left in it and removes it. If the process is killed before, its janitor does.
#[derive(Debug)]
pub struct Cgroup {
    version: Version,
    branches: Vec<Branch>,
    janitor: Option<Janitor>,
}

/// The group's directory in one tree.
#[derive(Debug)]
pub(crate) struct Branch {
    path: PathBuf,
    directory: OwnedFd,
}

impl Cgroup {
    /// Makes a group with the given bounds, and the janitor that removes it should this process be killed. Bounds on
    /// resources that no controller has are an error.
    ///
    /// # Errors
    /// [`LimitError::NoPlace`] where the facts name no directory for a controller; [`LimitError::Unsupported`];
    /// [`LimitError::Threaded`]; [`LimitError::Group`] when the kernel refuses a step. Nothing is left behind then.
    pub fn create(facts: &CgroupFacts, version: Version, bounds: &[Bound]) -> Result<Self, LimitError> {
        let sites = site::sites(facts, version, bounds, &unique_name())?;
        let paths: Vec<CString> = sites.iter().map(|site| c_path(&site.path)).collect::<Result<_, _>>()?;
        let janitor = if paths.is_empty() { None } else { Some(Janitor::start(&paths)?) };
        let mut group = Self { version, branches: Vec::new(), janitor };
        for site in sites {
            if version == Version::V2 {
                site::enable(&site)?;
            }
            let branch = Branch::create(site.path)?;
            group.branches.push(branch);
            if let Some(branch) = group.branches.last() {
                branch.apply(&site.settings)?;
            }
        }
        Ok(group)
    }

    /// The version of the interface.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The directory for `CLONE_INTO_CGROUP` of `clone3(2)`; only version 2 has it.
    #[must_use]
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        let branch = self.branches.first().filter(|_| self.version == Version::V2);
        branch.map(|branch| branch.directory.as_fd())
    }

    /// The group's directories.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.branches.iter().map(|branch| branch.path.as_path())
    }

    /// One descriptor for each directory. A process that writes `0` to all of them, by [`join`], becomes a member; the
    /// kernel checks the permission of the process that opened them (since 5.16), so they work from inside new
    /// namespaces.
    ///
    /// # Errors
    /// [`LimitError::Group`].
    pub fn procs_descriptors(&self) -> Result<Vec<OwnedFd>, LimitError> {
        let open = |branch: &Branch| {
            kernel_file::open(&branch.directory, c"cgroup.procs", OFlags::WRONLY)
                .map_err(|error| branch.failed("open", "cgroup.procs", error))
        };
        self.branches.iter().map(open).collect()
    }

    /// Moves a process into the group.
    ///
    /// # Errors
    /// [`LimitError::Group`].
    pub fn add(&self, pid: Pid) -> Result<(), LimitError> {
        let text = pid.as_raw_nonzero().to_string();
        for branch in &self.branches {
            kernel_file::write(&branch.directory, c"cgroup.procs", text.as_bytes())
                .map_err(|error| branch.failed("move a process into", "cgroup.procs", error))?;
        }
        Ok(())
    }

    /// Which bounds were hit so far.
    ///
    /// # Errors
    /// [`LimitError::Group`] when a file cannot be read.
    pub fn hits(&self) -> Result<Hits, LimitError> {
        let mut hits = Hits::default();
        for branch in &self.branches {
            hits.read(self.version, branch.directory.as_fd())
                .map_err(|(file, error)| branch.failed("read", file, error))?;
        }
        Ok(hits)
    }

    /// A descriptor that becomes readable when the group runs out of memory. Version 2 needs none: there, the kernel
    /// ends the whole group. Version 1 ends one process of it, and the supervisor ends the others.
    ///
    /// # Errors
    /// [`LimitError::Group`], [`LimitError::Call`].
    pub fn out_of_memory_descriptor(&self) -> Result<Option<OwnedFd>, LimitError> {
        if self.version == Version::V2 {
            return Ok(None);
        }
        for branch in &self.branches {
            if let Some(descriptor) = branch.out_of_memory_descriptor()? {
                return Ok(Some(descriptor));
            }
        }
        Ok(None)
    }

    /// Kills every member.
    ///
    /// # Errors
    /// [`LimitError::Group`].
    pub fn kill(&self) -> Result<(), LimitError> {
        for branch in &self.branches {
            members::kill(branch.directory.as_fd())
                .map_err(|error| branch.failed("kill the members of", "cgroup.procs", error))?;
        }
        Ok(())
    }

    /// Kills every member and removes the group; waits for at most two seconds in each tree.
    ///
    /// # Errors
    /// [`LimitError::StillInUse`], [`LimitError::Group`]. What was not removed is tried again when this process has
    /// ended.
    pub fn remove(mut self) -> Result<(), LimitError> {
        self.end()
    }

    /// Ends the branches one by one. When one stays, the janitor stays too, and tries again when this process has
    /// ended.
    fn end(&mut self) -> Result<(), LimitError> {
        while let Some(branch) = self.branches.pop() {
            if let Err(error) = branch.end() {
                if let Some(janitor) = self.janitor.take() {
                    janitor.leave();
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Nobody is left to be told; `remove` is for those who want to know.
        while self.end().is_err() {}
    }
}

/// Makes the calling process a member of the groups whose [`Cgroup::procs_descriptors`] these are.
///
/// # Errors
/// Those of the kernel's `cgroup.procs`: `EACCES`, `EBUSY`, `ENODEV`.
pub fn join(procs: &[OwnedFd]) -> io::Result<()> {
    for descriptor in procs {
        rustix::io::retry_on_intr(|| rustix::io::write(descriptor, b"0"))?;
    }
    Ok(())
}

impl Branch {
    /// Makes and opens the directory; removes it again when it cannot be opened.
    fn create(path: PathBuf) -> Result<Self, LimitError> {
        if let Err(error) = rustix::fs::mkdir(&path, Mode::from_raw_mode(0o755)) {
            return Err(LimitError::group("make the control group", path, error));
        }
        match kernel_file::open(CWD, &path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => Ok(Self { path, directory }),
            Err(error) => {
                // The first error is the one to report.
                drop(rustix::fs::rmdir(&path).map_err(io::Error::from));
                Err(LimitError::group("open", path, error))
            }
        }
    }

    fn apply(&self, settings: &[Setting]) -> Result<(), LimitError> {
        for setting in settings {
            match kernel_file::write(&self.directory, setting.file, setting.value.as_bytes()) {
                Err(Errno::NOENT) if !setting.required => {}
                result => result.map_err(|error| self.failed("set", setting.file, error))?,
            }
        }
        Ok(())
    }

    /// Registers an eventfd for the group's lack of memory, if this is the memory controller's tree
    /// (`Documentation/admin-guide/cgroup-v1/memory.rst`, section 10).
    fn out_of_memory_descriptor(&self) -> Result<Option<OwnedFd>, LimitError> {
        use std::os::fd::AsRawFd;
        const CONTROL: &str = "memory.oom_control";
        let control = match kernel_file::open(&self.directory, CONTROL, OFlags::RDONLY) {
            Ok(control) => control,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed("open", CONTROL, error)),
        };
        let event =
            rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK)
                .map_err(|error| LimitError::call("make an eventfd", error))?;
        let text = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        kernel_file::write(&self.directory, c"cgroup.event_control", text.as_bytes())
            .map_err(|error| self.failed("register with", "cgroup.event_control", error))?;
        Ok(Some(event))
    }

    fn end(&self) -> Result<(), LimitError> {
        let path = c_path(&self.path)?;
        members::end(&path).map_err(|error| match error {
            Errno::BUSY => LimitError::StillInUse { path: self.path.clone(), waited_ms: members::PATIENCE_MS },
            error => LimitError::group("remove", &self.path, error),
        })
    }

    fn failed(&self, operation: &'static str, file: &str, error: Errno) -> LimitError {
        LimitError::group(operation, self.path.join(file), error)
    }
}

/// The path as the kernel takes it.
pub(crate) fn c_path(path: &Path) -> Result<CString, LimitError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|error| LimitError::group("use the path", path, error))
}

/// A name that no one else uses: the janitor must never be told of a group that is not ours. The number of the process
/// does not suffice, since process namespaces may share a tree.
pub(super) fn unique_name() -> String {
    let mut random = [0_u8; 4];
    // Without random bytes (before the generator is ready) the process and the number have to do.
    drop(rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::NONBLOCK).map_err(io::Error::from));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("stockade-{}-{number}-{:08x}", std::process::id(), u32::from_ne_bytes(random))
}
