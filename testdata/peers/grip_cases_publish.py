"""Cases: the publish API, filters, ids and order."""

import json

from grip_case import case
from grip_cases_http import hold
from grip_trial import item, message, reply, stream


def held(t, *channels, extra=(), body="init\n"):
    """A client with a stream hold on the case's channel, or on those named."""
    t.script(hold("stream", *(channels or [t.ch]), body=body, extra=extra))
    client = t.ask("", "Accept: */*")
    client.until(body)
    return client


# Answers of the API.

@case("83: what is acceptable")
def accept(t):
    for accepted in ("text/plain", "application/json", "application/*", "*/*", "text/html", "text/plain, application/json"):
        t.post('{"items": []}', "Accept: " + accepted)


@case("3.1: paths and methods")
def api_paths(t):
    t.post('{"items": []}', path="/publish")
    t.post("", path="/publish/", method="GET")
    t.post("", path="/")
    t.post("", path="/nothing/here", method="GET")
    t.post("{}", length=False)


WRONG = [
    "", "nonsense", "5", "[]", "{}", '{"items": 5}', '{"items": {}}', b'{"items": ["\xff"]}',
]

WRONG_ITEMS = [
    5, {}, {"channel": 5}, {"channel": "c"}, {"channel": "c", "id": 5, "http-stream": {"content": "x"}},
    {"channel": "c", "id": None, "http-stream": {"content": "x"}},
    {"channel": "c", "prev-id": 5, "http-stream": {"content": "x"}}, {"channel": "c", "formats": []}, {"channel": "c", "formats": {}},
    {"channel": "c", "formats": {"http-stream": 5}}, {"channel": "c", "formats": {"http-stream": {}}},
    {"channel": "c", "formats": {"http-stream": {"content": 5}}},
    {"channel": "c", "formats": {"http-stream": {"content": "x", "content-filters": 5}}},
    {"channel": "c", "formats": {"http-stream": {"content": "x", "content-filters": [5]}}},
    {"channel": "c", "formats": {"http-stream": {"action": "dance"}}},
    {"channel": "c", "formats": {"http-response": {}}}, {"channel": "c", "formats": {"http-response": {"body": 5}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "code": 1000}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "code": -1}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "reason": 5}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "headers": 5}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "headers": [5]}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "headers": [["a"]]}}},
    {"channel": "c", "formats": {"http-response": {"body": "x", "headers": {"a": 5}}}},
    {"channel": "c", "formats": {"http-response": {"body-patch": 5}}},
    {"channel": "c", "formats": {"ws-message": {}}}, {"channel": "c", "formats": {"ws-message": {"type": "dance", "content": "x"}}},
    {"channel": "c", "formats": {"ws-message": {"action": "close", "code": -1}}},
    {"channel": "c", "meta": 5, "http-stream": {"content": "x"}}, {"channel": "c", "meta": {"a": 5}, "http-stream": {"content": "x"}},
    {"channel": "c", "no-seq": "yes", "http-stream": {"content": "x"}}, {"channel": "c", "size": -1, "http-stream": {"content": "x"}},
]


@case("59: bodies that are not a list of items")
def wrong_bodies(t):
    for body in WRONG:
        t.post(body)


@case("59: items that are wrong, each with its reason")
def wrong_items(t):
    for wrong in WRONG_ITEMS:
        t.post(json.dumps({"items": [wrong]}))


@case("3.1: one wrong item, and nothing is published")
def all_or_nothing(t):
    client = held(t)
    t.post(json.dumps({"items": [stream(t.ch, "no\n"), {"channel": 5}]}))
    t.publish(stream(t.ch, "yes\n"))
    client.until("yes\n")


@case("3.3: odd but accepted")
def odd_items(t):
    client = held(t)
    t.publish({"channel": t.ch, "http-stream": {"content": "legacy\n"}, "unknown": 5}, noted=True)
    t.publish(item(t.ch, {"unheard-of": {}, "http-stream": {"content": "beside\n"}}), noted=True)
    t.publish(item(t.ch, {"unheard-of": {}}), noted=True)
    t.publish(item(t.ch, {"http-stream": {"content": "x", "content-bin": "Ymluc\nRlYWQK"}}), noted=True)
    t.publish({"channel": "", "http-stream": {"content": "nobody"}}, noted=True)
    t.publish(stream(t.ch, "end\n", size=4), noted=True)
    client.until("end\n")


@case("63: a batch keeps its order")
def batch(t):
    client = held(t)
    t.publish(*(stream(t.ch, "%d " % n) for n in range(200)), stream(t.ch, "end\n"))
    client.until("end\n")


