#![allow(unsafe_code, reason = "landlock(7) has no safe wrapper among the dependencies")]
//! Installing a Landlock domain (`landlock(7)`, `include/uapi/linux/landlock.h`).
//!
//! Everything that the plan's ABI can refuse is refused, apart from what a rule allows. Nothing is best effort: a kernel
//! that lacks the ABI is an error. Logging of refusals stays at the kernel's default (ABI 7).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use stockade_spec::plan::{LandlockAccess, LandlockRule, LandlockRuleset};

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// The rights that a rule about anything but a directory may have (`ACCESS_FILE` of `security/landlock/fs.c`).
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const BIND_TCP: u64 = 1 << 0;
const CONNECT_TCP: u64 = 1 << 1;
const NETWORK_ABI: u32 = 4;

const SCOPE_ABSTRACT_SOCKETS: u64 = 1 << 0;
const SCOPE_SIGNALS: u64 = 1 << 1;
const SCOPE_ABI: u32 = 6;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// Why a domain could not be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LandlockError {
    /// The ruleset asks for a protection that its own ABI does not have.
    #[error("Landlock ABI {abi} cannot {protection}; that takes ABI {needs}")]
    Unsupported {
        /// What is asked for.
        protection: &'static str,
        /// The ruleset's ABI.
        abi: u32,
        /// The first ABI that can.
        needs: u32,
    },
    /// The kernel refused to make a ruleset.
    #[error("cannot make a Landlock ruleset of ABI {abi}; the kernel may lack Landlock or may not have enabled it")]
    Ruleset {
        /// The ruleset's ABI.
        abi: u32,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A path of a rule cannot be opened.
    #[error("cannot open {path} for a Landlock rule")]
    Open {
        /// The path.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused a rule.
    #[error("cannot add a Landlock rule for {path}")]
    Rule {
        /// The path.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The kernel refused to enforce the ruleset.
    #[error("cannot enforce the Landlock ruleset; the thread needs no_new_privs, and at most 16 domains nest")]
    Restrict {
        /// The kernel's reason.
        source: io::Error,
    },
}

/// `struct landlock_ruleset_attr`; older ABIs know only its beginning.
#[repr(C)]
struct RulesetAttributes {
    handled_files: u64,
    handled_network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

const _: () = assert!(size_of::<PathBeneath>() == 12);

/// The kernel's Landlock ABI; 0 where Landlock is missing or not enabled.
pub(crate) fn abi() -> u32 {
    // SAFETY: with this flag the kernel takes no structure and returns a number.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttributes>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(result).unwrap_or(0)
}

/// Confines the calling thread, and everything that it starts, for good. It must have `no_new_privs` set.
///
/// # Errors
/// [`LandlockError`]; the thread is then as it was.
pub(crate) fn restrict(ruleset: &LandlockRuleset) -> Result<(), LandlockError> {
    let handled = handled_files(ruleset.abi);
    let domain = create(ruleset, handled)?;
    for rule in &ruleset.rules {
        add(&domain, rule, rights(rule.access) & handled)?;
    }
    // SAFETY: the call takes a descriptor and flags, no memory.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, domain.as_raw_fd(), 0) };
    check(result).map(drop).map_err(|source| LandlockError::Restrict { source })
}

fn create(ruleset: &LandlockRuleset, handled: u64) -> Result<OwnedFd, LandlockError> {
    let abi = ruleset.abi;
    let needs = |wanted: bool, needs: u32, protection: &'static str| {
        if wanted && abi < needs { Err(LandlockError::Unsupported { protection, abi, needs }) } else { Ok(wanted) }
    };
    let tcp = needs(ruleset.refuse_tcp, NETWORK_ABI, "refuse TCP")?;
    let sockets = needs(ruleset.scope_abstract_sockets, SCOPE_ABI, "confine abstract sockets")?;
    let signals = needs(ruleset.scope_signals, SCOPE_ABI, "confine signals")?;
    let attributes = RulesetAttributes {
        handled_files: handled,
        handled_network: if tcp { BIND_TCP | CONNECT_TCP } else { 0 },
        scoped: if sockets { SCOPE_ABSTRACT_SOCKETS } else { 0 } | if signals { SCOPE_SIGNALS } else { 0 },
    };
    let size: usize = match abi {
        ..NETWORK_ABI => 8,
        NETWORK_ABI..SCOPE_ABI => 16,
        _ => 24,
    };
    // SAFETY: the kernel reads the first `size` bytes of `attributes`, which has 24.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0) };
    let number = check(result).map_err(|source| LandlockError::Ruleset { abi, source })?;
    // SAFETY: the call returns a descriptor that it has just opened, and nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn add(domain: &OwnedFd, rule: &LandlockRule, allowed: u64) -> Result<(), LandlockError> {
    let path = || rule.path.clone();
    let file = rustix::fs::open(&rule.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| LandlockError::Open { path: path(), source: error.into() })?;
    // Most rules are about directories, so what the path is gets asked only when the kernel objects to rights that
    // files cannot have.
    match add_rights(domain, &file, allowed) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => add_rights(domain, &file, allowed & ON_FILES),
        other => other,
    }
    .map_err(|source| LandlockError::Rule { path: path(), source })
}

fn add_rights(domain: &OwnedFd, file: &OwnedFd, allowed: u64) -> io::Result<()> {
    let rule = PathBeneath { allowed, parent: file.as_raw_fd() };
    // SAFETY: the kernel only reads one `landlock_path_beneath_attr`.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, domain.as_raw_fd(), RULE_PATH_BENEATH, &raw const rule, 0)
    };
    check(result).map(drop)
}

