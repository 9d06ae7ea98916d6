//! Stockade inside bubblewrap, as it stands and with filters like those of containers.

use crate::Trial;
use crate::place::{CONSENT, Outcome, Place};

pub(crate) const TRIALS: &[Trial] = &[
    ("the_best_tier_works_in_new_namespaces", the_best_tier_works_in_new_namespaces),
    ("without_user_namespaces_the_other_tier_works", without_user_namespaces_the_other_tier_works),
    ("a_filter_that_hides_clone3_changes_nothing", a_filter_that_hides_clone3_changes_nothing),
    ("a_filter_that_refuses_namespaces_leaves_the_other_tier", a_filter_that_refuses_namespaces_leaves_the_other_tier),
];

/// Runs a script with Stockade in bubblewrap, which gets these options; the report is `report.json`.
fn boxed(place: &Place, bubblewrap: &str, script: &str) -> Outcome {
    let run = format!("./stockade run --accept-degraded {CONSENT} --report report.json -- sh -c '{script}'");
    place.run("sh", ["-c", &format!("exec bwrap {bubblewrap} {run}")])
}

fn the_best_tier_works_in_new_namespaces(place: &Place) {
    let done = boxed(place, "--unshare-all --bind / / --proc /proc --dev /dev", "echo inside; exit 5").ends(5);
    assert_eq!(done.stdout, "inside\n", "{done:#?}");
    // For root, bubblewrap covers parts of /proc, and then the kernel lets nobody inside mount another one.
    let root = place.run("id", ["-u"]).stdout == "0\n";
    assert_eq!(place.json("report.json")["tier"], if root { "landlock" } else { "namespaces" });
}

fn without_user_namespaces_the_other_tier_works(place: &Place) {
    let options = "--unshare-all --unshare-user --disable-userns --bind / / --proc /proc --dev /dev";
    let done = boxed(place, options, "echo inside; exit 5").ends(5);
    assert_eq!(done.stdout, "inside\n", "{done:#?}");
    assert_eq!(place.json("report.json")["tier"], "landlock");
}

fn a_filter_that_hides_clone3_changes_nothing(place: &Place) {
    place.file("filter", program(&[number_is(libc::SYS_clone3, libc::ENOSYS)]));
    boxed(place, "--dev-bind / / --seccomp 9 9<filter", "unshare -U true; exit 5").ends(5);
    let report = place.json("report.json");
    assert_eq!(report["tier"], "namespaces");
    assert_eq!(report["denials"][0]["area"], "system-calls", "{report:#}");
}

fn a_filter_that_refuses_namespaces_leaves_the_other_tier(place: &Place) {
    let calls = [
        number_is(libc::SYS_clone3, libc::ENOSYS),
        number_is(libc::SYS_unshare, libc::EPERM),
        number_is(libc::SYS_mount, libc::EPERM),
        namespace_flags(),
    ];
    place.file("filter", program(&calls));
    let script = "echo inside; python3 -c \"import socket; socket.socket()\"; exit 5";
    let done = boxed(place, "--dev-bind / / --seccomp 9 9<filter", script).ends(5);
    assert_eq!(done.stdout, "inside\n");
    let report = place.json("report.json");
    assert_eq!(report["tier"], "landlock");
    // This filter listens to nothing, so Stockade can, and events are what they always are.
    assert_eq!(report["denials"][0]["area"], "sockets", "{report:#}");
}

/// One instruction of a filter program (`struct sock_filter`).
type Instruction = (u16, u8, u8, u32);

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;

fn refuse(errno: i32) -> Instruction {
    (RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

/// The call of that number fails.
fn number_is(number: libc::c_long, errno: i32) -> Vec<Instruction> {
    let number = u32::try_from(number).expect("a small number");
    vec![(LOAD, 0, 0, NUMBER), (JUMP_IF_EQUAL, 0, 1, number), refuse(errno)]
}

/// `clone` with a flag for a namespace fails.
fn namespace_flags() -> Vec<Instruction> {
    let number = u32::try_from(libc::SYS_clone).expect("a small number");
    vec![
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, number),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_ANY, 0, 1, 0x7e02_0000),
        refuse(libc::EPERM),
    ]
}

/// A program as bubblewrap reads it.
fn program(parts: &[Vec<Instruction>]) -> Vec<u8> {
    let all = parts.iter().flatten().chain(&[(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW)]);
    let bytes = |&(code, jump, otherwise, value): &Instruction| {
        [&code.to_ne_bytes()[..], &[jump, otherwise], &value.to_ne_bytes()].concat()
    };
    all.flat_map(bytes).collect()
}
