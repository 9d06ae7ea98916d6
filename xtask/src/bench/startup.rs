//! The whole life of a command that does nothing.

use serde_json::Value;

use super::Failure;
use super::contestant::Contestant;
use super::place::Place;
use super::samples::{interleave, of, ratio, raw};

/// Measures `true` and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
pub(super) fn measure(place: &Place, rounds: usize) -> Result<Value, Failure> {
    let contestants: Vec<Contestant> = [
        Some(Contestant::native(place)),
        Contestant::unshare(place),
        Contestant::bubblewrap(place),
        Some(Contestant::stockade(place)),
        Some(Contestant::stockade_furnished(place)),
        Contestant::firejail(place),
    ]
    .into_iter()
    .flatten()
    .collect();
    let all = interleave(&contestants, rounds, &["true"], || Ok(()))?;
    let rival = of(&all, "bubblewrap");
    println!("### Start to end of `true`, {rounds} rounds\n");
    println!("| | median | p95 | beside bubblewrap |\n|---|---|---|---|");
    for samples in &all {
        let (median, p95) = (samples.median(), samples.percentile(95));
        let beside = rival.map_or("-".to_owned(), |rival| format!("{:.2}x", ratio(median, rival.median())));
        println!("| {} | {median:.2?} | {p95:.2?} | {beside} |", samples.name);
    }
    println!();
    Ok(raw(&all))
}
