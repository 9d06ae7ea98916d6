"""A shell's job control on a pseudo-terminal: starts a job, presses Ctrl-Z, waits until it has stopped, and continues it.

Usage: jobs.py TICKS COMMAND..., where the job's processes append to TICKS as long as they run."""

import os
import pty
import signal
import sys
import termios
import time

TICKS, COMMAND = sys.argv[1], sys.argv[2:]


def shell():
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(COMMAND[0], COMMAND)
    modes = termios.tcgetattr(0)
    status = os.waitpid(job, os.WUNTRACED)[1]
    if not os.WIFSTOPPED(status):
        print("ended:", status, flush=True)
        return
    same = termios.tcgetattr(0) == modes
    os.tcsetpgrp(0, os.getpid())
    print("stopped:", "terminal as before" if same else "terminal changed", flush=True)
    time.sleep(0.3)
    before = os.path.getsize(TICKS)
    time.sleep(0.6)
    print("meanwhile:", "nothing ran" if os.path.getsize(TICKS) == before else "something ran", flush=True)
    os.tcsetpgrp(0, job)
    os.kill(-job, signal.SIGCONT)
    time.sleep(0.6)
    print("continued:", "it runs" if os.path.getsize(TICKS) > before else "nothing runs", flush=True)
    print("ended:", os.waitpid(job, 0)[1], flush=True)


def keyboard(terminal):
    """Presses Ctrl-Z when the job has said that it is ready, and Enter when it has been continued."""
    said, sent = b"", 0
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
        for number, (sign, keys) in enumerate([(b"ready", b"\x1a"), (b"continued:", b"\n")]):
            if number == sent and sign in said:
                os.write(terminal, keys)
                sent += 1
    sys.stdout.write(said.decode())


child, terminal = pty.fork()
if child == 0:
    shell()
    os._exit(0)
keyboard(terminal)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
