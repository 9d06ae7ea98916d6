//! Files that are decided one by one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, mkdirat, openat, renameat_with};

use super::*;

const SECRET: &str = "the secret";

/// A workspace with `.env`, which is denied, and `.git/hooks`, which are protected.
pub(super) fn scene(tier: Tier) -> Scene {
    let mut scene = Scene::new(tier);
    scene.filter.files.deny = vec!["**/.env".into()];
    scene.filter.files.protect = vec!["**/.git/hooks".into()];
    fs::write(scene.path(".env"), SECRET).unwrap();
    fs::create_dir_all(scene.path(".git/hooks")).unwrap();
    fs::create_dir_all(scene.path(".git/refs")).unwrap();
    fs::write(scene.path(".git/hooks/sample"), "sample").unwrap();
    fs::write(scene.path("plain"), "plain").unwrap();
    scene
}

pub(super) fn code<T>(result: std::io::Result<T>) -> i32 {
    result.err().and_then(|error| error.raw_os_error()).unwrap_or(0)
}

fn code_of<T>(result: Result<T, Errno>) -> i32 {
    result.err().map_or(0, Errno::raw_os_error)
}

#[test]
fn denied_files_are_not_read_by_any_name() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        let scene = scene(tier);
        symlink(".env", scene.path("alias")).unwrap();
        symlink("../..", scene.path(".git/up")).unwrap();
        let name = scene.context.workspace.file_name().unwrap().to_owned();
        let outer = fs::canonicalize(scene.path("..")).unwrap();
        let workspace = File::open(&scene.context.workspace).unwrap();
        let (_, denials) = scene.run(|| {
            let path = |name: &str| scene.path(name);
            for way in [path(".env"), path("alias"), path(".git/../.env"), path("./.git//hooks/../../.env")] {
                assert_eq!(code(fs::read(&way)), libc::EACCES, "{}", way.display());
            }
            assert_eq!(code(fs::read(path(".git/up").join(&name).join(".env"))), libc::EACCES);
            assert_eq!(
                code(fs::read(
                    Path::new("/proc/self/root").join(outer.strip_prefix("/").unwrap()).join(&name).join(".env")
                )),
                libc::EACCES
            );
            assert_eq!(code(fs::read(format!("/proc/thread-self/fd/{}/.env", workspace.as_raw_fd()))), libc::EACCES);
            assert_eq!(code_of(openat(&workspace, ".env", OFlags::RDONLY, Mode::empty())), libc::EACCES);
            let place = openat(&workspace, ".env", OFlags::PATH, Mode::empty()).unwrap();
            assert_eq!(code(fs::read(format!("/proc/self/fd/{}", place.as_raw_fd()))), libc::EACCES);
            assert_eq!(code(fs::read(format!("/dev/fd/{}", place.as_raw_fd()))), libc::EACCES);
            assert_eq!(code(fs::write(path(".env"), "x")), libc::EACCES);
            assert_eq!(code(fs::rename(path(".env"), path("x"))), libc::EACCES);
            assert_eq!(code(fs::hard_link(path(".env"), path("x"))), libc::EACCES);
            assert_eq!(code(fs::remove_file(path(".env"))), libc::EACCES);
            assert_eq!(code_of(linkat(&place, "", CWD, path("x"), AtFlags::EMPTY_PATH)), libc::EACCES);
            assert_eq!(code(fs::set_permissions(path(".env"), Permissions::from_mode(0o777))), libc::EACCES);
            assert_eq!(code(fs::write(path("sub.env"), "x")), 0);
            assert_eq!(code(fs::rename(path("sub.env"), path(".ENV"))), libc::EACCES);
        });
        assert_eq!(fs::read_to_string(scene.path(".env")).unwrap(), SECRET);
        assert!(denials.iter().all(|denial| denial.rule.as_deref() == Some("**/.env")), "{denials:?}");
        assert!(denials.iter().all(|denial| denial.area == Area::Files));
        assert_eq!(denials[0].operation, "read");
    }
}

