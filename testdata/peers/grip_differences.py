"""Differences between Pushpin 1.36 and the relay that we keep, with the reason. docs/pushpin-differences.md is made from this."""

import collections
import re

# cases: names, or None for any case. pushpin, relay: the lines of a transcript that differ, as regular expressions.
# theirs, ours, why: for the page.
Difference = collections.namedtuple("Difference", "name cases pushpin relay theirs ours why")

FEATURES = "filter:skip-self, filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst"

# Cases that show an answer of the publish API.
PUBLISHING = ["accept", "api-paths", "wrong-bodies", "wrong-items", "all-or-nothing", "odd-items", "dedupe", "recover"]

KEPT = [
    # Requests to the origin.
    Difference(
        "accept-encoding", None, ["accept-encoding: .*"], [],
        "adds `Accept-Encoding` to every request and unpacks what the origin then compresses",
        "sends what the client sent, less `Accept-Encoding`",
        "Pushpin 1.41 does the same as the relay; a proxy that neither compresses nor unpacks cannot get it wrong"),
    Difference(
        "accept", None, [r"accept: \*/\*"], [],
        "adds `Accept: */*` to requests of its own, such as next links, and to clients' requests without one",
        "adds none", "Pushpin 1.41 adds none either"),
    Difference(
        "grip-feature", None, ["grip-feature: status, session, link:next, " + FEATURES], ["grip-feature: status, link:next, link:gone, " + FEATURES],
        "lists `session`", "lists `link:gone` and not `session`",
        "the list says what is there: gone links came with Pushpin 1.38, and the session feature is for other proxies of the same maker"),
    Difference(
        "chunked request", ["post-chunked"], ["content-length: 5"], [],
        "gives a chunked request that came whole a length", "keeps it chunked",
        "waiting whether a body is complete delays the ones that are not; an origin that reads HTTP/1.1 reads both"),
    Difference("chunked request", ["post-chunked"], [], ["transfer-encoding: chunked"], "", "", ""),

    # Responses.
    Difference(
        "connection: transfer-encoding", None, ["connection: Transfer-Encoding"], [],
        "names `Transfer-Encoding` in `Connection` on chunked responses", "does not",
        "the header adds nothing, and HTTP forbids to list it there"),
    Difference(
        "date", None, [], ["date: <date>"],
        "sends no `Date` with answers of its own", "sends one", "HTTP asks every server with a clock for it"),
    Difference(
        "publish connection", PUBLISHING + ["post-empty"], ["connection: close"], [],
        "closes the connection after each request to the publish API, and after a POST without a body", "keeps it open",
        "publishers save a connection for each item; clients that close are served the same"),
    Difference(
        "closing told", ["stream-http10", "ws-rejected", "ws-bad-open", "ws-origin-down", "native-refused"], [], ["connection: close"],
        "closes the connection after a stream to HTTP/1.0 or a refused handshake without saying so", "says `Connection: close`",
        "a client should know"),
    Difference(
        "reason phrase", ["plain", "long-poll", "grip-status"], [], ["connection: close"],
        "sends a reason phrase of the origin's or the publisher's own and keeps the connection", "sends it and closes the connection, saying so",
        "Go's HTTP server has no way to send another phrase than the usual one, so such answers leave it for good"),
    Difference(
        "304 type", ["not-modified"], ["content-type: text/plain"], [],
        "passes `Content-Type` of a 304", "drops it",
        "a 304 has no content, and caches must not take its type for the stored one"),
    Difference(
        "no route", ["no-route", "unknown-route-id"], [r"content-length: \d+"], ["content-length: 16"],
        "answers `No route for host: HOST`", "answers `Route not found`", "the text of Pushpin 2; it does not repeat what a client sent"),
    Difference("no route", ["no-route", "unknown-route-id"], ["body 'No route for host: .*"], ["body 'Route not found.*"], "", "", ""),
    Difference(
        "origin cut off", ["origin-cut"], ["held", "client 1 3 s later: open"], ["cut", "client 1 3 s later: cut"],
        "leaves the client waiting when the origin breaks off in the middle of a response with a length", "cuts the client's connection",
        "a defect of 1.36: the client could wait for ever"),
    Difference("origin cut off", ["origin-cut"], ["held"], ["cut"], "", "", ""),
    Difference("origin cut off", ["origin-cut"], ["client 1 3 s later: open"], ["client 1 3 s later: cut"], "", "", ""),
    Difference(
        "prev-id alone", ["prev-id-alone"], ["content-length: 5"], [],
        "sends a stream hold that ends at once with a length", "sends it chunked", "the relay has sent the head before it knows"),
    Difference("prev-id alone", ["prev-id-alone"], [], ["transfer-encoding: chunked"], "", "", ""),

    # WebSockets.
    Difference(
        "native ping", ["native-plain"], ["ping ''"], ["ping 'ping me'"],
        "loses the content of pings and pongs to and from a native WebSocket origin", "passes it",
        "a defect of 1.36: a client that compares it would drop the connection"),
    Difference(
        "native refusal", ["native-refused"], ["HTTP/1.1 403 "], ["HTTP/1.1 403 Forbidden"],
        "loses the reason and the headers when a native WebSocket origin refuses", "passes headers and body",
        "a defect of 1.36: redirects and challenges would be lost"),
    Difference("native refusal", ["native-refused"], [], ["(content-type|x-why): .*"], "", "", ""),
    Difference("native refusal", ["native-refused"], ["HTTP/1.1 403"], ["HTTP/1.1 403 Forbidden"], "", "", ""),
]


