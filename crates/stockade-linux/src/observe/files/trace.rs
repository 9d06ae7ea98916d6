//! Finds out whether the view refuses an operation, and why, without deciding anything: the kernel does that itself.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags, StatxAttributes, StatxFlags, accessat, fstat, statx};
use rustix::io::Errno;
use stockade_spec::report::Area;
use stockade_spec::tier::Tier;

use super::open::is_common_device;
use super::request::{Place, Request, Subject};
use super::rules::{FileRules, Use};
use crate::denials::{Attempt, DenialLog};
use crate::observe::asker::Asker;
use crate::observe::walk::{self, Found, in_proc};
use crate::observe::{Context, Observer};

/// One thing that a request does to one place.
struct Step<'r> {
    place: &'r Place,
    operation: &'static str,
    kind: Need,
}

/// What has to be allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Read,
    Execute,
    Write,
    /// Making a name that is not there yet.
    Make,
    /// Removing or replacing a name.
    Name,
    /// Writing what is there, or making it.
    WriteOrMake,
}

/// Records what of a request the view refuses.
pub(super) fn observe(observer: &Observer, asker: &Asker<'_>, request: &Request, log: &mut DenialLog<'_>) {
    let rules = &observer.files;
    for step in steps(request) {
        let changes = !matches!(step.kind, Need::Read | Need::Execute);
        let traced = if changes { rules.observation.trace_writes } else { rules.observation.trace_reads };
        let attempt = traced.then(|| evaluate(&observer.context, rules, asker, &step)).flatten();
        if let Some(attempt) = attempt {
            log.record(attempt.by(asker.process()));
        }
    }
}

fn steps(request: &Request) -> Vec<Step<'_>> {
    let step = |place, operation, kind| Step { place, operation, kind };
    match request {
        Request::Open { place, flags, .. } | Request::OpenHow { place, flags } => vec![open_step(place, *flags)],
        Request::Execute { subject: Subject::Place(place) } => vec![step(place, "execute", Need::Execute)],
        Request::Make { place, .. } => vec![step(place, "create", Need::Make)],
        Request::Remove { place, .. } => vec![step(place, "delete", Need::Name)],
        Request::Rename { from, to, .. } => vec![step(from, "rename", Need::Name), step(to, "rename", Need::Name)],
        Request::Link { from: Subject::Place(from), to } => {
            vec![step(from, "link", Need::Read), step(to, "create", Need::Make)]
        }
        Request::Link { from: Subject::Descriptor(_), to } => vec![step(to, "create", Need::Make)],
        Request::Change { subject: Subject::Place(place), .. } | Request::ChangeNewer { place } => {
            vec![step(place, "change", Need::Write)]
        }
        // What is open already was found allowed then.
        Request::Execute { .. } | Request::Change { .. } => Vec::new(),
    }
}

fn open_step(place: &Place, flags: OFlags) -> Step<'_> {
    let kind = match open_word(flags) {
        "read" => Need::Read,
        _ if flags.contains(OFlags::CREATE) => Need::WriteOrMake,
        _ => Need::Write,
    };
    Step { place, operation: open_word(flags), kind }
}

/// What opening with these flags is for.
pub(super) fn open_word(flags: OFlags) -> &'static str {
    let changes = OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC | OFlags::CREATE;
    if flags.intersects(changes) && !flags.contains(OFlags::PATH) { "write" } else { "read" }
}

fn evaluate(context: &Context, rules: &FileRules, asker: &Asker<'_>, step: &Step<'_>) -> Option<Attempt> {
    let place = step.place;
    let makes = matches!(step.kind, Need::Make | Need::Name | Need::WriteOrMake);
    match walk::resolve(asker, place.at, &place.path, place.last) {
        Ok(Found { object: None, .. }) if !makes => hidden(context, asker, step),
        // That it is there is what fails, as it would natively (EEXIST).
        Ok(Found { object: Some(_), .. }) if step.kind == Need::Make => None,
        Ok(Found { object: Some(object), .. }) if step.kind == Need::Name && is_mount_root(&object) => {
            let path = walk::path_of(object.as_fd()).ok()?;
            Some(Attempt::new(Area::Protected, step.operation, path).rule("held in place"))
        }
        Ok(found) => {
            let path = found.path().ok()?;
            let target = found.object.filter(|_| step.kind != Need::Name).unwrap_or(found.parent);
            let refused = refusal(context, rules, &target, &path, step.kind)?;
            explain(rules, step, &path, refused)
        }
        Err(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR) => hidden(context, asker, step),
        Err(_) => None,
    }
}

