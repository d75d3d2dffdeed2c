"""HTTP and WebSockets over bare sockets, for both ends of a GRIP proxy: what was sent is what is seen.

Readers take bytes as they come, so that neither chunk boundaries nor TCP segments matter. Every wait has a deadline.
"""

import base64
import os
import socket
import struct
import threading
import time

from peer import Missing

PATIENCE = 15.0  # more than any delay of the protocol that the cases wait for
WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
OPCODES = {"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
KINDS = {number: name for name, number in OPCODES.items()}


class Closed(Exception):
    """The other side ended the connection."""


class Wire:
    """One connection and what was read from it."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.sock.sendall(data)

    def fill(self, patience=PATIENCE):
        """Reads once. Closed at the end, Missing at the deadline."""
        self.sock.settimeout(patience)
        try:
            data = self.sock.recv(65536)
        except socket.timeout as err:
            raise Missing("nothing came within %g s; pending: %r" % (patience, self.buffer[-200:])) from err
        except OSError:
            data = b""
        if not data:
            raise Closed()
        self.buffer += data

    def until(self, mark):
        """All bytes up to mark, which is dropped."""
        while mark not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def take(self, n):
        while len(self.buffer) < n:
            self.fill()
        head, self.buffer = self.buffer[:n], self.buffer[n:]
        return head

    def close(self, abort=False):
        if abort:  # a reset instead of a FIN
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Head:
    """A start line and header fields, in the order they came."""

    def __init__(self, raw):
        self.start, *lines = raw.decode("latin-1").split("\r\n")
        self.fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name, default=""):
        found = self.all(name)
        return found[0] if found else default

    def chunked(self):
        return self.get("transfer-encoding").lower() == "chunked"


class Body:
    """A message body that is read piece by piece. end: None while it lasts, then "complete" or "cut"."""

    def __init__(self, wire, head, empty=False, closes=True):
        self.wire, self.data, self.end = wire, b"", None
        self.chunked = head.chunked()
        self.left = None
        if empty:
            self.end = "complete"
        elif not self.chunked:
            length = head.get("content-length")
            self.left = int(length) if length else (None if closes else 0)
            self._settle()

    def _settle(self):
        if self.left == 0:
            self.end = "complete"

    def read(self):
        """Reads one more piece."""
        try:
            if self.chunked:
                self._chunk()
            elif self.left is None:
                self._rest()
            else:
                self._counted()
        except Closed:
            self.end = "complete" if self.left is None and not self.chunked else "cut"

    def _chunk(self):
        size = int(self.wire.until(b"\r\n").split(b";")[0], 16)
        self.data += self.wire.take(size)
        self.wire.take(2)
        if size == 0:
            self.end = "complete"

    def _rest(self):
        if not self.wire.buffer:
            self.wire.fill()
        self.data, self.wire.buffer = self.data + self.wire.buffer, b""

    def _counted(self):
        if not self.wire.buffer:
            self.wire.fill()
        piece = self.wire.buffer[:self.left]
        self.wire.buffer = self.wire.buffer[len(piece):]
        self.data, self.left = self.data + piece, self.left - len(piece)
        self._settle()

    def until(self, mark):
        while mark not in self.data:
            if self.end:
                raise Missing("the body ended (%s) without %r: %r" % (self.end, mark, self.data))
            self.read()

    def finish(self):
        while not self.end:
            self.read()
        return self.data


def frame(kind, payload=b"", masked=True, last=True):
    """A WebSocket frame."""
    head = bytes([OPCODES[kind] | (0x80 if last else 0)])
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


def read_message(wire):
    """The next message as (kind, payload); fragments are joined, control frames between them are not expected."""
    kind, whole = None, b""
    while True:
        first, second = wire.take(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", wire.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", wire.take(8))[0]
        key = wire.take(4) if second & 0x80 else b"\0\0\0\0"
        payload = bytes(b ^ key[i % 4] for i, b in enumerate(wire.take(size)))
        kind = kind or KINDS.get(first & 0x0F, "opcode %d" % (first & 0x0F))
        whole += payload
        if first & 0x80:
            return kind, whole


def upgrade(path, host, headers=()):
    """The request of a WebSocket handshake."""
    fields = ["Host: " + host, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: " + WEBSOCKET_KEY, *headers]
    return ("GET %s HTTP/1.1\r\n%s\r\n\r\n" % (path, "\r\n".join(fields))).encode()


def events(*parts):
    """Bytes of WebSocket-over-HTTP events: a name, or a name and its content."""
    out = b""
    for part in parts:
        name, content = part if isinstance(part, tuple) else (part, None)
        content = content.encode() if isinstance(content, str) else content
        out += name.encode() + (b"\r\n" if content is None else b" %x\r\n%s\r\n" % (len(content), content))
    return out


def parse_events(data):
    """The opposite, as (name, content or None)."""
    found = []
    while data:
        line, _, data = data.partition(b"\r\n")
        name, _, size = line.partition(b" ")
        content = None
        if size:
            content, data = data[:int(size, 16)], data[int(size, 16) + 2:]
        found.append((name.decode(), content))
    return found


def close_payload(code, reason=""):
    return struct.pack(">H", code) + reason.encode()


class Request:
    """A request that reached the origin."""

    def __init__(self, head, body):
        self.head, self.body = head, body
        self.method, self.target = head.start.split(" ")[:2]

    def get(self, name):
        return self.head.get(name)

    @property
    def events(self):
        return parse_events(self.body)


class Origin:
    """An HTTP server that says exactly what its script says.

    answer(request) returns the response's pieces, an iterable of bytes or of functions of the Wire;
    after a piece Origin.CUT the connection is closed. A thread per connection, ended with the socket.
    """

    CUT = object()

    def __init__(self, answer):
        self.answer, self.server = answer, socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.server.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Wire(sock),), daemon=True).start()

    def _serve(self, wire):
        try:
            while self._exchange(wire):
                pass
        except (Closed, Missing, OSError):
            pass
        finally:
            wire.close()

    def _exchange(self, wire):
        while b"\r\n\r\n" not in wire.buffer:
            wire.fill(patience=600)
        head = Head(wire.until(b"\r\n\r\n"))
        body = Body(wire, head, closes=False)
        for piece in self.answer(Request(head, body.finish())):
            if piece is Origin.CUT:
                return False
            if callable(piece):
                piece(wire)
            else:
                wire.send(piece)
        return True

    def close(self):
        self.server.close()


def eventually(ready, what, patience=PATIENCE):
    """Waits until ready() is true: for states that nothing announces."""
    end = time.monotonic() + patience
    while not ready():
        if time.monotonic() > end:
            raise Missing(what)
        time.sleep(0.01)


def settle():
    """Time for bytes that were sent to be read by the other process: the one thing that nothing announces."""
    time.sleep(0.3)


def basic(user, password):
    return "Authorization: Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
