//! Every attack of the suite in a sandbox that lasts, with everything applied that it did there.

use std::sync::OnceLock;

use e2e::Attack;
use e2e::attack::{Event, Native, Trace};
use e2e::families::layers;
use serde_json::Value;

use crate::run::{Bench, Outcome, Place};
use crate::user::User;

/// Attacks that are about something else than what happens in a sandbox.
const ELSEWHERE: &[(&str, &str)] =
    &[("read-denied-that-appears", "the host has to see a directory that was made inside, which it does not")];

/// Whether an attack can be made so.
pub(crate) fn is_made(attack: &Attack) -> bool {
    !matches!(attack.trace, Trace::Refused(_)) && ELSEWHERE.iter().all(|(name, _)| *name != attack.name)
}

/// Makes an attack, natively where no other suite does, and in a sandbox; panics at a breach.
pub(crate) fn judge(attack: &Attack, user: &User) {
    let own = layers::ATTACKS.iter().any(|own| own.name == attack.name);
    let run = |place| bench().run(attack, user, place).unwrap_or_else(|error| panic!("{place:?}: {error}"));
    let natively = match attack.native {
        Native::Succeeds => Some(true),
        Native::NeedsRoot => Some(user.is_root()),
        Native::Refused(_) => Some(false),
        Native::WhereAvailable(_) | Native::NotRun(_) => None,
    };
    if let (true, Some(expected)) = (own, natively) {
        let outcome = run(Place::Native);
        assert_eq!(is_breach(&outcome), expected, "natively: {outcome:?}");
    }
    let outcome = run(Place::Lasting);
    assert!(outcome.status.is_some_and(|status| !(96..=99).contains(&status)), "it cannot be made: {outcome:?}");
    let is_ended = matches!(outcome.status, Some(124 | 125));
    assert!(attack.outcome.is_some() || !is_ended, "refused, or not in time: {outcome:?}");
    assert!(outcome.status != Some(2) && outcome.proof != Some(2), "not tried: {outcome:?}");
    assert!(attack.outcome.is_some() || !is_breach(&outcome), "BREACH: {outcome:?}");
    assert!(outcome.harm.is_empty(), "BREACH: {:?}", outcome.harm);
    if let (true, Trace::Event(events)) = (own, attack.trace) {
        for Event(list, _, part) in events {
            let entries = outcome.report[*list].as_array().cloned().unwrap_or_default();
            let path = |entry: &Value| entry["path"].as_str().unwrap_or_default().to_owned();
            assert!(entries.iter().any(|entry| path(entry).contains(part)), "{list} {part}: {outcome:?}");
        }
    }
}

fn is_breach(outcome: &Outcome) -> bool {
    outcome.proof.or(outcome.status) == Some(0)
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| Bench::new().expect("the programs under test"))
}
