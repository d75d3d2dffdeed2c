"""Cases: WebSocket-over-HTTP and native WebSockets."""

import base64
import hashlib

from grip_case import case
from grip_trial import control, item, message, reply, woh
from grip_wire import Origin, close_payload, frame, read_message, settle

GRIP = "Sec-WebSocket-Extensions: grip; message-prefix=\"\""


def opened(t, *parts, headers=(GRIP,), later=None, subscribe=True, rest="", how=(), host="client.example"):
    """A WebSocket that the origin accepts; later answers what follows, by default with nothing."""
    first = ["OPEN"] + ([control(type="subscribe", channel=t.ch)] if subscribe else []) + list(parts)
    t.script(woh(*first, headers=headers), later or woh())
    client = t.websocket(rest, *how, host=host)
    if subscribe:
        t.ready(client)
    else:
        _ = client.head
    return client


def echo(request):
    """Repeats what came, CLOSE included, as the starter kits do."""
    return woh(*request.events)


@case("11, 49, 50, 51: the handshake and what every request carries")
def ws_open(t):
    client = opened(t, ("TEXT", "welcome"), later=echo, rest="/?q=1", how=[
        "Cookie: a=b", "Authorization: x", "Origin: http://site.example", "Sec-WebSocket-Protocol: one, two", "Meta-Fake: x",
        "Connection-Id: fake", "Sec-WebSocket-Extensions: permessage-deflate"], headers=[GRIP, "X-From-Origin: y", "Sec-WebSocket-Protocol: two"])
    client.until("welcome")
    client.send("hi")
    client.until("hi")


@case("12: text, binary, empty, both ways; 74: fragments are one event")
def ws_echo(t):
    client = opened(t, later=echo)
    client.send("t\u00e9xt")
    client.until("t\u00e9xt")
    client.send(b"\x00\xff", "binary")
    client.until(b"\xff")
    client.send_fragments("one ", "two ", "three")
    client.until("three")


@case("5.4: an empty text")
def ws_empty_text(t):
    client = opened(t, later=lambda r: woh(("TEXT", "got it")))
    client.send("")
    client.until("got it")


@case("73: pings become PING, PONG becomes a pong")
def ws_ping(t):
    client = opened(t, later=lambda r: woh(*(("PONG", content) if name == "PING" else (name, content) for name, content in r.events)))
    client.send("here", "ping")
    client.until("here")


@case("14: published text, binary, explicit types")
def ws_publish(t):
    client = opened(t)
    t.publish(message(t.ch, "text"), item(t.ch, {"ws-message": {"content-bin": "AAH/"}}), item(t.ch, {"http-stream": {"content": "not for sockets"}}),
              item(t.ch, {"ws-message": {"content": "b", "type": "binary"}}), item(t.ch, {"ws-message": {"content": "p", "type": "ping"}}),
              message(t.ch, "end"))
    client.until("end")


@case("58: published close; the origin gets CLOSE without content")
def ws_publish_close(t):
    client = opened(t)
    t.publish(item(t.ch, {"ws-message": {"action": "close", "code": 4001, "reason": "enough"}}))
    client.receive()
    t.await_requests(2)
    client.send_close(4001)
    client.finish()


@case("15: the client closes, the origin answers")
def ws_client_close(t):
    client = opened(t, later=echo)
    client.send_close(4002, "bye")
    client.finish()


@case("5.6: the client closes without a code")
def ws_client_close_empty(t):
    client = opened(t, later=echo)
    client.send_close()
    client.finish()


@case("5.6: an origin that does not answer the CLOSE")
def ws_close_unanswered(t):
    client = opened(t)
    client.send_close(1000)
    client.finish()
    t.afterwards()


@case("5.6: the origin closes")
def ws_origin_close(t):
    client = opened(t, later=woh(("TEXT", "last"), ("CLOSE", close_payload(4003, "over"))))
    client.send("x")
    client.until("last")
    client.receive()
    client.send_close(4003)
    client.finish()
    del t.requests[2:]  # as in ws_open_close


@case("5.5: OPEN and CLOSE at once")
def ws_open_close(t):
    t.script(woh("OPEN", ("CLOSE", close_payload(4004))), woh())
    client = t.websocket()
    client.receive()
    client.send_close(4004)
    client.finish()
    del t.requests[1:]  # Pushpin sometimes takes the end of the connection for a loss and says DISCONNECT


