"""Cases: plain proxying, headers, holds."""

import threading

from grip_case import case
from grip_trial import item, reply, response, stream
from grip_wire import PATIENCE, Origin, basic, eventually, settle


def hold(mode, *channels, body=b"", extra=()):
    """A response that holds the client."""
    return reply(body, "Grip-Hold: " + mode, *("Grip-Channel: " + c for c in channels), *extra)


def reads(t, *headers, **how):
    """Asks once and reads the whole answer."""
    client = t.ask("", *headers, **how)
    client.finish()
    return client


# Plain proxying.

@case("1.6: status, headers and body pass; Set-Cookie keeps its order")
def plain(t):
    t.script(reply("made\n", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Other: y", "Server: origin", status="201 Made"))
    t.ask("/x?q=1&r=%20", "User-Agent: case", "Cookie: c=d", basic("u", "p"), "Accept: text/x").finish()


@case("1.6, 1.3: what is not forwarded either way")
def plain_hop_by_hop(t):
    t.script(reply("ok\n", "Connection: X-Hop", "Keep-Alive: timeout=5", "X-Hop: 1"))
    reads(t, "Connection: keep-alive", "Keep-Alive: 3", "Accept-Encoding: gzip", "TE: trailers", "Accept: */*")


@case("1.3.4: a client cannot pretend to be a proxy")
def client_grip_headers(t):
    t.script(reply("ok\n"))
    reads(t, "Grip-Sig: forged", "Grip-Feature: all", "Grip-Last: c; last-id=1", "Grip-Anything: x", "Accept: */*")


@case("90: X-Forwarded-For passes, X-Forwarded-Proto is not believed")
def forwarded(t):
    t.script(reply("ok\n"))
    reads(t, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Protocol: https", "Via: 1.1 x", "Accept: */*")


@case("1.3: headers of WebSocket-over-HTTP mean nothing on plain requests")
def plain_meta(t):
    t.script(reply("ok\n"))
    reads(t, "Meta-User: x", "Connection-Id: 5", "Accept: */*")


@case("1.5: a body with a length")
def post_length(t):
    t.script(lambda r: reply(r.body))
    reads(t, "Accept: */*", "Content-Type: a/b", method="POST", body=b"some body")


@case("1.5: a chunked body arrives whole")
def post_chunked(t):
    t.script(lambda r: reply(r.body))
    t.raw(b"POST /post-chunked HTTP/1.1\r\nHost: client.example\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "POST").finish()


@case("1.5: a body of 300 kB, both ways")
def post_large(t):
    t.script(lambda r: reply(r.body))
    reads(t, "Accept: */*", method="POST", body=b"0123456789" * 30000)


@case("1.5: no body is a length of zero")
def post_empty(t):
    t.script(reply("ok\n"))
    reads(t, "Accept: */*", method="POST", body=b"")


@case("1.6: chunks pass as they come")
def plain_live(t):
    arrived = threading.Event()

    def answer(_):
        yield reply(b"", "Transfer-Encoding: chunked", length=False)
        yield b"6\r\nfirst\n\r\n"
        arrived.wait(PATIENCE)
        yield b"5\r\nlast\n\r\n0\r\n\r\n"
    t.script(answer)
    client = t.ask("", "Accept: */*")
    client.until("first\n")
    arrived.set()
    client.finish()


@case("81: HTTP/1.0")
def http10_plain(t):
    t.script(reply("ok\n"))
    reads(t, "Accept: */*", version="1.0")


@case("82: HEAD")
def head_plain(t):
    t.script(reply(b"", "Content-Length: 7", length=False))
    reads(t, "Accept: */*", method="HEAD")


@case("82: 304 has no body")
def not_modified(t):
    t.script(reply(b"", "Etag: x", status="304 Not Modified", length=False))
    reads(t, "Accept: */*")


@case("82: 204 has no body")
def no_content(t):
    t.script(reply(b"", "X-A: b", status="204 No Content", length=False))
    reads(t, "Accept: */*")


@case("1.6: requests one after the other on one connection")
def sequential(t):
    t.script(reply("one\n"), reply("two\n"))
    t.ask("/1", "Accept: */*").again("/2", "Accept: */*").finish()


@case("1.6: Connection: close is obeyed")
def client_closes(t):
    t.script(reply("ok\n"))
    client = reads(t, "Connection: close", "Accept: */*")
    client.refused()


@case("53: origin down")
def origin_down(t):
    t.script(reply("never\n"))
    reads(t, host="down.example")


@case("53, 1.8: origin down, in debug mode")
def origin_down_debug(t):
    t.script(reply("never\n"))
    reads(t, host="down-debug.example")


@case("1.7: origin closes before it answers")
def origin_closes(t):
    t.script([Origin.CUT])
    reads(t, "Accept: */*")
    del t.requests[1:]  # how often Pushpin's client tries again differs from run to run


@case("1.7: origin is cut in the middle")
def origin_cut(t):
    arrived = threading.Event()

    def answer(_):
        yield reply(b"half", "Content-Length: 8", length=False)
        arrived.wait(PATIENCE)
        yield Origin.CUT
    t.script(answer)
    client = t.ask("", "Accept: */*")
    client.until("half")
    arrived.set()
    t.note("client 1 3 s later: %s" % client.ends_within(3))


@case("1.7: no route")
def no_route(t):
    t.script(reply("never\n"))
    reads(t, host="nowhere.test")


@case("54: an unknown route id does not fall back")
def unknown_route_id(t):
    t.script(reply("never\n"))
    reads(t, "Pushpin-Route: unheard-of")


@case("1.2: Pushpin-Route chooses, and is removed")
def route_by_id(t):
    t.script(reply("ok\n"))
    reads(t, "Pushpin-Route: named", "Accept: */*", host="nowhere.test")


@case("24: replace_beg")
def replace_beg(t):
    t.script(reply("ok\n"))
    t.ask("/p?x=/y", "Accept: */*", host="replace.example").finish()


@case("25: host= sets the origin's Host")
def host_of_target(t):
    t.script(reply("ok\n"))
    reads(t, "Accept: */*", host="host.example")


@case("1.1: header= sets and removes request headers")
def header_of_route(t):
    t.script(reply("ok\n"))
    reads(t, "X-Gone: 1", "X-Set: old", "Accept: */*", host="header.example")


@case("1.1: targets in order, moving on when one cannot be reached")
def failover(t):
    t.script(reply("second\n"))
    reads(t, "Accept: */*", host="failover.example")


@case("87: the routes file is read again when it changes, and connections stay")
def routes_reloaded(t):
    t.script(hold("stream", t.ch, body="init\n"), reply("ok\n"))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    t.system.add_routes("\nfresh.example %s,over_http\n" % t.origin)
    eventually(lambda: t.status("fresh.example") == "200", "the new route is not used")
    del t.requests[1:]
    reads(t, "Accept: */*", host="fresh.example")
    t.publish(stream(t.ch, "still here\n"))
    client.until("still here\n")


@case("1.1: no_grip leaves everything alone")
def no_grip(t):
    t.script(hold("stream", "no-grip", body="as it is\n"))
    reads(t, "Accept: */*", host="nogrip.example")


@case("86: CORS headers on request of the route")
def cors(t):
    t.script(reply("ok\n", "X-Own: 1"))
    reads(t, "Origin: http://site.example", "Accept: */*", host="cors.example")


# Response holds.

@case("4, 56: long-poll released by a publish; the item's headers replace same-named ones")
def long_poll(t):
    t.script(hold("response", t.ch, body="timeout\n", extra=["X-A: 1", "X-B: 2"]))
    client = t.ask("", "Accept: */*")
    t.publish_until(client, response(t.ch, "news\n", code=202, reason="Yes", headers={"X-B": "3", "X-C": "4", "Grip-No": "5"}))
    del t.requests[1:]  # the update after the first subscription may come before or after the release


@case("55: long-poll timeout sends the saved response; the first subscription asks the origin again")
def long_poll_timeout(t):
    t.script(hold("response", t.ch, body="nothing yet\n", extra=["Grip-Timeout: 5", "X-A: 1"]))
    reads(t, "Accept: */*", "Cookie: a=b")


@case("77: Grip-Status")
def grip_status(t):
    t.script(hold("response", t.ch, body="late\n", extra=["Grip-Timeout: 1", "Grip-Status: 408 Too Late"]))
    reads(t, "Accept: */*")


@case("4: code, body-bin; the same connection polls again")
def long_poll_binary(t):
    t.script(hold("response", t.ch, body="timeout\n"))
    client = t.ask("", "Accept: */*")
    t.publish_until(client, item(t.ch, {"http-response": {"body-bin": "AAH/"}}))
    client.again("", "Accept: */*")
    t.publish_until(client, item(t.ch, {"http-response": {"body": "second\n", "headers": [["X-L", "1"], ["X-L", "2"]]}}))
    t.requests.clear()  # how many there are depends on when the update falls


@case("2.4.9: body-patch")
def body_patch(t):
    t.script(reply('{"a": 1}\n', "Content-Type: application/json", "Grip-Hold: response", "Grip-Channel: " + t.ch))
    client = t.ask("", "Accept: */*")
    t.publish_until(client, item(t.ch, {"http-response": {"body-patch": [
        {"op": "replace", "path": "/a", "value": 2}, {"op": "add", "path": "/b", "value": ["x"]}]}}))
    t.requests.clear()


@case("68: a hint asks the origin again with the client's own request")
def long_poll_hint(t):
    t.script(hold("response", t.ch, body="old\n"), hold("response", t.ch, body="old\n"), reply("fresh\n"))
    client = t.ask("/?q=1", "Accept: */*", "Cookie: a=b")
    t.await_requests(2)
    t.publish_until(client, item(t.ch, {"http-response": {"action": "hint"}}))


@case("67, 68: a stale prev-id asks again with Grip-Last")
def long_poll_stale(t):
    # The channel's last id is known only while somebody subscribes.
    t.script(hold("stream", t.ch, body="holder\n"), hold("response", t.ch + "; prev-id=1"), reply("recovered\n"))
    t.ask("", "Accept: */*").until("holder\n")
    t.publish(stream(t.ch, "two\n", id="2"))
    t.clients[0].until("two\n")
    t.ask("", "Accept: */*").finish()


# Stream holds.

@case("6: initial body, text, binary, close")
def stream_hold(t):
    t.script(hold("stream", t.ch, body="init\n", extra=["X-A: 1"]))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    t.publish(stream(t.ch, "hello\n"))
    t.publish(item(t.ch, {"http-stream": {"content-bin": "AAH/"}}))
    t.publish(item(t.ch, {"http-stream": {"action": "hint"}}), item(t.ch, {"ws-message": {"content": "not for streams"}}))
    t.publish(stream(t.ch, "bye\n"), item(t.ch, {"http-stream": {"action": "close"}}))
    client.finish()


@case("6: headers come at once though the body is empty")
def stream_empty(t):
    t.script(hold("stream", t.ch))
    client = t.ask("", "Accept: */*")
    _ = client.head
    t.publish(stream(t.ch, "x"), item(t.ch, {"http-stream": {"action": "close"}}))
    client.finish()


@case("6: what becomes of the connection after a stream")
def stream_then_more(t):
    t.script(hold("stream", t.ch, body="init\n"), reply("next\n"))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    t.publish(item(t.ch, {"http-stream": {"action": "close"}}))
    client.finish()
    t.note("the next request on the connection: %s" % client.can_ask())
    del t.requests[1:]


@case("81: a stream to HTTP/1.0 is not framed")
def stream_http10(t):
    t.script(hold("stream", t.ch, body="init\n"))
    client = t.ask("", "Accept: */*", version="1.0")
    client.until("init\n")
    t.publish(stream(t.ch, "x\n"), item(t.ch, {"http-stream": {"action": "close"}}))
    client.finish()


@case("2.5: any status can be held")
def stream_of_an_error(t):
    t.script(reply("bad\n", "Grip-Hold: stream", "Grip-Channel: " + t.ch, status="500 Oh No"))
    client = t.ask("", "Accept: */*")
    client.until("bad\n")
    t.publish(stream(t.ch, "worse\n"))
    client.until("worse\n")


@case("2.5: POST is held like GET")
def stream_of_a_post(t):
    t.script(hold("stream", t.ch, body="init\n"))
    client = t.ask("", "Accept: */*", method="POST", body=b"q")
    client.until("init\n")
    t.publish(stream(t.ch, "x\n"))
    client.until("x\n")


@case("26: channels by comma, by repetition, quoted")
def channels(t):
    t.script(hold("stream", "channels-a, channels-b", 'channels-c; x="y, z"', body="init\n"))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    t.publish(*(stream("channels-" + c, c + "\n") for c in "abcd"), stream("channels-a", "end\n"))
    client.until("end\n")


@case("79: twenty channels, the rest is dropped")
def channel_limit(t):
    t.script(hold("stream", *("limit-%d" % n for n in range(22)), body="init\n"))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    t.publish(*(stream("limit-%d" % n, "%d\n" % n) for n in range(22)), stream("limit-0", "end\n"))
    client.until("end\n")


@case("1.5: a hold after a body of over 100 000 bytes is refused")
def hold_after_large_body(t):
    t.script(hold("stream", t.ch, body="init\n"))
    reads(t, "Accept: */*", method="POST", body=b"x" * 100001)


@case("2.5: an initial body of over 100 000 bytes")
def stream_large_body(t):
    t.script(hold("stream", t.ch, body=b"y" * 150000 + b"init\n"))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    settle()  # the hold begins after the body, and nothing announces it
    t.publish(stream(t.ch, "after\n"))
    client.until("after\n")


@case("1.7: a response hold with a body of over 100 000 bytes")
def long_poll_large_body(t):
    t.script(hold("response", t.ch, body=b"y" * 100001))
    reads(t, "Accept: */*")


@case("9, 33: keep-alive of a stream, cstring")
def keep_alive(t):
    t.script(hold("stream", t.ch, body="init\n", extra=["Grip-Keep-Alive: :\\x41\\n\\n; format=cstring; timeout=1"]))
    t.ask("", "Accept: */*").until(":A\n\n")


@case("2.1: keep-alive as base64")
def keep_alive_base64(t):
    t.script(hold("stream", t.ch, body="init\n", extra=["Grip-Keep-Alive: Ozs7Cg==; format=base64; timeout=1"]))
    t.ask("", "Accept: */*").until(";;;\n")


@case("1.1, 86: prefix of a route")
def prefix(t):
    t.script(hold("stream", "inner", body="init\n"))
    client = t.ask("", "Accept: */*", host="prefix.example")
    client.until("init\n")
    t.publish(stream("inner", "no\n"), stream("prefix-inner", "yes\n"))
    client.until("yes\n")


@case("86: sub= of a target")
def implicit_channel(t):
    t.script(hold("stream", body="init\n"))
    client = t.ask("", "Accept: */*", host="sub.example")
    client.until("init\n")
    t.publish(stream("implicit", "yes\n"))
    client.until("yes\n")


@case("2.3: Grip headers without a hold")
def no_hold(t):
    t.script(reply("body\n", "Grip-Channel: x", "Grip-Foo: bar"))
    reads(t, "Accept: */*")


@case("2.1: Grip-Expose-Headers")
def expose(t):
    t.script(hold("stream", t.ch, body="init\n", extra=["X-A: 1", "X-B: 2", "Grip-Expose-Headers: X-A"]))
    t.ask("", "Accept: */*").until("init\n")


BAD = [
    "Grip-Hold: maybe", "Grip-Hold: response\r\nGrip-Timeout: soon", "Grip-Hold: stream\r\nGrip-Keep-Alive: x; mode=never",
    "Grip-Hold: stream\r\nGrip-Keep-Alive: x; timeout=y", "Grip-Hold: stream\r\nGrip-Keep-Alive: x; format=z",
    "Grip-Hold: stream\r\nGrip-Keep-Alive: \\xzz; format=cstring", "Grip-Hold: stream\r\nGrip-Status: 2000",
    "Grip-Hold: stream\r\nGrip-Link: /next; rel=next", "Grip-Hold: stream\r\nGrip-Link: </n>; rel=next; timeout=z",
]


@case("70: instructions that cannot be read, outside debug mode")
def bad_instructions(t):
    t.script(reply("x\n", BAD[0]))
    reads(t, "Accept: */*")


@case("70: the reasons, in debug mode")
def bad_instruction_reasons(t):
    t.script(*(reply("x\n", bad, "Grip-Channel: c") for bad in BAD))
    for _ in BAD:
        reads(t, "Accept: */*", host="debug.example")


@case("76: application/grip-instruct, a stream")
def instruct_stream(t):
    t.script(reply('{"hold": {"mode": "stream", "channels": [{"name": "%s"}]}, "response": {"code": 201, "reason": "So", '
                   '"headers": [["X-A", "1"], ["X-A", "2"]], "body-bin": "aW5pdAo="}}' % t.ch, "Content-Type: application/grip-instruct; a=b", "X-Gone: 1"))
    client = t.ask("", "Accept: */*")
    client.until("init\n")
    t.publish(stream(t.ch, "x\n"))
    client.until("x\n")


@case("76: application/grip-instruct, a long-poll with a timeout")
def instruct_response(t):
    t.script(reply('{"hold": {"channels": [{"name": "%s"}], "timeout": 5}, "response": {"headers": {"X-A": "1"}, "body": "late\\n"}}' % t.ch,
                   "Content-Type: application/grip-instruct"))
    reads(t, "Accept: */*")


@case("76: instructions that are wrong, with the reasons")
def instruct_wrong(t):
    bodies = ["nonsense", "[]", '{"hold": {"mode": "stream"}}', '{"hold": {"mode": "x", "channels": []}}']
    t.script(*(reply(b, "Content-Type: application/grip-instruct") for b in bodies),
             reply("{}", "Content-Type: application/grip-instruct", status="201 Created"))
    for _ in range(len(bodies) + 1):
        reads(t, "Accept: */*", host="debug.example")
