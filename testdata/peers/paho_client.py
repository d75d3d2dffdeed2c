"""paho-mqtt, a second independent MQTT 5 client, against the relay over WebSockets."""

import queue
import sys
import urllib.request

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from peer import PATIENCE, Missing, Relay, check, mint, run


class Client:
    """A connected client whose callbacks become queues."""

    def __init__(self, url, token, name):
        self.events = {"connect": queue.Queue(), "suback": queue.Queue(), "message": queue.Queue()}
        host, port = url.removeprefix("http://").split(":")
        c = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, transport="websockets", protocol=paho.MQTTv5)
        c.ws_set_options(path="/mqtt")
        c.username_pw_set("anyone", token)
        c.on_connect = lambda _c, _u, _f, reason, _p: self.events["connect"].put(reason)
        c.on_subscribe = lambda _c, _u, _mid, reasons, _p: self.events["suback"].put(reasons)
        c.on_message = lambda _c, _u, m: self.events["message"].put(m)
        c.connect(host, int(port), keepalive=30)
        c.loop_start()
        self.c = c
        check(not self.wait("connect").is_failure, name + " is connected")

    def wait(self, kind):
        try:
            return self.events[kind].get(timeout=PATIENCE)
        except queue.Empty:
            raise Missing("no " + kind) from None

    def subscribe(self, topic, **options):
        self.c.subscribe(topic, options=SubscribeOptions(**options))
        return self.wait("suback")

    def want(self, topic, payload, what):
        m = self.wait("message")
        check(m.topic == topic and m.payload == payload, "%s (got %s: %r)" % (what, m.topic, m.payload))
        return m

    def close(self):
        self.c.disconnect()
        self.c.loop_stop()


def post(relay, token, query, body):
    request = urllib.request.Request(relay.url + "/events?" + query, data=body, headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        check(answer.read() == b"Published\n", "POST " + query)


def main():
    with Relay() as relay:
        token = mint("--rw", "test")
        a, b = Client(relay.url, token, "paho-a"), Client(relay.url, token, "paho-b")
        check(not a.subscribe("test")[0].is_failure, "SUBACK grants test")
        check(not b.subscribe("test", noLocal=True)[0].is_failure, "SUBACK grants test with no-local")
        check(a.subscribe("secret")[0].is_failure, "SUBACK refuses what the token does not list")
        check(a.subscribe("test/#")[0].is_failure, "SUBACK refuses wildcards")
        post(relay, token, "topic=test", b"\xff\x00 binary")
        a.want("test", b"\xff\x00 binary", "a POST reaches paho as it is")
        b.want("test", b"\xff\x00 binary", "and the other")
        b.c.publish("test", b"from b")
        a.want("test", b"from b", "paho to paho")
        a.c.publish("test", b"from a")
        b.want("test", b"from a", "no-local withheld the one before")
        a.want("test", b"from a", "the sender gets its own")
        expiry = Properties(PacketTypes.PUBLISH)
        expiry.MessageExpiryInterval = 60
        a.c.publish("test", b"kept", retain=True, properties=expiry)
        a.want("test", b"kept", "a stored message comes back to its sender")
        b.want("test", b"kept", "and to no-local subscribers")
        late = Client(relay.url, token, "paho-late")
        late.subscribe("test", retainAsPublished=True)
        kept = late.want("test", b"kept", "a late subscriber gets it")
        check(kept.retain and 0 < kept.properties.MessageExpiryInterval <= 60, "with its retain flag and the time left")
        for client in (a, b, late):
            client.close()


if __name__ == "__main__":
    sys.exit(run(main))
