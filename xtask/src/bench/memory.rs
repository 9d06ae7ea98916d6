//! Memory that one running sandbox has to itself.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::Failure;
use super::contestant::Contestant;
use super::place::Place;

/// Time after which a sandbox is taken to be idle.
const SETTLED: Duration = Duration::from_millis(400);

/// Measures the processes of a sandbox in which a command sleeps, and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
pub(super) fn measure(place: &Place) -> Result<Value, Failure> {
    let mut raw = serde_json::Map::new();
    println!("### Private memory while `sleep` runs\n\n| | process | private KiB |\n|---|---|---|");
    for contestant in [Contestant::bubblewrap(place), Some(Contestant::stockade(place))].into_iter().flatten() {
        let mut child = contestant.command(&["sleep", "30"]).spawn()?;
        thread::sleep(SETTLED);
        let processes = family(child.id());
        child.kill()?;
        child.wait()?;
        for (name, private) in processes.iter().filter(|(name, _)| name != "sleep") {
            let private = private.map_or("(only root may read it: --as-root)".to_owned(), |kib| kib.to_string());
            println!("| {} | {name} | {private} |", contestant.name);
        }
        raw.insert(contestant.name.to_owned(), json!(processes));
    }
    println!();
    Ok(raw.into())
}

/// A process and its descendants: their names, and their private memory in KiB as far as it may be read.
fn family(root: u32) -> Vec<(String, Option<u64>)> {
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(process) = waiting.pop() {
        let folder = format!("/proc/{process}");
        let name = fs::read_to_string(format!("{folder}/comm")).unwrap_or_default();
        found.push((name.trim().to_owned(), private(&folder)));
        let children = fs::read_to_string(format!("{folder}/task/{process}/children")).unwrap_or_default();
        waiting.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    found
}

/// `Private_Clean` and `Private_Dirty` of `smaps_rollup` (proc_pid_smaps(5)). A process that is not dumpable shows them to
/// root only.
pub(super) fn private(folder: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("{folder}/smaps_rollup")).ok()?;
    let sum = text
        .lines()
        .filter(|line| line.starts_with("Private_Clean") || line.starts_with("Private_Dirty"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    Some(sum)
}