@case("63: publishes one after the other keep their order")
def one_by_one(t):
    client = held(t)
    for n in range(50):
        t.publish(stream(t.ch, "%d " % n))
    t.publish(stream(t.ch, "end\n"))
    client.until("end\n")


# Ids and order.

@case("60: an id that was seen is dropped, whatever it says")
def dedupe(t):
    client = held(t)
    t.publish(stream(t.ch, "one\n", id="1"))
    client.until("one\n")
    t.publish(stream(t.ch, "twice\n", id="1"), noted=True)
    t.publish(stream(t.ch, "also twice\n", id="1", **{"no-seq": True}))
    t.publish(stream(t.ch, "two\n", id="2"))
    client.until("two\n")


@case("61: out of order, put into order")
def out_of_order(t):
    client = held(t)
    t.publish(stream(t.ch, "1\n", id="1"))
    client.until("1\n")
    t.publish(stream(t.ch, "4\n", id="4", **{"prev-id": "3"}))
    t.publish(stream(t.ch, "3\n", id="3", **{"prev-id": "2"}))
    t.publish(stream(t.ch, "2\n", id="2", **{"prev-id": "1"}))
    client.until("4\n")


@case("61: an item whose predecessor never comes is released after 5 to 7 s")
def predecessor_missing(t):
    client = held(t)
    t.publish(stream(t.ch, "1\n", id="1"))
    client.until("1\n")
    t.publish(stream(t.ch, "3\n", id="3", **{"prev-id": "2"}))
    t.publish(stream(t.ch, "no id\n", **{"no-seq": True}))
    client.until("no id\n")
    client.until("3\n")


@case("62: no-seq does not wait")
def no_seq(t):
    client = held(t)
    t.publish(stream(t.ch, "1\n", id="1"))
    client.until("1\n")
    t.publish(stream(t.ch, "5\n", id="5", **{"prev-id": "4", "no-seq": True}))
    t.publish(stream(t.ch, "2\n", id="2", **{"prev-id": "1"}))
    client.until("2\n")


# Filters.

@case("39: skip-self on a stream")
def skip_self(t):
    client = held(t, t.ch + "; filter=skip-self", extra=["Grip-Set-Meta: user=u1"])
    t.publish(stream(t.ch, "mine\n", meta={"sender": "u1"}), stream(t.ch, "another's\n", meta={"sender": "u2"}), stream(t.ch, "nobody's\n"))
    client.until("nobody's\n")


@case("42: skip-users")
def skip_users(t):
    client = held(t, t.ch + "; filter=skip-users", extra=["Grip-Set-Meta: user=u1"])
    t.publish(stream(t.ch, "no\n", meta={"skip_users": "u0, u1 ,u2"}), stream(t.ch, "yes\n", meta={"skip_users": "u2"}))
    client.until("yes\n")


@case("42: require-sub")
def require_sub(t):
    client = held(t, t.ch + "; filter=require-sub", "require-sub-b", extra=[])
    t.publish(stream(t.ch, "no\n", meta={"require_sub": "elsewhere"}), stream(t.ch, "yes\n", meta={"require_sub": "require-sub-b"}))
    client.until("yes\n")


@case("43, 40: var-subst and two metas in one header")
def var_subst(t):
    client = held(t, t.ch + "; filter=var-subst", extra=['Grip-Set-Meta: a="x y", b=z'])
    t.publish(stream(t.ch, "%(a)s-%(b)s-100%%\n"))
    client.until("100%\n")


@case("40: build-id, in the body and in messages")
def build_id(t):
    # The second page is empty: on a busy machine the first update, after a second, may come before the item.
    t.script(*(hold("stream", t.ch + "; prev-id=5; filter=build-id", body=body,
                    extra=["Grip-Set-Meta: id_format=e:%%(%s)s" % t.ch, "Grip-Link: </build-id>; rel=next"]) for body in ("start 100%% %(x)I\n", "")))
    client = t.ask("", "Accept: */*")
    client.until("\n")
    t.publish(stream(t.ch, "id: %I 100%%\n", id="6", **{"prev-id": "5"}))
    client.until("100%\n")
    client.leave()
    del t.requests[1:]


@case("41: content-filters equal to the subscription's")
def content_filters(t):
    client = held(t, t.ch + "; filter=skip-self; filter=var-subst", extra=["Grip-Set-Meta: a=x"])
    t.publish(item(t.ch, {"http-stream": {"content": "%(a)s\n", "content-filters": ["var-subst"]}}))
    client.until("x\n")


@case("4: unknown filters are ignored")
def unknown_filter(t):
    client = held(t, t.ch + "; filter=unheard-of")
    t.publish(stream(t.ch, "yes\n"))
    client.until("yes\n")


