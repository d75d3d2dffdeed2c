"""One case of the table on one system: its part of the origin, its clients, and what they all saw.

What they saw is text, in sections whose order does not depend on time: the requests that reached the origin, then each
client. Dates, ids, signatures, header order and chunk boundaries are out of it; everything else is in.
"""

import base64
import hashlib
import json
import socket
import threading
import time

import jwt

from grip_wire import (PATIENCE, WEBSOCKET_KEY, Body, Closed, Head, Wire, close_payload, events, eventually, frame,
                       read_message, upgrade)
from peer import Missing
from pushpin import SIG_ISS, SIG_KEY

PROBE = "probe"


def reply(body=b"", *headers, status="200 OK", length=True):
    """The bytes of a response."""
    body = body.encode() if isinstance(body, str) else body
    fields = ["Content-Type: text/plain"] if not any(h.lower().startswith("content-type:") for h in headers) else []
    fields += headers
    if length:
        fields.append("Content-Length: %d" % len(body))
    return ("HTTP/1.1 %s\r\n%s\r\n\r\n" % (status, "\r\n".join(fields))).encode() + body


def woh(*parts, headers=(), status="200 OK"):
    """A response with WebSocket-over-HTTP events."""
    return reply(events(*parts), "Content-Type: application/websocket-events", *headers, status=status)


def control(**fields):
    """A TEXT event with a GRIP control message."""
    return "TEXT", "c:" + json.dumps(fields)


def item(channel, formats, **fields):
    return {"channel": channel, "formats": formats, **fields}


def stream(channel, content, **fields):
    return item(channel, {"http-stream": {"content": content}}, **fields)


def message(channel, content, **fields):
    return item(channel, {"ws-message": {"content": content}}, **fields)


def response(channel, body, **fields):
    return item(channel, {"http-response": {"body": body, **fields}})


def shown(data):
    return repr(bytes(data))[1:] if len(data) <= 2000 else "%d bytes, sha256 %s" % (len(data), hashlib.sha256(data).hexdigest()[:16])


class Names:
    """Replaces ids by their order of appearance, so that equal ids stay equal."""

    def __init__(self):
        self.known = {}

    def of(self, value):
        return self.known.setdefault(value, "<id %d>" % (len(self.known) + 1))