@case("17: the client's connection is lost: DISCONNECT")
def ws_lost(t):
    client = opened(t)
    client.leave()
    t.await_requests(2)


@case("17: the origin says DISCONNECT")
def ws_disconnect(t):
    client = opened(t, later=woh("DISCONNECT"))
    client.send("x")
    client.finish()
    t.afterwards()


@case("47: rejections are relayed")
def ws_rejected(t):
    t.script(reply("no such page\n", "X-Why: because", status="404 Not Found"), reply("<p>", "Content-Type: text/html"),
             reply("", "Location: /else", status="302 Found"))
    for _ in range(3):
        t.websocket().finish_rejection()


@case("5.5: answers to OPEN that are no answers")
def ws_bad_open(t):
    t.script(woh(), woh(("TEXT", "x")), reply("OPEN", "Content-Type: application/websocket-events"), [Origin.CUT])
    for _ in range(3):
        t.websocket().finish_rejection()


@case("5.5: an origin that cannot be reached")
def ws_origin_down(t):
    t.script(woh())
    t.websocket(host="down.example").finish_rejection()


def wrong_later(t, answer):
    """A later answer that is wrong: the connection drops."""
    client = opened(t, later=answer, subscribe=False)
    client.send("x")
    client.finish()
    t.afterwards()


@case("71: a later answer with another status")
def ws_later_status(t):
    wrong_later(t, reply("", status="500 Oh No"))


@case("71: a later answer without content")
def ws_later_empty(t):
    wrong_later(t, reply("", status="204 No Content", length=False))


@case("71: a later answer of another type")
def ws_later_type(t):
    wrong_later(t, reply("x", "Content-Type: text/plain"))


@case("71: a second OPEN")
def ws_later_open(t):
    wrong_later(t, woh("OPEN"))


@case("71: events that cannot be read")
def ws_later_framing(t):
    wrong_later(t, reply("TEXT zz\r\nx\r\n", "Content-Type: application/websocket-events"))


@case("52: a client may not send events itself")
def ws_events_from_client(t):
    t.script(woh("OPEN"))
    t.ask("", "Content-Type: application/websocket-events", "Accept: application/websocket-events", method="POST", body=b"OPEN\r\n").finish()


@case("36: Set-Meta comes back as Meta")
def ws_meta(t):
    t.script(woh("OPEN", headers=[GRIP, "Set-Meta-User: {\"a\": 1, \"b\": \"x\"}", "Set-Meta-Gone: 1"]),
             woh(("TEXT", "1"), headers=["Set-Meta-Gone: ", "set-meta-new: n"]), woh(("TEXT", "2")))
    client = t.websocket()
    for n in "12":
        client.send("go " + n)
        client.until(n)


@case("13, 5.9: without a prefix of its own, m:")
def ws_prefix(t):
    client = opened(t, ("TEXT", "m:yes"), ("TEXT", "dropped"), ("BINARY", "m:bin"), ("BINARY", "c:bin"), ("TEXT", "c:not json"),
                    ("TEXT", "m:end"), headers=["Sec-WebSocket-Extensions: grip"])
    client.until("end")
    t.publish(message(t.ch, "published"))
    client.until("published")


@case("5.9: a prefix of its own")
def ws_own_prefix(t):
    opened(t, ("TEXT", "pre-one"), ("TEXT", "m:no"), ("TEXT", "pre-end"), headers=['Sec-WebSocket-Extensions: grip; message-prefix="pre-"']).until("end")


@case("5.9: without the extension nothing is a control message")
def ws_no_grip(t):
    client = opened(t, control(type="subscribe", channel="ws-no-grip"), ("TEXT", "m:as it is"), headers=(), subscribe=False)
    client.until("as it is")


@case("45: unsubscribe")
def ws_unsubscribe(t):
    client = opened(t, control(type="subscribe", channel="unsub-b"), later=woh(control(type="unsubscribe", channel="ws-unsubscribe"), ("TEXT", "done")))
    client.send("x")
    client.until("done")
    t.ready(client, "unsub-b")
    t.publish(message(t.ch, "no"), message("unsub-b", "yes"))
    client.until("yes")


