//! Compiles a policy, a request and host facts to a plan. Total and deterministic: no I/O, no environment, no clock.
//!
//! The order of the modules is the order of the work: texts become paths ([`paths`]), the view of the file system is
//! drawn up ([`system`], [`home`], [`workspace`], [`rules`], [`sockets`], [`resolution`]) as a [`view::View`], the network's rules
//! become a [`gate`], and a tier turns that and the rest of the policy into operations ([`namespaces`], [`confined`]).

mod confined;
mod data;
mod degraded;
mod environment;
mod error;
mod gate;
mod home;
mod host;
mod landlock;
mod layered;
mod limits;
mod namespaces;
mod paths;
mod protected;
mod refusals;
mod resolution;
mod rules;
mod sockets;
mod survey;
mod system;
mod tier;
mod unobserved;
mod view;
mod workspace;

pub use error::{CompileError, RuleProblem};
pub use protected::protected_patterns;
pub use survey::survey;

use crate::facts::HostFacts;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::request::Request;
use crate::tier::Tier;

/// What every part of the compilation reads.
#[derive(Clone, Copy)]
struct Input<'a> {
    policy: &'a Policy,
    request: &'a Request,
    facts: &'a HostFacts,
    host: &'a host::Host<'a>,
}

/// Whether the workspace of a request is one that a policy may open. [`compile`] checks it too; this is for those who look
/// through it before, which takes as long as it is large.
///
/// # Errors
/// [`CompileError::WorkspaceTooBroad`].
pub fn check_workspace(request: &Request) -> Result<(), CompileError> {
    workspace::check_breadth(request)
}

/// Compiles a policy for one request on one host.
///
/// # Errors
/// When the request makes no sense (no command, a workspace that is too broad), when a rule cannot be understood, or
/// when the policy asks for something that this host cannot enforce. Nothing has happened then.
pub fn compile(policy: &Policy, request: &Request, facts: &HostFacts) -> Result<Plan, CompileError> {
    let input = Input { policy, request, facts, host: &host::Host::new(facts) };
    refusals::check(input)?;
    match tier::choose(input)? {
        Tier::Namespaces => namespaces::plan(input),
        Tier::Landlock => confined::plan(input),
    }
}
