//! `stockade run`.

use stockade::{Event, stdio};

use crate::arguments::RunArguments;
use crate::events::EventFile;
use crate::failure::Failure;
use crate::job::Inputs;
use crate::render::Verbosity;
use crate::result_file::ResultFile;
use crate::{ask, print, render};

pub(super) fn execute(arguments: RunArguments) -> Result<u8, Failure> {
    let inputs = Inputs::gather(arguments.sandbox, arguments.command)?;
    // Opened before anything runs, so that a name that cannot be written costs nothing but the message.
    let open = |path| ResultFile::open(path, inputs.here(), inputs.workspace());
    let report_file = arguments.report.as_deref().map(open).transpose()?;
    let mut events = EventFile::new(arguments.events.as_deref().map(open).transpose()?);
    let streams = stdio::inherited().map_err(Failure::Streams)?;
    let observe = |event: Event<'_>| {
        if let Event::Recovered { workspace, quarantined, failures } = event {
            print::message(&render::recovered(workspace, quarantined, failures));
        }
        events.record(event);
    };
    let report = stockade::run_asking(&inputs.job(), streams, observe, Some(ask::at_terminal()))?;
    let verbosity = Verbosity::of(arguments.quiet, arguments.verbose);
    print::message(&if arguments.json { render::summary_json(&report) } else { render::summary(&report, verbosity) });
    // The command has run, and its status is what callers wait for: a report that cannot be written is told, no more.
    let written = report_file.map(|mut file| file.write(&print::json("the report", &report)?)).transpose();
    for failure in [written.err(), events.finish().err()].into_iter().flatten() {
        print::message(&render::failure(&failure));
    }
    Ok(report.exit_status())
}