def matches(patterns, lines):
    return len(lines) >= len(patterns) and all(re.fullmatch(p, line.strip()) for p, line in zip(patterns, lines))


def explain(case, pushpin, relay):
    """The names of the differences that these lines consist of; None if something is left over."""
    if not pushpin and not relay:
        return set()
    for d in KEPT:
        if (d.cases is None or case in d.cases) and matches(d.pushpin, pushpin) and matches(d.relay, relay):
            rest = explain(case, pushpin[len(d.pushpin):], relay[len(d.relay):])
            if rest is not None:
                return rest | {d.name}
    return None


PAGE = """\
# Where the relay differs from Pushpin

The relay takes Pushpin's place: same routes file, same publish API, same bytes to clients and origins. `.ci/peers pushpin` runs one
table of cases against Pushpin 1.36, as Debian packages it, and against the relay, and compares what clients, publishers and the
origin saw. Times, ids, header order and chunk boundaries are left out of the comparison. What differs otherwise is listed here, and
anything that is not fails the run. This page is made from the list that the run uses (`testdata/peers/grip_differences.py`).

| | Pushpin 1.36 | the relay | why |
|---|---|---|---|
"""

BEYOND = """
Not in the table, mostly because Debian's Pushpin cannot be asked:

- The relay follows Pushpin 1.41 where 1.36 has less: the action `refresh`, `Content-Bytes-Accepted`, gone links, and a message whose
  filter fails is dropped where 1.36 ends the stream.
- `%I` of the filter `build-id` is the id of the item itself, as in 1.36; 1.41 renders the id before it.
- A response that an origin compressed unasked keeps its `Content-Encoding`; 1.41 removes the header and passes the bytes.
- A hint that arrives while the next page is being fetched leads to one more fetch; Pushpin can lose it.
- A routes file that changes and then has a wrong line is not used, and the old routes stay; Pushpin uses its other lines.
- A connection to an origin that ends before an answer is tried again as often as is safe; Pushpin's client tries up to five times.
"""


def page():
    rows = ["| %s | %s | %s | %s |\n" % (d.name, d.theirs, d.ours, d.why) for d in KEPT if d.theirs]
    return PAGE + "".join(rows) + BEYOND