#[test]
fn protected_files_are_read_and_not_changed() {
    let scene = scene(Tier::Landlock);
    let (_, denials) = scene.run(|| {
        let path = |name: &str| scene.path(name);
        assert_eq!(fs::read_to_string(path(".git/hooks/sample")).unwrap(), "sample");
        assert_eq!(code(fs::write(path(".git/hooks/sample"), "x")), libc::EACCES);
        assert_eq!(code(fs::write(path(".git/hooks/new"), "x")), libc::EACCES);
        assert_eq!(code(fs::create_dir(path(".git/hooks/sub"))), libc::EACCES);
        assert_eq!(code(symlink("x", path(".git/hooks/link"))), libc::EACCES);
        assert_eq!(code(fs::hard_link(path(".git/hooks/sample"), path("x"))), libc::EACCES);
        assert_eq!(code(fs::rename(path("plain"), path(".git/hooks/sample"))), libc::EACCES);
        assert_eq!(code(fs::rename(path(".git/hooks"), path("x"))), libc::EACCES);
        assert_eq!(code(fs::rename(path(".git"), path("x"))), libc::EACCES);
        assert_eq!(code(fs::remove_file(path(".git/hooks/sample"))), libc::EACCES);
        let file = File::open(path(".git/hooks/sample")).unwrap();
        assert_eq!(code(file.set_permissions(Permissions::from_mode(0o755))), libc::EACCES);
        assert_eq!(
            code(OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()))),
            libc::EACCES
        );
        fs::create_dir_all(path("tree/hooks")).unwrap();
        fs::write(path("tree/hooks/x"), "x").unwrap();
        fs::create_dir(path("sub")).unwrap();
        assert_eq!(code(fs::rename(path("tree"), path("sub/.git"))), libc::EACCES);
        assert_eq!(code_of(renameat_with(CWD, path("tree"), CWD, path(".git"), RenameFlags::EXCHANGE)), libc::EACCES);
        fs::write(path(".git/refs/main"), "ref").unwrap();
        fs::rename(path("tree"), path("moved")).unwrap();
    });
    assert_eq!(fs::read_to_string(scene.path(".git/hooks/sample")).unwrap(), "sample");
    assert_eq!(fs::read_dir(scene.path(".git/hooks")).unwrap().count(), 1);
    assert!(denials.iter().all(|denial| denial.area == Area::Protected), "{denials:?}");
}

#[test]
fn everything_else_works_as_if_nobody_were_asked() {
    let scene = scene(Tier::Landlock);
    scene.run(|| {
        let path = |name: &str| scene.path(name);
        let mut file =
            OpenOptions::new().create_new(true).read(true).write(true).mode(0o640).open(path("new")).unwrap();
        file.write_all(b"text").unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(code(OpenOptions::new().create_new(true).write(true).open(path("new"))), libc::EEXIST);
        OpenOptions::new().append(true).open(path("new")).unwrap().write_all(b"more").unwrap();
        assert_eq!(fs::read_to_string(path("new")).unwrap(), "textmore");
        File::create(path("new")).unwrap();
        assert_eq!(fs::metadata(path("new")).unwrap().len(), 0);
        symlink("made-by-link", path("dangling")).unwrap();
        fs::write(path("dangling"), "x").unwrap();
        assert_eq!(fs::read_to_string(path("made-by-link")).unwrap(), "x");
        assert_eq!(
            code(OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path("dangling"))),
            libc::ELOOP
        );
        symlink("loop", path("loop")).unwrap();
        assert_eq!(code(fs::read(path("loop"))), libc::ELOOP);
        assert_eq!(code(fs::read(path("nothing"))), libc::ENOENT);
        assert_eq!(code(fs::read(path("plain/below"))), libc::ENOTDIR);
        assert_eq!(code(fs::write(&scene.context.workspace, "x")), libc::EISDIR);
        assert_eq!(code(fs::read(path(&"x".repeat(300)))), libc::ENAMETOOLONG);
        fs::create_dir(path("directory")).unwrap();
        assert_eq!(code(fs::create_dir(path("directory"))), libc::EEXIST);
        fs::hard_link(path("plain"), path("directory/link")).unwrap();
        assert_eq!(fs::metadata(path("plain")).unwrap().nlink(), 2);
        fs::rename(path("directory"), path("renamed")).unwrap();
        assert_eq!(code(fs::remove_dir(path("renamed"))), libc::ENOTEMPTY);
        fs::remove_dir_all(path("renamed")).unwrap();
        fs::set_permissions(path("plain"), Permissions::from_mode(0o711)).unwrap();
        assert_eq!(fs::metadata(path("plain")).unwrap().mode() & 0o777, 0o711);
        let file = File::options().write(true).open(path("plain")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(fs::metadata(path("plain")).unwrap().mtime(), 0);
        let unnamed =
            openat(CWD, scene.context.workspace.as_path(), OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR).unwrap();
        linkat(CWD, format!("/proc/self/fd/{}", unnamed.as_raw_fd()), CWD, path("named"), AtFlags::SYMLINK_FOLLOW)
            .unwrap();
        assert!(fs::exists(path("named")).unwrap());
        assert!(!fs::read("/proc/self/status").unwrap().is_empty());
        assert!(!fs::read("/proc/meminfo").unwrap().is_empty());
        assert_eq!(fs::read_link("/proc/self/exe").unwrap(), std::env::current_exe().unwrap());
        fs::write("/dev/null", "x").unwrap();
        let mut byte = [0];
        File::open("/dev/urandom").unwrap().read_exact(&mut byte).unwrap();
    });
    let names: Vec<_> =
        fs::read_dir(&scene.context.workspace).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 8, "{names:?}");
}

