//! The gate: connections of programs inside to a server on the host's loopback, beside the same without a sandbox.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Failure;
use super::contestant::Contestant;
use super::place::Place;
use super::samples;
use crate::load::{AT_ONCE, Job, Measured, STREAM, Server};

/// Rounds of the load. A round takes about a second for each contestant.
const ROUNDS: usize = 5;
/// Time after which no further round begins.
const ENOUGH: Duration = Duration::from_secs(30);
/// Longest time of one run of the load.
const BOUND: Duration = Duration::from_secs(10);
/// Most rounds of the command that does nothing.
const START_ROUNDS: usize = 60;

/// What the gate's own bounds must let through, which by default are lower than what is measured here.
const POLICY: &str = "[network.limits]\nconnections_per_second = 1000000\nconnections_at_once = 2000\n";

/// A contestant and where it reaches the server.
struct Entrant {
    contestant: Contestant,
    server: SocketAddr,
    measured: Vec<Measured>,
    at_once: Vec<f64>,
}

/// Measures and prints the tables.
pub(super) fn measure(place: &Place, rounds: usize) -> Result<Value, Failure> {
    let server = Server::start()?;
    let program = place.workspace.join("load");
    fs::copy(std::env::current_exe()?, &program)?;
    let mut entrants = entrants(place, server.address)?;
    let starts = start(place, &entrants, rounds.min(START_ROUNDS))?;
    load(&mut entrants, &program)?;
    print_load(&entrants);
    fs::remove_file(&program)?;
    Ok(json!({ "start": starts, "load": raw(&entrants) }))
}

fn entrants(place: &Place, server: SocketAddr) -> Result<Vec<Entrant>, Failure> {
    let policy = policy(place)?;
    let elsewhere = SocketAddr::new(super::rival::SLIRP4NETNS_HOST.parse()?, server.port());
    let candidates = [
        (Some(Contestant::native(place)), server),
        (Some(Contestant::gate(place, &policy, server)), server),
        (Contestant::pasta(place, server.port()), server),
        (Contestant::slirp4netns(place), elsewhere),
    ];
    let entrant = |(contestant, server): (Option<Contestant>, SocketAddr)| {
        Some(Entrant { contestant: contestant?, server, measured: Vec::new(), at_once: Vec::new() })
    };
    Ok(candidates.into_iter().filter_map(entrant).collect())
}

fn policy(place: &Place) -> Result<PathBuf, Failure> {
    let file = place.bare_home.join("bench.toml");
    fs::write(&file, POLICY)?;
    Ok(file)
}

/// What a network costs a command that does nothing.
#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn start(place: &Place, entrants: &[Entrant], rounds: usize) -> Result<Value, Failure> {
    let mut contestants = vec![Contestant::stockade(place)];
    contestants.extend(entrants.iter().skip(1).map(|entrant| entrant.contestant.clone()));
    let all = samples::interleave(&contestants, rounds, &["true"], || Ok(()))?;
    let closed = all[0].median().as_secs_f64();
    println!("### Start to end of `true` with a network, {rounds} rounds\n");
    println!("| | median | p95 | more than `stockade run` |\n|---|---|---|---|");
    for samples in &all {
        let (median, p95) = (samples.median(), samples.percentile(95));
        let more = (median.as_secs_f64() - closed) * 1e3;
        println!("| {} | {median:.2?} | {p95:.2?} | {more:+.2}ms |", samples.name);
    }
    println!();
    Ok(samples::raw(&all))
}

/// Every contestant in turn, each round beginning with another one.
fn load(entrants: &mut [Entrant], program: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    for round in 0..ROUNDS {
        if begun.elapsed() > ENOUGH {
            break;
        }
        for turn in 0..entrants.len() {
            let index = (round + turn) % entrants.len();
            let entrant = &mut entrants[index];
            let measured = entrant.run(program, Job::Speed)?;
            entrant.measured.push(measured);
            let measured = entrant.run(program, Job::AtOnce)?;
            entrant.at_once.push(measured.at_once);
        }
    }
    Ok(())
}

impl Entrant {
    fn run(&self, program: &Path, job: Job) -> Result<Measured, Failure> {
        let server = self.server.to_string();
        let program = program.to_str().ok_or("the benchmark's directory has a name that is no text")?;
        let printed = self.contestant.output(&[program, "load", job.name(), &server], BOUND)?;
        Ok(serde_json::from_slice(&printed)?)
    }

    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.measured.iter().map(of).collect())
    }

    fn first_byte(&self) -> f64 {
        self.median(|measured| median(measured.first_byte.clone()))
    }

    /// The median over rounds of the ratio to what another reached in the same round.
    fn beside(&self, other: &Self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.measured.iter().zip(&other.measured).map(|(own, other)| of(own) / of(other)).collect())
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "the table is what the benchmark is for")]
fn print_load(entrants: &[Entrant]) {
    let native = &entrants[0];
    println!("### Connections to a server on the host, {} rounds\n", native.measured.len());
    println!("Streams of {} MiB; the ratio to native is that of the same round.\n", STREAM >> 20);
    println!("| | up, MiB/s | down, MiB/s | new connections/s | first byte | {AT_ONCE} at once |");
    println!("|---|---|---|---|---|---|");
    for entrant in entrants {
        let cell = |of: fn(&Measured) -> f64| format!("{:.0} ({:.2}x)", entrant.median(of), entrant.beside(native, of));
        println!(
            "| {} | {} | {} | {} | {:.0}µs ({:+.0}µs) | {:.0}ms |",
            entrant.contestant.name,
            cell(|measured| measured.up),
            cell(|measured| measured.down),
            cell(|measured| measured.per_second),
            entrant.first_byte(),
            entrant.first_byte() - native.first_byte(),
            median(entrant.at_once.clone()),
        );
    }
    println!();
}

fn raw(entrants: &[Entrant]) -> Value {
    let one = |entrant: &Entrant| {
        let value = json!({ "speed": entrant.measured, "at once, milliseconds": entrant.at_once });
        (entrant.contestant.name.to_owned(), value)
    };
    entrants.iter().map(one).collect::<serde_json::Map<_, _>>().into()
}
