//! Every call, number and entry ends as its class says.

use super::super::meaning::{Kind, Meaning, meaning, refusal};
use super::super::table::{Call, Class};
use super::interpreter::{assert_valid, disassemble};
use super::*;

/// The verdict that a class has whatever the arguments are, or none if they matter.
fn expected(class: Class, filter: &SystemCallFilter) -> Option<u32> {
    let refused = if filter.notify { ASK } else { errno(libc::EPERM) };
    match class {
        Class::Allow => Some(ALLOW),
        Class::Absent => Some(errno(libc::ENOSYS)),
        Class::Forbidden => Some(refused),
        Class::Namespace => Some(if filter.nested_namespaces { ALLOW } else { refused }),
        Class::Peer | Class::Ipc => {
            let shared = filter.decide_signals || filter.network != NetworkFilter::Private;
            Some(if shared { refused } else { ALLOW })
        }
        Class::Signal => Some(if filter.decide_signals { refused } else { ALLOW }),
        Class::Check(_) | Class::Network(_) | Class::File(_) => None,
    }
}

#[test]
fn every_call_ends_as_its_class_says() {
    for filter in all_filters() {
        for architecture in ARCHITECTURES {
            let program = program(architecture, &filter);
            for Call { name, class, .. } in table::calls() {
                let Some(number) = number(architecture, name) else { continue };
                let Some(expected) = expected(*class, &filter) else { continue };
                for arguments in [[0; 6], [u64::MAX; 6]] {
                    let data = Data { number, arch: architecture.audit(), arguments };
                    assert_eq!(run(&program, &data), expected, "{name} on {architecture:?} under {filter:?}");
                }
            }
        }
    }
}

#[test]
fn the_dangerous_calls_are_refused_and_reported() {
    for name in [
        "bpf",
        "perf_event_open",
        "keyctl",
        "add_key",
        "request_key",
        "userfaultfd",
        "io_uring_setup",
        "mount",
        "umount2",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsconfig",
        "fsmount",
        "mount_setattr",
        "pivot_root",
        "chroot",
        "setns",
        "kexec_load",
        "init_module",
        "reboot",
        "swapon",
        "acct",
        "settimeofday",
        "clock_settime",
        "sethostname",
        "syslog",
        "iopl",
        "ioperm",
        "open_by_handle_at",
        "pidfd_getfd",
        "modify_ldt",
    ] {
        assert_eq!(verdict(&default_filter(), name, &[]), ASK, "{name}");
        assert_eq!(verdict(&quiet_filter(), name, &[]), errno(libc::EPERM), "{name}");
    }
}

#[test]
fn the_calls_of_every_program_pass() {
    for name in
        ["read", "write", "mmap", "execve", "openat", "futex", "exit_group", "rt_sigreturn", "wait4", "clone", "rseq"]
    {
        assert_eq!(verdict(&default_filter(), name, &[]), ALLOW, "{name}");
        assert_eq!(verdict(&shared_filter(), name, &[]), ALLOW, "{name}");
    }
    assert_eq!(verdict(&default_filter(), "clone3", &[]), errno(libc::ENOSYS));
}

#[test]
fn unknown_numbers_do_not_exist() {
    for architecture in ARCHITECTURES {
        let program = program(architecture, &default_filter());
        let known: Vec<u32> = table::calls().filter_map(|call| call.number(architecture)).collect();
        for number in (0..1024).chain([0x3fff_ffff, 0x8000_0000, 0x8000_0001]).filter(|n| !known.contains(n)) {
            let data = Data { number, arch: architecture.audit(), ..Data::default() };
            assert_eq!(run(&program, &data), errno(libc::ENOSYS), "{number} on {architecture:?}");
        }
    }
}

#[test]
fn a_debugger_can_skip_a_call() {
    for architecture in ARCHITECTURES {
        let data = Data { number: u32::MAX, arch: architecture.audit(), ..Data::default() };
        assert_eq!(run(&program(architecture, &default_filter()), &data), ALLOW);
    }
}

