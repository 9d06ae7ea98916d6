//! File operations that the filter asks about: watched, or decided.

mod attributes;
mod request;
mod rules;
mod trace;

use rustix::io::Errno;

use super::asker::Asker;
use super::{Answer, Observer};
use crate::denials::DenialLog;

pub(super) use rules::FileRules;

pub(super) fn decide(observer: &Observer, asker: &Asker<'_>, call: &'static str, log: &mut DenialLog<'_>) -> Answer {
    let request = match request::read(asker, call) {
        Ok(request) => request,
        // The process is gone, or hands out addresses that the kernel will refuse in the same way.
        Err(Errno::NOSYS) => return Answer::Continue,
        Err(error) => return Answer::Fail(error),
    };
    trace::observe(observer, asker, &request, log);
    Answer::Continue
}
