use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A manager that speaks the protocol: authenticates, reads one call, and answers with what the test says.
fn manager(answer: impl FnOnce(&[u8]) -> Vec<u8> + Send + 'static) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let uid = rustix::process::geteuid().as_raw().to_string();
        let digits: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        let expected = format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n");
        let mut greeting = vec![0; expected.len()];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(String::from_utf8(greeting).unwrap(), expected);
        stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        let call = read_message(&mut stream);
        stream.write_all(&answer(&call)).unwrap();
        // Open until the client has gone.
        drop(stream.read(&mut [0]));
    });
    (folder, path)
}

fn read_message(stream: &mut UnixStream) -> Vec<u8> {
    let mut message = vec![0; message::FIXED];
    stream.read_exact(&mut message).unwrap();
    message.resize(message::length(&message).unwrap(), 0);
    stream.read_exact(&mut message[message::FIXED..]).unwrap();
    message
}

fn incoming(kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let mut message = vec![b'l', kind, 0, 1];
    message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(1_u32.to_le_bytes());
    message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

fn returned() -> Vec<u8> {
    incoming(2, b"\x05\x01u\0\x01\0\0\0", b"")
}

fn job_removed(unit: &str, result: &str) -> Vec<u8> {
    let mut body = b"\x05\0\0\0\x02\0\0\0/j\0\0".to_vec();
    for text in [unit, result] {
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        body.extend(text.as_bytes());
        body.push(0);
    }
    incoming(4, b"\x03\x01s\0\x0a\0\0\0JobRemoved\0", &body)
}

#[test]
fn the_call_carries_the_bounds() {
    let bounds = [(Resource::Memory, 1 << 30), (Resource::Processes, 99), (Resource::Cpu, 1_500)];
    let bounds = bounds.map(|(resource, value)| Bound { resource, value });
    let wanted = properties(&[77, 78].map(|pid| Pid::from_raw(pid).unwrap()), &bounds).unwrap();
    let expected = message::start_transient_unit(SERIAL, "x.scope", &wanted);
    let (_folder, socket) = manager(move |call| {
        assert_eq!(call, expected);
        // Something that does not matter, then both answers in the order that is harder.
        [job_removed("other.scope", "failed"), job_removed("x.scope", "done"), returned()].concat()
    });
    request(&socket, "x.scope", &wanted, TIMEOUT).unwrap();
    assert!(wanted.contains(&("TasksMax", Value::Number(100))));
    assert!(wanted.contains(&("CPUQuotaPerSecUSec", Value::Number(1_500_000))));
    assert!(wanted.contains(&("PIDs", Value::Numbers(vec![77, 78]))));
}

#[test]
fn a_refusal_is_told_in_the_managers_words() {
    let name = b"\x04\x01s\0\x03\0\0\0a.B\0\0\0\0\0\x05\x01u\0\x01\0\0\0";
    let (_folder, socket) = manager(|_| incoming(3, name, b"\x02\0\0\0no\0"));
    let error = request(&socket, "x.scope", &[], TIMEOUT).unwrap_err();
    assert!(matches!(&error, ScopeError::Refused { name, text } if name == "a.B" && text == "no"), "{error}");
}

#[test]
fn a_failed_job_is_an_error() {
    let (_folder, socket) = manager(|_| [returned(), job_removed("x.scope", "failed")].concat());
    let error = request(&socket, "x.scope", &[], TIMEOUT).unwrap_err();
    assert!(matches!(&error, ScopeError::JobFailed { result, .. } if result == "failed"), "{error}");
}

#[test]
fn a_manager_that_does_not_answer_is_not_waited_for() {
    let (_folder, socket) = manager(|_| returned());
    let error = request(&socket, "x.scope", &[], Duration::from_millis(50)).unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    let error = request(Path::new("/nonexistent/private"), "x.scope", &[], TIMEOUT).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/private"), "{error}");
}

/// The test harness has several threads, in which no copy of the process can be made.
#[test]
fn a_threaded_process_is_refused() {
    let error = Scope::start(Path::new("/nonexistent"), rustix::process::getpid(), &[], TIMEOUT).unwrap_err();
    assert!(matches!(error, LimitError::Threaded), "{error}");
}