#[test]
fn foreign_entries_are_refused_whatever_the_number() {
    for (filter, expected) in [(default_filter(), ASK), (quiet_filter(), errno(libc::ENOSYS))] {
        for architecture in ARCHITECTURES {
            let program = program(architecture, &filter);
            let others = ARCHITECTURES.map(Architecture::audit).into_iter().filter(|a| *a != architecture.audit());
            for arch in others.chain([I386, ARM, 0, u32::MAX]) {
                for number in (0..600).chain([u32::MAX, 0x4000_0000]) {
                    assert_eq!(run(&program, &Data { number, arch, ..Data::default() }), expected, "{number} {arch:x}");
                }
            }
        }
    }
}

#[test]
fn x32_calls_are_refused_whatever_the_number() {
    let arch = Architecture::X86_64.audit();
    for (filter, expected) in [(default_filter(), ASK), (quiet_filter(), errno(libc::ENOSYS))] {
        let program = program(Architecture::X86_64, &filter);
        for number in (0..600).map(|number| number | 0x4000_0000).chain([0x7fff_ffff, 0xc000_0000, 0xffff_fffe]) {
            assert_eq!(run(&program, &Data { number, arch, ..Data::default() }), expected, "{number:x}");
            assert_eq!(meaning(arch, number.cast_signed()).kind, Kind::ForeignArchitecture);
        }
    }
}

/// Argument values at which some check turns.
const SAMPLES: [[u64; 6]; 16] = [
    [0; 6],
    [1, 1, 0, 0, 1, 0],
    [1, 0, 1, 0, 0, 0],
    [2, 1, 0, 0, 0, 0],
    [2, 1, 132, 0, 0, 0],
    [2, 1, 262, 0, 0, 0],
    [2, 2, 17, 0, 0, 0],
    [10, 2 | 0o2_000_000, 136, 0, 0, 0],
    [2, 3, 255, 0, 0, 0],
    [16, 3, 0, 0, 0, 0],
    [16, 3, 9, 0, 0, 0],
    [17, 3, 0, 0, 0, 0],
    [35, 0x5412, 0, 0, 0, 0],
    [28, 8, 0, 0, 0, 0],
    [0x1000_0000, 0x5412, 0o100, 0, 1 << 32, 0],
    [u64::MAX; 6],
];

#[test]
fn whatever_is_asked_has_a_meaning_and_the_answer_is_what_the_kernel_alone_would_give() {
    for filter in all_filters().into_iter().filter(|filter| filter.notify) {
        let quiet = SystemCallFilter { notify: false, ..filter.clone() };
        for architecture in ARCHITECTURES {
            let (told, alone) = (program(architecture, &filter), program(architecture, &quiet));
            let arch = architecture.audit();
            for number in table::calls().filter_map(|call| call.number(architecture)) {
                for arguments in SAMPLES {
                    let data = Data { number, arch, arguments };
                    let [told, alone] = [run(&told, &data), run(&alone, &data)];
                    let Meaning { name, kind } = meaning(arch, number.cast_signed());
                    assert_ne!(alone, ASK, "{name} asks nobody");
                    if told != ASK {
                        assert_eq!(told, alone, "{name} {arguments:x?}");
                        continue;
                    }
                    assert_ne!(kind, Kind::Other, "{name}");
                    let observed = matches!(kind, Kind::Connect | Kind::Bind | Kind::SendTo)
                        || name == "kill" && !filter.decide_signals;
                    let refused = errno(refusal(arch, number.cast_signed(), &arguments));
                    assert!(alone == refused || observed && alone == ALLOW, "{name} {arguments:x?}");
                }
            }
        }
    }
}

#[test]
fn every_program_is_valid() {
    for filter in all_filters() {
        for architecture in ARCHITECTURES {
            assert_valid(&program(architecture, &filter));
        }
    }
}

#[test]
fn the_default_programs_are_as_they_were_reviewed() {
    let golden = [include_str!("../golden/x86_64.txt"), include_str!("../golden/aarch64.txt")];
    for (architecture, golden) in ARCHITECTURES.into_iter().zip(golden) {
        let now = disassemble(&program(architecture, &default_filter()));
        let path = std::env::temp_dir().join(format!("stockade-filter-{architecture:?}.txt"));
        if now != golden {
            std::fs::write(&path, now).unwrap();
            panic!("the program for {architecture:?} changed; compare src/seccomp/golden with {}", path.display());
        }
    }
}
