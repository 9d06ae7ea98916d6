//! Which paths of the host a plan depends on.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{gate, home, rules, sockets, system, workspace};
use crate::policy::Policy;
use crate::request::Request;

/// The paths that [`super::compile`] needs to know about: whoever probes the host looks at each once, without following a
/// link in its last component, and puts what is there into [`crate::HostFacts::paths`].
#[must_use]
pub fn survey(policy: &Policy, request: &Request) -> Vec<PathBuf> {
    let mut paths = Vec::with_capacity(192);
    system::survey(&mut |path| paths.push(PathBuf::from(path)));
    let mut uses = |path| paths.push(path);
    home::survey(request, &mut uses);
    workspace::survey(request, &mut uses);
    rules::survey(policy, request, &mut uses);
    sockets::survey(policy, request, &mut uses);
    gate::survey(policy, &mut uses);
    let mut seen = HashSet::with_capacity(paths.len());
    let first = paths.iter().map(|path| seen.insert(path.as_os_str())).collect::<Vec<_>>();
    let mut first = first.into_iter();
    paths.retain(|_| first.next().unwrap_or(true));
    paths
}
