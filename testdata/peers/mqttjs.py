"""Runs mqttjs.js, which is MQTT.js in Node, against a relay."""

import pathlib
import subprocess
import sys

from peer import Missing, Relay, environment, mint, run


def main():
    script = pathlib.Path(__file__).with_name("mqttjs.js")
    with Relay() as relay:
        token, wrong = mint("--rw", "test", "--rw", "other"), mint("--read", "nothing")
        code = subprocess.run(["node", str(script), relay.url, token, wrong], env=environment(), timeout=100, check=False).returncode
        if code != 0:
            raise Missing("mqttjs.js ended with %d" % code)


if __name__ == "__main__":
    sys.exit(run(main))
