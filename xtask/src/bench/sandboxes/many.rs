//! Many sandboxes: what an idle one costs, and how fast they are made.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bench, run};
use crate::bench::Failure;
use crate::bench::memory;
use crate::bench::place::Place;

/// Sandboxes that are idle at once.
const IDLE: u32 = 1_000;
/// How long they are made and removed.
const SPAN: Duration = Duration::from_secs(3);

/// Measures and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
pub(super) fn measure(place: &Place, bench: &Bench) -> Result<Value, Failure> {
    let made = made_per_second(place, bench)?;
    let (before, others) = (available()?, processes()?);
    let mut sandboxes = Vec::new();
    for number in 0..IDLE {
        let sandbox = bench.create(&format!("idle-{number}"), &place.workspace, Duration::from_secs(600))?;
        run(&sandbox, &["/bin/true"])?;
        sandboxes.push(sandbox);
    }
    let taken = before.saturating_sub(available()?);
    let private = private(&processes()?.difference(&others).copied().collect::<Vec<_>>());
    for sandbox in sandboxes {
        sandbox.stop()?;
        let name = sandbox.name().to_owned();
        drop(sandbox);
        bench.all.remove(&name, false)?;
    }
    let each = taken / u64::from(IDLE);
    println!("### Many sandboxes\n\n| | |\n|---|---|");
    println!("| made and removed by two threads | {made:.0} a second |");
    println!("| {IDLE} idle ones, all memory, the kernel's included | {} MiB, {each} KiB each |", taken >> 10);
    let words = private.map_or("(only root may read it: --as-root)".to_owned(), |kib| {
        format!("{} MiB, {} KiB each", kib >> 10, kib / u64::from(IDLE))
    });
    println!("| {IDLE} idle ones, private memory of their processes | {words} |\n");
    Ok(json!({ "made_per_second": made, "idle": IDLE, "taken_kib": taken, "private_kib": private }))
}

fn made_per_second(place: &Place, bench: &Bench) -> Result<f64, Failure> {
    let start = Instant::now();
    let work = |thread: u32| -> Result<u32, String> {
        let mut made = 0;
        while start.elapsed() < SPAN {
            let name = format!("thread-{thread}-{made}");
            bench.create(&name, &place.workspace, Duration::ZERO).map_err(|error| error.to_string())?;
            bench.all.remove(&name, false).map_err(|error| error.to_string())?;
            made += 1;
        }
        Ok(made)
    };
    let made = std::thread::scope(|scope| {
        let threads = [0, 1].map(|thread| scope.spawn(move || work(thread)));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err("a thread failed".to_owned())))
            .sum::<Result<u32, _>>()
    })?;
    Ok(f64::from(made) / start.elapsed().as_secs_f64())
}

/// The processes that there are.
fn processes() -> Result<HashSet<u32>, Failure> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| Some(entry.ok()?.file_name()));
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// Private memory of processes together, in KiB; `None` unless it may be read of all. One that has ended meanwhile has none.
fn private(processes: &[u32]) -> Option<u64> {
    let folders = processes.iter().map(|process| format!("/proc/{process}"));
    folders.filter(|folder| fs::exists(folder).unwrap_or(true)).map(|folder| memory::private(&folder)).sum()
}

/// `MemAvailable` of `/proc/meminfo` (proc_meminfo(5)), in KiB.
fn available() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).ok_or("no MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
