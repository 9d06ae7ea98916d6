//! Resources: each attack has a small limit, and natively stays small too.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::attack::{Attack, Attempt, Event, Failed, Native, Proof, Trace};
use crate::scene::put;
use crate::sys::{self, Arg};

const WORSE: &str = "the machine that tests would suffer";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "many-processes",
        techniques: &[61],
        about: "Have three hundred processes at once.",
        attempt: |_| {
            let mut children = Vec::new();
            for _ in 0..300 {
                match Command::new(std::env::current_exe()?).arg("idle").stdin(Stdio::piped()).spawn() {
                    Ok(child) => children.push(child),
                    Err(error) => {
                        end(children);
                        return Err(Failed::refused(format!("after some processes: {error}")));
                    }
                }
            }
            end(children);
            Ok(())
        },
        options: &["--processes", "64"],
        trace: Trace::Counted(&[Event("limits", "", "processes")]),
        ..Attack::BASE
    },
    Attack {
        name: "many-threads",
        techniques: &[61],
        about: "Have three hundred threads at once.",
        attempt: |_| {
            let mut threads = Vec::new();
            for _ in 0..300 {
                let thread = std::thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(|| std::thread::sleep(Duration::from_millis(300)));
                threads.push(thread?);
            }
            threads.into_iter().for_each(|thread| drop(thread.join()));
            Ok(())
        },
        options: &["--processes", "64"],
        trace: Trace::Counted(&[Event("limits", "", "processes")]),
        ..Attack::BASE
    },
    Attack {
        name: "fork-bomb",
        techniques: &[61],
        about: "Start processes that start processes, for ever.",
        attempt: |_| bomb(),
        native: Native::NotRun(WORSE),
        options: &["--processes", "64", "--time", "3s"],
        outcome: Some("time-limit|process-limit"),
        trace: Trace::Counted(&[Event("limits", "", "processes")]),
        ..Attack::BASE
    },
    Attack {
        name: "memory",
        techniques: &[62],
        about: "Fill 400 MiB of memory.",
        attempt: |_| {
            let mut held: Vec<Vec<u8>> = Vec::new();
            for _ in 0..400 {
                held.push(vec![1_u8; 1 << 20]);
            }
            if held.iter().map(Vec::len).sum::<usize>() == 400 << 20 {
                Ok(())
            } else {
                Err(Failed::refused("not all of it"))
            }
        },
        options: &["--memory", "128MiB"],
        outcome: Some("memory-limit"),
        trace: Trace::Event(&[Event("limits", "", "memory")]),
        ..Attack::BASE
    },
    Attack {
        name: "memory-file",
        techniques: &[62],
        about: "Fill 400 MiB of an anonymous memory file.",
        attempt: |_| {
            let file = sys::descriptor(libc::SYS_memfd_create, &mut [Arg::Text(c"fill"), Arg::Null])?;
            fill(&mut File::from(file), 400)
        },
        options: &["--memory", "128MiB"],
        native: Native::Succeeds,
        outcome: Some("memory-limit"),
        trace: Trace::Event(&[Event("limits", "", "memory")]),
        ..Attack::BASE
    },
    Attack {
        name: "fill-temporary-files",
        techniques: &[62, 63],
        about: "Fill /tmp and /dev/shm with 100 MiB.",
        attempt: |scene| {
            let path = std::env::temp_dir().join(scene.word() + ".fill");
            let filled = fill(&mut File::create(&path)?, 100);
            // What a private store is full of vanishes with it, and is told of when the run ends.
            if filled.is_ok() {
                fs::remove_file(&path)?;
            }
            filled
        },
        options: &["--disk", "32MiB"],
        trace: Trace::Event(&[Event("limits", "", "disk")]),
        ..Attack::BASE
    },
    Attack {
        name: "fill-one-file",
        techniques: &[63],
        about: "Write a file of 100 MiB in the workspace, and a sparse one.",
        attempt: |scene| {
            let path = scene.workspace().join("large");
            fill(&mut File::create(&path)?, 100)
        },
        proof: Proof::Host(|scene| {
            let size = fs::metadata(scene.workspace().join("large"))?.len();
            if size > 32 << 20 { Ok(()) } else { Err(Failed::refused(format!("the file has {size} bytes"))) }
        }),
        options: &["--disk", "32MiB"],
        trace: Trace::Event(&[Event("limits", "", "disk")]),
        ..Attack::BASE
    },
    Attack {
        name: "output-flood",
        techniques: &[63, 68],
        about: "Print 20 MiB.",
        attempt: |_| fill(&mut std::io::stdout(), 20),
        options: &["--output", "1MiB"],
        outcome: Some("output-limit"),
        trace: Trace::Event(&[Event("limits", "", "output")]),
        ..Attack::BASE
    },
    Attack {
        name: "many-descriptors",
        techniques: &[64],
        about: "Have a thousand open files at once.",
        attempt: |scene| {
            let files: Result<Vec<File>, _> = (0..1_000).map(|_| File::open(scene.workspace())).collect();
            Ok(files.map(drop)?)
        },
        options: &["--files", "64"],
        trace: Trace::Silent("the program is told, as on any machine, and goes on"),
        ..Attack::BASE
    },
    Attack {
        name: "real-time-priority",
        techniques: &[65],
        about: "Take the processor with a real-time schedule and the best priority.",
        attempt: |_| {
            let priority = 1_u32.to_ne_bytes();
            let mut arguments = [Arg::Null, Arg::Number(libc::SCHED_FIFO.into()), Arg::In(&priority)];
            let schedule = sys::call(libc::SYS_sched_setscheduler, &mut arguments).map(drop);
            let nice = sys::call(libc::SYS_setpriority, &mut [Arg::Null, Arg::Null, Arg::Number(-20)]).map(drop);
            super::files::any([schedule, nice].map(|result| result.map_err(Failed::from)))
        },
        native: Native::NeedsRoot,
        trace: Trace::Silent("the kernel refuses for want of a capability"),
        ..Attack::BASE
    },
    Attack {
        name: "deaf-to-termination",
        techniques: &[66],
        about: "Ignore every signal that can be ignored, in a session of its own, and never end.",
        attempt: |_| {
            drop(sys::call(libc::SYS_setsid, &mut []));
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "trap '' TERM INT HUP QUIT; while :; do sleep 1; done"]);
            Ok(shell.status().map(drop)?)
        },
        native: Native::NotRun("it never ends"),
        options: &["--time", "1s"],
        outcome: Some("time-limit"),
        trace: Trace::Event(&[Event("limits", "", "time")]),
        ..Attack::BASE
    },
    Attack {
        name: "deep-directories",
        techniques: &[63, 66],
        about: "Leave directories so deep that tools which walk them fail, with a planted hook at the bottom.",
        attempt: |scene| {
            let mut place = scene.workspace();
            for _ in 0..180 {
                place.push("d");
            }
            Ok(put(&place.join(".envrc"), "planted")?)
        },
        proof: Proof::Host(|scene| {
            let mut place = scene.workspace();
            for _ in 0..180 {
                place.push("d");
            }
            super::files::exists(&place.join(".envrc"))
        }),
        trace: Trace::Event(&[Event("protected", "", ".envrc")]),
        ..Attack::BASE
    },
];

fn end(children: Vec<Child>) {
    for mut child in children {
        drop(child.stdin.take());
        // Each has been started; whether it ended in some other way already does not matter.
        drop(child.wait());
    }
}

fn fill(target: &mut impl Write, mebibytes: usize) -> Attempt {
    let block = vec![b'x'; 1 << 20];
    for _ in 0..mebibytes {
        target.write_all(&block)?;
    }
    Ok(target.flush()?)
}

/// Starts two of its own kind and waits, for ever.
pub(super) fn bomb() -> Attempt {
    let program = std::env::current_exe()?;
    loop {
        for _ in 0..2 {
            drop(Command::new(&program).arg("bomb").stdin(Stdio::null()).stderr(Stdio::null()).spawn());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
