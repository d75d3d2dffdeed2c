"""`pubsubctl tail` under load: 10,000 messages a second, on a pseudo-terminal.

Measured from outside: how long a key takes until its effect is written, how many frames are drawn, what CPU and
memory the process takes, and that every message is accounted for as kept or dropped.

  python testdata/peers/tail_load.py [SECONDS [RATE]]     default 5 seconds, 10000 per second
"""

import fcntl
import os
import pty
import random
import re
import select
import struct
import subprocess
import sys
import termios
import time

from peer import PATIENCE, Missing, Relay, binary, check, environment, run

COLUMNS, ROWS = 200, 60
TRIES = 5
OTHERS = 0.3  # cores; with more than that taken by others no figure is held against the program
FRAME_BEGINS = b"\x1b[?2026h"
CURSOR_SHOWN, CURSOR_HIDDEN = b"\x1b[?25h", b"\x1b[?25l"


def cpu_of(pid):
    """Seconds of CPU that a process took so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_all():
    """Seconds of CPU that the whole machine took so far, and those that a host below it took away."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Terminal:
    """A child on a pseudo-terminal. Each frame begins with synchronised output, so that frames can be counted."""

    def __init__(self, *command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, environment(TERM="xterm-256color", LANG="C.UTF-8"))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.frames = 0
        self.bytes = 0
        self.recent = b""

    def read(self, limit):
        """What was written within limit seconds, empty if nothing was."""
        if not select.select([self.fd], [], [], max(0, limit))[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.frames += (self.recent[-7:] + data).count(FRAME_BEGINS)
        self.bytes += len(data)
        self.recent = (self.recent + data)[-(1 << 16):]
        return data

    def until(self, wanted, what, seconds=PATIENCE):
        """Reads until the bytes were written; returns how long that took."""
        began, seen = time.monotonic(), b""
        while time.monotonic() < began + seconds:
            seen = seen[-64:] + self.read(began + seconds - time.monotonic())
            if wanted in seen:
                return time.monotonic() - began
        raise Missing("%s; written last: %r" % (what, self.recent[-400:]))

    def idle(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(end - time.monotonic())

    def press(self, keys):
        os.write(self.fd, keys)

    def cpu(self):
        return cpu_of(self.pid)

    def memory(self):
        """The most resident memory so far, in MiB."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


class Floor:
    """An idle `cat` on a pseudo-terminal, asked the same way: what this machine itself takes just now."""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp("cat", ["cat"])
        self.waits = []
        self.ask()  # once it runs
        self.waits.clear()

    def ask(self):
        began = time.monotonic()
        os.write(self.fd, b"x\n")
        seen = b""
        while seen.count(b"x") < 2:  # the line's echo, and cat's
            if not select.select([self.fd], [], [], PATIENCE)[0]:
                raise Missing("cat does not answer")
            seen += os.read(self.fd, 64)
        self.waits.append(time.monotonic() - began)

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


class Busy(Missing):
    """A figure that a machine with other work to do cannot be held to; others is how many cores that work took."""

    others = 0.0


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    for attempt in range(1, TRIES + 1):
        with Relay("-q") as relay:
            window = Terminal(binary(), "tail", "load", "other", "--url", relay.url)
            window.until(b"open", "tail does not connect")
            window.idle(0.5)
            try:
                return measure(window, relay, seconds, rate)
            except Busy as err:
                print("     try %d: %s" % (attempt, err), flush=True)
                if attempt < TRIES:
                    continue
                if err.others < OTHERS:
                    raise
                print("     not judged: how fast a key answers, and what comes after that; the machine has other work", flush=True)


def measure(window, relay, seconds, rate):
    count = int(seconds * rate)
    body = '{"n":{{.n}},"level":"info","text":"' + "x" * 150 + '"}'
    publisher = subprocess.Popen(
        [binary(), "publish", "load", body, "--template", "--url", relay.url, "--count", str(count), "--rate", "%d/s" % rate],
        env=environment(), stderr=subprocess.PIPE, start_new_session=True)
    window.idle(0.5)
    ours = lambda: window.cpu() + cpu_of(relay.process.pid) + sum(os.times()[:4])  # the publisher counts once it has ended
    began, cpu, frames, written = time.monotonic(), window.cpu(), window.frames, window.bytes
    others = ours() - cpu_of_all()
    waits, floor = [], Floor()
    while publisher.poll() is None:
        window.idle(random.uniform(0.01, 0.06))
        window.press(b"a")  # opens a line to type in, which shows the cursor
        waits.append(window.until(CURSOR_SHOWN, "no answer to a key"))
        window.idle(random.uniform(0.01, 0.06))
        window.press(b"\r")  # and closes it
        waits.append(window.until(CURSOR_HIDDEN, "no answer to a key"))
        floor.ask()
        floor.ask()
    took, cpu = time.monotonic() - began, window.cpu() - cpu
    others = (others - ours() + cpu_of_all()) / took
    frames, written = window.frames - frames, window.bytes - written
    floor.close()
    said = publisher.stderr.read().decode()
    window.idle(1.0)
    memory = window.memory()
    window.press(b"q")
    window.until(b"at the end", "no summary")
    window.idle(0.2)
    _, status = os.waitpid(window.pid, 0)
    summary = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", window.recent.rsplit(b"\x1b[?1049l", 1)[-1].decode("utf-8", "replace"))
    got, kept, dropped = (int(re.search(p, summary).group(1)) for p in (r"(\d+) messages", r"(\d+) kept", r"(\d+) dropped"))
    p50, p99, most = (1000 * percentile(waits, q) for q in (0.5, 0.99, 1))
    floor99, floor_most = (1000 * percentile(floor.waits, q) for q in (0.99, 1))
    print("     publisher: %s" % said.strip())
    print("     %d messages in %.1f s: %.0f/s; kept %d, dropped from the buffer %d" % (got, took, got / max(took, seconds), kept, dropped))
    print("     key to screen: p50 %.1f ms, p99 %.1f ms, most %.1f ms (%d keys)" % (p50, p99, most, len(waits)))
    print("     the floor, cat on the same machine: p99 %.1f ms, most %.1f ms" % (floor99, floor_most))
    print("     frames: %.1f/s, %.0f KiB/s written; CPU %.0f %% of a core; memory at most %.0f MiB"
          % (frames / took, written / took / 1024, 100 * cpu / took, memory))
    check(os.waitstatus_to_exitcode(status) == 0, "q: exit code 0")
    check(got == count and kept + dropped == got, "all %d messages arrived, each is kept or counted as dropped" % count)
    check(kept <= 10_000, "at most 10,000 are kept")
    print("     others took %.0f %% of a core" % (100 * others))
    if p99 >= 50 + floor_most:
        err = Busy("a key takes %.1f ms at p99, cat at most %.1f ms" % (p99, floor_most))
        err.others = others
        raise err
    check(True, "a key answers within 50 ms at p99, beyond the most that cat takes")
    check(1 < frames / took <= 31, "at most 30 frames a second")
    check(cpu / took <= 1, "tail takes at most one core")
    check(memory < 300, "memory is bounded")


if __name__ == "__main__":
    sys.exit(run(main))
