//! Several processes write, and some of them are killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stockade_workspace::StateDirectory;
use stockade_workspace::record::{Key, Lost, Writer};

use crate::{Place, SANDBOX, payload};

/// What a process does that a test starts from this program, by this variable: words that are separated by blanks.
const ROLE: &str = "STOCKADE_RECORD_ROLE";

/// Does nothing by itself: it is what [`start`] starts.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (lines, place) = role.split_once(' ').unwrap();
    let place = PathBuf::from(place);
    let key = Key::load_or_create(&StateDirectory::new(&place.join("state")).unwrap()).unwrap();
    let mut writer = Writer::open(&place.join("sandbox"), SANDBOX, key).unwrap();
    for number in 0..lines.parse().unwrap() {
        match writer.append("command.ended", &payload(number)) {
            Ok(sequence) => println!("line {sequence}"),
            Err(error) => {
                println!("stopped {error}");
                break;
            }
        }
    }
}

fn command(place: &Place, lines: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::role", "--nocapture"]);
    command.env(ROLE, format!("{lines} {}", place.path().display())).stdout(Stdio::piped());
    command
}

/// The numbers of the lines that a process says it has appended.
fn appended(child: &mut Child) -> Vec<u64> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect()
}

#[test]
fn several_processes_append_to_one_chain() {
    let place = Place::with(0);
    let mut children: Vec<Child> = (0..4).map(|_| command(&place, 500).spawn().unwrap()).collect();
    let mut numbers: Vec<u64> = Vec::new();
    for child in &mut children {
        numbers.extend(appended(child));
        assert!(child.wait().unwrap().success());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2_000).collect::<Vec<_>>());
    let verified = place.verified();
    assert_eq!((verified.lines, verified.unsigned, verified.lost), (2_000, 0, 0));
}

#[test]
fn whatever_writers_are_killed_what_they_appended_is_there() {
    let place = Place::with(0);
    let mut known = 0;
    for round in 0..40_u64 {
        let mut children: Vec<Child> = (0..2).map(|_| command(&place, u64::MAX).spawn().unwrap()).collect();
        // Time to start, and then a different moment each time.
        std::thread::sleep(Duration::from_micros(15_000 + round * 733));
        for child in &mut children {
            child.kill().unwrap();
        }
        for child in &mut children {
            known = appended(child).into_iter().fold(known, u64::max);
            child.wait().unwrap();
        }
        drop(place.open());
        let verified = place.verified();
        assert!(verified.lines >= known, "{} of {known} lines", verified.lines);
        assert_eq!((verified.unsigned, verified.torn), (0, None));
        for loss in verified.losses {
            assert!(matches!(loss.what, Lost::Torn { .. }), "{loss:?}");
        }
    }
    assert!(known > 1_000, "only {known} lines");
}

#[test]
fn a_full_disk_leaves_whole_lines() {
    let place = Place::with(0);
    let test = command(&place, u64::MAX);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 50; exec \"$0\" \"$@\""])
        .arg(test.get_program())
        .args(test.get_args());
    limited.env(ROLE, format!("{} {}", u64::MAX, place.path().display())).stdout(Stdio::piped());
    let mut child = limited.spawn().unwrap();
    let known = appended(&mut child).len() as u64;
    assert!(child.wait().unwrap().success());
    let size = fs::metadata(place.record()).unwrap().len();
    assert!(size > 20_000 && size <= 51_200, "{size}");
    let verified = place.verified();
    assert_eq!((verified.lines, verified.torn, verified.lost), (known, None, 0));
    place.add(&mut place.open(), 1);
    assert_eq!(place.verified().lines, known + 1);
}

#[test]
fn a_lock_that_is_let_go_is_waited_for() {
    let place = Place::with(1);
    let mut writer = place.open();
    let holder = fs::File::open(place.record()).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(holder);
        });
        place.add(&mut writer, 1);
    });
    drop(writer);
    assert_eq!(place.verified().lines, 2);
}