@case("39, 14: skip-self with set-meta")
def ws_skip_self(t):
    client = opened(t, control(type="set-meta", name="user", value="u1"), control(type="subscribe", channel="ws-skip-self", filters=["skip-self"]))
    t.publish(message(t.ch, "mine", meta={"sender": "u1"}), message(t.ch, "another's", meta={"sender": "u2"}))
    client.until("another's")


@case("44: keep-alive")
def ws_keep_alive(t):
    client = opened(t, control(type="keep-alive", content="still here", timeout=1), subscribe=False)
    client.until("still here")


@case("44: keep-alive as a ping")
def ws_keep_alive_ping(t):
    client = opened(t, control(type="keep-alive", content="p", timeout=1, **{"message-type": "ping"}), subscribe=False)
    client.until("p")


@case("85: send-delayed and flush-delayed")
def ws_delayed(t):
    client = opened(t, control(**{"type": "send-delayed", "content": "later", "timeout": 1}), ("TEXT", "now"), subscribe=False,
                    later=woh(control(**{"type": "send-delayed", "content": "flushed", "timeout": 60}), control(type="flush-delayed")))
    client.until("later")
    client.send("x")
    client.until("flushed")


@case("75: detach: the origin gets CLOSE, the client stays")
def ws_detach(t):
    client = opened(t, later=woh(control(type="detach")))
    client.send("x")
    t.await_requests(3)
    client.send("heard by nobody")
    t.publish(message(t.ch, "still"))
    client.until("still")


@case("48: one request at a time; what came meanwhile goes together")
def ws_batching(t):
    def slow(request):
        t.await_requests(2)
        client.send("b")
        client.send("c")
        client.send(b"d", "binary")
        settle()
        return woh(("TEXT", "a done"))
    client = opened(t, subscribe=False)
    t.script(slow, lambda r: woh(("TEXT", "end")))
    t.requests[1:] = []
    client.send("a")
    client.until("end")


@case("16, 38: Keep-Alive-Interval, raised to 20 s")
def ws_interval(t):
    opened(t, subscribe=False, headers=[GRIP, "Keep-Alive-Interval: 1"])
    t.await_requests(2, patience=25)


@case("72: the origin cannot be reached for a moment; the message is not lost")
def ws_failover(t):
    client = opened(t, later=echo, subscribe=False, host="failover.example")
    client.send("x")
    client.until("x")


@case("5.4: 100 kB to the origin, 4 kB back: Pushpin 1.36 gets stuck over 30 kB")
def ws_large(t):
    client = opened(t, later=woh(("TEXT", "0123456789" * 400)), subscribe=False)
    client.send("0123456789" * 10000)
    client.until("0123456789" * 400)


@case("86: sub= of a target, prefix of a route")
def ws_implicit(t):
    client = opened(t, subscribe=False, host="sub.example")
    t.ready(client, "implicit")
    t.publish(message("implicit", "yes"))
    client.until("yes")


# Native WebSockets.

def native(*frames_out, extension="Sec-WebSocket-Extensions: grip"):
    """An origin that speaks WebSocket: it sends frames, then echoes."""
    def session(wire):
        for kind, payload in frames_out:
            wire.send(frame(kind, payload.encode(), masked=False))
        while True:
            kind, payload = read_message(wire)
            wire.send(frame(kind, payload, masked=False))

    def answer(request):
        key = request.get("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        sealed = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        fields = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: " + sealed] + ([extension] if extension else [])
        yield ("HTTP/1.1 101 Switching Protocols\r\n%s\r\n\r\n" % "\r\n".join(fields)).encode()
        yield session
    return answer


@case("84: a native origin with the extension")
def native_grip(t):
    t.script(native(("text", 'c:{"type": "subscribe", "channel": "native-grip"}'), ("text", "m:hello"), ("text", "dropped")))
    client = t.websocket(host="native.example")
    client.until("hello")
    t.ready(client)
    t.publish(message(t.ch, "published"))
    client.until("published")
    client.send("m:echo")
    client.until("echo")
    client.send_close(4005, "bye")
    client.finish()


@case("5.8: a native origin without it")
def native_plain(t):
    t.script(native(("text", "c:as it is"), extension=None))
    client = t.websocket(host="native.example")
    client.until("as it is")
    client.send("ping me", "ping")
    client.receive()


@case("5.8: a native origin that refuses")
def native_refused(t):
    t.script(reply("not you\n", "X-Why: y", status="403 Forbidden"))
    t.websocket(host="native.example").finish_rejection()
