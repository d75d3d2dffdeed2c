"""Our MQTT client against mosquitto, a strict broker, over its WebSocket listener, with paho-mqtt at the other end."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from paho_client import Client
from peer import PATIENCE, Lines, Missing, binary, check, environment, run, stop

# mosquitto 2.0 ends when its only listeners are of WebSockets, so it gets one more, on a
# Unix socket, which takes no port. Without socket_domain it listens on every address,
# whatever `listener` says. Started by root it becomes another user, who may not write
# the socket; started by anybody else it passes over `user`.
CONFIG = """user root
listener 0 {dir}/plain.sock
listener {port} 127.0.0.1
socket_domain ipv4
protocol websockets
allow_anonymous true
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """mosquitto with a WebSocket listener on loopback, open to anyone."""

    def __init__(self):
        self.dir = tempfile.mkdtemp()
        port = free_port()
        self.config = pathlib.Path(self.dir, "mosquitto.conf")
        self.config.write_text(CONFIG.format(dir=self.dir, port=port), encoding="utf-8")
        self.url = "http://127.0.0.1:%d" % port
        self.process = None
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", str(self.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        Lines(self.process.stdout).until(lambda s: s.endswith(" running"), "mosquitto does not run")

    def restart(self):
        """Breaks every connection; nothing is kept."""
        stop(self.process)
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            stop(self.process)
        shutil.rmtree(self.dir, ignore_errors=True)


class Subscriber:
    """`pubsubctl subscribe` whose records, of messages and of all else, are read one by one."""

    def __init__(self, broker, *words):
        self.process = subprocess.Popen([binary(), "subscribe", *words, "--json", "--events", "--url", broker.url],
                                        stdout=subprocess.PIPE, stderr=sys.stderr, env=environment(), start_new_session=True)
        self.lines = Lines(self.process.stdout)

    def record(self, what):
        return json.loads(self.lines.until(lambda s: s.startswith("{"), "no record: " + what))

    def event(self, name, what):
        """The next record of this event; only records of a lost connection may come before it."""
        while True:
            r = self.record(what)
            if r["event"] == name:
                return r
            if r["event"] != "reconnecting":
                raise Missing("%s: got %s" % (what, r))

    def want(self, topic, data, what, **more):
        r = self.record(what)
        wanted = {"event": "message", "transport": "mqtt", "topic": topic, "data": data, **more}
        check({k: r.get(k) for k in wanted} == wanted, "%s (got %s: %.40r)" % (what, r.get("topic"), r.get("data")))

    def end(self, what):
        check(self.process.wait(timeout=PATIENCE) == 0, what)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


def publish(broker, *words, text=None):
    done = subprocess.run([binary(), "publish", *words, "--transport", "mqtt", "--json", "--url", broker.url], input=text,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), timeout=PATIENCE, check=False, text=True)
    if done.returncode != 0:
        raise Missing("publish %s: %d %s" % (words, done.returncode, done.stderr))
    return [json.loads(line) for line in done.stdout.splitlines()]


def several_topics(broker):
    """By default several topics mean MQTT; the broker and paho see what they should."""
    with Subscriber(broker, "a", "b/c", "c", "--count", "6") as s:
        s.event("open", "subscribed to three topics")
        publish(broker, "a", "one")
        s.want("a", "one", "a message comes with its topic", retained=False)
        publish(broker, "b/c", "grüße")
        s.want("b/c", "grüße", "so does one of the second topic")
        said = publish(broker, "c", "three", "--confirm=10s")[0]
        check(said["confirmed"] is True and said["echo_ms"] > 0, "--confirm sees the message come back")
        s.want("c", "three", "and the third topic")
        publish(broker, "a", "--lines", text="l1\nl2\nl3\n")
        for line in ("l1", "l2", "l3"):
            s.want("a", line, "lines arrive in their order")
        s.end("--count ends it")


def stored(broker):
    """A retained message outlives its publisher, and --ttl 0 clears it."""
    publish(broker, "kept", "old", "--retain")
    publish(broker, "kept", "new", "--retain", "--ttl", "1h")
    with Subscriber(broker, "kept", "--transport", "mqtt", "--count", "1") as s:
        s.event("open", "subscribed")
        s.want("kept", "new", "a late subscriber gets the retained message, marked", retained=True)
        s.end("and ends")
    p = Client(broker.url, None, "paho-late")
    p.subscribe("kept")
    m = p.want("kept", b"new", "paho gets it too")
    check(m.retain and 3500 < m.properties.MessageExpiryInterval <= 3600, "with its flag and the time left")
    p.close()
    publish(broker, "kept", "", "--retain", "--ttl", "0")
    with Subscriber(broker, "kept", "--transport", "mqtt", "--count", "1") as s:
        s.event("open", "subscribed again")
        publish(broker, "kept", "live")
        s.want("kept", "live", "a cleared topic has nothing to give", retained=False)
        s.end("and ends")


def strangers(broker):
    """Packets of another client, with all they may carry, are understood."""
    with Subscriber(broker, "p", "q", "--count", "3") as s:
        s.event("open", "subscribed")
        p = Client(broker.url, None, "paho-writer")
        extra = Properties(PacketTypes.PUBLISH)
        extra.ContentType, extra.PayloadFormatIndicator, extra.UserProperty = "text/plain", 1, ("trace", "42")
        extra.MessageExpiryInterval, extra.ResponseTopic, extra.CorrelationData = 30, "answers", b"\x00\x01"
        p.c.publish("p", "with properties", properties=extra)
        s.want("p", "with properties", "properties do not disturb")
        check(p.c.publish("q", "safe", qos=1).rc == paho.MQTT_ERR_SUCCESS, "paho publishes with QoS 1")
        s.want("q", "safe", "and we get it with the QoS we asked for")
        big = "x" * 100_000
        p.c.publish("p", big)
        s.want("p", big, "a packet of 100 kB is whole")
        s.end("and ends")
        p.close()


def restarted(broker):
    """A broker that goes and comes back: subscribed again, the gap said."""
    with Subscriber(broker, "a", "b", "--count", "3") as s:
        s.event("open", "subscribed")
        publish(broker, "a", "before")
        s.want("a", "before", "before the restart")
        broker.restart()
        again = s.event("open", "comes back")
        check(again["conn"] > 1, "connected again after the broker restarted")
        check(s.event("gap", "says what is missed")["type"] == "gap", "the gap is said")
        publish(broker, "b", "after")
        s.want("b", "after", "every topic is subscribed again")
        publish(broker, "a", "after")
        s.want("a", "after", "the other as well")
        s.end("and ends")


def main():
    with Broker() as broker:
        for part in (several_topics, stored, strangers, restarted):
            part(broker)


if __name__ == "__main__":
    sys.exit(run(main))
