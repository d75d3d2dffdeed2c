"""The four demos' flows, each with the libraries that it is made with, behind the relay and behind real Pushpin.

    grip_origins.py [relay|pushpin]… [django|kit|board|go]…
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from front import SECRET, Child, Front, curl_publish, fronts
from grip_wire import close_payload
from peer import ROOT, check, run

ORIGINS = ROOT / "testdata" / "origins"


def chat(front, scratch):
    """A chat with history and live events; a client that was away resumes by its Last-Event-ID."""
    command = [sys.executable, str(ORIGINS / "django_chat.py"), front.origin, str(scratch / "chat.db")]
    with Child(command, front.origin, GRIP_URL=front.grip_url):
        def say(text):
            front.fetch("/rooms/lobby/messages", form={"from": "ann", "text": text})

        say("one")
        known = json.loads(front.fetch("/rooms/lobby/messages"))
        check([m["text"] for m in known["messages"]] == ["one"], "the history has what was said: %s" % known)
        live = front.open("/rooms/lobby/events", "Accept: text/event-stream", "Last-Event-ID: " + known["last-event-id"])
        live.until("event: stream-open")
        say("two")
        check("one" not in live.until('"two"'), "what is said arrives live, and the history is not repeated")
        check("id: room-lobby:2" in live.text, "it carries the id to resume after: %r" % live.text[-90:])
        live.close()
        say("three")
        say("four")
        back = front.open("/rooms/lobby/events", "Accept: text/event-stream", "Last-Event-ID: room-lobby:2")
        back.until('"four"')
        say("five")
        back.until('"five"')
        order = [word for word in ("two", "three", "four", "five") if '"%s"' % word in back.text]
        check(order == ["three", "four", "five"] and back.text.count('"four"') == 1, "after a break: %s, each once" % order)


def node(script, front, scratch):
    """Starts a script of ORIGINS in the directory where its packages are."""
    home = pathlib.Path(os.environ["NODE_HOME"])
    shutil.copy(ORIGINS / script, home / script)
    host, port = front.origin.split(":")
    return Child(["node", str(home / script), host, port], front.origin, GRIP_URL=front.grip_url)


def four_endpoints(front, say, how):
    """The starter kits' endpoints receive what say(text) publishes."""
    for path, opening in (("/stream", "[stream open]\n"), ("/sse", "event: stream-open\n")):
        stream = front.open(path)
        stream.until(opening)
        say("to the stream\n")
        stream.until("to the stream\n")
        stream.close()
    poll = front.open("/long-poll")
    check(poll.released(lambda: say("news\n")) == "news\n", "%s: /stream, /sse and /long-poll get it" % how)
    web = front.websocket("/websocket")
    web.receives(lambda: say("to the socket"), "to the socket")
    web.send("echo %s" % how)
    web.until("echo %s" % how)
    check(web.close() == close_payload(1000), "%s: /websocket echoes, gets it and closes" % how)


def kit(front, scratch):
    """The starter kits' four endpoints, published to in every way."""
    with node("express_kit.mjs", front, scratch):
        check(front.open("/long-poll").finish() == "nothing new\n", "a long-poll ends after its timeout")
        for how, where in front.publishers().items():
            four_endpoints(front, lambda text, where=where: curl_publish(where, "test", text), how)
        four_endpoints(front, lambda text: front.fetch("/publish", data=text.encode()), "the library")


def board(front, scratch):
    """Questions and answers over WebSocket-over-HTTP: subscribe on open, publish to the room."""
    with node("express_kit.mjs", front, scratch):
        ann, bob, other = (front.websocket("/board/" + room) for room in ("maths", "maths", "physics"))
        for member in (ann, bob, other):
            member.until('"joined"')
        where = front.publishers()["Pushpin's way"]
        for n, member in enumerate((ann, bob)):
            member.receives(lambda n=n: curl_publish(where, "board-maths", "probe %d" % n), "probe %d" % n)
        other.receives(lambda: curl_publish(where, "board-physics", "probe 2"), "probe 2")
        ann.send("why is 7 prime?")
        want = '{"question":"why is 7 prime?","asked":"1"}'
        check(ann.until("why is 7") == want and bob.until("why is 7") == want, "everybody in the room gets the question")
        bob.send("who says so?")
        ann.until("who says so?")
        ann.send("and 11?")
        check(json.loads(bob.until("and 11?"))["asked"] == "2", "the origin is told again who it speaks with")
        curl_publish(where, "board-physics", "last")
        check("7" not in other.until("last"), "the other room hears nothing of it")
        check(ann.close() == close_payload(1000), "the origin answers the close")


def go(front, scratch):
    """net/http alone: keep-alive, long-poll, next links, recovery of what was missed, WebSocket-over-HTTP."""
    binary = scratch / "gohandler"
    subprocess.run(["go", "build", "-o", str(binary), "./testdata/origins/gohandler"], cwd=ROOT, timeout=300, check=True)
    where = front.publishers()["Pushpin's way"]
    proxy = Proxy(front)
    with Child([str(binary), "-listen", front.origin, "-publish", proxy.url], front.origin):
        stream = front.open("/stream")
        stream.until("open\n.\n")
        curl_publish(where, "go", "hello\n")
        stream.until("hello\n")
        check(True, "/stream: keep-alive and published items")
        check(front.open("/long-poll").released(lambda: curl_publish(where, "go", "news\n")) == "news\n", "/long-poll is released")
        pages = front.open("/pages/1")
        pages.until("page 3\n")
        curl_publish(where, "go", "after the pages\n")
        check(pages.until("after the pages\n").endswith("page 1\npage 2\npage 3\nafter the pages\n"), "/pages: three pages and then live")
        news(front, where)
        web = front.websocket("/websocket")
        web.receives(lambda: curl_publish(where, "go", "item"), "item")
        web.send("shout")
        web.until("SHOUT")
        web.send("are you there", "ping")
        web.until("are you there")
        check(web.close(4000) == close_payload(4000), "/websocket: items, messages, pings, close")


def news(front, where):
    """A client of /news misses nothing, though a publish was lost."""
    reader = front.open("/news")
    _ = reader.head

    def post(text, silent=False):
        front.fetch("/news" + ("?silent" if silent else ""), data=text.encode())

    post("first")
    reader.until("1 first\n")
    post("second", silent=True)  # stored, but its publish is lost
    post("third")
    check(reader.until("3 third\n") == "1 first\n2 second\n3 third\n", "/news: a lost publish is recovered, in order")


class Proxy:
    """Where the Go origin publishes: it has no library, so the key goes into the URL as user information."""

    def __init__(self, front):
        self.url = front.control_url + "/publish/"
        if front.name == "relay":
            self.url = self.url.replace("http://", "http://publisher:%s@" % SECRET)


FLOWS = {"django": chat, "kit": kit, "board": board, "go": go}


def main():
    flows = [name for name in sys.argv[1:] if name in FLOWS] or list(FLOWS)
    for system in fronts():
        for name in flows:
            with tempfile.TemporaryDirectory() as scratch, Front(system) as front:
                print("-- %s behind %s" % (name, system), flush=True)
                FLOWS[name](front, pathlib.Path(scratch))


if __name__ == "__main__":
    sys.exit(run(main))
