//! The record of a sandbox, changed in any way: judging and reading never panic, no export but the one that was written passes
//! as it, and a writer goes on with whatever the files hold, so that afterwards the record is whole or says what it lost.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use stockade_workspace::StateDirectory;
use stockade_workspace::record::{Key, Reader, Verdict, Writer, export, verify, verify_export};

const SANDBOX: &str = "0123456789abcdef0123456789abcdef";

/// A good record, the files of which each run changes.
struct Good {
    state: StateDirectory,
    folder: PathBuf,
    record: Vec<u8>,
    head: Vec<u8>,
    export: Vec<u8>,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let base = PathBuf::from(format!("/dev/shm/stockade-fuzz-{}", std::process::id()));
        let folder = base.join("sandbox");
        fs::create_dir_all(&folder).expect("a folder");
        let state = StateDirectory::new(&base.join("state")).expect("a path");
        let key = Key::load_or_create(&state).expect("a key");
        let public = key.public();
        let mut writer = Writer::create(&folder, SANDBOX, key).expect("a record");
        for number in 0..4 {
            writer.append("command.ended", &serde_json::json!({ "status": number })).expect("a line");
        }
        drop(writer);
        let mut document = Vec::new();
        export(&folder, SANDBOX, &public, &mut document).expect("an export");
        let read = |name| fs::read(folder.join(name)).expect("a file");
        Good { record: read("record.jsonl"), head: read("record.head"), export: document, state, folder }
    })
}

/// Changes a text: each piece of four bytes says where, how many bytes go, and what comes there.
fn change(text: &mut Vec<u8>, changes: &[u8]) {
    for piece in changes.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([piece[0], piece[1]])) % (text.len() + 1);
        let end = text.len().min(at + usize::from(piece[2]));
        let new = if piece[2] & 1 == 0 { &piece[3..] } else { &[] };
        text.splice(at..end, new.iter().copied());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let good = good();
    match mode % 4 {
        0 => {
            if let Ok(exported) = verify_export(data).expect("bytes can be read") {
                assert!(matches!(exported.verdict, Verdict::Broken(_)) || exported.sandbox.len() == 32);
            }
        }
        1 => {
            let mut document = good.export.clone();
            change(&mut document, data);
            let exported = verify_export(&document[..]).expect("bytes can be read");
            let passes = exported.is_ok_and(|exported| matches!(exported.verdict, Verdict::Verified(_)));
            assert_eq!(passes, document == good.export);
        }
        2 => go_on(good, data, &good.head),
        _ => {
            let mut record = good.record.clone();
            let (in_record, in_head) = data.split_at(data.len() / 2);
            change(&mut record, in_record);
            let mut head = good.head.clone();
            change(&mut head, in_head);
            go_on(good, &record, &head);
        }
    }
});

fn go_on(good: &Good, record: &[u8], head: &[u8]) {
    for entry in fs::read_dir(&good.folder).expect("the folder") {
        fs::remove_file(entry.expect("an entry").path()).expect("a file");
    }
    fs::write(good.folder.join("record.jsonl"), record).expect("a file");
    fs::write(good.folder.join("record.head"), head).expect("a file");
    let key = Key::load_or_create(&good.state).expect("a key");
    let public = key.public();
    let judge = || verify(&good.folder, SANDBOX, &public).expect("the files can be read");
    let entries = Reader::open(&good.folder).expect("a record").count();
    assert!(entries <= record.iter().filter(|byte| **byte == b'\n').count());
    let before = judge();
    if matches!(&before, Verdict::Verified(_)) {
        assert!(record.starts_with(&good.record) && head == good.head);
    }
    drop(Writer::open(&good.folder, SANDBOX, key).expect("it can be gone on with"));
    match (before, judge()) {
        (Verdict::Verified(before), Verdict::Verified(after)) => assert_eq!(before.torn.is_some(), after.lost > 0),
        // What is broken in the midst stays so; at the end, it is told.
        (Verdict::Broken(_), Verdict::Verified(after)) => assert!(after.lost > 0),
        (_, Verdict::Broken(_)) => assert!(record != good.record),
    }
}
