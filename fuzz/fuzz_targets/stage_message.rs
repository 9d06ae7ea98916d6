//! Any packet as a message between the stage, the spawner and the supervisor: reading never panics, what is read can be sent and reads the
//! same again, and nothing that is read is larger than its packet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_linux::FromSpawner;
use stockade_linux::stage::message::{FromStage, MAX_PACKET, ToInit};
use stockade_linux::stage::service_message::{Answer, Request};
use stockade_linux::stage::spawner::message::ToSpawner;

fuzz_target!(|packet: &[u8]| {
    if let Ok(message) = FromStage::decode(packet) {
        assert!(packet.len() <= MAX_PACKET);
        let again = message.encode();
        assert!(again.len() <= MAX_PACKET);
        // Text that is not UTF-8 is replaced as it is read, which may make it longer than a packet's share of it. Everything
        // else is kept as it came.
        match (&message, FromStage::decode(&again)) {
            (
                FromStage::StepFailed { step, errno, detail },
                Ok(FromStage::StepFailed { step: step_again, errno: errno_again, detail: cut }),
            )
            | (
                FromStage::StepDegraded { step, errno, detail },
                Ok(FromStage::StepDegraded { step: step_again, errno: errno_again, detail: cut }),
            ) => {
                assert_eq!((step, errno), (&step_again, &errno_again));
                assert!(detail.starts_with(&cut));
            }
            (message, again) => {
                assert_eq!(again.as_ref(), Ok(message));
                assert_eq!(message.encode(), packet);
            }
        }
    }
    if let Ok(message) = ToInit::decode(packet) {
        assert_eq!(message.encode(), packet);
    }
    if let Ok(request) = Request::decode(packet) {
        assert_eq!(request.encode(), packet);
    }
    if let Ok(answer) = Answer::decode(packet) {
        assert_eq!(answer.encode(), packet);
    }
    if let Ok(order) = ToSpawner::decode(packet) {
        assert_eq!(order.encode(), packet);
    }
    // The spawner shares its user and its domain with hostile code: what it says may be that code's.
    if let Ok(news) = FromSpawner::decode(packet) {
        assert_eq!(news.encode(), packet);
    }
});
