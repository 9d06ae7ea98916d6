use std::net::SocketAddr;
use std::time::Instant;

use super::*;

/// Sends back what came, except that `quiet` is not answered.
fn echo(message: &[u8]) -> Option<Vec<u8>> {
    (message != b"quiet").then(|| message.to_vec())
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bounded = async { timeout(Duration::from_secs(20), test).await.expect("in time") };
    runtime.block_on(bounded)
}

async fn listening(bounds: TcpBounds) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(serve_tcp(listener, bounds, Arc::new(echo)));
    at
}

async fn ask(stream: &mut TcpStream, message: &[u8]) {
    let size = u16::try_from(message.len()).expect("short");
    stream.write_all(&[&size.to_be_bytes(), message].concat()).await.expect("written");
}

async fn told(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[test]
fn datagrams_are_answered_amid_junk() {
    run(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let at = server.local_addr().expect("an address");
        tokio::spawn(serve_udp(server, Arc::new(echo)));
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        client.connect(at).await.expect("connected");
        for junk in [vec![], vec![7; MAX_QUERY + 1], vec![7; 60_000], b"quiet".to_vec()] {
            client.send(&junk).await.expect("sent");
        }
        client.send(b"hello").await.expect("sent");
        let mut buffer = [0; 100];
        // The empty datagram is a message as well.
        assert_eq!(client.recv(&mut buffer).await.expect("received"), 0);
        let length = client.recv(&mut buffer).await.expect("received");
        assert_eq!(&buffer[..length], b"hello");
    });
}

#[test]
fn messages_in_one_connection_are_answered_in_order() {
    run(async {
        let mut stream = TcpStream::connect(listening(TcpBounds::default()).await).await.expect("connected");
        for message in [b"one".as_slice(), b"two", b"three"] {
            ask(&mut stream, message).await;
        }
        for message in [b"one".as_slice(), b"two", b"three"] {
            assert_eq!(told(&mut stream).await.expect("answered"), message);
        }
        for byte in [0, 4, b'f', b'o', b'u', b'r'] {
            stream.write_all(&[byte]).await.expect("written");
        }
        assert_eq!(told(&mut stream).await.expect("answered"), b"four");
    });
}

#[test]
fn whoever_misbehaves_is_left_alone() {
    run(async {
        let bounds = TcpBounds { patience: Duration::from_millis(200), ..TcpBounds::default() };
        let at = listening(bounds).await;
        let mut long = TcpStream::connect(at).await.expect("connected");
        long.write_all(&[0xff, 0xff]).await.expect("written");
        assert!(told(&mut long).await.is_err(), "a message of 65,535 bytes is not waited for");
        let mut silent = TcpStream::connect(at).await.expect("connected");
        ask(&mut silent, b"quiet").await;
        assert!(told(&mut silent).await.is_err());
        let mut slow = TcpStream::connect(at).await.expect("connected");
        slow.write_all(&[0]).await.expect("written");
        let begun = Instant::now();
        assert!(told(&mut slow).await.is_err());
        assert!(begun.elapsed() >= Duration::from_millis(150), "not at once");
    });
}

#[test]
fn those_who_only_hold_places_give_way_in_time() {
    run(async {
        let bounds = TcpBounds { connections: 2, patience: Duration::from_millis(200) };
        let at = listening(bounds).await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            idle.push(TcpStream::connect(at).await.expect("connected"));
        }
        let mut stream = TcpStream::connect(at).await.expect("connected");
        ask(&mut stream, b"hello").await;
        assert_eq!(told(&mut stream).await.expect("answered"), b"hello");
    });
}
