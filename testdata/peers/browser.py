"""A page in headless Chromium, from another origin than the relay, runs the README's EventSource lines.

The page reaches the relay through a forwarder of this script, which keeps the bytes that the browser sent
(so that Last-Event-ID is judged on the wire) and lets the relay be replaced behind one address.
"""

import http.server
import json
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from peer import PATIENCE, Missing, Relay, binary, block, check, environment, moved, run, stop

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
]


class Forwarder:
    """Passes bytes to the relay at target, and keeps what clients sent. Without a target it hangs up."""

    def __init__(self):
        self.target = None
        self.heads = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            if self.target is None:
                return
            host, port = self.target.removeprefix("http://").rsplit(":", 1)
            try:
                relay = socket.create_connection((host, int(port)), timeout=PATIENCE)
            except OSError:
                return
            relay.settimeout(None)
            with relay:
                threading.Thread(target=self._keep, args=(client, relay), daemon=True).start()
                copy(relay, client)

    def _keep(self, client, relay):
        sent = b""

        def seen(piece):
            nonlocal sent
            sent += piece
            while b"\r\n\r\n" in sent:
                head, sent = sent.split(b"\r\n\r\n", 1)
                self.heads.put(head.decode("latin-1"))

        copy(client, relay, seen)

    def next_stream(self):
        """The head of the next request for a stream."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                head = self.heads.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Missing("the browser did not ask for the stream") from None
            if head.startswith("GET /events?"):
                return head


def copy(source, sink, seen=lambda piece: None):
    """Copies until either side ends, then ends the other."""
    try:
        while piece := source.recv(65536):
            seen(piece)
            sink.sendall(piece)
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Page:
    """Serves page.html with the README's lines in it, and receives the page's reports."""

    def __init__(self, script):
        html = (pathlib.Path(__file__).parent / "page.html").read_text(encoding="utf-8").replace("/* README */", script)
        self.reports = queue.Queue()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(html.encode()))
        self.origin = "http://127.0.0.1:%d" % self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(page, html):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self._answer(html)

            def do_POST(self):
                page.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(b"")

            def _answer(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def until(self, kind):
        """The next report of this kind. One of another kind than a lost connection in between is a failure."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                got = self.reports.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Missing("the page reported no %s" % kind) from None
            if got[0] == kind:
                return got[1:]
            if got[0] != "lost":
                raise Missing("the page reported %s, not %s" % (got, kind))


def chromium(url, scratch):
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return subprocess.Popen(
                [path, *FLAGS, "--user-data-dir=" + scratch + "/profile", url], env=environment(TMPDIR=scratch),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    raise Missing("no Chromium on this machine")


def publish(url, token, body, query=""):
    request = urllib.request.Request(
        url + "/events?topic=test" + query, data=body.encode(), headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        if answer.read() != b"Published\n":
            raise Missing("publish %s: not published" % body)


def first_id(url, token):
    """The id with which a durable stream opens."""
    request = urllib.request.Request(url + "/events?topic=test&durable=true", headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
        for line in stream:
            if line.startswith(b"id: "):
                return line[4:].decode().rstrip("\n")
    raise Missing("no id on a durable stream")


def usable_data(scratch, token):
    """A data directory whose message id a client may send back.

    One generation in sixteen is written with a space, and such an id is refused on resume: a quirk of the
    hosted app that the relay keeps. This is about the other fifteen.
    """
    for attempt in range(12):
        data = "%s/data%d" % (scratch, attempt)
        with Relay("--data", data) as relay:
            publish(relay.url, token, "first", "&retain=true")
            if " " not in first_id(relay.url, token):
                return data
    raise Missing("twelve generations in a row with a space")


def last_event_id(head):
    found = re.search(r"^last-event-id: (.*)$", head, re.I | re.M)
    return found.group(1).rstrip("\r") if found else None


def successor(event_id):
    start, seq = event_id.rsplit("-", 1)
    return "%s-%d" % (start, int(seq) + 1)


def session(scratch):
    token = subprocess.run(
        [binary(), "token", "mint", "--rw", "test"], stdout=subprocess.PIPE, env=environment(), timeout=PATIENCE,
        check=True, text=True).stdout.strip()
    data = usable_data(scratch, token)
    forwarder = Forwarder()
    page = Page(moved(block("eventsource"), forwarder.url).replace("YOUR TOKEN", token))
    with Relay("--data", data) as relay:
        forwarder.target = relay.url
        browser = chromium(page.origin, scratch)
        try:
            watch(forwarder, page, relay, data, token)
        finally:
            stop(browser)


def watch(forwarder, page, relay, data, token):
    head = forwarder.next_stream()
    check("Origin: " + page.origin in head, "the page comes from another origin, %s" % page.origin)
    check(last_event_id(head) is None, "it starts without Last-Event-ID")
    page.until("open")
    known, body = page.until("log")
    check(body == "first", "the retained message arrives with id %s" % known)
    publish(relay.url, token, "live")
    check(page.until("log")[1] == "live", "a live message arrives")

    forwarder.target = None
    check(relay.terminate() == 0, "the relay ends politely, exit code 0")
    known = resume(forwarder, page, data, token, known, "second", lambda r: r.kill())
    resume(forwarder, page, data, token, known, "third", lambda r: r.terminate())


def resume(forwarder, page, data, token, known, body, end):
    """A new relay on the same data holds one message more when the browser comes back. end() ends that relay."""
    with Relay("--data", data) as relay:
        publish(relay.url, token, body, "&retain=true")
        forwarder.target = relay.url
        check(last_event_id(forwarder.next_stream()) == known, "the browser comes back with Last-Event-ID: %s" % known)
        page.until("open")
        known = successor(known)
        check(page.until("log") == [known, body], "it gets what it missed, once: %s %s" % (known, body))
        publish(relay.url, token, "after " + body)
        check(page.until("log")[1] == "after " + body, "and live messages again")
        forwarder.target = None
        end(relay)
    return known


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        session(scratch)


if __name__ == "__main__":
    sys.exit(run(main))
