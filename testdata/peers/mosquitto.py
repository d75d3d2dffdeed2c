"""Our MQTT client against mosquitto, a strict broker, over its WebSocket listener."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

from peer import PATIENCE, Lines, Missing, binary, check, environment, run, stop


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """mosquitto with a WebSocket listener on loopback, open to anyone."""

    def __init__(self):
        self.dir = tempfile.mkdtemp()
        port = free_port()
        config = pathlib.Path(self.dir, "mosquitto.conf")
        config.write_text("listener %d 127.0.0.1\nprotocol websockets\nallow_anonymous true\n" % port, encoding="utf-8")
        self.process = subprocess.Popen(["mosquitto", "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        Lines(self.process.stdout).until(lambda s: " running" in s, "mosquitto does not run")
        self.url = "http://127.0.0.1:%d" % port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)
        shutil.rmtree(self.dir, ignore_errors=True)


def publish(broker, *words):
    done = subprocess.run([binary(), "publish", *words, "--transport", "mqtt", "--url", broker.url],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), timeout=PATIENCE, check=False, text=True)
    if done.returncode != 0:
        raise Missing("publish %s: %d %s" % (words, done.returncode, done.stderr))
    return done


def main():
    with Broker() as broker:
        subscriber = subprocess.Popen(
            [binary(), "subscribe", "a", "b/c", "--transport", "mqtt", "--json", "--url", broker.url, "--count", "3"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True)
        try:
            Lines(subscriber.stderr).until(lambda s: "open" in s or "listening" in s, "not listening")
            out = Lines(subscriber.stdout)
            publish(broker, "a", "one")
            publish(broker, "b/c", "two", "--retain")
            publish(broker, "a", "three", "--confirm=5s")
            got = [json.loads(out.until(lambda s: s.startswith("{"), "no record")) for _ in range(3)]
        finally:
            stop(subscriber)
        seen = [(r["topic"], r["data"]) for r in got]
        check(seen == [("a", "one"), ("b/c", "two"), ("a", "three")], "each message arrives under its topic, in order: %s" % seen)
        late = subprocess.run([binary(), "subscribe", "b/c", "--transport", "mqtt", "--json", "--url", broker.url, "--count", "1"],
                              stdout=subprocess.PIPE, env=environment(), timeout=PATIENCE, check=True)
        record = json.loads(late.stdout)
        check(record["data"] == "two" and record.get("retained") is True, "a retained message arrives marked as one")


if __name__ == "__main__":
    sys.exit(run(main))
