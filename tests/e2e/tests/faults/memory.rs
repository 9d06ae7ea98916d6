//! Memory that is hidden from whoever counts it.

use crate::Trial;
use crate::place::{Place, TIERS};

pub(crate) const TRIALS: &[Trial] = &[("memory_that_is_hidden_counts", hidden)];

/// Holds 200 MiB in a file in memory, in a process that lets nobody look.
const HIDDEN: &str = "import ctypes, os, time
assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0
file = os.memfd_create('held')
for _ in range(200): os.write(file, bytes(1 << 20))
time.sleep(4)
print('went on')";

/// Holds as much in a process whose first thread has ended, of which the others' use cannot be read any more.
const HEADLESS: &str = "import ctypes, os, threading, time
def hold():
    time.sleep(0.3)
    file = os.memfd_create('held')
    for _ in range(200): os.write(file, bytes(1 << 20))
    time.sleep(4)
    os.write(1, b'went on')
    os._exit(0)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)";

/// Natively nobody counts. Where a control group does, nothing can be hidden from it.
fn hidden(place: &Place) {
    for (options, program) in TIERS.iter().flat_map(|options| [(options, HIDDEN), (options, HEADLESS)]) {
        let mut command = place.stockade(["run", "--memory", "64MiB"]);
        let outcome = place.outcome(command.args(*options).args(["--", "python3", "-c", program]));
        assert_eq!((outcome.status, &*outcome.stdout), (137, &b""[..]), "{options:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("memory"), "{options:?}: {}", outcome.stderr);
    }
}
