//! How programs inside come to ask the gate's name server: three files that every resolver reads (glibc, musl, and those
//! of Go, Java, Node.js and Python on top of them), in the place of the host's.
//!
//! The host's own would name servers that cannot be reached, sources that have no socket inside (`resolve` and `mdns` of
//! `nsswitch.conf(5)`), and addresses of hosts that only the gate may know.

use std::path::{Path, PathBuf};

use super::Input;
use super::host::Host;
use super::paths::normal;
use super::view::{Node, View};
use crate::facts::PathFact;
use crate::plan::gate::FakeRanges;
use crate::report::Protection;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const NSSWITCH_CONF: &str = "/etc/nsswitch.conf";
const HOSTS: &str = "/etc/hosts";

/// Everybody may read them, and nobody has anything to write.
const MODE: u32 = 0o444;

/// `nsswitch.conf(5)`. Users are looked up in files only: services that would know more cannot be reached. `altfiles` are
/// those of systems whose `/usr` is an image; where the module is missing it is passed over.
const SOURCES: &str = "\
passwd: files altfiles
group: files altfiles
shadow: files
gshadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
";

/// The paths whose existence matters.
pub(super) fn survey(uses: &mut impl FnMut(PathBuf)) {
    [RESOLV_CONF, NSSWITCH_CONF, HOSTS].into_iter().for_each(|path| uses(PathBuf::from(path)));
}

/// Puts the files into the view, each at the place where a program that opens it by its usual name gets to.
pub(super) fn put(view: &mut View, input: Input<'_>, ranges: FakeRanges, host_name: &str) {
    for (path, content) in
        [(RESOLV_CONF, servers(ranges)), (NSSWITCH_CONF, SOURCES.to_owned()), (HOSTS, hosts(ranges, host_name))]
    {
        let Some(place) = Place::of(Path::new(path), input.host) else { continue };
        if let Some(first) = place.on_the_way {
            view.put(first, Node::File { content: content.clone(), mode: MODE }, Protection::Network);
        }
        view.put(place.end, Node::Cover { content, mode: MODE }, Protection::Network);
    }
}

/// Whether programs find the servers in `/etc/resolv.conf`. Where it is missing, or a link that goes a longer way than can
/// be followed here, they look for a server at the loopback address (`resolv.conf(5)`; musl and Go do the same).
pub(super) fn names_the_servers(host: &Host<'_>) -> bool {
    Place::of(Path::new(RESOLV_CONF), host).is_some_and(|place| place.on_the_way.is_none())
}

/// Where the content of a file really lies.
struct Place {
    end: PathBuf,
    /// What the file, being a link, leads to first, where that leads on by another link. Where the host's is not seen, as in
    /// `/var/run`, a file takes its place.
    on_the_way: Option<PathBuf>,
}

impl Place {
    fn of(path: &Path, host: &Host<'_>) -> Option<Self> {
        match host.at(path) {
            PathFact::Missing | PathFact::Directory | PathFact::Symlink { directory: true, .. } => None,
            PathFact::Symlink { text, resolved, .. } => {
                let first = path.parent().and_then(|parent| normal(&parent.join(text)))?;
                // A link that leads nowhere, as one into `/run` before some service made the file, may do so inside.
                let end = resolved.clone().unwrap_or_else(|| first.clone());
                Some(Self { on_the_way: (first != end).then_some(first), end })
            }
            PathFact::File | PathFact::Sealed | PathFact::Socket | PathFact::Special => {
                host.real(path).map(|end| Self { end, on_the_way: None })
            }
        }
    }
}

/// `resolv.conf(5)`.
fn servers(ranges: FakeRanges) -> String {
    ranges.name_servers().map(|server| format!("nameserver {server}\n")).collect()
}

/// `hosts(5)`.
fn hosts(ranges: FakeRanges, host_name: &str) -> String {
    let ipv6 = if ranges.ipv6.is_some() { "::1 localhost ip6-localhost ip6-loopback\n" } else { "" };
    format!("127.0.0.1 localhost\n{ipv6}127.0.0.1 {host_name}\n")
}