/// Why an existing file, or the directory of a name, may not be used as needed.
fn refusal(context: &Context, rules: &FileRules, target: &OwnedFd, path: &Path, need: Need) -> Option<Errno> {
    let access = match need {
        Need::Read => Access::READ_OK,
        Need::Execute => Access::EXEC_OK,
        Need::Write | Need::Make | Need::Name | Need::WriteOrMake => Access::WRITE_OK,
    };
    if let Err(error) = accessat(CWD, walk::link_of(target.as_fd()), access, AtFlags::EACCESS) {
        return matches!(error, Errno::ACCESS | Errno::ROFS | Errno::PERM).then_some(error);
    }
    // Landlock does not hold the supervisor, which therefore has to look the path up in the plan. Devices that hold
    // nothing, and `/proc`, are open in every plan.
    let always_open =
        || fstat(target).is_ok_and(|stat| is_common_device(&stat)) || in_proc(target.as_fd()).is_ok_and(|is| is);
    let allowed = context.tier != Tier::Landlock
        || if access == Access::WRITE_OK { rules.may_write(path) } else { rules.may_read(path) };
    (!allowed && !always_open()).then_some(Errno::ACCESS)
}

/// Whether something is mounted there: then it can be neither renamed nor removed (EBUSY). Kernels before 5.8 do not say.
fn is_mount_root(object: &OwnedFd) -> bool {
    let status = statx(object, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    status.is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn explain(rules: &FileRules, step: &Step<'_>, path: &Path, refused: Errno) -> Option<Attempt> {
    let use_of = if matches!(step.kind, Need::Read | Need::Execute) { Use::Read } else { Use::Write };
    if let Some((area, rule)) = rules.rule_for(path, use_of) {
        return Some(Attempt::new(area, step.operation, path).rule(rule));
    }
    let attempt = Attempt::new(Area::Files, step.operation, path);
    if path.starts_with("/proc") || path.starts_with("/sys") {
        // No option opens more of what the kernel says about processes and devices.
        return Some(attempt.rule("permissions"));
    }
    Some(match (use_of, refused) {
        (Use::Read, _) if rules.may_read(path) => attempt.rule("permissions"),
        (Use::Read, _) => attempt.rule("hidden").suggestion(option("--read", path)),
        (_, Errno::ACCESS | Errno::PERM) if rules.may_write(path) => attempt.rule("permissions"),
        _ => {
            let open = if step.kind == Need::Write { path } else { path.parent().unwrap_or(path) };
            let attempt = attempt.rule("read-only");
            // The root directory is opened by no option.
            if open.parent().is_none() { attempt } else { attempt.suggestion(option("--write", open)) }
        }
    })
}

/// A path that leads nowhere inside and somewhere on the host.
fn hidden(context: &Context, asker: &Asker<'_>, step: &Step<'_>) -> Option<Attempt> {
    if context.tier != Tier::Namespaces {
        return None;
    }
    let path = named_path(asker, step.place)?;
    // What is to be made need not be there yet; the directory that it would be in is.
    let makes = matches!(step.kind, Need::Make | Need::WriteOrMake);
    let exists = |path: &Path| fs::metadata(path).is_ok();
    if fs::symlink_metadata(&path).is_err() && !(makes && path.parent().is_some_and(exists)) {
        return None;
    }
    let name = if matches!(step.kind, Need::Read | Need::Execute) { "--read" } else { "--write" };
    Some(Attempt::new(Area::Files, step.operation, &path).rule("hidden").suggestion(option(name, &path)))
}

/// The path as it was named, from the root, with `.` and `..` taken out by their names.
fn named_path(asker: &Asker<'_>, place: &Place) -> Option<PathBuf> {
    let named = Path::new(std::ffi::OsStr::from_bytes(&place.path));
    let base = match place.at {
        _ if named.has_root() => PathBuf::new(),
        libc::AT_FDCWD => asker.directory_path().ok()?,
        at => walk::path_of(asker.opened(at).ok()?.as_fd()).ok()?,
    };
    let mut whole = PathBuf::new();
    for component in base.join(named).components() {
        match component {
            Component::ParentDir => drop(whole.pop()),
            Component::CurDir => {}
            other => whole.push(other),
        }
    }
    Some(whole)
}

fn option(name: &str, path: &Path) -> String {
    format!("{name} {}", path.display())
}