@case("64: formats reach the kinds of clients they are for")
def formats(t):
    t.script(hold("stream", t.ch, body="init\n"), hold("response", t.ch, extra=["Grip-Timeout: 50"]))
    first = t.ask("", "Accept: */*")
    first.until("init\n")
    second = t.ask("", "Accept: */*")
    t.publish_until(second, item(t.ch, {"http-response": {"body": "r\n"}, "ws-message": {"content": "w"}}))
    t.publish(message(t.ch, "w"), stream(t.ch, "s\n"))
    first.until("s\n")
    del t.requests[2:]


# Next links.

def page(body, *headers):
    return reply(body, *headers)


@case("78: pages without a hold are joined; 31: what a page is asked with")
def pages(t):
    t.script(page("1\n", "Grip-Link: </pages/2?x=y>; rel=next"), page("2\n", "Grip-Link: <3>; rel=next", "X-Lost: 1"), page("3\n"))
    t.ask("/1", "Accept: */*", "Cookie: a=b", "X-Own: 1", "Authorization: x", host="client.example").finish()


@case("32: a page without instructions ends the stream")
def page_ends(t):
    t.script(hold("stream", t.ch, body="1\n", extra=["Grip-Link: </page-ends/2>; rel=next"]), page("2\n"))
    t.ask("/1", "Accept: */*").finish()


@case("30: a page's channels replace those before")
def page_replaces(t):
    link = "Grip-Link: </page-replaces/2>; rel=next"
    t.script(hold("stream", "replaced-a", body="1\n", extra=[link]), hold("stream", "replaced-b", body="2\n"))
    client = t.ask("/1", "Accept: */*")
    client.until("2\n")
    t.publish(stream("replaced-a", "no\n"), stream("replaced-b", "yes\n"))
    client.until("yes\n")


@case("29: a hint fetches the next page at once")
def hint(t):
    link = "Grip-Link: </hint/2>; rel=next"
    t.script(hold("stream", t.ch, body="1\n", extra=[link]), hold("stream", t.ch, body="2\n", extra=[link]), page("3\n"))
    client = t.ask("/1", "Accept: */*")
    client.until("2\n")
    t.publish(item(t.ch, {"http-stream": {"action": "hint"}}))
    client.finish()


@case("34: the next page after timeout=N without activity")
def next_timeout(t):
    link = "Grip-Link: </next-timeout/2>; rel=next; timeout=2"
    t.script(hold("stream", t.ch, body="1\n", extra=[link]), hold("stream", t.ch, body="2\n", extra=[link]), page("3\n"))
    t.ask("/1", "Accept: */*").finish()


@case("27: prev-id in step, delivered directly; 28: out of step, recovered with Grip-Last")
def recovery(t):
    def link(after):
        return ["Grip-Link: </recovery?after=%d>; rel=next; timeout=60" % after]
    t.script(hold("stream", t.ch + "; prev-id=1", body="start\n", extra=link(1)), hold("stream", t.ch + "; prev-id=1", body="", extra=link(1)),
             hold("stream", t.ch + "; prev-id=4", body="3 and 4 from the store\n", extra=link(4)))
    client = t.ask("", "Accept: */*")
    t.await_requests(2)
    client.until("start\n")
    t.publish(stream(t.ch, "2\n", id="2", **{"prev-id": "1"}))
    client.until("2\n")
    t.publish(stream(t.ch, "4\n", id="4", **{"prev-id": "3"}))
    client.until("store\n")
    t.publish(stream(t.ch, "5\n", id="5", **{"prev-id": "4"}))
    client.until("5\n")


@case("69: prev-id without a next link: the body, then the end")
def prev_id_alone(t):
    t.script(hold("stream", t.ch + "; prev-id=1", body="init\n"))
    t.ask("", "Accept: */*").finish()


@case("2.8: a page that fails is asked for again")
def page_retried(t):
    t.script(hold("stream", t.ch, body="1\n", extra=["Grip-Link: </page-retried/2>; rel=next"]),
             page("no\n").replace(b"200 OK", b"503 No"), page("2\n"))
    t.ask("/1", "Accept: */*").finish()


@case("23: replace_beg applies to a next link from the root")
def page_replace_beg(t):
    t.script(hold("stream", t.ch, body="1\n", extra=["Grip-Link: </page-replace-beg/2>; rel=next"]), page("2\n"))
    t.ask("/1", "Accept: */*", host="replace2.example").finish()


@case("15: recover")
def recover(t):
    link = "Grip-Link: </recover/2>; rel=next"
    t.script(hold("stream", t.ch, body="1\n", extra=[link]), hold("stream", t.ch, body="2\n", extra=[link]), page("3\n"))
    client = t.ask("/1", "Accept: */*")
    client.until("2\n")
    t.post("", path="/recover/")
    client.finish()
