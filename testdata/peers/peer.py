"""What the peer drivers share: a relay as a child process, the README's blocks, deadlines.

Everything waits for an event and gives up at a deadline; nothing sleeps and hopes.
"""

import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
README_ADDRESS = "http://127.0.0.1:7999"
PATIENCE = 30.0  # seconds until a missing event is a failure


class Missing(Exception):
    """An event that did not come, or came wrong."""


def binary():
    """The pubsubctl under test: the path in PUBSUBCTL."""
    return os.environ["PUBSUBCTL"]


def environment(**extra):
    """The caller's environment without pubsubctl's own variables or contexts."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PUBSUBCTL_", "FASTLY_"))}
    env.update(extra)
    return env


def block(name):
    """The README's fenced block that the comment `<!-- run: NAME -->` marks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- run: %s -->\n+```[^\n]*\n(.*?)^```" % re.escape(name), text, re.M | re.S)
    if not found:
        raise Missing("README.md has no block marked %s" % name)
    return found.group(1)


def moved(text, url):
    """The text with the README's address replaced: the only change a user makes."""
    if README_ADDRESS not in text:
        raise Missing("no %s in: %s" % (README_ADDRESS, text))
    return text.replace(README_ADDRESS, url)


def check(ok, what):
    if not ok:
        raise Missing(what)
    print("ok   " + what, flush=True)


def mint(*flags):
    """A token signed with the relay's default key."""
    return subprocess.run([binary(), "token", "mint", "-q", *flags], stdout=subprocess.PIPE, env=environment(),
                          timeout=PATIENCE, check=True, text=True).stdout.strip()


def stop(process):
    """Ends a child and everything it started."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
            process.wait(timeout=10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            continue
        return


class Lines:
    """A child's output as a queue of lines, so that waiting for one has a deadline."""

    def __init__(self, stream):
        self.seen = []
        self._queue = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in iter(stream.readline, b""):
            self._queue.put(line.decode("utf-8", "replace").rstrip("\n"))
        self._queue.put(None)

    def rest(self):
        """What has come and was not waited for."""
        while not self._queue.empty():
            line = self._queue.get()
            if line is not None:
                yield line

    def until(self, wanted, what, patience=PATIENCE):
        """The first line for which wanted(line) is true."""
        end = time.monotonic() + patience
        while True:
            try:
                line = self._queue.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise Missing("%s; seen: %s" % (what, self.seen))
            self.seen.append(line)
            if wanted(line):
                return line


class Relay:
    """`pubsubctl relay` on free ports. url and control are set once it is ready."""

    def __init__(self, *flags):
        self.process = subprocess.Popen(
            [binary(), "relay", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json", *flags],
            stdout=subprocess.PIPE, stderr=sys.stderr, env=environment(), start_new_session=True)
        ready = json.loads(Lines(self.process.stdout).until(lambda s: '"ready"' in s, "no ready line"))
        self.url, self.control = ready["hub"], ready["control"]

    def terminate(self):
        """Asks it to end, as a service manager would; returns its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


def run(main):
    """Runs a driver: exit 0, or the reason and exit 1."""
    try:
        main()
    except (Missing, subprocess.SubprocessError, OSError) as err:
        print("FAIL %s" % err, flush=True)
        sys.exit(1)
