//! Package managers with nothing allowed but the hosts that they themselves get packages from. Which those are is found by
//! watching them: no registry is named here.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Stdio};

use crate::place::{self, Place};
use crate::run::Bench;
use crate::user::User;

/// One package manager.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Its name.
    pub(crate) name: &'static str,
    /// A shell command that succeeds where it is installed, and what to install where it is not.
    needs: (&'static str, &'static str),
    /// Gets a package to an empty directory; prints addresses of what it gets.
    fetch: &'static str,
    /// Prints something of the package that was got.
    proof: &'static str,
}

/// Every package manager.
pub(crate) static REGISTRIES: &[Registry] = &[
    Registry {
        name: "pip",
        needs: ("/usr/bin/python3 -m pip --version", "needs pip: apt-get install python3-pip"),
        fetch: "/usr/bin/python3 -m pip download -vvv --no-cache-dir --disable-pip-version-check --retries 0 \
                --no-deps --dest got click==8.1.8 2>&1",
        proof: "ls got",
    },
    Registry {
        name: "npm",
        needs: ("npm --version", "needs npm: apt-get install npm"),
        fetch: "mkdir got; \
                NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt npm install --prefix got --cache $PWD/cache --loglevel http --no-audit --no-fund \
                --fetch-retries 0 qs@6.13.1 2>&1",
        proof: "ls got/node_modules",
    },
    Registry {
        name: "cargo",
        needs: ("cargo --version", "needs cargo for this user"),
        fetch: "mkdir src; : >src/lib.rs; \
                printf '[package]\\nname=\"c\"\\nversion=\"0.0.0\"\\n[dependencies]\\ncfg-if=\"=1.0.0\"\\n[workspace]\\n' >Cargo.toml; \
                CARGO_HOME=$PWD/got CARGO_NET_RETRY=0 CARGO_HTTP_DEBUG=true CARGO_LOG=network=debug cargo fetch 2>&1",
        proof: "ls got/registry/src/*",
    },
];

impl Registry {
    /// What has to be there before this can be tried.
    pub(crate) fn missing(&self, user: &User) -> Option<&'static str> {
        let mut test = Command::new("sh");
        test.args(["-c", self.needs.0])
            .env("HOME", "/")
            .env("PATH", place::path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        user.becomes(&mut test);
        (!test.status().is_ok_and(|status| status.success())).then_some(self.needs.1)
    }

    /// Gets a package natively, with its hosts allowed, and with another one allowed; what is not as it should be.
    pub(crate) fn run(&self, bench: &Bench, user: &User) -> io::Result<Vec<String>> {
        let place = Place::new(bench, user, &[], "")?.on_the_machine();
        let (fetch, proof) = (self.fetch, self.proof);
        let script = format!(
            "d=$(mktemp -d) && cd $d && {fetch}\nstatus=$?; echo PROOF; {proof}; cd /; rm -rf $d; exit $status"
        );
        let native = place.native(&script)?;
        let hosts = hosts(&native.output);
        let proof = |text: &str| text.split_once("PROOF").map(|(_, proof)| proof.to_owned());
        if native.status != Some(0) || hosts.is_empty() {
            return Ok(vec![format!("natively nothing is got, from {} hosts: {}", hosts.len(), native.describe())]);
        }
        let allow: Vec<&str> = hosts.iter().flat_map(|host| ["--allow", host]).collect();
        let mut mistakes = Vec::new();
        let boxed = place.boxed(&allow, &script)?;
        if boxed.status != Some(0) || proof(&boxed.output) != proof(&native.output) {
            mistakes.push(format!("with its hosts allowed, it gets something else: {}", boxed.describe()));
        }
        let denied = place.boxed(&["--allow", "other.example"], &script)?;
        if denied.status == Some(0) || !hosts.iter().any(|host| denied.denied("network", host)) {
            mistakes.push(format!("with another host allowed, it is not refused with an event: {}", denied.describe()));
        }
        Ok(mistakes)
    }
}

/// The hosts in addresses of pages, and those that cargo's library says it connects to.
fn hosts(output: &str) -> BTreeSet<String> {
    let pages = output.split("https://").skip(1);
    let connections = output.split("Connected to ").skip(1);
    let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    let hosts = pages.chain(connections).filter_map(|rest| rest.split(end).next());
    hosts.filter(|host| host.contains('.') && !host.ends_with('.')).map(str::to_owned).collect()
}
