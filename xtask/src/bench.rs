//! `cargo xtask bench`: Stockade beside its rivals, in one run on one machine, as ratios.
//!
//! It measures as an ordinary user. Started by root, it runs itself again as the user that `--user` names (`tester`
//! unless told otherwise), since root is spared some of the work.
//!
//! What is compared is run in turn, round by round, so that a disturbance meets all alike; a round starts with another
//! contestant each time.

mod contestant;
mod furniture;
mod memory;
mod network;
mod options;
mod place;
mod rival;
mod samples;
mod sandboxes;
mod startup;
mod work;

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};

use options::{Options, Part};
use place::Place;

/// How it is used.
pub(crate) const USAGE: &str = "\
  bench [--rounds N] [--work-rounds N] [--only start|work|memory|network|sandboxes] [--stockade FILE] [--json FILE]
        [--user NAME | --as-root]
        measure a release build beside its rivals; prints Markdown, and raw samples to FILE
";

/// What stops the benchmark.
type Failure = Box<dyn Error>;

/// Runs the benchmark with the arguments that follow its name.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    if rustix::process::geteuid().is_root() && !options.as_root {
        return place::as_ordinary_user(&options);
    }
    let place = Place::prepare(&options)?;
    let mut raw = serde_json::Map::new();
    if options.wants(Part::Start) {
        raw.insert("start".to_owned(), startup::measure(&place, options.rounds)?);
    }
    if options.wants(Part::Work) {
        raw.insert("work".to_owned(), work::measure(&place, options.work_rounds)?);
    }
    if options.wants(Part::Memory) {
        raw.insert("memory".to_owned(), memory::measure(&place)?);
    }
    if options.wants(Part::Network) {
        raw.insert("network".to_owned(), network::measure(&place, options.rounds)?);
    }
    if options.wants(Part::Sandboxes) {
        raw.insert("sandboxes".to_owned(), sandboxes::measure(&place, options.rounds)?);
    }
    write_raw(options.json.as_deref(), raw)
}

fn write_raw(file: Option<&Path>, mut raw: serde_json::Map<String, Value>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    raw.insert("unit".to_owned(), json!("microseconds"));
    std::fs::write(file, serde_json::to_vec_pretty(&raw)?)?;
    Ok(())
}
