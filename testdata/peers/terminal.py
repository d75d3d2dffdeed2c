"""`pubsubctl relay` in a tmux window: what it prints can be pasted, and Ctrl-C ends it cleanly."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

from peer import PATIENCE, Lines, Missing, binary, check, environment, run, stop


class Window:
    """A tmux server of our own with one window."""

    def __init__(self, socket, command, columns=100, lines=40, **variables):
        self._tmux = ["tmux", "-S", socket, "-f", os.devnull]
        subprocess.run(
            [*self._tmux, "new-session", "-d", "-x", str(columns), "-y", str(lines), "bash", "--norc", "-c", command],
            env=environment(TERM="screen-256color", **variables), timeout=PATIENCE, check=True)

    def screen(self):
        """The text of the window, wrapped lines joined."""
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p", "-J", "-S", "-200"], stdout=subprocess.PIPE, timeout=PATIENCE, check=True, text=True).stdout

    def ask(self, *command):
        """What tmux itself says."""
        return subprocess.run([*self._tmux, *command], stdout=subprocess.PIPE, timeout=PATIENCE, check=True, text=True).stdout

    def press(self, *keys):
        subprocess.run([*self._tmux, "send-keys", *keys], timeout=PATIENCE, check=True)

    def until(self, pattern, what):
        """The first match of pattern on the screen, which tmux cannot announce: it is read ten times a second."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := re.search(pattern, self.screen(), re.M):
                return found
            time.sleep(0.1)
        raise Missing("%s; the screen:\n%s" % (what, self.screen()))

    def close(self):
        subprocess.run([*self._tmux, "kill-server"], stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        command = "%s relay --listen 127.0.0.1:0 --control 127.0.0.1:0; echo ended with $?; read -r _" % shlex.quote(binary())
        window = Window(scratch + "/tmux", command)
        try:
            session(window)
        finally:
            window.close()


def session(window):
    address = window.until(r"http://127\.0\.0\.1:\d+", "no address").group(0)
    check(True, "the relay prints its address, %s" % address)
    # What a user pastes: the line with the token and the line with curl.
    subscribe = window.until(r"^ *T=eyJ\S+\n *curl -N.*$", "no lines to subscribe").group(0)
    publish = window.until(r"^ *T=eyJ\S+\n *curl -d.*$", "no lines to publish").group(0)
    stream = subprocess.Popen(["bash", "-c", subscribe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        lines = Lines(stream.stdout)
        lines.until(lambda s: s == "event: stream-open", "no stream-open")
        check(True, "the printed lines open a stream")
        said = subprocess.run(["bash", "-c", publish], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=True)
        check(said.stdout == b"Published\n", "the printed lines publish")
        lines.until(lambda s: s == "event: message", "no message")
        window.until(r"1 of 1 delivered", "no line about the delivery")
        check(True, "the relay's terminal says: 1 of 1 delivered")
    finally:
        stop(stream)
    window.press("C-c")
    check(window.until(r"ended with (\d+)", "Ctrl-C did not end the relay").group(1) == "0", "Ctrl-C: exit code 0")


if __name__ == "__main__":
    sys.exit(run(main))
