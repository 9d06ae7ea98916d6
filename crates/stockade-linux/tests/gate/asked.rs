//! Calls that wait until somebody has been asked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use stockade_linux::denials::DenialLog;
use stockade_linux::{GateParts, Watch};

use crate::Test;
use crate::keeper::Keeper;
use crate::run::{Inside, Seen, follow, plan, routes};

pub(crate) const TESTS: &[Test] = &[
    ("asked::a_program_waits_until_it_is_decided", waits),
    ("asked::a_program_that_ends_meanwhile_is_forgotten", ends_meanwhile),
];

/// Something that happens every ten milliseconds.
#[derive(Debug)]
struct Clock(OwnedFd);

impl Clock {
    fn new() -> Self {
        let clock = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK).unwrap();
        let often = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        timerfd_settime(&clock, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: often, it_value: often })
            .unwrap();
        Self(clock)
    }
}

impl Watch for Clock {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn ready(&mut self, _: &mut DenialLog<'_>) {
        rustix::io::read(&self.0, &mut [0; 8]).unwrap();
    }

    fn over(&mut self, _: &mut DenialLog<'_>) {}
}

fn run(actions: &[&str], hesitates: u32) -> Seen {
    follow(&plan(Some(routes()), actions), |running| {
        let GateParts { service, name_server, .. } = running.take_gate().unwrap();
        let inside = Inside { service: std::sync::Arc::new(service), name_server };
        let keeper = Keeper::new(inside, &["198.18.0.5:443"]).hesitant(hesitates);
        (vec![Box::new(Clock::new()) as Box<dyn Watch>], Some(keeper))
    })
}

fn waits() {
    let seen = run(&["tcp 198.18.0.5:443", "tcp 198.18.0.6:443", "tcp 198.18.0.5:443"], 3);
    let refused = format!("tcp 198.18.0.6:443: errno {}", libc::EACCES);
    let arrived = "tcp 198.18.0.5:443: at 198.18.0.5:443";
    assert_eq!(seen.lines, [arrived, &refused, arrived]);
    assert_eq!(seen.denied(), ["connect name-of.198.18.0.6:443"]);
}

/// The thread that connects is killed with its process, while the gatekeeper never decides.
fn ends_meanwhile() {
    let seen = run(&["tcp-killed 198.18.0.5:443"], u32::MAX);
    assert_eq!(seen.lines, ["tcp-killed 198.18.0.5:443: killed"]);
    assert_eq!(seen.denied(), [""; 0]);
}