class Trial:
    """What a case works with."""

    def __init__(self, case, system, addresses):
        self.case, self.system, self.addresses = case, system, addresses
        self.requests, self.clients, self.notes = [], [], []
        self.answers, self.fallback = [], None
        self._lock, self._ids, self._probes = threading.Lock(), Names(), 0

    @property
    def ch(self):
        """The case's channel."""
        return self.case.name

    def path(self, rest=""):
        return "/%s%s" % (self.case.name, rest)

    # The origin's side.

    def script(self, *answers):
        """Answers of the origin in order; the last one repeats. Each is bytes, a list of pieces, or a function of the request."""
        self.answers, self.fallback = list(answers[:-1]), answers[-1]

    def answer(self, request):
        with self._lock:
            self.requests.append(request)
            said = self.answers.pop(0) if self.answers else self.fallback
        if callable(said):
            said = said(request)
        if said is None:
            said = reply("no script\n", status="500 Internal Server Error")
        return [said] if isinstance(said, bytes) else said

    def await_requests(self, n, patience=PATIENCE):
        """Waits until the origin has seen n requests."""
        eventually(lambda: len(self.requests) >= n, "%s: origin has seen %d requests, not %d" % (self.ch, len(self.requests), n), patience)
        return self.requests[n - 1]

    def afterwards(self):
        """A second in which the origin may hear more, or nothing, which is what nobody announces."""
        time.sleep(1)

    # The clients' side.

    def connect(self):
        return Wire(socket.create_connection(self.system.address, timeout=PATIENCE))

    def raw(self, data, method="GET"):
        client = Client(self, self.connect(), method)
        client.wire.send(data)
        self.clients.append(client)
        return client

    def ask(self, rest="", *headers, method="GET", host="client.example", body=None, version="1.1"):
        """Sends a request; the client reads when asked to."""
        fields = ["Host: " + host, *headers]
        if body is not None:
            fields.append("Content-Length: %d" % len(body))
        head = "%s %s HTTP/%s\r\n%s\r\n\r\n" % (method, self.path(rest), version, "\r\n".join(fields))
        return self.raw(head.encode() + (body or b""), method)

    def status(self, host):
        """The status of a request that is not kept."""
        wire = self.connect()
        wire.send(("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (self.path(), host)).encode())
        start = wire.until(b"\r\n\r\n").split(b" ")
        wire.close()
        return start[1].decode()

    @property
    def origin(self):
        """The origin's host and port."""
        return next(address for address, name in self.addresses.items() if name == "<origin>")

    def websocket(self, rest="", *headers, host="client.example"):
        client = Socket(self, self.connect())
        client.wire.send(upgrade(self.path(rest), host, headers))
        self.clients.append(client)
        return client

    # Publishing.

    def post(self, data, *headers, path="/publish/", method="POST", noted=True, length=True):
        """One request to the publish API, as it would be typed."""
        data = data.encode() if isinstance(data, str) else data
        wire = Wire(socket.create_connection(self.system.control, timeout=PATIENCE))
        fields = ["Host: publisher.example", *headers] + (["Content-Length: %d" % len(data)] if length else [])
        wire.send(("%s %s HTTP/1.1\r\n%s\r\n\r\n" % (method, path, "\r\n".join(fields))).encode() + data)
        head = Head(wire.until(b"\r\n\r\n"))
        body = Body(wire, head).finish()
        wire.close()
        if noted:
            self.notes.append("publish %s %s %s" % (method, path, shown(data)))
            self.notes += ["  " + line for line in self.response_lines(head, body)]
        return head, body

    def publish(self, *items, noted=False):
        head, body = self.post(json.dumps({"items": items}), noted=noted)
        if head.start.split(" ")[1] != "200":
            raise Missing("publish: %s %r" % (head.start, body))

    def publish_until(self, client, *items):
        """Publishes until the held client has an answer: nothing announces that a long-poll is held."""
        client.wire.sock.setblocking(False)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.publish(*items)
            try:
                time.sleep(0.05)
                client.wire.buffer += client.wire.sock.recv(65536)
                return client.finish()
            except BlockingIOError:
                continue
        raise Missing("%s: the long-poll was not released" % self.ch)

    def ready(self, socket_client, channel=None):
        """Publishes probes until one arrives: nothing announces a WebSocket's subscription."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.publish(message(channel or self.ch, PROBE))
            if socket_client.probed(0.1):
                return
        raise Missing("%s: not subscribed" % self.ch)

    def note(self, text):
        self.notes.append(text)

    # What was seen.

    def transcript(self):
        lines = []
        for n, request in enumerate(self.requests, 1):
            lines.append("origin request %d: %s" % (n, request.head.start))
            lines += ["  " + line for line in self.request_lines(request)]
        for n, client in enumerate(self.clients, 1):
            lines.append("client %d" % n)
            lines += ["  " + line for line in client.lines()]
        return [self.placed(line) for line in lines + self.notes]

    def placed(self, line):
        """The line without ports that differ from run to run."""
        for address, name in {**self.addresses, "127.0.0.1:%d" % self.system.address[1]: "<proxy>"}.items():
            line = line.replace(address, name)
        return line

    def request_lines(self, request):
        lines = sorted("%s: %s" % (name, self.normal(name, value)) for name, value in request.head.fields)
        if request.body:
            lines.append("body %s" % shown(request.body))
        return lines

    def response_lines(self, head, body):
        lines = [head.start] + sorted("%s: %s" % (name, self.normal(name, value)) for name, value in head.fields)
        return lines + ["body %s" % shown(body)]

    def normal(self, name, value):
        """A header's value without what differs from run to run."""
        if name == "date":
            return "<date>"
        if name == "grip-sig":
            return signature(value)
        if name == "connection-id":
            return self._ids.of(value)
        if name == "sec-websocket-key":
            return "<key>"
        if name == "sec-websocket-accept":
            want = base64.b64encode(hashlib.sha1((WEBSOCKET_KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            return "<right>" if value == want else value
        return value


def signature(token):
    """The claims of a Grip-Sig that verifies; what is wrong with it otherwise."""
    try:
        claims = jwt.decode(token, SIG_KEY, algorithms=["HS256"])
    except jwt.PyJWTError as err:
        return "<bad signature: %s>" % err
    lasts = claims.pop("exp") - time.time()
    return "<JWT %s, %s>" % (json.dumps(claims, sort_keys=True), "1 hour" if 3500 < lasts <= 3600 else "%d s" % lasts)


class Client:
    """An HTTP client of the system under test."""

    def __init__(self, trial, wire, method="GET"):
        self.trial, self.wire, self.method = trial, wire, method
        self.seen, self._head, self._body, self.ended = [], None, None, ""

    @property
    def head(self):
        """The response's head, waited for."""
        if not self._head:
            try:
                self._head = Head(self.wire.until(b"\r\n\r\n"))
            except Closed as err:
                self.ended = "closed after %s" % shown(self.wire.buffer)
                raise Missing("%s: connection closed before a response" % self.trial.ch) from err
            status = self._head.start.split(" ")[1]
            if status == "100":
                self.seen.append(self._head.start)
                self._head = None
                return self.head
            empty = self.method == "HEAD" or status in ("204", "304")
            self._body = Body(self.wire, self._head, empty)
        return self._head

    @property
    def body(self):
        _ = self.head
        return self._body

    def until(self, mark):
        self.body.until(mark.encode() if isinstance(mark, str) else mark)

    def finish(self):
        return self.body.finish()

    def ends_within(self, patience):
        """Whether the response ends, and how, in that time; no more of it is expected."""
        try:
            self.wire.fill(patience)
        except Missing:
            return "open"
        except Closed:
            self._body.end = "cut"
        return self._body.end or "more came"

    def refused(self):
        """Waits for the connection to be closed without a response."""
        try:
            while True:
                self.wire.fill()
        except Closed:
            self.ended = "closed after %s" % shown(self.wire.buffer)

    def again(self, rest="", *headers):
        """The next request on the same connection; the response before it is kept."""
        self.finish()
        self.seen += self._now()
        self._head = self._body = None
        fields = "".join(h + "\r\n" for h in headers)
        self.wire.send(("GET %s HTTP/1.1\r\nHost: client.example\r\n%s\r\n" % (self.trial.path(rest), fields)).encode())
        return self

    def can_ask(self):
        """Whether another request on the same connection is answered; the answer is not kept."""
        try:
            self.wire.send(b"GET %s HTTP/1.1\r\nHost: client.example\r\n\r\n" % self.trial.path("/more").encode())
            return self.wire.until(b"\r\n\r\n").split(b"\r\n")[0].decode()
        except (Closed, OSError):
            return "closed"

    def leave(self):
        self.wire.close()

    def _now(self):
        if not self._head:
            return [self.ended or "no response yet"]
        return self.trial.response_lines(self._head, self._body.data) + [self._body.end or "held"]

    def lines(self):
        return self.seen + self._now()


class Socket(Client):
    """A WebSocket client of the system under test."""

    def __init__(self, trial, wire):
        super().__init__(trial, wire)
        self.messages, self._upgraded, self._received = [], False, 0

    @property
    def head(self):
        if not self._head and not self._upgraded:
            head = Head(self.wire.until(b"\r\n\r\n"))
            self._upgraded = head.start.split(" ")[1] == "101"
            self._head, self._body = head, Body(self.wire, head, empty=self._upgraded)
        return self._head

    def send(self, content, kind="text"):
        self.wire.send(frame(kind, content.encode() if isinstance(content, str) else content))

    def send_fragments(self, *parts):
        for n, part in enumerate(parts):
            self.wire.send(frame("text" if n == 0 else "continuation", part.encode(), last=n == len(parts) - 1))

    def send_close(self, code=None, reason=""):
        self.wire.send(frame("close", close_payload(code, reason) if code is not None else b""))

    def receive(self):
        """The next message that is not a probe, kept; Closed is kept too and returned as None."""
        if self.head and not self._upgraded:
            raise Missing("%s: no WebSocket: %s" % (self.trial.ch, self.head.start))
        while True:
            try:
                got = read_message(self.wire)
            except Closed:
                self.ended = "connection closed"
                return None
            if got != ("text", PROBE.encode()):
                self.messages.append(got)
                return got

    def until(self, mark):
        mark = mark.encode() if isinstance(mark, str) else mark
        while not any(mark in payload for _, payload in self.messages[self._received:]):
            if self.receive() is None:
                raise Missing("%s: connection closed without %r: %r" % (self.trial.ch, mark, self.messages))
        self._received = next(n for n, (_, payload) in enumerate(self.messages) if n >= self._received and mark in payload) + 1

    def finish(self):
        """Reads until the connection ends."""
        while self.receive() is not None:
            pass

    def finish_rejection(self):
        """Reads the answer that refuses the handshake, to the end of the connection or of the body."""
        _ = self.head
        return self._body.finish()

    def probed(self, patience):
        """Whether a probe has come within the time."""
        _ = self.head
        raw = frame("text", PROBE.encode(), masked=False)
        try:
            if raw not in self.wire.buffer:
                self.wire.fill(patience)
        except Missing:
            return False
        return raw in self.wire.buffer

    def _now(self):
        if not self._upgraded:
            return super()._now()
        lines = self.trial.response_lines(self._head, b"")[:-1]
        for kind, payload in self.messages:
            lines.append("%s %s" % (kind, shown(payload)))
        return lines + [self.ended or "open"]

