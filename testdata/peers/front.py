"""An origin behind a GRIP proxy: the relay, or real Pushpin as the oracle."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from grip_wire import PATIENCE, Body, Closed, Head, Wire, frame, read_message, upgrade
from peer import Lines, Missing, Relay, environment, stop
from pushpin import SIG_ISS, SIG_KEY, Pushpin, free_ports, installed

SERVICE = "SU1Z0isxPaozGVKXdv0eY"  # any id: the relay accepts what Fastly's addresses look like
SECRET = "publish-secret"


class Front:
    """A proxy with everything routed to one origin. name is relay or pushpin."""

    def __init__(self, name):
        self.name = name
        self.origin = "127.0.0.1:%d" % free_ports(1)[0]
        route = "* %s,over_http" % self.origin
        if name == "pushpin":
            self.proxy = Pushpin(installed(), route + "\n", verbose=False)
            self.address, self.control = self.proxy.address, self.proxy.control
        else:
            self.proxy = Relay("--app", "none", "--route", route, "--sig-iss", SIG_ISS, "--sig-key", SIG_KEY, "--publish-key", SECRET)
            self.address, self.control = (endpoint(u) for u in (self.proxy.url, self.proxy.control))

    @property
    def control_url(self):
        return "http://%s:%d" % self.control

    @property
    def grip_url(self):
        """What GRIP libraries are configured with. A library sends key as a Bearer token if there is no iss, else a JWT made with it."""
        if self.name == "pushpin":
            return "%s/?iss=%s&key=%s" % (self.control_url, SIG_ISS, SIG_KEY)
        return "%s/service/%s?key=%s&verify-iss=%s&verify-key=%s" % (self.control_url, SERVICE, SECRET, SIG_ISS, SIG_KEY)

    def publishers(self):
        """Ways to publish with curl, by name: the arguments that say where and who."""
        if self.name == "pushpin":
            return {"Pushpin's way": [self.control_url + "/publish/"]}
        return {
            "Pushpin's way": ["--header", "Authorization: Bearer " + SECRET, self.control_url + "/publish/"],
            "Bearer": ["--header", "Authorization: Bearer " + SECRET, "%s/service/%s/publish/" % (self.control_url, SERVICE)],
            "Fastly-Key": ["--header", "Fastly-Key: " + SECRET, "%s/service/%s/publish/" % (self.control_url, SERVICE)],
            "--user": ["--user", "%s:%s" % (SERVICE, SECRET), "%s/%s/publish/" % (self.control_url, SERVICE)],
        }

    def open(self, path, *headers):
        return Stream(self.address, path, headers)

    def websocket(self, path):
        return Web(self.address, path)

    def fetch(self, path, form=None, data=None):
        """One request through the proxy."""
        body = urllib.parse.urlencode(form).encode() if form else data
        with urllib.request.urlopen("http://%s:%d%s" % (*self.address, path), data=body, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proxy.__exit__()


def endpoint(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


class Stream:
    """A GET whose response is read as it comes."""

    def __init__(self, address, path, headers=()):
        self.wire = Wire(socket.create_connection(address, timeout=PATIENCE))
        lines = ["GET %s HTTP/1.1" % path, "Host: client.example", *headers]
        self.wire.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._head = self._body = None

    @property
    def head(self):
        if not self._head:
            self._head = Head(self.wire.until(b"\r\n\r\n"))
            self._body = Body(self.wire, self._head)
        return self._head

    @property
    def text(self):
        """What has been read so far."""
        return self._body.data.decode() if self._body else ""

    def until(self, mark):
        _ = self.head
        self._body.until(mark.encode())
        return self.text

    def finish(self):
        _ = self.head
        return self._body.finish().decode()

    def released(self, publish):
        """Publishes until the held response comes: nothing announces that it is held."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            publish()
            try:
                self.wire.fill(0.1)
                return self.finish()
            except Missing:
                continue
        raise Missing("the long-poll was not released")

    def close(self):
        self.wire.close()


class Web:
    """A WebSocket client."""

    def __init__(self, address, path):
        self.wire = Wire(socket.create_connection(address, timeout=PATIENCE))
        self.wire.send(upgrade(path, "client.example"))
        head = Head(self.wire.until(b"\r\n\r\n"))
        if head.start.split(" ")[1] != "101":
            raise Missing("no WebSocket: %s %r" % (head.start, Body(self.wire, head).finish()))

    def send(self, text, kind="text"):
        self.wire.send(frame(kind, text.encode() if isinstance(text, str) else text))

    def until(self, wanted):
        """The first message with this text."""
        seen = []
        while True:
            try:
                kind, payload = read_message(self.wire)
            except (Closed, Missing) as err:
                raise Missing("no message %r; seen: %r" % (wanted, seen)) from err
            seen.append((kind, payload))
            if wanted in payload.decode("utf-8", "replace"):
                return payload.decode()

    def receives(self, publish, wanted):
        """Publishes until it comes: nothing announces the subscription."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            publish()
            try:
                while wanted.encode() not in self.wire.buffer:
                    self.wire.fill(0.1)
                return self.until(wanted)
            except Missing:
                continue
        raise Missing("%r was not received" % wanted)

    def close(self, code=1000):
        """Closes, and returns the payload of the close frame that answers."""
        self.send(code.to_bytes(2, "big"), "close")
        kind = payload = None
        while kind != "close":
            kind, payload = read_message(self.wire)
        self.wire.close()
        return payload


class Child:
    """An origin's process, ready once its port answers."""

    def __init__(self, command, port_of, **env):
        self.process = subprocess.Popen(command, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.lines = Lines(self.process.stdout)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(endpoint("http://" + port_of), timeout=1).close()
                return
            except OSError as err:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.__exit__()
                    self.lines.seen += list(self.lines.rest())
                    raise Missing("%s does not listen: %s" % (os.path.basename(command[1]), "\n".join(self.lines.seen))) from err
                time.sleep(0.05)  # a foreign program: its port is all that it shows

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


def curl_publish(where, channel, text):
    """Publishes text to a channel in all three formats, with the curl line of the starter kits."""
    item = {"channel": channel, "formats": {
        "http-stream": {"content": text}, "http-response": {"body": text}, "ws-message": {"content": text}}}
    done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", "--data", json.dumps({"items": [item]}), *where],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False, text=True)
    if done.returncode != 0:
        raise Missing("curl %s: %s" % (where[-1], done.stdout))


def fronts():
    """The systems named on the command line; both by default."""
    return [name for name in sys.argv[1:] if name in ("relay", "pushpin")] or ["pushpin", "relay"]