/// Every right about files that an ABI knows: 13 in ABI 1; then `REFER`, `TRUNCATE` and, with 5, `IOCTL_DEV`.
const fn handled_files(abi: u32) -> u64 {
    let count = match abi {
        0 | 1 => 13,
        2 => 14,
        3 | 4 => 15,
        // What comes after ABI 7 is unknown here and stays unhandled.
        _ => 16,
    };
    (1 << count) - 1
}

/// The rights of a group; those that the ABI lacks are masked by the caller.
const fn rights(access: LandlockAccess) -> u64 {
    match access {
        LandlockAccess::Read => READ_FILE | READ_DIR | EXECUTE,
        LandlockAccess::Write => !(MAKE_CHAR | MAKE_BLOCK),
        LandlockAccess::Device => READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV | READ_DIR,
    }
}

/// A descriptor or 0: both fit.
fn check(result: libc::c_long) -> io::Result<RawFd> {
    RawFd::try_from(result).ok().filter(|number| *number >= 0).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    //! Domains in force. A domain binds one thread, so each test installs its own in a thread that ends with the test.

    use std::fs;
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::path::Path;
    use std::thread;

    use super::*;

    fn rule(path: &Path, access: LandlockAccess) -> LandlockRule {
        LandlockRule { path: path.to_owned(), access }
    }

    /// Runs `work` in a domain.
    fn confined<T: Send + 'static>(ruleset: LandlockRuleset, work: impl FnOnce() -> T + Send + 'static) -> T {
        let worker = thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            restrict(&ruleset).unwrap();
            work()
        });
        worker.join().unwrap()
    }

    fn denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn this_kernel_has_landlock() {
        assert!(abi() >= 1, "the tests of Landlock need a kernel that has it enabled");
    }

    #[test]
    fn a_domain_allows_what_its_rules_say_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["read", "write", "hidden"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), "text").unwrap();
        }
        fs::write(at("single"), "text").unwrap();
        let ruleset = LandlockRuleset {
            abi: abi(),
            rules: vec![
                rule(&at("read"), LandlockAccess::Read),
                rule(&at("write"), LandlockAccess::Write),
                rule(&at("single"), LandlockAccess::Read),
                rule(Path::new("/dev/null"), LandlockAccess::Device),
            ],
            ..LandlockRuleset::default()
        };
        let (read, write, hidden, single) = (at("read"), at("write"), at("hidden"), at("single"));
        confined(ruleset, move || {
            assert_eq!(fs::read(read.join("file")).unwrap(), b"text");
            assert_eq!(fs::read_dir(&read).unwrap().count(), 1);
            assert!(denied(fs::write(read.join("file"), "changed")));
            assert!(denied(fs::remove_file(read.join("file"))));
            assert!(denied(fs::write(read.join("new"), "")));
            fs::write(write.join("file"), "changed").unwrap();
            fs::create_dir(write.join("directory")).unwrap();
            fs::rename(write.join("file"), write.join("directory/file")).unwrap();
            fs::remove_dir_all(write.join("directory")).unwrap();
            let device = rustix::fs::mknodat(
                rustix::fs::CWD,
                write.join("device"),
                rustix::fs::FileType::CharacterDevice,
                Mode::RWXU,
                rustix::fs::makedev(1, 3),
            );
            // As another user than root the kernel says EPERM before Landlock is asked.
            assert!(matches!(device, Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM)));
            assert!(denied(fs::read(hidden.join("file"))));
            assert!(denied(fs::read_dir(&hidden)));
            assert_eq!(fs::read(&single).unwrap(), b"text");
            assert!(denied(fs::write(&single, "changed")));
            fs::write("/dev/null", "nothing").unwrap();
        });
    }

    #[test]
    fn tcp_and_abstract_sockets_stay_inside() {
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = outside.local_addr().unwrap();
        let name = format!("stockade-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let server = UnixListener::bind_addr(&abstract_address).unwrap();
        UnixStream::connect_addr(&abstract_address).unwrap();
        TcpStream::connect(address).unwrap();
        let ruleset = LandlockRuleset {
            abi: abi(),
            refuse_tcp: true,
            scope_abstract_sockets: true,
            scope_signals: true,
            ..LandlockRuleset::default()
        };
        confined(ruleset, move || {
            assert!(denied(TcpStream::connect(address)));
            assert!(denied(TcpListener::bind("127.0.0.1:0")));
            assert!(denied(UnixStream::connect_addr(&abstract_address)));
            let parent = rustix::process::getppid().unwrap();
            assert_eq!(rustix::process::test_kill_process(parent), Err(rustix::io::Errno::PERM));
        });
        drop(server);
    }

    #[test]
    fn what_an_abi_lacks_is_refused_rather_than_left_out() {
        let tcp = LandlockRuleset { abi: 3, refuse_tcp: true, ..LandlockRuleset::default() };
        assert!(matches!(restrict(&tcp), Err(LandlockError::Unsupported { abi: 3, needs: 4, .. })));
        let signals = LandlockRuleset { abi: 5, scope_signals: true, ..LandlockRuleset::default() };
        assert!(matches!(restrict(&signals), Err(LandlockError::Unsupported { abi: 5, needs: 6, .. })));
    }

    #[test]
    fn errors_name_the_path() {
        let path = Path::new("/nonexistent/path");
        let rules = vec![rule(path, LandlockAccess::Read)];
        let error = restrict(&LandlockRuleset { abi: 1, rules, ..LandlockRuleset::default() }).unwrap_err();
        assert!(matches!(&error, LandlockError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound));
        assert!(error.to_string().contains("/nonexistent/path"), "{error}");
    }

    #[test]
    fn each_abi_handles_the_rights_that_it_brought() {
        let highest = [0x1fff, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff, 0xffff, 0xffff];
        assert_eq!(std::array::from_fn::<u64, 9, _>(|abi| handled_files(u32::try_from(abi).unwrap())), highest);
        // Every ABI up to the kernel's is accepted by it.
        for abi in 1..=abi() {
            let ruleset = LandlockRuleset { abi, ..LandlockRuleset::default() };
            assert!(create(&ruleset, handled_files(abi)).is_ok(), "{abi}");
        }
    }
}
