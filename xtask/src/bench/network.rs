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
    /// Whether the benchmark is pointless without it.
    is_needed: bool,
    /// Empty where it failed; the others go on then.
    measured: Vec<Measured>,
    at_once: Vec<f64>,
    failure: Option<String>,
}

/// Measures and prints the tables.
pub(super) fn measure(place: &Place, rounds: usize) -> Result<Value, Failure> {
    let server = Server::start()?;
    let program = place.workspace.join("load");
    fs::copy(std::env::current_exe()?, &program)?;
    let mut entrants = entrants(place, server.address)?;
    for rival in entrants.iter_mut().filter(|entrant| !entrant.is_needed) {
        rival.failure = rival.contestant.output(&["true"], BOUND).err().map(|error| error.to_string());
    }
    let starts = start(place, &entrants, rounds.min(START_ROUNDS))?;
    load(&mut entrants, &program)?;
    print_load(&entrants);
    fs::remove_file(&program)?;
    Ok(json!({ "start": starts, "load": raw(&entrants) }))
}

fn entrants(place: &Place, server: SocketAddr) -> Result<Vec<Entrant>, Failure> {
    let policy = policy(place)?;
    let elsewhere = SocketAddr::new(super::rival::HOST.parse()?, server.port());
    let entrant = |is_needed: bool, contestant: Contestant, server: SocketAddr| Entrant {
        contestant,
        server,
        is_needed,
        measured: Vec::new(),
        at_once: Vec::new(),
        failure: None,
    };
    let mut entrants = vec![
        entrant(true, Contestant::native(place), server),
        entrant(true, Contestant::gate(place, &policy, server), server),
    ];
    entrants.extend(Contestant::pasta(place).map(|rival| entrant(false, rival, elsewhere)));
    entrants.extend(Contestant::slirp4netns(place).map(|rival| entrant(false, rival, elsewhere)));
    Ok(entrants)
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
    contestants.extend(
        entrants.iter().skip(1).filter(|entrant| entrant.failure.is_none()).map(|entrant| entrant.contestant.clone()),
    );
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
            entrants[(round + turn) % entrants.len()].take_part(program)?;
        }
    }
    Ok(())
}

impl Entrant {
    /// One round, unless it has failed before.
    fn take_part(&mut self, program: &Path) -> Result<(), Failure> {
        if self.failure.is_some() {
            return Ok(());
        }
        match self.round(program) {
            Ok((speed, at_once)) => {
                self.measured.push(speed);
                self.at_once.push(at_once.at_once);
                Ok(())
            }
            Err(error) if self.is_needed => Err(error),
            Err(error) => {
                self.failure = Some(error.to_string());
                Ok(())
            }
        }
    }

    fn round(&self, program: &Path) -> Result<(Measured, Measured), Failure> {
        Ok((self.run(program, Job::Speed)?, self.run(program, Job::AtOnce)?))
    }

    fn run(&self, program: &Path, job: Job) -> Result<Measured, Failure> {
        let server = self.server.to_string();
        let program = program.to_str().ok_or("the benchmark's directory has a name that is no text")?;
        let printed = self.contestant.output(&[program, "load", job.name(), &server], BOUND)?;
        Ok(serde_json::from_slice(&printed)?)
    }

    /// Its row of the table.
    fn row(&self, native: &Self) -> String {
        let name = self.contestant.name;
        if let Some(failure) = &self.failure {
            return format!("| {name} | {} | | | | |", failure.replace(['\n', '|'], " "));
        }
        let cell = |of: fn(&Measured) -> f64| format!("{:.0} ({:.2}x)", self.median(of), self.beside(native, of));
        let (up, down) = (cell(|measured| measured.up), cell(|measured| measured.down));
        let per_second = cell(|measured| measured.per_second);
        let (first, later) = (self.first_byte(), self.first_byte() - native.first_byte());
        let at_once = median(self.at_once.clone());
        format!("| {name} | {up} | {down} | {per_second} | {first:.0}µs ({later:+.0}µs) | {at_once:.0}ms |")
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
        println!("{}", entrant.row(native));
    }
    println!();
}

fn raw(entrants: &[Entrant]) -> Value {
    let one = |entrant: &Entrant| {
        let value =
            json!({ "speed": entrant.measured, "at once, milliseconds": entrant.at_once, "failure": entrant.failure });
        (entrant.contestant.name.to_owned(), value)
    };
    entrants.iter().map(one).collect::<serde_json::Map<_, _>>().into()
}
