//! Programs that write by a mapping, of which the kernel tells nobody: what a checkpoint holds is what the file held, however
//! the mapping is hidden.

use crate::Trial;
use crate::leftovers::soon;
use crate::place::Place;

pub(crate) const TRIALS: &[Trial] = &[
    ("ordinary", |place| written_unseen(place, "ordinary")),
    ("copied_up", |place| written_unseen(place, "copied_up")),
    ("name_gone", |place| written_unseen(place, "name_gone")),
    ("name_taken", |place| written_unseen(place, "name_taken")),
    ("line_end_in_name", |place| written_unseen(place, "line_end_in_name")),
    ("not_writable_meanwhile", |place| written_unseen(place, "not_writable_meanwhile")),
    ("first_thread_ended", |place| written_unseen(place, "first_thread_ended")),
    ("unmapped_in_between", |place| written_unseen(place, "unmapped_in_between")),
];

/// Makes a page of a mapping dirty, and writes it when it is told to. Says whether a time moved.
const WRITER: &str = r"
import ctypes, mmap, os, sys, threading, time
way = sys.argv[1]
libc = ctypes.CDLL(None)
old, new = b'old'.ljust(4096, b'.'), b'new'.ljust(4096, b'.')
name = {'line_end_in_name': 'a\nb', 'copied_up': 'README'}.get(way, 'name')
fd = os.open(name, os.O_RDWR | os.O_CREAT); os.write(fd, old); os.ftruncate(fd, 4096)
os.link(name, 'file')
pages = mmap.mmap(fd, 4096)
if way.startswith('name_'): os.unlink(name)
if way == 'name_taken': open(name, 'w'); open(name + ' (deleted)', 'w')
pages[:] = old
time.sleep(.05)
address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(pages)))
def protect(rights):
    if way == 'not_writable_meanwhile': assert libc.mprotect(address, ctypes.c_size_t(4096), rights) == 0
def times(): status = os.fstat(fd); return status.st_mtime_ns, status.st_ctime_ns
def wait_and_write():
    protect(1)
    open('/tmp/ready', 'w')
    while not os.path.exists('/tmp/go'): time.sleep(.001)
    protect(3)
    before = times(); ctypes.memmove(address, new, 4096)
    told = 'unseen' if times() == before else 'seen'
    if way == 'unmapped_in_between': assert libc.munmap(address, ctypes.c_size_t(4096)) == 0
    open('/tmp/half', 'w').write(told); os.rename('/tmp/half', '/tmp/done')
    time.sleep(1000)
if way == 'first_thread_ended':
    threading.Thread(target=wait_and_write).start()
    libc.syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
wait_and_write()
";

/// A file is written after a checkpoint without a time that moves, and another checkpoint is taken.
fn written_unseen(place: &Place, way: &str) {
    // Where the kernel writes the page back just then, it tells of the next write to it.
    for _ in 0..5 {
        if is_written_unseen(place, way) {
            return;
        }
    }
    panic!("{way}: the times of the file moved every time");
}

fn is_written_unseen(place: &Place, way: &str) -> bool {
    place.create("map", &[]);
    let mut writer = place.stockade(&["exec", "map", "--", "python3", "-c", WRITER, way]).spawn().expect("a start");
    assert!(soon(|| place.exec("map", "test -e /tmp/ready").status == 0), "nothing was mapped");
    place.done(&["checkpoint", "map"]);
    place.good("map", "touch /tmp/go");
    assert!(soon(|| place.exec("map", "test -e /tmp/done").status == 0), "nothing was written");
    let told = place.good("map", "cat /tmp/done");
    let taken = place.done(&["checkpoint", "map"]);
    place.done(&["fork", "map", "copy", "--at", &taken]);
    assert_eq!(place.good("copy", "head -c 3 file"), "new", "{way}: a checkpoint holds what an earlier one had");
    place.done(&["rm", "--force", "copy"]);
    place.done(&["rm", "--force", "map"]);
    writer.wait().expect("an end");
    told == "unseen"
}
