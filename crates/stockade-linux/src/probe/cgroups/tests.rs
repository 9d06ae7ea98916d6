use std::fs;

use super::*;

/// A made-up tree: directories with their `cgroup.controllers`, `cgroup.subtree_control` and members. The first is
/// the root.
fn tree(groups: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (index, (path, controllers, enabled, members)) in groups.iter().enumerate() {
        let directory = root.path().join(path);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("cgroup.controllers"), controllers).unwrap();
        fs::write(directory.join("cgroup.subtree_control"), enabled).unwrap();
        fs::write(directory.join("cgroup.procs"), members).unwrap();
        if index > 0 {
            fs::write(directory.join("cgroup.type"), "domain\n").unwrap();
        }
    }
    root
}

fn found(root: &tempfile::TempDir, own: &str, managed: bool) -> Option<(String, Vec<String>)> {
    let place = find_v2(root.path(), &below(root.path(), own), managed)?;
    let path = place.path.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned();
    Some((path, place.controllers))
}

fn expected(path: &str, controllers: &[&str]) -> Option<(String, Vec<String>)> {
    Some((path.to_owned(), controllers.iter().map(|&name| name.to_owned()).collect()))
}

#[test]
fn a_root_with_processes_serves() {
    let root = tree(&[("", "cpuset cpu io memory pids\n", "", "1\n2\n")]);
    assert_eq!(found(&root, "/", false), expected("", &["cpu", "memory", "pids"]));
}

#[test]
fn a_parent_serves_when_the_own_group_holds_processes() {
    let root = tree(&[
        ("", "cpu memory pids\n", "memory pids\n", "1\n"),
        ("box", "memory pids\n", "", ""),
        ("box/shell", "", "", "7\n"),
    ]);
    assert_eq!(found(&root, "/box/shell", false), expected("box", &["memory", "pids"]));
}

#[test]
fn groups_of_systemd_are_not_reconfigured() {
    let root = tree(&[
        ("", "cpu memory pids\n", "cpu memory pids\n", ""),
        ("app.slice", "cpu memory pids\n", "memory pids\n", ""),
        ("app.slice/term.scope", "memory pids\n", "", "7\n"),
    ]);
    assert_eq!(found(&root, "/app.slice/term.scope", true), expected("app.slice", &["memory", "pids"]));
    assert_eq!(found(&root, "/app.slice/term.scope", false), expected("app.slice", &["memory", "pids", "cpu"]));
}

#[test]
fn a_tree_without_controllers_does_not_serve() {
    let root = tree(&[("", "", "", "1\n"), ("own", "", "", "7\n")]);
    assert_eq!(found(&root, "/own", false), None);
}

#[test]
fn own_groups_are_read() {
    let text = "9:name=systemd:/\n4:memory:/a/b:c\n1:cpu,cpuacct:/x\n0::/user.slice\nnonsense\n";
    let own = OwnGroups::parse(text);
    assert_eq!(own.v2.as_deref(), Some("/user.slice"));
    assert_eq!(
        own.v1.into_iter().collect::<Vec<_>>(),
        [("cpu".to_owned(), "/x".to_owned()), ("memory".to_owned(), "/a/b:c".to_owned())]
    );
    assert_eq!(OwnGroups::parse("0::/../other\n"), OwnGroups::default());
}

#[test]
fn mounts_are_found_in_the_table() {
    let table = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                 35 31 0:32 /docker/abc /my\\040groups/m rw shared:2 - cgroup cgroup rw,memory\n\
                 41 31 0:38 / /two rw - cgroup2 cgroup2 rw\n";
    assert_eq!(
        in_table(table, "cgroup", Some("memory"), "/docker/abc/x"),
        Some(Place { mount: "/my groups/m".into(), directory: "/my groups/m/x".into() })
    );
    assert_eq!(in_table(table, "cgroup", Some("pids"), "/docker/abc"), None);
    assert_eq!(in_table(table, "cgroup", Some("memory"), "/elsewhere"), None);
    assert_eq!(in_table(table, "cgroup2", None, "/"), Some(Place { mount: "/two".into(), directory: "/two".into() }));
}
