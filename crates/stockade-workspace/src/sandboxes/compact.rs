//! Keeps the list of layers below `upper` short: each costs the kernel a look for every name, and a path in the mount.
//!
//! Two that lie next to one another are merged into a new one, by further names of their files. The old ones stay for as long
//! as a checkpoint names them. Those with the fewest entries go first, so that a large layer is not copied over and over.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::error::SandboxError;
use super::folder::{Folder, Wait};
use super::home::TREE;
use super::id::Id;
use super::locked::Locked;
use super::manifest::{LayerRecord, Manifest};
use super::pending::{Pending, Step};
use super::sandbox::Sandbox;
use super::supervisor::Supervisor;
use super::{bases, garbage, listing, upper};
use crate::{fault, layers};

/// Layers below `upper` that are left as they are. Kernels before 6.8 are told of all in one text of 255 bytes (`lowerdir`), where
/// each takes 17, the workspace included.
const MAX_UNDER: usize = 12;

impl Sandbox {
    /// Whether there are so many layers that [`Locked::compact`] would merge some.
    #[must_use]
    pub fn is_deep(&self) -> bool {
        self.manifest.under.len() > MAX_UNDER || self.twice_preserved().is_some()
    }

    /// Two layers at the bottom of a list that hold what the host had before an apply, if there are two.
    fn twice_preserved(&self) -> Option<[u32; 2]> {
        let manifest = &self.manifest;
        let is_preserved = |place: &u32| manifest.layers.get(*place as usize).is_some_and(|layer| layer.preserved);
        let pair = |chain: &Vec<u32>| match chain[..] {
            [first, second, ..] if is_preserved(&first) && is_preserved(&second) => Some([first, second]),
            _ => None,
        };
        manifest.chains().find_map(pair)
    }
}

impl Locked<'_> {
    /// Merges layers below `upper` until there are few enough; gives how often two were. A supervisor whose last program has
    /// ended gives its own lock. Checkpoints stay as they are, and nothing that programs see changes.
    ///
    /// # Errors
    /// When programs run, or something cannot be read or written.
    pub fn compact(&mut self, own: Option<&Supervisor>) -> Result<usize, SandboxError> {
        let _held = self.stopped(own)?;
        self.compact_stopped()
    }

    /// The same, while it is seen to that no program runs.
    pub(super) fn compact_stopped(&mut self) -> Result<usize, SandboxError> {
        let mut merges = 0;
        while let Some(pair) = self.twice_preserved() {
            // Every list has these at its bottom. There, they grow with the applies and not with the checkpoints.
            self.merge(pair, |manifest, place| {
                for chain in manifest.chains_mut().filter(|chain| chain.starts_with(&pair)) {
                    chain.splice(..2, [place]);
                }
            })?;
            merges += 1;
        }
        while self.manifest.under.len() > MAX_UNDER {
            let (at, pair) = self.lightest();
            self.merge(pair, |manifest, place| {
                manifest.under.splice(at..at + 2, [place]);
            })?;
            merges += 1;
        }
        if merges > 0 {
            garbage::collect(&self.home, Wait::No)?;
        }
        Ok(merges)
    }

    /// The two neighbours below `upper` that have the fewest entries, and where the lower one is.
    fn lightest(&self) -> (usize, [u32; 2]) {
        let manifest = &self.manifest;
        let entries = |place: u32| manifest.layers.get(place as usize).map_or(0, |layer| layer.entries);
        let neighbours = manifest.under.iter().zip(manifest.under.iter().skip(1)).enumerate();
        let pairs = neighbours.map(|(at, (lower, higher))| (at, [*lower, *higher]));
        pairs.min_by_key(|(_, pair)| pair.map(entries).iter().sum::<u64>()).unwrap_or_default()
    }

    /// Makes one layer of two. `replace` puts its place where those of the two were.
    fn merge(&mut self, pair: [u32; 2], replace: impl FnOnce(&mut Manifest, u32)) -> Result<(), SandboxError> {
        let home = std::sync::Arc::clone(&self.home);
        let _layers = home.share_layers()?;
        let id = Id::random().map_err(|error| self.folder.failed("name a layer of", "", error))?;
        let generation = self.manifest.generation + 1;
        let pending = Pending { step: Step::Make, generation, layer: Some(id), mode: None };
        self.change(&pending, |locked| {
            let layer = home.layers.make_child(&id.to_string())?;
            fault::place();
            let mut manifest = locked.manifest.clone();
            let parts = pair.map(|place| manifest.layers.get(place as usize).cloned());
            let [Some(older), Some(newer)] = parts else {
                return Err(locked.folder.failed("merge layers of", "", Errno::INVAL));
            };
            let record = locked.fill_merged(&layer, id, &older, &newer)?;
            let overflow = |error| locked.folder.failed("name a layer of", "", error);
            let place = manifest.add_layer(record).map_err(overflow)?;
            replace(&mut manifest, place);
            locked.write(manifest)
        })
    }

    fn fill_merged(
        &self,
        layer: &Folder,
        id: Id,
        older: &LayerRecord,
        newer: &LayerRecord,
    ) -> Result<LayerRecord, SandboxError> {
        layer.make_child(TREE)?;
        let (lower, higher) = (self.home.layer(older.id)?, self.home.layer(newer.id)?);
        for folder in [&lower, &higher, layer] {
            listing::set_linked(folder)?;
        }
        let (below, above) = (upper::open(&lower, TREE)?, upper::open(&higher, TREE)?);
        layers::merge(below.as_fd(), above.as_fd(), upper::open(layer, TREE)?.as_fd())?;
        fault::place();
        bases::merge(&lower, &higher, layer)?;
        fault::place();
        let preserved = older.preserved && newer.preserved;
        Ok(LayerRecord { preserved, ..super::seal::record(layer, id)? })
    }
}
