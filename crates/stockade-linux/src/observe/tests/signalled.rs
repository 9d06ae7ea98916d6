//! Signals without a process namespace.

use std::process::{Child, Command};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal};

use super::*;

fn sleeper() -> Child {
    Command::new("sleep").arg("60").spawn().unwrap()
}

/// A process and its own child.
fn family() -> (Child, Pid) {
    let mut parent = Command::new("sh")
        .args(["-c", "sleep 60 & echo $!; wait"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(parent.stdout.take().unwrap()), &mut line).unwrap();
    (parent, Pid::from_raw(line.trim().parse().unwrap()).unwrap())
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The scene's first process is a child of the test, which is not inside its tree; nor may the first process be signalled,
/// since it ends everything that is left at the end.
#[test]
fn processes_outside_are_not_signalled() {
    let (first, own_child) = family();
    let mut scene = Scene::new(Tier::Landlock);
    scene.context.first_process = first.id();
    let outside = sleeper();
    let target = Pid::from_child(&outside);
    let (_, denials) = scene.run(|| {
        assert_eq!(kill_process(target, Signal::TERM), Err(Errno::PERM));
        assert_eq!(kill_process(Pid::INIT, Signal::TERM), Err(Errno::PERM));
        assert_eq!(pidfd_open(target, PidfdFlags::empty()).unwrap_err(), Errno::PERM);
        assert_eq!(kill_process_group(target, Signal::TERM), Err(Errno::SRCH));
        assert_eq!(kill_process(Pid::from_child(&first), Signal::KILL), Err(Errno::PERM));
        kill_process(own_child, Signal::CONT).unwrap();
        kill_process(rustix::process::getpid(), Signal::CONT).unwrap();
        let handle = pidfd_open(own_child, PidfdFlags::empty()).unwrap();
        pidfd_send_signal(&handle, Signal::CONT).unwrap();
    });
    let pid = outside.id();
    let expected = [
        format!("Signals kill process {pid} (sleep)"),
        "Signals kill process 1".to_owned(),
        format!("Signals pidfd_open process {pid} (sleep)"),
        format!("Signals kill process {} (sh)", first.id()),
    ];
    assert!(
        denials.iter().zip(&expected).all(|(denial, line)| lines(std::slice::from_ref(denial))[0].starts_with(line))
    );
    assert_eq!(denials.len(), expected.len());
    end(outside);
    kill_process(own_child, Signal::KILL).unwrap();
    end(first);
}

#[test]
fn handles_from_outside_are_no_way_around() {
    let outside = sleeper();
    let inside = sleeper();
    let mut scene = Scene::new(Tier::Landlock);
    scene.context.first_process = inside.id();
    let handle = pidfd_open(Pid::from_child(&outside), PidfdFlags::empty()).unwrap();
    let (result, denials) = scene.run(|| pidfd_send_signal(&handle, Signal::KILL));
    assert_eq!((result, denials.len()), (Err(Errno::PERM), 1));
    end(outside);
    end(inside);
}

#[test]
fn ended_children_are_gone_not_refused() {
    let mut child = sleeper();
    let pid = Pid::from_child(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    let (result, denials) = Scene::new(Tier::Landlock).run(|| kill_process(pid, Signal::TERM));
    assert_eq!((result, denials.len()), (Err(Errno::SRCH), 0));
}

#[test]
fn limits_and_scheduling_of_others_are_refused() {
    use rustix::process::{Resource, Rlimit, prlimit};
    let outside = sleeper();
    let target = Pid::from_child(&outside);
    let (result, denials) = Scene::new(Tier::Landlock)
        .run(|| prlimit(Some(target), Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map(|_| ()));
    assert_eq!(result, Err(Errno::PERM));
    assert_eq!(denials[0].operation, "prlimit64");
    end(outside);
}

#[test]
fn the_size_of_core_dumps_is_kept() {
    use rustix::process::{Resource, Rlimit, getpid, getrlimit, prlimit, setrlimit};
    let maximum = getrlimit(Resource::Core).maximum;
    let size = |current| Rlimit { current: Some(current), maximum };
    setrlimit(Resource::Core, size(1)).unwrap();
    let ((taken, refused), _) = Scene::new(Tier::Landlock)
        .run(|| (setrlimit(Resource::Core, size(0)), prlimit(Some(getpid()), Resource::Core, size(0)).map(|_| ())));
    assert_eq!((taken, refused), (Ok(()), Err(Errno::PERM)));
    assert_eq!(getrlimit(Resource::Core).current, Some(1));
}
