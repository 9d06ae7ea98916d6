//! The argument checks, with high bits set where the kernel ignores them.

use super::*;

const HIGH: u64 = 0xdead_beef_0000_0000;

/// Every pair holds with the high half of the deciding arguments clear and set.
fn check(filter: &SystemCallFilter, name: &str, cases: &[(&[u64], u32)]) {
    for (arguments, expected) in cases {
        let high: Vec<u64> = arguments.iter().map(|argument| argument | HIGH).collect();
        assert_eq!(verdict(filter, name, arguments), *expected, "{name} {arguments:x?}");
        assert_eq!(verdict(filter, name, &high), *expected, "{name} {high:x?}");
    }
}

#[test]
fn namespaces_are_not_made() {
    const NAMESPACES: [u64; 7] = [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
    for flag in NAMESPACES {
        check(&default_filter(), "clone", &[(&[flag | 17], ASK)]);
        check(&default_filter(), "unshare", &[(&[flag], ASK)]);
        check(&quiet_filter(), "unshare", &[(&[flag], errno(libc::EPERM))]);
    }
    let nested = SystemCallFilter { nested_namespaces: true, ..default_filter() };
    check(&nested, "unshare", &[(&[0x1000_0000], ALLOW)]);
    check(&nested, "clone", &[(&[0x1000_0000 | 17], ALLOW)]);
    // A thread of glibc, a child of `posix_spawn`, a shared descriptor table undone, a time namespace.
    check(&default_filter(), "clone", &[(&[0x3d_0f00], ALLOW), (&[0x4111], ALLOW)]);
    check(&default_filter(), "unshare", &[(&[0x400], ALLOW), (&[0x80], ASK)]);
}

#[test]
fn sockets_are_checked_by_family_type_and_protocol() {
    const CLOEXEC: u64 = 0o2_000_000;
    let common: &[(&[u64], u32)] = &[
        (&[1, 1, 0], ALLOW),
        (&[1, 5 | CLOEXEC, 0], ALLOW),
        (&[2, 3, 1], ASK),
        (&[2, 10, 3], ASK),
        (&[10, 3 | CLOEXEC, 58], ASK),
        (&[2, 1, 132], ASK),
        (&[2, 2, 1], ASK),
        (&[10, 2, 58], ASK),
        (&[2, 1, 262], errno(libc::EPROTONOSUPPORT)),
        (&[16, 3, 9], ASK),
        (&[17, 3, 0], ASK),
        (&[38, 5, 0], ASK),
        (&[40, 1, 0], ASK),
        (&[0, 1, 0], ASK),
        (&[u64::MAX, 1, 0], ASK),
    ];
    check(&default_filter(), "socket", common);
    check(&shared_filter(), "socket", common);
    let network: [&[u64]; 4] = [&[2, 1, 0], &[10, 1 | CLOEXEC, 6], &[2, 2, 17], &[16, 3, 0]];
    for arguments in network {
        check(&default_filter(), "socket", &[(arguments, ALLOW)]);
        check(&shared_filter(), "socket", &[(arguments, ASK)]);
        let alone = SystemCallFilter { notify: false, ..shared_filter() };
        check(&alone, "socket", &[(arguments, errno(libc::EACCES))]);
    }
    check(&quiet_filter(), "socket", &[(&[2, 3, 1], errno(libc::EPERM)), (&[17, 3, 0], errno(libc::EAFNOSUPPORT))]);
    check(&quiet_filter(), "socket", &[(&[2, 2, 1], errno(libc::EACCES)), (&[2, 2, 2], errno(libc::EPROTONOSUPPORT))]);
    check(&default_filter(), "socketpair", &[(&[1, 1, 0], ALLOW), (&[2, 1, 0], ASK), (&[30, 1, 0], ASK)]);
}

#[test]
fn terminals_are_not_fed() {
    let cases: &[(&[u64], u32)] = &[
        (&[0, 0x5412], ASK),
        (&[0, 0x541c], ASK),
        (&[0, 0x541d], ASK),
        (&[0, 0x5423], ASK),
        (&[0, 0x5401], ALLOW),
        (&[0, 0x5413], ALLOW),
    ];
    check(&default_filter(), "ioctl", cases);
    check(&default_filter(), "ioctl", &[(&[0, 0x8901], ALLOW)]);
    check(&shared_filter(), "ioctl", &[(&[0, 0x8901], ASK), (&[0, 0x8902], ASK), (&[0, 0x5401], ALLOW)]);
    check(&shared_filter(), "fcntl", &[(&[0, 8], ASK), (&[0, 15], ASK), (&[0, 4], ALLOW)]);
    check(&default_filter(), "fcntl", &[(&[0, 8], ALLOW)]);
}

#[test]
fn personalities_and_process_options() {
    let personality: &[(&[u64], u32)] = &[
        (&[0], ALLOW),
        (&[8], ALLOW),
        (&[0x2_0008], ALLOW),
        (&[0x4_0000], ALLOW),
        (&[0xffff_ffff], ALLOW),
        (&[0x40_0000], ASK),
        (&[0x10_0000], ASK),
        (&[6], ASK),
    ];
    check(&default_filter(), "personality", personality);
    let options: &[(&[u64], u32)] = &[
        (&[15], ALLOW),
        (&[38], ALLOW),
        (&[0x5961_6d61], ALLOW),
        (&[0x5356_4d41], ALLOW),
        (&[35], ASK),
        (&[28], ASK),
        (&[79], errno(libc::EINVAL)),
        (&[0xffff_ffff], errno(libc::EINVAL)),
    ];
    check(&default_filter(), "prctl", options);
}

#[test]
fn signals_and_other_processes() {
    check(
        &default_filter(),
        "kill",
        &[(&[1234], ASK), (&[0], ALLOW), (&[0xffff_ffff], ALLOW), (&[0xffff_fb2e], ALLOW)],
    );
    check(&quiet_filter(), "kill", &[(&[1234], ALLOW)]);
    for call in ["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open"] {
        check(&shared_filter(), call, &[(&[1234], ASK), (&[0], ASK), (&[0xffff_ffff], ASK)]);
    }
    // Where Landlock confines signals, nobody needs to decide them, and the rest stays closed.
    let scoped = SystemCallFilter { notify: false, decide_signals: false, ..shared_filter() };
    check(&scoped, "kill", &[(&[1234], ALLOW)]);
    check(&scoped, "prlimit64", &[(&[1234], errno(libc::EPERM)), (&[0], ALLOW)]);
    check(&scoped, "ptrace", &[(&[16], errno(libc::EPERM))]);
    check(&scoped, "prlimit64", &[(&[0, 4, 1 << 12], errno(0)), (&[0, 7, 1 << 12], ALLOW)]);
    check(&shared_filter(), "prlimit64", &[(&[1234, 4, 1 << 12], ASK)]);
    for filter in [default_filter(), shared_filter()] {
        check(&filter, "setrlimit", &[(&[4, 1 << 12], errno(0)), (&[7, 1 << 12], ALLOW)]);
        for (new, expected) in [(0, ALLOW), (1, errno(0)), (1 << 32, errno(0))] {
            assert_eq!(verdict(&filter, "prlimit64", &[0, 4, new]), expected, "{new:x}");
        }
        assert_eq!(verdict(&filter, "prlimit64", &[0, 4, 1, 1 << 32]), errno(libc::EPERM));
    }
    for call in ["prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"] {
        check(&shared_filter(), call, &[(&[1234], ASK), (&[0], ALLOW)]);
        check(&default_filter(), call, &[(&[1234], ALLOW)]);
    }
    for filter in [default_filter(), shared_filter()] {
        let kept = SystemCallFilter { keep_processors: true, ..filter };
        check(&kept, "sched_setaffinity", &[(&[0], ASK), (&[1234], ASK)]);
        let alone = SystemCallFilter { notify: false, ..kept };
        check(&alone, "sched_setaffinity", &[(&[0], errno(libc::EPERM)), (&[1234], errno(libc::EPERM))]);
        check(&alone, "sched_setscheduler", &[(&[0], ALLOW)]);
    }
    check(&shared_filter(), "setpriority", &[(&[0, 0], ALLOW), (&[0, 1234], ASK), (&[2, 0], ASK)]);
    check(&shared_filter(), "ioprio_set", &[(&[1, 0], ALLOW), (&[1, 1234], ASK), (&[3, 0], ASK)]);
}

#[test]
fn addresses() {
    for call in ["connect", "bind"] {
        check(&default_filter(), call, &[(&[3], ASK)]);
        check(&quiet_filter(), call, &[(&[3], ALLOW)]);
    }
    let alone = SystemCallFilter { notify: false, ..shared_filter() };
    check(&alone, "connect", &[(&[3], errno(libc::EACCES))]);
    check(&alone, "bind", &[(&[3], ALLOW)]);
    for (address, expected) in [(0, ALLOW), (1, ASK), (1 << 32, ASK), (u64::MAX, ASK)] {
        assert_eq!(verdict(&default_filter(), "sendto", &[3, 0, 0, 0, address]), expected);
        assert_eq!(verdict(&shared_filter(), "sendto", &[3, 0, 0, 0, address]), expected);
        assert_eq!(verdict(&quiet_filter(), "sendto", &[3, 0, 0, 0, address]), ALLOW);
    }
    for call in ["socket", "socketpair"] {
        for (filter, datagram) in [(&alone, errno(libc::EACCES)), (&shared_filter(), ASK)] {
            check(filter, call, &[(&[1, 1, 0], ALLOW), (&[1, 0o2_000_005, 0], ALLOW), (&[1, 2, 0], datagram)]);
            check(filter, call, &[(&[1, 3, 0], datagram)]);
        }
    }
}

#[test]
fn internet_sockets_are_stood_in_for_and_never_made() {
    let filter = standing_in_filter();
    for family in [2, 10] {
        for (kind, protocol) in [(1, 0), (1, 6), (2, 0), (2, 17), (2, 1), (2, 58), (3, 6), (5, 132), (1, 132)] {
            assert_eq!(verdict(&filter, "socket", &[family, kind, protocol]), ASK, "{family} {kind} {protocol}");
        }
        // Go asks for it first, and then takes TCP.
        check(&filter, "socket", &[(&[family, 1, 262], errno(libc::EPROTONOSUPPORT))]);
    }
    // `getaddrinfo` asks for it, and does without.
    check(&filter, "socket", &[(&[16, 3, 0], errno(libc::EACCES)), (&[16, 3, 9], ASK), (&[1, 2, 0], ASK)]);
    check(&filter, "socketpair", &[(&[1, 2, 0], ASK), (&[2, 1, 0], ASK), (&[1, 5, 0], ALLOW)]);
    for call in ["connect", "bind", "getsockname", "getpeername", "recvmsg"] {
        check(&filter, call, &[(&[3], ASK)]);
    }
    for call in ["sendto", "recvfrom"] {
        assert_eq!(verdict(&filter, call, &[3, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(&filter, call, &[3, 0, 0, 0, 1 << 32]), ASK);
    }
    for level in [0, 6, 17, 41, 6 | 1 << 32] {
        check(&filter, "setsockopt", &[(&[3, level, 30], errno(0))]);
        check(&filter, "getsockopt", &[(&[3, level, 1], ASK)]);
    }
    check(&filter, "setsockopt", &[(&[3, 1, 9], ALLOW), (&[3, 6, 31], ALLOW), (&[3, 17, 31], errno(0))]);
    check(&filter, "getsockopt", &[(&[3, 1, 4], ALLOW), (&[3, 1, 39], ASK), (&[3, 1, 3], ASK)]);
    for other in [default_filter(), shared_filter()] {
        for call in ["getsockname", "getpeername", "recvfrom", "recvmsg", "setsockopt", "getsockopt"] {
            check(&other, call, &[(&[3, 6, 1, 0, 1], ALLOW)]);
        }
    }
}

#[test]
fn files_are_asked_about_as_far_as_they_are_observed() {
    let with = |trace_writes: bool, trace_reads: bool, deny: &[&str], protect: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|&glob| glob.to_owned()).collect();
        let files = FileObservation { trace_writes, trace_reads, deny: own(deny), protect: own(protect) };
        SystemCallFilter { files, ..default_filter() }
    };
    let writing: [u64; 4] = [1, 2, 0o100, 0o1000];
    for filter in [with(true, false, &[], &[]), with(false, false, &[], &["x"])] {
        for flags in writing {
            check(&filter, "open", &[(&[0, flags], ASK)]);
            check(&filter, "openat", &[(&[0, 0, flags], ASK)]);
        }
        check(&filter, "open", &[(&[0, 0o2_000_000], ALLOW)]);
        check(&filter, "openat", &[(&[0, 1, 0o2_000_000], ALLOW)]);
        for call in ["openat2", "creat", "unlinkat", "renameat2", "fchmod", "setxattrat", "fchmodat2"] {
            check(&filter, call, &[(&[], ASK)]);
        }
        check(&filter, "execve", &[(&[], ALLOW)]);
    }
    for filter in [with(true, true, &[], &[]), with(false, false, &["x"], &[])] {
        for call in ["open", "openat", "openat2", "execve", "execveat", "unlink"] {
            check(&filter, call, &[(&[], ASK)]);
        }
        check(&filter, "newfstatat", &[(&[], ALLOW)]);
    }
    for call in ["open", "openat", "openat2", "creat", "unlink", "execve"] {
        check(&default_filter(), call, &[(&[0, 1, 1], ALLOW)]);
    }
}
