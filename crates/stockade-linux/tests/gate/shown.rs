//! Files and sockets that come with the gate.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::spawn;

use stockade_linux::{LaunchError, cgroups};
use stockade_spec::plan::Operation;

use crate::Test;
use crate::run::{follow, plan, start, with_view};

pub(crate) const TESTS: &[Test] = &[
    ("shown::a_covered_file_has_other_content_for_good", covered),
    ("shown::a_socket_of_the_host_is_reached", socket),
    ("shown::nothing_but_a_socket_is_shown_as_one", no_socket),
];

fn covered() {
    let cover = Operation::CoverFile { target: "/etc/passwd".into(), content: "covered".into(), mode: 0o444 };
    let actions = ["file /etc/passwd", "overwrite /etc/passwd"];
    let seen = follow(&with_view(plan(None, &actions), vec![cover]), |_| (Vec::new(), None));
    let refused = seen.lines[1].rsplit(' ').next().unwrap().parse::<i32>().unwrap();
    assert_eq!(seen.lines[0], "file /etc/passwd: covered");
    assert!([libc::EACCES, libc::EROFS].contains(&refused), "{seen:?}");
    assert_ne!(std::fs::read_to_string("/etc/passwd").unwrap(), "covered");
}

fn shown(source: &Path) -> Operation {
    Operation::Socket { source: source.into(), target: "/run/service/socket".into() }
}

fn socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = UnixListener::bind(&path).unwrap();
    let actions = ["unix /run/service/socket", "unix /run/service/other"];
    let plan = with_view(plan(None, &actions), vec![shown(&path)]);
    let mut server = Some(server);
    let mut thread = None;
    let seen = follow(&plan, |_| {
        let server = server.take().unwrap();
        thread = Some(spawn(move || server.accept().unwrap().0.write_all(b"of the host").unwrap()));
        (Vec::new(), None)
    });
    thread.unwrap().join().unwrap();
    let missing = format!("unix /run/service/other: errno {}", libc::ENOENT);
    assert_eq!(seen.lines, ["unix /run/service/socket: of the host", &missing]);
}

fn no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let _server = UnixListener::bind(path("socket")).unwrap();
    File::create(path("file")).unwrap();
    symlink("socket", path("link")).unwrap();
    symlink(".", path("around")).unwrap();
    let facts = cgroups();
    for (name, errno) in
        [("file", libc::ENOTSOCK), ("link", libc::ENOTSOCK), ("around/socket", libc::ELOOP), ("nothing", libc::ENOENT)]
    {
        let plan = with_view(plan(None, &["descriptors"]), vec![shown(&path(name))]);
        match start(&plan, &facts, File::open("/dev/null").unwrap().into()).map(drop) {
            Err(LaunchError::Step { source, .. }) => assert_eq!(source.raw_os_error(), Some(errno), "{name}"),
            done => panic!("{name}: {done:?}"),
        }
    }
}
