//! Work on many small files.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Failure;
use super::contestant::Contestant;
use super::place::Place;
use super::samples::{interleave, of, ratio, raw};

/// Files of each job.
const FILES: usize = 2_000;

/// A name, and a script for `sh` that runs in the workspace, beside the directory `files`.
const JOBS: [(&str, &str); 3] = [
    (
        "git: init, add, commit",
        "git init -q repository && cp -r files repository/ && cd repository && git add . && \
         git -c user.name=n -c user.email=e@example.org commit -qm all",
    ),
    ("python: compileall", "python3 -m compileall -q -j1 files"),
    ("tar: pack and unpack", "mkdir unpacked && tar -cf archive.tar files && tar -xf archive.tar -C unpacked"),
];

/// Measures each job and prints a table.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
pub(super) fn measure(place: &Place, rounds: usize) -> Result<Value, Failure> {
    let contestants: Vec<Contestant> =
        [Some(Contestant::native(place)), Contestant::bubblewrap(place), Some(Contestant::stockade(place))]
            .into_iter()
            .flatten()
            .collect();
    let mut all = serde_json::Map::new();
    println!("### Work on {FILES} small files, {rounds} rounds\n");
    println!("| | native | bubblewrap | stockade | stockade beside native |\n|---|---|---|---|---|");
    for (name, script) in JOBS {
        let samples = interleave(&contestants, rounds, &["sh", "-c", script], || fill(&place.workspace))?;
        let median = |name: &str| of(&samples, name).map(super::samples::Samples::median);
        let shown = |name: &str| median(name).map_or("-".to_owned(), |median| format!("{median:.0?}"));
        let beside = match (median("stockade run"), median("native")) {
            (Some(boxed), Some(native)) => format!("{:.3}x", ratio(boxed, native)),
            _ => "-".to_owned(),
        };
        println!("| {name} | {} | {} | {} | {beside} |", shown("native"), shown("bubblewrap"), shown("stockade run"));
        all.insert(name.to_owned(), raw(&samples));
    }
    println!();
    clear(&place.workspace)?;
    Ok(all.into())
}

/// Leaves nothing in the workspace but the directory `files`, freshly made.
fn fill(workspace: &Path) -> Result<(), Failure> {
    clear(workspace)?;
    for number in 0..FILES {
        let directory = workspace.join(format!("files/part{}", number % 40));
        fs::create_dir_all(&directory)?;
        let content = format!("def function_{number}(x):\n    return x * {number} + len('{number}')\n").repeat(8);
        fs::write(directory.join(format!("module_{number}.py")), content)?;
    }
    // What the last one wrote must not be written to the disk while the next one is measured.
    let status = Command::new("sync").status()?;
    if status.success() { Ok(()) } else { Err("sync failed".into()) }
}

/// Leaves nothing in the workspace, so that what is measured next looks through no files.
fn clear(workspace: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(workspace)? {
        let path = entry?.path();
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}
