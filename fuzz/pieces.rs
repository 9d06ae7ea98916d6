//! Pushing bytes through an inspection, at once and in pieces, with the same outcome.

use stockade_egress::inspect::{Inspection, MAX_HELD, Protocol, Refusal, Step};

/// The name and port that the connection is for.
pub const NAME: &str = "api.example.com";
pub const PORT: u16 = 80;

/// What passed, and how it ended.
pub type Outcome = (Vec<u8>, Result<Option<Protocol>, Refusal>);

/// The outcome of bytes, after a look that it does not depend on where they were cut. The first byte says where.
pub fn outcome(data: &[u8]) -> Option<(&[u8], Outcome)> {
    let (size, bytes) = data.split_first()?;
    let whole = push(bytes.chunks(bytes.len().max(1)), bytes.len());
    let cut = push(bytes.chunks(usize::from(*size).max(1)), usize::from(*size).max(1));
    assert_eq!(whole.1, cut.1);
    assert!(bytes.starts_with(&cut.0) && cut.0.starts_with(&whole.0));
    if whole.1.is_ok() {
        assert_eq!(whole.0, cut.0);
    }
    Some((bytes, cut))
}

fn push<'p>(pieces: impl Iterator<Item = &'p [u8]>, largest: usize) -> Outcome {
    let mut inspection = Inspection::new(NAME.parse().expect("a name"), PORT);
    let (mut out, mut passed, mut taken) = (Vec::new(), None, 0);
    for piece in pieces {
        taken += piece.len();
        match inspection.push(piece) {
            Step::NeedMore => assert!(passed.is_none()),
            Step::Forward(bytes) => out.extend(bytes),
            Step::Pass { protocol, bytes } => {
                out.extend(bytes);
                assert_eq!(out.len(), taken);
                passed = Some(protocol);
            }
            Step::Refuse(refusal) => {
                let shown = refusal.to_string();
                assert!(shown.len() < 600 && !shown.contains(char::is_control));
                return (out, Err(refusal));
            }
        }
        assert!(taken - out.len() <= MAX_HELD + largest);
        assert_eq!(inspection.is_holding(), taken > out.len());
    }
    (out, Ok(passed))
}
