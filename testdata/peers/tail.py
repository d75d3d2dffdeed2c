"""`pubsubctl tail` in a tmux window, with a real relay and real publishes: what a person sees, and what is left behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

from peer import PATIENCE, Relay, binary, check, environment, mint, run
from terminal import Window

HOSTILE = b"\x1b]2;stolen\x07\x1b[2J\x9b31m\xe2\x80\xae zero\xe2\x80\x8bwidth \xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9 \xff\xfe"


class Shell(Window):
    """A window with an interactive shell, in which job control works."""

    def __init__(self, scratch, columns=100, lines=30):
        super().__init__(scratch + "/tmux", "cd %s; PS1='$ ' exec bash --norc --noprofile -i" % shlex.quote(scratch),
                         columns, lines, LANG="C.UTF-8")
        self.until(r"^\$", "no prompt")
        self.run("stty -g > settings")

    def screen(self):
        """The text without what was erased, which tmux keeps as spaces."""
        return re.sub(r" +$", "", super().screen(), flags=re.M)

    def type(self, text):
        self.press("-l", text)

    def run(self, command):
        """Types a command. TMUX is unset for it unless it is wanted."""
        self.type(command)
        self.press("Enter")

    def tail(self, relay, *words):
        self.run("clear; %s tail %s --url %s" % (binary(), " ".join(shlex.quote(w) for w in words), relay.url))

    def size(self, columns, lines):
        self.ask("resize-window", "-x", str(columns), "-y", str(lines))

    def lines(self):
        """The rows of the screen, as many as the window has."""
        return self.ask("capture-pane", "-p").split("\n")

    def becomes(self, form, value, what):
        """Waits until tmux says value of the window."""
        end = time.monotonic() + PATIENCE
        while (said := self.ask("display", "-p", form).strip()) != value and time.monotonic() < end:
            time.sleep(0.1)
        check(said == value, what)

    def status(self):
        """The exit code of the last command, and that the line settings are those of a shell."""
        self.run("echo status $?; stty -g | cmp - settings && echo same")
        found = self.until(r"^status (\d+)\n(same|.*differ.*)$", "no exit code")
        modes = self.ask("display", "-p", "#{alternate_on}#{mouse_any_flag}#{cursor_flag}").strip()
        check(found.group(2) == "same" and modes == "001", "the terminal is as it was")
        return int(found.group(1))


def publish(relay, topic, body, *flags):
    subprocess.run([binary(), "publish", "-q", topic, "-", "--url", relay.url, *flags], input=body, env=environment(), timeout=PATIENCE, check=True)


def main():
    for scene in (watching, panes, hostile, refusals, late, restarts, endings, accessible):
        with tempfile.TemporaryDirectory() as scratch, Relay("-q") as relay:
            window = Shell(scratch)
            try:
                scene(window, relay)
            finally:
                window.close()


def watching(window, relay):
    window.tail(relay, "chat", "news")
    window.until(r"● open +mqtt", "not open")
    window.until(r"no message yet", "no word about the empty list")
    for n in range(40):
        publish(relay, "chat", b'{"n":%d,"level":"info"}' % n)
    publish(relay, "news", b"kept", "--retain")
    window.until(r"news +4 R +kept", "the retained message is not marked")
    check(True, "messages arrive, a retained one is marked")
    for _ in range(6):
        window.press("Up")
    window.until(r'▸.*"n":34', "the cursor does not move")
    for columns, lines in ((40, 8), (200, 60), (80, 24), (100, 30)):
        window.size(columns, lines)
        window.until(r'▸\d\d:\d\d:\d\d.*\{"n', "the selection is lost at %dx%d" % (columns, lines))
        window.until(r"at 35 of 41", "the selection is not the same at %dx%d" % (columns, lines))
        window.until(r"● open", "no state at %dx%d" % (columns, lines))
    check(True, "resizing keeps the selection at 40x8, 200x60, 80x24, 100x30")
    window.press("Space")
    publish(relay, "chat", b"while paused")
    window.until(r"PAUSED, 1 new", "no count while paused")
    window.press("F")
    window.until(r"following[\s\S]*while paused", "F does not end the pause")
    check(True, "a pause keeps buffering and counts")
    window.press("f")
    window.type(".json.n == 7")
    window.press("Enter")
    window.until(r"hides 41", "the filter does not hide")
    check(len(re.findall(r'"n":', window.screen())) == 1, "a jq filter lists one of 42 messages")


def panes(window, relay):
    window.tail(relay, "chat")
    window.until(r"● open +sse", "not open")
    window.press("p")
    window.until(r"token: signed here with key test, for writing chat only", "the scope is not shown")
    window.type('{"a":1,')
    window.until(r"not JSON: line 1", "bad JSON is not noticed")
    window.becomes("#{cursor_flag} #{cursor_x},#{cursor_y}", "1 9,20", "the terminal's cursor stands behind what was typed")
    window.type('"b":[1,2]}')
    window.until(r"JSON ok \(17 of 32,512 bytes\)", "good JSON is not noticed")
    window.press("Enter")
    window.until(r"published to chat \(17 bytes", "not published")
    window.press("Escape")
    time.sleep(0.2)  # an escape alone is known by the silence after it
    window.press("Enter")
    window.until(r'"b": \[\n.*  1,', "no pretty JSON")
    window.press("Down", "Down", "Enter")
    window.until(r'"b": \[ 2 \]', "no folding")
    window.press("3")
    window.until(r"0000  7b 22 61 22 3a 31 2c 22", "no hex")
    window.press("R")
    window.until(r"sent again to chat", "not sent again")
    window.press("Tab", "Tab", "G", "4")
    window.until(r"the same as message 1", "no comparison")
    check(True, "publish, pretty, fold, hex, send again, diff")
    window.press("y")
    window.until(r"copied 17 bytes \(tmux\)", "not copied")
    check(window.ask("show-buffer") == '{"a":1,"b":[1,2]}', "y copies the payload into tmux's buffer")
    window.press("a")
    window.type("more")
    window.press("Enter")
    window.until(r"topics \(2\)", "no second topic")
    window.until(r"● open", "the second topic is not open")
    publish(relay, "more", b"on the new topic")
    window.until(r"more +16 +on the new topic", "no message on the added topic")
    check(True, "a topic is added live")
    window.press("e")
    window.until(r"export to: tail-", "no line for a name")
    window.press("C-u")
    window.type("got.ndjson")
    window.press("Enter")
    window.until(r"exported 3 records to got.ndjson", "not exported")
    window.press("q")
    window.until(r"3 messages, 50 bytes on 2 topics", "no summary")
    window.run("clear; cat got.ndjson")
    window.until(r'"data":"on the new topic"', "the export is not there")
    records = [json.loads(line) for line in window.screen().split("\n") if line.startswith("{")]
    check([r["seq"] for r in records] == [1, 2, 3] and records[2]["topic"] == "more", "the export holds the message records")


def hostile(window, relay):
    title = window.ask("display", "-p", "#{pane_title}")
    window.tail(relay, "chat", "other")
    window.until(r"● open", "not open")
    publish(relay, "chat", HOSTILE)
    publish(relay, "chat", ("漢字" * 5000).encode())
    publish(relay, "chat", b"x" * 32512)
    publish(relay, "chat", "e\u0301\u0301\u0301\u0301 ก็็็็ done".encode())
    window.until(r"done", "not all arrived")
    screen = window.screen()
    check("\\x1b]2;stolen\\x07\\x1b[2J" in screen and "\\u202e" in screen, "control characters are shown as escapes")
    rows = [line for line in window.lines() if "│" in line]
    check(len(rows) >= 20 and {line.index("│") for line in rows} == {25}, "columns stay aligned")
    for view in "1234":
        window.press("g", view)
        window.until(r"#1 chat +%s" % {"1": "pretty", "2": "raw", "3": "hex", "4": "diff"}[view], "no view %s" % view)
    window.press("q")
    window.until(r"at the end", "no summary")
    check("stolen" not in window.ask("display", "-p", "#{pane_title}"), "the title was not changed by a payload")


def refusals(window, relay):
    window.tail(relay, "chat", "--token", mint("--read", "news"))
    window.until(r"✗ refused", "not refused")
    window.until(r'not allowed to subscribe to "chat"\n *why: +the token grants read to: news\n *next: pubsubctl token mint --read chat', "the claim is not named")
    check(True, "a wrong topic: refused, with the claim and the next command")
    window.press("q")
    window.until(r"next: pubsubctl token mint --read chat", "the command is gone with the screen")
    check(window.status() == 0, "q: exit code 0")
    window.tail(relay, "chat", "--token", mint("--read", "chat", "--expires-at", "-1h"))
    window.until(r"the token has expired\n *why: .*exp \d+ was 1h", "the expiry is not named")
    window.until(r"next: pubsubctl token mint --read chat", "no command")
    check(True, "an expired token: says so, and how to make one")
    window.press("q")


def late(window, relay):
    relay.kill()
    window.tail(relay, "chat")
    window.until(r"↻ reconnecting, attempt \d", "not asked again")
    window.until(r"next: pubsubctl ", "no command while the service was never there")
    again = subprocess.Popen([binary(), "relay", "-q", "--listen", relay.url.removeprefix("http://"), "--control", "off"],
                             env=environment(), start_new_session=True)
    try:
        window.until(r"● open", "the relay is not found once it is there")
        publish(relay, "chat", b"at last")
        window.until(r"at last", "nothing arrives")
        check("gap" not in window.screen(), "started before its relay: waits for it, and there is no gap")
        window.press("q")
        window.until(r"0 reconnects, 0 gaps", "no summary")
    finally:
        again.kill()
        again.wait()


def restarts(window, relay):
    address = relay.url.removeprefix("http://")
    window.tail(relay, "chat", "news")
    window.until(r"● open", "not open")
    publish(relay, "chat", b"before")
    window.until(r"before", "nothing arrives")
    relay.kill()
    window.until(r"↻ reconnecting, attempt \d", "a killed relay is not noticed")
    window.until(r"cannot reach|was closed", "no reason")
    check(True, "a killed relay: reconnecting, with attempt and reason")
    again = subprocess.Popen([binary(), "relay", "-q", "--listen", address, "--control", "off"], env=environment(), start_new_session=True)
    try:
        window.until(r"● open", "the restarted relay is not found")
        publish(relay, "chat", b"after the restart")
        window.until(r"after the restart", "the stream does not resume")
        check(len(re.findall(r"── gap \d\d:\d\d:\d\d to \d\d:\d\d:\d\d", window.screen())) == 1, "one gap line, and the stream resumes")
    finally:
        again.kill()
        again.wait()
    window.until(r"↻ reconnecting", "the second kill is not noticed")
    window.press("q")
    window.until(r"reconnecting.* at the end .*1 gap", "no summary")
    check(window.status() == 0, "q without a service: exit code 0")


def endings(window, relay):
    window.tail(relay, "chat")
    window.until(r"● open", "not open")
    window.press("C-c")
    window.until(r"open at the end", "no summary")
    check(window.status() == 130, "Ctrl-C: exit code 130")
    window.tail(relay, "chat")
    window.until(r"● open", "not open")
    window.press("C-z")
    window.until(r"Stopped", "not suspended")
    check(window.ask("display", "-p", "#{alternate_on}").strip() == "0", "suspended: the shell's screen is back")
    window.run("echo still here")
    window.until(r"^still here", "the shell does not work")
    publish(relay, "chat", b"while suspended")
    window.run("fg")
    window.until(r"while suspended", "not resumed")
    window.until(r"● open", "the state is gone")
    check(True, "resumed: the screen is drawn again, nothing is lost")
    window.becomes("#{mouse_any_flag}", "1", "resumed: the mouse is taken again")
    pid = int(window.ask("display", "-p", "#{pane_pid}"))
    child = int(subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[0])
    os.kill(child, signal.SIGTERM)
    window.until(r"open at the end", "no summary")
    check(window.status() == 143, "SIGTERM: exit code 143")


def accessible(window, relay):
    window.run("clear; export ACCESSIBLE=1")
    window.tail(relay, "chat")
    window.until(r"^listening on chat \(sse", "no lines with ACCESSIBLE")
    publish(relay, "chat", b"a line")
    window.until(r"^\d\d:\d\d:\d\d\.\d{3}  chat  a line$", "no line")
    check(window.ask("display", "-p", "#{alternate_on}").strip() == "0", "ACCESSIBLE: lines, as subscribe prints them")
    window.press("C-c")


if __name__ == "__main__":
    sys.exit(run(main))
