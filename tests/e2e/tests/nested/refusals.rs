//! What an inner run refuses to do, since the outer sandbox leaves it no means.

use crate::Trial;
use crate::place::{CONSENT, Place};

pub(crate) const TRIALS: &[Trial] = &[
    ("consent_is_asked_for_with_the_flag_that_gives_it", consent_is_asked_for_with_the_flag_that_gives_it),
    ("traces_and_partial_denials_are_refused", traces_and_partial_denials_are_refused),
    ("the_stronger_tier_is_not_to_be_had", the_stronger_tier_is_not_to_be_had),
];

fn consent_is_asked_for_with_the_flag_that_gives_it(place: &Place) {
    let done = place.outer("./stockade run -- touch made").ends(125);
    assert!(!place.workspace().join("made").exists(), "it ran");
    let flag = done.stderr.split('`').find(|part| part.starts_with("--accept-degraded ")).expect("a flag to use");
    place.outer(&format!("./stockade run {flag} -- touch made")).ends(0);
    assert!(place.workspace().join("made").exists(), "it did not run");
}

fn traces_and_partial_denials_are_refused(place: &Place) {
    for (option, word) in [("--trace", "without --trace"), ("--deny **/.env", "remove the rule")] {
        let script = format!("set -f; ./stockade run --accept-degraded {CONSENT} {option} -- touch made");
        let done = place.outer(&script).ends(125);
        assert!(done.stderr.contains(word) && done.stderr.contains("another sandbox"), "{done:#?}");
    }
    let script = format!("./stockade run --accept-degraded {CONSENT} --deny /srv/elsewhere -- touch made");
    place.outer(&script).ends(0);
}

fn the_stronger_tier_is_not_to_be_had(place: &Place) {
    let script = format!("./stockade run --accept-degraded {CONSENT} --isolation namespaces -- true");
    let done = place.outer(&script).ends(125);
    assert!(done.stderr.contains("another sandbox"), "{done:#?}");
}
