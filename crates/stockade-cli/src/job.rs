//! Gathers everything that a run needs: policy files, the options as the strongest layer, and the request.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stockade::policy::{Limits, Overrides};
use stockade::{Job, Policy, Request};

use crate::arguments::{SandboxOptions, Variable};
use crate::caller::{Caller, current_directory};
use crate::failure::Failure;
use crate::policy_files::{self, PolicyFile};
use crate::resolve;

/// What a [`Job`] borrows from.
#[derive(Debug)]
pub(crate) struct Inputs {
    layers: Vec<PolicyFile>,
    workspace: Option<PolicyFile>,
    overrides: Overrides,
    request: Request,
    /// What the command must never be able to write: Stockade's own configuration and state.
    own: Vec<PathBuf>,
    state: PathBuf,
    here: PathBuf,
}

impl Inputs {
    /// Reads the files and resolves the options.
    ///
    /// # Errors
    /// When a file cannot be read, or a path that was named is not there.
    pub(crate) fn gather(options: SandboxOptions, command: Vec<OsString>) -> Result<Self, Failure> {
        let caller = Caller::find();
        let here = current_directory()?;
        let request = resolve::request(command, &options, &caller, &here)?;
        let mut layers = layers(&caller, options.policy.as_deref().map(|path| here.join(path)), &request.workspace)?;
        // What lies in the workspace is protected there by a rule of its own.
        let elsewhere = |path: &PathBuf| !path.starts_with(&request.workspace);
        let named = layers.iter().map(PolicyFile::real_path).filter(elsewhere);
        let own = named.chain([caller.configuration.clone()]).collect();
        layers.extend(PolicyFile::protecting(&layers, &request.workspace));
        let workspace = policy_files::read_workspace(&request.workspace)?;
        let overrides = overrides(options, &here)?;
        Ok(Self { layers, workspace, overrides, request, own, state: caller.state, here })
    }

    /// The directory from which Stockade was called.
    pub(crate) fn here(&self) -> &Path {
        &self.here
    }

    /// The workspace.
    pub(crate) fn workspace(&self) -> &Path {
        &self.request.workspace
    }

    /// The inputs of a run in the current directory without options, and without the workspace's own policy.
    ///
    /// # Errors
    /// As [`Inputs::gather`].
    pub(crate) fn without_workspace_file() -> Result<Self, Failure> {
        Ok(Self { workspace: None, ..Self::gather(SandboxOptions::default(), Vec::new())? })
    }

    /// The merged policy.
    ///
    /// # Errors
    /// When it is wrong.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        Ok(stockade::policy(&self.job())?)
    }

    /// Whether the workspace has a policy of its own.
    pub(crate) const fn has_workspace_file(&self) -> bool {
        self.workspace.is_some()
    }

    /// The options, and one more: `--allow` for an endpoint.
    pub(crate) fn overrides_allowing(&self, endpoint: String) -> Overrides {
        let mut overrides = self.overrides.clone();
        overrides.allow.push(endpoint);
        overrides
    }

    /// The job for the library.
    pub(crate) fn job(&self) -> Job<'_> {
        Job {
            layers: self.layers.iter().map(PolicyFile::source).collect(),
            workspace: self.workspace.as_ref().map(PolicyFile::source),
            overrides: &self.overrides,
            request: &self.request,
            own: &self.own,
            state: &self.state,
        }
    }
}

/// The trusted policy files, weakest first.
fn layers(caller: &Caller, named: Option<PathBuf>, workspace: &Path) -> Result<Vec<PolicyFile>, Failure> {
    let mut layers = Vec::new();
    layers.extend(policy_files::read_default(Path::new(policy_files::MACHINE))?);
    layers.extend(policy_files::read_default(&caller.configuration.join("policy.toml"))?);
    if let Some(path) = named {
        layers.push(policy_files::read_named(&path, workspace)?);
    }
    Ok(layers)
}

/// The options as a policy layer.
fn overrides(options: SandboxOptions, here: &Path) -> Result<Overrides, Failure> {
    let paths = |option, typed: &[PathBuf]| -> Result<Vec<String>, Failure> {
        typed.iter().map(|path| resolve::option_path(option, path, here)).collect()
    };
    let mut overrides = Overrides {
        profile: options.profile,
        read: paths("--read", &options.read)?,
        write: paths("--write", &options.write)?,
        deny: options.deny,
        allow: options.allow,
        publish: options.publish,
        unix: paths("--unix", &options.unix)?,
        limits: Limits {
            memory: options.memory,
            milli_cpus: options.milli_cpus,
            processes: options.processes,
            files: options.files,
            disk: options.disk,
            time: options.time,
            output: options.output,
        },
        accept_degraded: options.accept_degraded,
        ..Overrides::default()
    };
    for variable in options.env {
        match variable {
            Variable::Pass(name) => overrides.pass.push(name),
            Variable::Set(name, value) => overrides.set.push((name, value)),
        }
    }
    Ok(overrides)
}
