//! Programs that change things between check and use, and waits that must hold nobody up.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt, symlink};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags, mknodat, openat, renameat_with};

use super::decided::{code, scene};
use super::fifo::MAX_WAITING;
use super::*;

/// Ends the other thread of a race, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// One thread swaps a link to `plain` with one to `.env` while another opens it.
#[test]
fn swapping_links_between_check_and_use_never_opens_a_denied_file() {
    let scene = scene(Tier::Landlock);
    let link = scene.path("link");
    symlink("plain", &link).unwrap();
    symlink(".env", scene.path("other")).unwrap();
    let stop = AtomicBool::new(false);
    let other = scene.path("other");
    let opened = thread::scope(|scope| {
        // This thread is outside the filter: the worst case, names change while the supervisor works.
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                renameat_with(CWD, &link, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stop = Stop(&stop);
        let (opened, _) = scene.run(|| {
            let mut opened = 0;
            for _ in 0..10_000 {
                if let Ok(text) = fs::read_to_string(&link) {
                    assert_eq!(text, "plain");
                    opened += 1;
                }
            }
            opened
        });
        opened
    });
    assert!(opened > 0 && opened < 10_000, "the race has to be lost and won: {opened}");
}

/// One thread changes the text of the path itself, in memory, while another opens it.
#[test]
fn swapping_the_path_between_check_and_use_never_opens_a_denied_file() {
    let scene = scene(Tier::Namespaces);
    let path = CString::new([scene.context.workspace.as_os_str().as_bytes(), b"//plain"].concat()).unwrap();
    let name = path.as_ptr() as u64 + path.as_bytes().len() as u64 - 5;
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let stop = AtomicBool::new(false);
    let (opened, refused) = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                memory.write_all_at(b"/.env", name).unwrap();
                memory.write_all_at(b"plain", name).unwrap();
            }
        });
        let _stop = Stop(&stop);
        let (counts, _) = scene.run(|| {
            let mut counts = (0, 0);
            for _ in 0..10_000 {
                match openat(CWD, std::hint::black_box(path.as_c_str()), OFlags::RDONLY, Mode::empty()) {
                    Ok(file) => {
                        let mut text = String::new();
                        File::from(file).read_to_string(&mut text).unwrap();
                        assert_eq!(text, "plain");
                        counts.0 += 1;
                    }
                    Err(Errno::ACCESS) => counts.1 += 1,
                    // The text was read half written.
                    Err(error) => assert_eq!(error, Errno::NOENT),
                }
            }
            counts
        });
        counts
    });
    assert!(opened > 0 && refused > 0, "the race has to be lost and won: {opened} opened, {refused} refused");
}

#[test]
fn fifos_wait_for_their_other_side() {
    let scene = scene(Tier::Namespaces);
    let fifo = scene.path("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let fifo = &fifo;
    scene.run(|| {
        thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read_to_string(fifo).unwrap());
            thread::sleep(Duration::from_millis(50));
            fs::write(fifo, "through").unwrap();
            assert_eq!(reader.join().unwrap(), "through");
        });
        // The supervisor's copy of the reading side is closed a moment after it was handed over.
        let write_at_once = || code(OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(fifo));
        let started = Instant::now();
        while write_at_once() != libc::ENXIO {
            assert!(started.elapsed() < PATIENCE, "somebody keeps the reading side open");
        }
        // Nobody opens the other side, and the asker is killed: neither the test nor the supervisor may hang.
        let mut child = Command::new("cat").arg(fifo).spawn().unwrap();
        thread::sleep(Duration::from_millis(50));
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

/// Whoever may open one side only, here for reading, does not leave the other to be opened by the supervisor.
#[test]
fn openings_that_nobody_waits_for_end_whatever_the_mode() {
    // Of an ordinary user's supervisor: of this thread, which the observer is in.
    set_capabilities(None, NO_CAPABILITIES).unwrap();
    let scene = scene(Tier::Namespaces);
    let path = |mode: u32| {
        let fifo = scene.path(&format!("fifo{mode:o}"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(mode), 0).unwrap();
        fifo
    };
    let (readable, writable, closed) = (path(0o400), path(0o200), path(0o600));
    let abandon = |program: &str, fifo: &std::path::Path| {
        let script = format!("{program} \"$0\"");
        let child = Command::new("sh").args(["-c", &script]).arg(fifo).spawn().unwrap();
        thread::sleep(Duration::from_millis(20));
        child
    };
    scene.run(|| {
        for _ in 0..20 {
            for (program, fifo) in [("exec cat", &readable), ("exec echo >", &writable), ("exec cat", &closed)] {
                let mut child = abandon(program, fifo);
                if fifo == &closed {
                    fs::set_permissions(fifo, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
                }
                child.kill().unwrap();
                child.wait().unwrap();
                fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            }
            assert!(fifo_threads() <= MAX_WAITING, "{} wait", fifo_threads());
        }
    });
    let started = Instant::now();
    while fifo_threads() > 0 {
        assert!(started.elapsed() < PATIENCE, "threads are left");
    }
}

/// Threads of this process, of which other tests may have some, that open a FIFO.
fn fifo_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|task| fs::read(task.path().join("comm")).is_ok_and(|name| name == b"stockade-fifo\n")).count()
}
