//! Tests of the programs, run by an interpreter.

mod arguments;
mod interpreter;
mod numbers;
mod verdicts;

use libc::{SECCOMP_RET_ALLOW as ALLOW, SECCOMP_RET_USER_NOTIF as ASK};
use stockade_spec::plan::{FileObservation, NetworkFilter, SystemCallFilter};

use self::interpreter::{Data, run};
use super::architecture::Architecture;
use super::{program, table};

const ARCHITECTURES: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];
const I386: u32 = 0x4000_0003;
const ARM: u32 = 0x4000_0028;

/// What the tier `namespaces` uses by default.
fn default_filter() -> SystemCallFilter {
    SystemCallFilter {
        nested_namespaces: false,
        notify: true,
        network: NetworkFilter::Private,
        files: FileObservation { trace_writes: false, trace_reads: false, deny: vec![], protect: vec![] },
        decide_signals: false,
        keep_processors: false,
    }
}

/// Refusals by the kernel alone.
fn quiet_filter() -> SystemCallFilter {
    SystemCallFilter { notify: false, ..default_filter() }
}

/// What the tier `landlock` uses.
fn shared_filter() -> SystemCallFilter {
    SystemCallFilter { network: NetworkFilter::UnixOnly, decide_signals: true, ..default_filter() }
}

/// What the tier `landlock` uses where a gate leads out.
fn standing_in_filter() -> SystemCallFilter {
    SystemCallFilter { network: NetworkFilter::StandIns, ..shared_filter() }
}

/// All combinations of the switches.
fn all_filters() -> Vec<SystemCallFilter> {
    let list = |full: bool| if full { vec!["**/.env".to_owned()] } else { vec![] };
    (0..512_u32)
        .map(|bits| {
            let on = |bit: u32| bits & (1 << bit) != 0;
            SystemCallFilter {
                nested_namespaces: on(0),
                notify: on(1),
                network: match (on(2), on(8)) {
                    (true, true) => NetworkFilter::StandIns,
                    (true, false) => NetworkFilter::UnixOnly,
                    (false, _) => NetworkFilter::Private,
                },
                files: FileObservation {
                    trace_writes: on(3),
                    trace_reads: on(4),
                    deny: list(on(5)),
                    protect: list(on(6)),
                },
                decide_signals: on(7),
                // Has nothing to do with files, so that it needs no switch of its own.
                keep_processors: on(3),
            }
        })
        .collect()
}

const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.unsigned_abs()
}

fn number(architecture: Architecture, name: &str) -> Option<u32> {
    table::calls().find(|call| call.name == name).unwrap_or_else(|| panic!("no {name}")).number(architecture)
}

/// The verdict of a filter on a call, the same on every architecture that has it.
fn verdict(filter: &SystemCallFilter, name: &str, arguments: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let verdicts: Vec<u32> = ARCHITECTURES
        .into_iter()
        .filter_map(|architecture| {
            let data = Data { number: number(architecture, name)?, arch: architecture.audit(), arguments: all };
            Some(run(&program(architecture, filter), &data))
        })
        .collect();
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{name}: {verdicts:x?}");
    verdicts[0]
}
