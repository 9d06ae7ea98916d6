//! Where the directories of a group are made, and what is written there.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use stockade_spec::facts::CgroupFacts;

use super::error::LimitError;
use super::kernel_file;
use super::settings::{self, Bound, Setting, Version};

/// One directory that is going to be made.
#[derive(Debug)]
pub(super) struct Site {
    /// The directory in which it is made.
    place: PathBuf,
    /// The directory itself.
    pub(super) path: PathBuf,
    /// Device and inode of `place`: in version 1, several controllers can share a tree.
    tree: (u64, u64),
    /// The controllers that it needs.
    controllers: Vec<&'static str>,
    /// What is written to its files.
    pub(super) settings: Vec<Setting>,
}

/// The directories to make for the bounds, with what is written to each.
pub(super) fn sites(
    facts: &CgroupFacts,
    version: Version,
    bounds: &[Bound],
    name: &str,
) -> Result<Vec<Site>, LimitError> {
    let mut sites: Vec<Site> = Vec::new();
    for &bound in bounds {
        let controller = settings::controller(bound.resource)
            .ok_or(LimitError::Unsupported { resource: bound.resource, mechanism: "a control group" })?;
        let place = place(facts, version, controller).ok_or(LimitError::NoPlace { controller })?;
        let tree = rustix::fs::stat(place).map_err(|error| LimitError::group("look at", place, error))?;
        let tree = (tree.st_dev, tree.st_ino);
        let settings = settings::settings(version, bound);
        if let Some(site) = sites.iter_mut().find(|site| site.tree == tree) {
            site.controllers.push(controller);
            site.settings.extend(settings);
        } else {
            let (path, place) = (place.join(name), place.to_owned());
            sites.push(Site { place, path, tree, controllers: vec![controller], settings });
        }
    }
    Ok(sites)
}

/// The directory in which a group with the controller is made.
fn place<'f>(facts: &'f CgroupFacts, version: Version, controller: &str) -> Option<&'f Path> {
    match version {
        Version::V1 => facts.v1.get(controller).map(PathBuf::as_path),
        Version::V2 => {
            let place = facts.v2.as_ref()?;
            place.controllers.iter().any(|offered| offered == controller).then_some(place.path.as_path())
        }
    }
}

/// Turns the controllers on for the children of the place, unless they are. They stay on, since another run may rely on
/// them.
pub(super) fn enable(site: &Site) -> Result<(), LimitError> {
    let file = site.place.join("cgroup.subtree_control");
    let mut buffer = [0; kernel_file::SMALL];
    let enabled =
        kernel_file::read(CWD, &file, &mut buffer).map_err(|error| LimitError::group("read", &file, error))?;
    let missing = |name: &&&str| !kernel_file::words(enabled).any(|word| word == **name);
    let switches: Vec<String> = site.controllers.iter().filter(missing).map(|name| format!("+{name}")).collect();
    if switches.is_empty() {
        return Ok(());
    }
    kernel_file::write(CWD, &file, switches.join(" ").as_bytes())
        .map_err(|error| LimitError::group("turn controllers on in", file, error))
}
