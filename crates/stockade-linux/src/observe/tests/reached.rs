//! Networks and sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use rustix::net::{AddressFamily, SocketType, socket};

use super::*;

fn code<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn only_loopback_is_reached() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let (_, denials) = Scene::new(Tier::Namespaces).run(|| {
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        TcpStream::connect(("0.0.0.0", port)).unwrap();
        assert_eq!(code(TcpStream::connect("192.0.2.1:80")), Some(libc::EACCES));
        assert_eq!(code(TcpStream::connect("[::ffff:192.0.2.2]:80")), Some(libc::EACCES));
        assert_eq!(code(TcpStream::connect("[2001:db8::1]:80")), Some(libc::EACCES));
        assert_eq!(code(TcpListener::bind("192.0.2.1:80")), Some(libc::EADDRNOTAVAIL));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(code(socket.send_to(b"x", "192.0.2.1:53")), Some(libc::EACCES));
        assert_eq!(socket.send_to(b"x", ("127.0.0.1", 9)).unwrap(), 1);
    });
    assert_eq!(
        lines(&denials),
        [
            "Network connect 192.0.2.1:80",
            "Network connect 192.0.2.2:80",
            "Network connect [2001:db8::1]:80",
            "Network bind 192.0.2.1:80",
            "Network sendto 192.0.2.1:53",
        ]
    );
}

#[test]
fn refused_families_are_named() {
    let (errors, denials) = Scene::new(Tier::Namespaces).run(|| {
        [AddressFamily::VSOCK, AddressFamily::from_raw(38), AddressFamily::from_raw(99)]
            .map(|family| socket(family, SocketType::STREAM, None).unwrap_err())
    });
    assert_eq!(errors, [Errno::AFNOSUPPORT; 3]);
    assert_eq!(lines(&denials), ["Sockets socket AF_VSOCK", "Sockets socket AF_ALG", "Sockets socket family 99"]);
}

#[test]
fn without_namespaces_only_sockets_in_writable_places_are_reached() {
    let scene = Scene::new(Tier::Landlock);
    let outside = tempfile::tempdir().unwrap();
    let (near, far) = (scene.path("near"), outside.path().join("far"));
    let server = UnixListener::bind(&near).unwrap();
    let other = UnixListener::bind(&far).unwrap();
    symlink(&far, scene.path("alias")).unwrap();
    symlink("near", scene.path("near-alias")).unwrap();
    let name = SocketAddr::from_abstract_name(format!("stockade-{}", std::process::id())).unwrap();
    let abstract_server = UnixListener::bind_addr(&name).unwrap();
    let (_, denials) = scene.run(|| {
        let mut stream = UnixStream::connect(&near).unwrap();
        stream.write_all(b"hello").unwrap();
        UnixStream::connect(scene.path("near-alias")).unwrap();
        assert_eq!(code(UnixStream::connect(&far)), Some(libc::EACCES));
        assert_eq!(code(UnixStream::connect(scene.path("alias"))), Some(libc::EACCES));
        assert_eq!(code(UnixStream::connect(scene.path("nothing"))), Some(libc::ENOENT));
        assert_eq!(code(UnixStream::connect(scene.context.workspace.as_path())), Some(libc::ECONNREFUSED));
        assert_eq!(code(UnixStream::connect_addr(&name)), Some(libc::EACCES));
        assert_eq!(code(TcpStream::connect("127.0.0.1:1")), Some(libc::EACCES));
    });
    let mut text = [0; 5];
    server.accept().unwrap().0.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    other.set_nonblocking(true).unwrap();
    abstract_server.set_nonblocking(true).unwrap();
    assert_eq!(other.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(abstract_server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let far = far.canonicalize().unwrap();
    assert_eq!(
        lines(&denials),
        [
            format!("Sockets connect {}", far.display()),
            format!("Sockets connect @stockade-{}", std::process::id()),
            "Sockets socket AF_INET".to_owned(),
        ]
    );
    assert_eq!(denials[0].count, 2);
}

#[test]
fn without_namespaces_datagrams_go_nowhere() {
    let scene = Scene::new(Tier::Landlock);
    let outside = tempfile::tempdir().unwrap();
    let far = outside.path().join("far");
    let server = UnixDatagram::bind(&far).unwrap();
    server.set_nonblocking(true).unwrap();
    let (code, _denials) = scene.run(|| UnixDatagram::unbound().and_then(|socket| socket.send_to(b"x", &far)));
    assert!(code.is_err());
    assert_eq!(server.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}
