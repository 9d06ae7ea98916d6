//! Made-up hosts, requests and policies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stockade_spec::facts::{Availability, CgroupFacts, CgroupV2, GitIdentity, HostFacts, KernelFacts, PathFact};
use stockade_spec::policy::{Overrides, Source, load};
use stockade_spec::request::{Request, Terminal, Trace};
use stockade_spec::{CompileError, Plan, Policy, compile};

/// A merged-/usr system of today with the usual directories, for user 1000 with an empty home.
pub(crate) fn plain() -> HostFacts {
    let mut facts = HostFacts {
        uid: 1000,
        gid: 1000,
        cpus: 8,
        memory: 16 << 30,
        kernel: KernelFacts {
            release: "6.12.48".to_owned(),
            version: (6, 12),
            machine: "x86_64".to_owned(),
            landlock_abi: 6,
            seccomp_notify: true,
        },
        user_namespaces: Availability::Available,
        cgroups: CgroupFacts::default(),
        paths: BTreeMap::new(),
        protected: Vec::new(),
        git_identity: GitIdentity::default(),
    };
    for directory in ["/usr", "/opt", "/etc", "/var/lib/dpkg", "/var/cache/fontconfig", "/sys/devices/system"] {
        put(&mut facts, directory, PathFact::Directory);
    }
    for (link, text) in [("/bin", "usr/bin"), ("/sbin", "usr/sbin"), ("/lib", "usr/lib"), ("/lib64", "usr/lib64")] {
        put(&mut facts, link, link_to(text, &format!("/{text}"), true));
    }
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        put(&mut facts, &format!("/dev/{device}"), PathFact::Special);
    }
    for secret in ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssl/private"] {
        put(&mut facts, secret, PathFact::Sealed);
    }
    put(&mut facts, "/etc/machine-id", PathFact::File);
    for directory in ["/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi"] {
        put(&mut facts, directory, PathFact::Directory);
    }
    for file in ["/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/sysrq-trigger"] {
        put(&mut facts, file, PathFact::File);
    }
    put(&mut facts, "/proc/kcore", PathFact::Sealed);
    put(&mut facts, WORKSPACE, PathFact::Directory);
    put(&mut facts, &format!("{WORKSPACE}/.git"), PathFact::Directory);
    facts.protected = [".git/hooks", ".git/config", ".vscode"].map(|below| Path::new(WORKSPACE).join(below)).to_vec();
    facts
}

/// The same with five toolchains, ten caches, credentials among them, and a control group.
pub(crate) fn furnished() -> HostFacts {
    let mut facts = plain();
    for toolchain in [".rustup", ".pyenv", ".nvm", ".local/bin", ".local/share/uv"] {
        put(&mut facts, &format!("{HOME}/{toolchain}"), PathFact::Directory);
    }
    for cache in [
        ".cargo",
        ".npm",
        "go",
        ".m2",
        ".gradle",
        ".cache/pip",
        ".cache/uv",
        ".cache/go-build",
        ".cache/ccache",
        ".cache/pre-commit",
    ] {
        put(&mut facts, &format!("{HOME}/{cache}"), PathFact::Directory);
    }
    for secret in [".cargo/credentials.toml", ".m2/settings.xml", ".gradle/gradle.properties"] {
        put(&mut facts, &format!("{HOME}/{secret}"), PathFact::File);
    }
    facts.git_identity = GitIdentity { name: Some("Ada \"L\" \\".into()), email: Some("ada@example.org".into()) };
    facts.cgroups.v2 = Some(CgroupV2 {
        path: "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service".into(),
        controllers: vec!["cpu".into(), "memory".into(), "pids".into()],
    });
    facts
}

pub(crate) const HOME: &str = "/home/ada";
pub(crate) const WORKSPACE: &str = "/home/ada/work/engine";

pub(crate) fn put(facts: &mut HostFacts, path: &str, fact: PathFact) {
    facts.paths.insert(PathBuf::from(path), fact);
}

pub(crate) fn link_to(text: &str, resolved: &str, directory: bool) -> PathFact {
    PathFact::Symlink { text: text.into(), resolved: Some(resolved.into()), directory }
}

pub(crate) fn request() -> Request {
    let environment = [
        ("PATH", "/home/ada/.cargo/bin:/home/ada/.local/bin:/usr/local/bin:/usr/bin:/bin:.:/home/ada"),
        ("HOME", HOME),
        ("LANG", "en_GB.UTF-8"),
        ("SHELL", "/bin/bash"),
        ("GITHUB_TOKEN", "ghp_secret"),
        ("LD_PRELOAD", "/tmp/evil.so"),
        ("JAVA_HOME", "/srv/java"),
        ("CARGO_HOME", "/home/ada/.cargo"),
    ];
    Request {
        command: vec!["cargo".into(), "test".into()],
        workspace: WORKSPACE.into(),
        directory: WORKSPACE.into(),
        home: HOME.into(),
        environment: environment.map(|(name, value)| (name.into(), value.into())).to_vec(),
        terminal: Terminal::default(),
        isolation: None,
        trace: Trace::Off,
        temporary: "/tmp".into(),
        run_id: "4f1c".to_owned(),
        layers: None,
    }
}

/// The default profile with a text on top.
pub(crate) fn policy(text: &str) -> Policy {
    let text = format!("version = 1\n{text}");
    let layer = Source { name: "test", text: &text };
    load(&[layer], None, &Overrides::default()).expect("a valid policy")
}

pub(crate) fn plan(text: &str, facts: &HostFacts) -> Plan {
    compile(&policy(text), &request(), facts).expect("a plan")
}

pub(crate) fn refusal(text: &str, facts: &HostFacts) -> CompileError {
    compile(&policy(text), &request(), facts).expect_err("a refusal")
}
