//! Which mechanism bounds what.

use stockade_spec::facts::{CgroupV2, HostFacts};
use stockade_spec::plan::{LimitMechanism, Operation, Resource};
use stockade_spec::report::Protection;
use stockade_spec::{CompileError, compile};

use crate::hosts::{plain, plan, policy, refusal, request};

const ALL: &str = "[limits]\nmemory = \"1GiB\"\ncpus = 2\nprocesses = 64\nfiles = 256\ndisk = \"2GiB\"\ntime = \"1m\"\noutput = \"1MiB\"";

fn mechanisms(facts: &HostFacts, resource: Resource) -> Vec<LimitMechanism> {
    let of = |operation: &Operation| match operation {
        Operation::Limit { resource: of, mechanism, .. } if *of == resource => Some(*mechanism),
        _ => None,
    };
    plan(ALL, facts).steps.iter().filter_map(|step| of(&step.operation)).collect()
}

#[test]
fn without_control_groups_what_needs_no_privilege_is_used() {
    let facts = plain();
    assert_eq!(mechanisms(&facts, Resource::Memory), [LimitMechanism::Sampler]);
    assert_eq!(mechanisms(&facts, Resource::Cpu), [LimitMechanism::Affinity]);
    assert_eq!(mechanisms(&facts, Resource::Processes), [LimitMechanism::Rlimit]);
    assert_eq!(mechanisms(&facts, Resource::Files), [LimitMechanism::Rlimit]);
    assert_eq!(mechanisms(&facts, Resource::Disk), [LimitMechanism::PrivateStoreSize, LimitMechanism::Rlimit]);
    assert_eq!(mechanisms(&facts, Resource::Time), [LimitMechanism::Timer]);
    assert_eq!(mechanisms(&facts, Resource::Output), [LimitMechanism::Relay]);
}

#[test]
fn the_kernel_does_not_count_processes_of_root_nor_by_namespace_before_5_14() {
    let mut root = plain();
    root.uid = 0;
    assert_eq!(mechanisms(&root, Resource::Processes), [LimitMechanism::Sampler]);
    let mut old = plain();
    old.kernel.version = (5, 13);
    assert_eq!(mechanisms(&old, Resource::Processes), [LimitMechanism::Sampler]);
}

#[test]
fn control_groups_come_in_order() {
    let mut facts = plain();
    facts.cgroups.v1.insert("memory".into(), "/sys/fs/cgroup/memory".into());
    assert_eq!(mechanisms(&facts, Resource::Memory), [LimitMechanism::CgroupV1]);
    assert_eq!(mechanisms(&facts, Resource::Cpu), [LimitMechanism::Affinity]);
    facts.cgroups.systemd_user = Some("/run/user/1000/systemd/private".into());
    assert_eq!(mechanisms(&facts, Resource::Memory), [LimitMechanism::SystemdScope]);
    facts.cgroups.v2 = Some(CgroupV2 { path: "/sys/fs/cgroup/x".into(), controllers: vec!["memory".into()] });
    assert_eq!(mechanisms(&facts, Resource::Memory), [LimitMechanism::CgroupV2]);
}

/// Whether programs may not choose their processors.
fn kept(policy: &str, facts: &HostFacts) -> bool {
    let of = |operation: &Operation| match operation {
        Operation::SystemCalls { filter } => Some(filter.keep_processors),
        _ => None,
    };
    plan(policy, facts).steps.iter().find_map(|step| of(&step.operation)).expect("a filter")
}

#[test]
fn processors_that_are_the_limit_are_kept() {
    let mut facts = plain();
    assert!(kept("[limits]\ncpus = 2", &facts));
    assert!(!kept("", &facts));
    assert!(!kept("[limits]\ncpus = 8", &facts), "it is given all");
    facts.cgroups.v1.insert("cpu".into(), "/sys/fs/cgroup/cpu".into());
    assert!(!kept("[limits]\ncpus = 2", &facts), "the group bounds it");
}

#[test]
fn a_part_of_a_processor_needs_a_control_group_or_consent() {
    let error = refusal("[limits]\ncpus = 1.5", &plain());
    assert_eq!(error.protections(), [Protection::CpuLimit]);
    assert!(error.to_string().contains("accept_degraded = [\"cpu-limit\"]"), "{error}");
    let accepted = plan("[limits]\ncpus = 1.5\n[enforcement]\naccept_degraded = [\"cpu-limit\"]", &plain());
    assert_eq!(accepted.degraded.len(), 1);
}

#[test]
fn limits_with_which_nothing_runs_are_refused() {
    use stockade_spec::units::{ByteSize, Span};
    type Change = fn(&mut stockade_spec::policy::Limits);
    let change: [(Change, &str); 7] = [
        (|limits| limits.memory = Some(ByteSize(1024)), "4MiB"),
        (|limits| limits.milli_cpus = Some(0), "0.010"),
        (|limits| limits.processes = Some(1), "less than 2"),
        (|limits| limits.files = Some(3), "less than 16"),
        (|limits| limits.disk = Some(ByteSize(1)), "1MiB"),
        (|limits| limits.time = Some(Span { milliseconds: 0 }), "10ms"),
        (|limits| limits.output = Some(ByteSize(0)), "1B"),
    ];
    for (change, least) in change {
        let mut policy = policy("");
        change(&mut policy.limits);
        let error = compile(&policy, &request(), &plain()).expect_err(least);
        assert!(matches!(error, CompileError::LimitTooSmall { .. }));
        assert!(error.to_string().contains(least), "{error}");
    }
}

#[test]
fn the_private_store_is_bounded_even_where_the_policy_sets_no_limit() {
    let mut policy = policy("");
    policy.limits = stockade_spec::policy::Limits::default();
    let plan = compile(&policy, &request(), &plain()).expect("a plan");
    let root = plan.steps.iter().find_map(|step| match step.operation {
        Operation::MountRoot { size, inodes } => Some((size, inodes)),
        _ => None,
    });
    assert_eq!(root, Some((8 << 30, 1 << 20)));
}
