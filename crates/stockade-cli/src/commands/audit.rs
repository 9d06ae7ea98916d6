//! `stockade audit`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use stockade::sandbox::record::{Verdict, verify_export};

use crate::arguments::AuditCommand;
use crate::failure::Failure;
use crate::{exit_codes, print, render, sandboxes};

pub(super) fn execute(command: &AuditCommand) -> Result<u8, Failure> {
    match command {
        AuditCommand::Verify { name, json } => verify(name, *json),
        AuditCommand::Export { name, file } => export(name, file.as_deref().filter(|file| *file != Path::new("-"))),
        AuditCommand::Check { file, json } => check(file, *json),
    }
}

fn verify(name: &str, json: bool) -> Result<u8, Failure> {
    let audit = sandboxes::open(name)?.verify()?;
    let text =
        if json { print::json("the findings", &render::audit_json(name, &audit))? } else { render::audit(&audit) };
    print::result("the findings", &text)?;
    Ok(status(audit.is_good()))
}

const fn status(is_good: bool) -> u8 {
    if is_good { 0 } else { exit_codes::AUDIT_DAMAGED }
}

/// Writes the document to a new file, so that nothing is overwritten by mistake.
fn export(name: &str, file: Option<&Path>) -> Result<u8, Failure> {
    let sandbox = sandboxes::open(name)?;
    let failed =
        |source| Failure::Write { what: file.unwrap_or(Path::new("the export")).display().to_string(), source };
    let verdict = match file {
        None => sandbox.export(&mut io::stdout().lock()),
        Some(path) => {
            let mut made = File::create_new(path).map_err(failed)?;
            let verdict = sandbox.export(&mut made);
            made.flush().map_err(failed)?;
            if !matches!(verdict, Ok(Verdict::Verified(_))) {
                // It holds no document.
                drop(std::fs::remove_file(path));
            }
            verdict
        }
    };
    match verdict? {
        Verdict::Verified(_) => Ok(0),
        Verdict::Broken(broken) => Err(Failure::BrokenRecord(broken)),
    }
}

fn check(path: &Path, json: bool) -> Result<u8, Failure> {
    let failed = |source| Failure::Document { path: path.to_owned(), source };
    let document: Box<dyn Read> = match path {
        path if path == Path::new("-") => Box::new(io::stdin().lock()),
        path => Box::new(File::open(path).map_err(failed)?),
    };
    let found = verify_export(document).map_err(failed)?;
    // Whose key it is can be told only where there is one to compare with.
    let own = sandboxes::all().and_then(|all| Ok(all.key()?)).ok();
    let text = if json {
        print::json("the findings", &render::export_json(&found, own.as_ref()))?
    } else {
        render::export(&found, own.as_ref())
    };
    print::result("the findings", &text)?;
    let is_good = found.is_ok_and(|exported| matches!(exported.verdict, Verdict::Verified(_)));
    Ok(status(is_good))
}
