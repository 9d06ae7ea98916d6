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

/// The address at which a program inside `slirp4netns` reaches the host's loopback.
pub(super) const SLIRP4NETNS_HOST: &str = "10.0.2.2";

/// Whether this user may make the tunnel that all of them need. Some machines keep it for root.
pub(super) fn may_run() -> bool {
    OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok()
}

/// What precedes a command that is to run with `slirp4netns`.
pub(super) fn slirp4netns() -> Vec<OsString> {
    ["sh", "-c", SLIRP4NETNS, "sh"].map(OsString::from).into()
}

/// What precedes a command that is to run with `pasta`, which passes the host's loopback port on by `splice(2)`: its fastest way.
pub(super) fn pasta(program: &Path, port: u16) -> Vec<OsString> {
    let mut prefix = vec![program.as_os_str().to_owned()];
    let port = port.to_string();
    prefix.extend(
        ["--config-net", "--quiet", "--foreground", "-t", "none", "-u", "none", "-U", "none", "-T"].map(OsString::from),
    );
    prefix.extend([port.as_str(), "--"].map(OsString::from));
    prefix
}
