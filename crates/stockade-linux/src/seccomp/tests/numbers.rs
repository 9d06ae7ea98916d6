//! The table against the kernel's headers and libc.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The newest call of the table on both architectures; what headers have beyond it is newer than the table.
const NEWEST: u32 = 469;

/// The `#define __NR_…` lines of a header, of both prefixes that the kernel uses.
fn header(path: &str) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{path}: {error}; install Debian's linux-libc-dev"));
    let mut numbers = BTreeMap::new();
    for line in text.lines() {
        let Some((name, number)) = line.strip_prefix("#define __NR").and_then(|rest| rest.split_once([' ', '\t']))
        else {
            continue;
        };
        // `__NR3264_` names calls that 32-bit machines have under another name.
        let Some(name) = name.strip_prefix('_').or_else(|| name.strip_prefix("3264_")) else { continue };
        if let Ok(number) = number.trim().parse() {
            numbers.insert(name.to_owned(), number);
        }
    }
    assert!(numbers.len() > 300, "{path} has only {} calls", numbers.len());
    numbers
}

fn compare(architecture: Architecture, header: &BTreeMap<String, u32>) {
    let mut known = BTreeSet::new();
    for call in table::calls() {
        let Some(number) = call.number(architecture) else { continue };
        known.insert(call.name);
        match header.get(call.name) {
            Some(defined) => assert_eq!(*defined, number, "{} on {architecture:?}", call.name),
            None => assert!(is_newer_than_headers(number, header), "{} is not on {architecture:?}", call.name),
        }
    }
    let missing: Vec<_> =
        header.iter().filter(|(name, number)| **number <= NEWEST && !known.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not in the table for {architecture:?}: {missing:?}");
}

/// Calls that came after the installed headers: beyond their last number, or x86-64's late additions at 335 and 336.
fn is_newer_than_headers(number: u32, header: &BTreeMap<String, u32>) -> bool {
    let last = header.iter().filter(|(name, _)| *name != "syscalls").map(|(_, number)| *number).max().unwrap();
    number > last || [335, 336].contains(&number)
}

#[test]
fn x86_64_numbers_are_those_of_the_kernel_header() {
    compare(Architecture::X86_64, &header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"));
}

#[test]
fn aarch64_numbers_are_those_of_the_generic_kernel_header() {
    let mut header = header("/usr/include/asm-generic/unistd.h");
    // The header names one call differently for 64-bit machines, ends with markers, and has calls that only 32-bit
    // machines have: those with 64-bit times, and a variant of a call.
    let status = header.remove("fstatat").unwrap();
    header.insert("newfstatat".to_owned(), status);
    for absent in ["arch_specific_syscall", "syscalls", "stat", "lstat", "sync_file_range2"] {
        header.remove(absent);
    }
    header.retain(|_, number| !(403..424).contains(number));
    compare(Architecture::Aarch64, &header);
}

#[test]
fn numbers_and_names_are_unique() {
    let names: BTreeSet<_> = table::calls().map(|call| call.name).collect();
    assert_eq!(names.len(), table::calls().count());
    for architecture in ARCHITECTURES {
        let numbers: Vec<_> = table::calls().filter_map(|call| call.number(architecture)).collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    }
}

#[test]
fn numbers_are_those_of_libc() {
    let native = Architecture::native().unwrap();
    for (name, expected) in [
        ("read", libc::SYS_read),
        ("openat", libc::SYS_openat),
        ("newfstatat", libc::SYS_newfstatat),
        ("clone", libc::SYS_clone),
        ("execve", libc::SYS_execve),
        ("socket", libc::SYS_socket),
        ("connect", libc::SYS_connect),
        ("ptrace", libc::SYS_ptrace),
        ("kill", libc::SYS_kill),
        ("prctl", libc::SYS_prctl),
        ("ioctl", libc::SYS_ioctl),
        ("mount", libc::SYS_mount),
        ("bpf", libc::SYS_bpf),
        ("seccomp", libc::SYS_seccomp),
        ("unshare", libc::SYS_unshare),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("clone3", libc::SYS_clone3),
        ("openat2", libc::SYS_openat2),
        ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
        ("set_mempolicy_home_node", libc::SYS_set_mempolicy_home_node),
        ("mseal", libc::SYS_mseal),
    ] {
        assert_eq!(number(native, name).map(i64::from), Some(expected), "{name}");
    }
}

/// The calls since Linux 6.2, which the headers of Debian 12 lack, from the kernel's `scripts/syscall.tbl`.
#[test]
fn late_calls_have_one_number_everywhere() {
    for (name, expected) in [
        ("cachestat", 451),
        ("fchmodat2", 452),
        ("map_shadow_stack", 453),
        ("futex_wake", 454),
        ("futex_wait", 455),
        ("futex_requeue", 456),
        ("statmount", 457),
        ("listmount", 458),
        ("lsm_get_self_attr", 459),
        ("lsm_set_self_attr", 460),
        ("lsm_list_modules", 461),
        ("mseal", 462),
        ("setxattrat", 463),
        ("getxattrat", 464),
        ("listxattrat", 465),
        ("removexattrat", 466),
        ("open_tree_attr", 467),
        ("file_getattr", 468),
        ("file_setattr", NEWEST),
    ] {
        assert_eq!(ARCHITECTURES.map(|architecture| number(architecture, name)), [Some(expected); 2], "{name}");
    }
}
