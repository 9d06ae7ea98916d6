//! How long compiling takes. Prints figures, and asserts nothing about time: run with
//! `cargo test --release -p stockade-spec --test compile -- speed --nocapture`.

use std::time::Instant;

use stockade_spec::compile;
use stockade_spec::compile::survey;

use crate::hosts::{furnished, policy, request};

#[test]
fn a_furnished_home_is_surveyed_and_compiled() {
    const ROUNDS: u32 = 1_000;
    let (policy, request, facts) = (policy(""), request(), furnished());
    let start = Instant::now();
    let mut paths = 0;
    for _ in 0..ROUNDS {
        paths = survey(&policy, &request).len();
    }
    let surveyed = start.elapsed() / ROUNDS;
    let start = Instant::now();
    let mut steps = 0;
    for _ in 0..ROUNDS {
        steps = compile(&policy, &request, &facts).expect("a plan").steps.len();
    }
    let compiled = start.elapsed() / ROUNDS;
    println!("survey {surveyed:?} for {paths} paths, compile {compiled:?} for {steps} steps");
    assert!(paths > 0 && steps > 0);
}
