//! Which processes descend from which, by `/proc`.

use std::collections::HashMap;
use std::fs;

use rustix::process::Pid;

/// The processes of the session that one leads, and those that descend from it or from them, without those that have ended
/// already and only wait to be reaped.
pub(crate) fn belonging_to(leader: i32) -> Vec<i32> {
    belonging_in(&stats(), leader)
}

fn belonging_in(all: &HashMap<i32, Stat>, leader: i32) -> Vec<i32> {
    let parents = all.iter().map(|(&pid, stat)| (pid, stat.parent)).collect();
    let mut found: Vec<i32> = all.iter().filter(|(_, stat)| stat.session == leader).map(|(&pid, _)| pid).collect();
    // Where the leader has ended, they are no descendants of it any more.
    let roots = found.iter().copied().chain([leader]).collect();
    found.extend(descendants(roots, &parents));
    found.sort_unstable();
    found.dedup();
    found.retain(|pid| all.get(pid).is_some_and(|stat| !stat.has_ended));
    found
}

/// Appends the children of a process, those that wait to be reaped included.
///
/// The kernel's own list of them (`CONFIG_PROC_CHILDREN`) takes a small part of the time that a look at every process takes, in which
/// one that forks and ends has been followed by many.
pub(crate) fn append_children(parent: Pid, found: &mut Vec<Pid>) {
    let number = parent.as_raw_nonzero().get();
    if let Some(listed) = listed_children(number) {
        return found.extend(listed);
    }
    let of_parent = |(pid, stat): (i32, Stat)| (stat.parent == number).then(|| Pid::from_raw(pid)).flatten();
    found.extend(stats().into_iter().filter_map(of_parent));
}

/// What the threads of a process have started; `None` where the kernel keeps no list. A process that has ended has none.
fn listed_children(parent: i32) -> Option<Vec<Pid>> {
    let mut children = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { return Some(children) };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => children.extend(text.split(' ').filter_map(|word| Pid::from_raw(word.parse().ok()?))),
            // The thread has ended, or there are no such files at all.
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(children)
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    has_ended: bool,
    parent: i32,
    session: i32,
}

/// Every visible process.
fn stats() -> HashMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            // The kernel writes the name as it is, and a process may give itself one that is no text.
            let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, read(&String::from_utf8_lossy(&stat))?))
        })
        .collect()
}

/// State, parent and session (`proc_pid_stat(5)`); the second field is a name in parentheses that may hold anything.
fn read(stat: &str) -> Option<Stat> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { has_ended, parent, session })
}

fn descendants(roots: Vec<i32>, parents: &HashMap<i32, i32>) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (&child, &parent) in parents {
        children.entry(parent).or_default().push(child);
    }
    let mut found = Vec::new();
    let mut queue = roots;
    while let Some(pid) = queue.pop() {
        // A process is nobody's descendant twice, so removing what was visited bounds the loop.
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            queue.push(child);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_at_any_depth() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 9), (9, 6)]);
        let mut found = descendants(vec![2], &parents);
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
        assert_eq!(descendants(vec![6], &parents), [9, 6], "a cycle ends");
    }

    #[test]
    fn who_belongs_to_a_leader_does_so_when_it_is_gone() {
        let stat = |parent, session| Stat { has_ended: false, parent, session };
        // 7 has ended: 8 was its child, 9 has left the session of its parent 8, and 10 has nothing to do with it.
        let all = HashMap::from([(8, stat(1, 7)), (9, stat(8, 9)), (10, stat(1, 10))]);
        assert_eq!(belonging_in(&all, 7), [8, 9]);
    }

    #[test]
    fn a_name_that_is_no_text_hides_nothing() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().expect("a directory");
        let program = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff)\xfe"));
        fs::copy("/bin/sleep", &program).expect("a copy");
        let mut child = std::process::Command::new(&program).arg("60").spawn().expect("a child");
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let pid = i32::try_from(child.id()).expect("a number");
        let found = belonging_to(own);
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        assert!(found.contains(&pid), "{found:?}");
    }

    #[test]
    fn names_cannot_shift_the_parent() {
        let stat = Stat { has_ended: false, parent: 5, session: 7 };
        assert_eq!(read("7 (a) S 99 (b) R 5 6 7 8"), Some(stat));
        assert_eq!(read("7 (a) Z 5 6 7 8"), Some(Stat { has_ended: true, ..stat }));
        assert_eq!(read("nonsense"), None);
    }
}
