//! Which files may change unseen: those of shared mappings, found by their numbers.

use std::fs;
use std::os::unix::fs::MetadataExt;

use stockade_linux::freeze::Unseen;

use crate::sandbox::Sandbox;

/// Maps a file for each of the ways in which its name or rights may hide it, on a file system of their own, as the workspace of
/// a sandbox is.
const MAPS: &str = r"
import ctypes, mmap, os, time
libc = ctypes.CDLL(None)
os.mkdir('DIR/w')
assert libc.mount(b'none', b'DIR/w', b'tmpfs', 0, None) == 0
kept = []
def mapped(name, prot=3, flags=mmap.MAP_SHARED):
    fd = os.open('DIR/w/' + name, os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 4096)
    kept.append(mmap.mmap(fd, 4096, flags, prot)); os.close(fd)
mapped('plain'); mapped('plain')
mapped('readable', 1)
mapped('closed'); libc.mprotect(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(kept[-1]))), ctypes.c_size_t(4096), 0)
mapped('private', 3, mmap.MAP_PRIVATE)
mapped('before'); os.rename('DIR/w/before', 'DIR/w/after')
kept.append(mmap.mmap(-1, 4096))
LAST
open('DIR/ready', 'w').write('yes')
time.sleep(1000)
";

/// What is found in a sandbox with those.
fn unseen(script: &str) -> Option<(Sandbox, Unseen)> {
    let sandbox = Sandbox::traced(&[&["python3", "-c", script]])?;
    sandbox.wait_for("ready");
    let freezer = sandbox.freezer();
    let frozen = sandbox.freeze(&freezer);
    let mut unseen = freezer.unseen(&sandbox.directory().join("w")).unwrap();
    frozen.thaw().unwrap();
    unseen.paths.sort();
    Some((sandbox, unseen))
}

#[test]
fn shared_mappings_are_found_by_name() {
    let Some((_sandbox, unseen)) = unseen(&MAPS.replace("LAST", "")) else { return };
    assert_eq!(unseen.paths, ["after", "closed", "plain", "readable"].map(std::path::PathBuf::from));
    assert!(!unseen.others, "{unseen:?}");
}

#[test]
fn those_without_a_name_that_leads_to_them_are_others() {
    let hidden = [
        "mapped('gone'); os.link('DIR/w/gone', 'DIR/w/other'); os.unlink('DIR/w/gone')",
        "mapped('gone'); os.link('DIR/w/gone', 'DIR/w/other'); os.unlink('DIR/w/gone'); open('DIR/w/gone', 'w'); open('DIR/w/gone (deleted)', 'w')",
        r"mapped('a\nb')",
        r"mapped('a\nb'); open('DIR/w/a\\012b', 'w')",
    ];
    for last in hidden {
        let Some((_sandbox, unseen)) = unseen(&MAPS.replace("LAST", last)) else { return };
        assert!(unseen.others, "{last}: {unseen:?}");
        assert_eq!(unseen.paths.len(), 4, "{last}: {unseen:?}");
    }
}

#[test]
fn odd_names_that_lead_to_them_are_names() {
    let Some((_sandbox, unseen)) = unseen(&MAPS.replace("LAST", r"mapped('x (deleted)'); mapped('x\\012y')")) else {
        return;
    };
    let odd = ["x (deleted)", r"x\012y"].map(std::path::PathBuf::from);
    assert!(odd.iter().all(|name| unseen.paths.contains(name)), "{unseen:?}");
}

#[test]
fn the_first_thread_need_not_live() {
    // Its entry shows no memory any more, though its process has it still.
    let last = "
import threading
def go():
    while open('/proc/self/stat').read().rsplit(')')[1][1] != 'Z': time.sleep(.001)
    open('DIR/ready', 'w').write('yes')
    time.sleep(1000)
threading.Thread(target=go).start()
libc.syscall(60 if __import__('platform').machine() == 'x86_64' else 93, 0)
";
    let Some((_sandbox, unseen)) = unseen(&MAPS.replace("LAST", last)) else { return };
    assert_eq!(unseen.paths.len(), 4, "{unseen:?}");
}

#[test]
fn asynchronous_writes_may_be_under_way() {
    // The memory by which a program learns that they are done need not stay.
    let last = "
context = ctypes.c_ulong(0)
assert libc.syscall(206 if __import__('platform').machine() == 'x86_64' else 0, 8, ctypes.byref(context)) == 0
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
assert libc.munmap(context.value, mmap.PAGESIZE) == 0
";
    let Some((_sandbox, unseen)) = unseen(&MAPS.replace("LAST", last)) else { return };
    assert!(unseen.under_way, "{unseen:?}");
}

#[test]
fn of_another_workspace_they_are_numbers() {
    let Some((sandbox, _)) = unseen(&MAPS.replace("LAST", "")) else { return };
    let elsewhere = sandbox.freezer().unseen(std::path::Path::new("/dev")).unwrap();
    let root = format!("/proc/{}/root{}/w", sandbox.init.as_raw_nonzero(), sandbox.directory().display());
    let number = |name: &str| fs::metadata(format!("{root}/{name}")).unwrap().ino();
    assert!(elsewhere.paths.is_empty() && !elsewhere.others, "{elsewhere:?}");
    for name in ["after", "closed", "plain", "readable"] {
        assert!(elsewhere.inodes.contains(&number(name)), "{name}: {elsewhere:?}");
    }
    assert!(!elsewhere.inodes.contains(&number("private")));
    let nowhere = sandbox.freezer().unseen(std::path::Path::new("/none/such")).unwrap();
    assert!(nowhere.others, "{nowhere:?}");
}
