//! How the rivals of the gate are started: user-mode network stacks beside a user and a network namespace.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::Path;

/// Runs a command, given as arguments, in new user and network namespaces with `slirp4netns` beside it, the way its manual
/// (slirp4netns(1)) describes, and ends with the command. The command waits until the network is there.
const SLIRP4NETNS: &str = r#"
directory=$(mktemp -d) || exit 125
trap 'rm -r "$directory"' EXIT
mkfifo "$directory/apart" "$directory/connected"
unshare --user --map-root-user --net sh -c '
  directory=$1; shift
  echo >"$directory/apart"
  read -r _ <"$directory/connected"
  exec "$@"' sh "$directory" "$@" &
command=$!
read -r _ <"$directory/apart"
slirp4netns --configure --mtu=65520 --ready-fd=3 "$command" tap0 3>"$directory/connected" >/dev/null 2>&1 &
network=$!
wait "$command"
status=$?
kill "$network" && wait "$network"
exit "$status"
"#;

/// The address at which a program inside reaches the host's loopback: that of `slirp4netns`, which `pasta` is told to take too.
pub(super) const HOST: &str = "10.0.2.2";

/// Whether this user may make the tunnel that all of them need. Some machines keep it for root.
pub(super) fn may_run() -> bool {
    OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok()
}

/// What precedes a command that is to run with `slirp4netns`.
pub(super) fn slirp4netns() -> Vec<OsString> {
    ["sh", "-c", SLIRP4NETNS, "sh"].map(OsString::from).into()
}

/// What precedes a command that is to run with `pasta`. It has a faster way for ports of the loopback that are named in advance;
/// connections to other hosts go this one.
pub(super) fn pasta(program: &Path) -> Vec<OsString> {
    let options =
        ["--config-net", "--quiet", "--foreground", "--ipv4-only", "--address", "10.0.2.100", "--netmask", "24"];
    let ports = ["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--gateway", HOST, "--"];
    std::iter::once(program.into()).chain(options.into_iter().chain(ports).map(OsString::from)).collect()
}
