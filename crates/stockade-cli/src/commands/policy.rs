//! `stockade policy`.

use std::path::{Path, PathBuf};

use stockade::policy;

use crate::arguments::{PolicyCommand, SandboxOptions};
use crate::failure::Failure;
use crate::job::Inputs;
use crate::{policy_files, print};

pub(super) fn execute(command: PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Check { files, workspace_file } => check(&files, workspace_file),
        PolicyCommand::Schema => print::result("the schema", policy::SCHEMA).map(|()| 0),
        PolicyCommand::Show { sandbox, json } => show(*sandbox, json),
    }
}

/// Checks every file before it fails, so that one call tells all.
fn check(files: &[PathBuf], workspace_file: bool) -> Result<u8, Failure> {
    // A workspace's file is judged by what it may narrow: the policy of a run here without it.
    let below = if workspace_file { Some(Inputs::without_workspace_file()?.policy()?) } else { None };
    let mut mistakes = Vec::new();
    for path in files {
        let file = if path == Path::new("-") { policy_files::read_stdin() } else { policy_files::read(path) }?;
        mistakes.extend(match &below {
            Some(policy) => policy::check_workspace(policy, file.source()),
            None => policy::check(file.source()),
        });
    }
    if mistakes.is_empty() { Ok(0) } else { Err(Failure::Policy(mistakes)) }
}

fn show(options: SandboxOptions, json: bool) -> Result<u8, Failure> {
    let inputs = Inputs::gather(options, Vec::new())?;
    let policy = inputs.policy()?;
    let text = if json { print::json("the policy", &policy)? } else { policy.to_toml() };
    print::result("the policy", &text)?;
    Ok(0)
}