#[test]
fn status_of_the_asker_is_meant_not_of_the_supervisor() {
    let scene = scene(Tier::Landlock);
    let (output, _) =
        scene.run(|| Command::new("sh").args(["-c", "cat /proc/self/comm; cat < /proc/self/comm"]).output().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "cat\nsh\n");
}

#[test]
fn other_processes_are_seen_only_as_everybody_sees_them() {
    let scene = scene(Tier::Landlock);
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let path = |name: &str| format!("/proc/{}/{name}", other.id());
    scene.run(|| {
        assert!(fs::read(path("stat")).is_ok());
        assert_eq!(code(fs::read(path("environ"))), libc::EACCES);
        assert_eq!(code(OpenOptions::new().write(true).open(path("mem"))), libc::EACCES);
        assert_eq!(code(fs::read(path("root/etc/passwd"))), libc::EACCES);
        assert_eq!(code(OpenOptions::new().write(true).open("/proc/self/uid_map")), libc::EACCES);
    });
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn without_namespaces_the_supervisor_acts_only_where_the_plan_lets_the_process() {
    let scene = scene(Tier::Landlock);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file");
    fs::write(&file, "text").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    scene.run(|| {
        assert_eq!(code(fs::read(&file)), libc::EACCES);
        assert_eq!(code(fs::write(outside.path().join("new"), "x")), libc::EACCES);
        assert_eq!(code(fs::set_permissions(&file, Permissions::from_mode(0o644))), libc::EACCES);
        assert_eq!(code(fs::remove_file(&file)), libc::EACCES);
        assert_eq!(code(fs::rename(scene.path("plain"), outside.path().join("x"))), libc::EACCES);
        assert_eq!(code_of(mkdirat(CWD, outside.path().join("x"), Mode::RWXU)), libc::EACCES);
        assert_eq!(code(fs::rename(&scene.context.workspace, outside.path().join("w"))), libc::EACCES);
        assert_eq!(code(fs::read("/etc/hostname")), 0);
        assert_eq!(code(OpenOptions::new().write(true).open("/usr/bin/env")), libc::EACCES);
    });
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn programs_may_nest_namespaces_where_files_are_decided() {
    let mut scene = scene(Tier::Namespaces);
    scene.filter.nested_namespaces = true;
    scene.run(|| {
        assert_eq!(fs::read_to_string(scene.path("plain")).unwrap(), "plain");
        assert_eq!(code(fs::read(scene.path(".env"))), libc::EACCES);
    });
}

#[test]
fn descriptors_are_the_askers_own() {
    let scene = scene(Tier::Landlock);
    scene.run(|| {
        let first = File::open(scene.path("plain")).unwrap();
        let flags = rustix::io::fcntl_getfd(first.as_fd()).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let kept = openat(CWD, scene.path("plain"), OFlags::RDONLY, Mode::empty()).unwrap();
        assert!(rustix::io::fcntl_getfd(&kept).unwrap().is_empty());
        assert!(!rustix::fs::fcntl_getfl(&kept).unwrap().contains(OFlags::NONBLOCK));
    });
}
