"""The README's curl and PyJWT lines, run as printed with only the address changed."""

import os
import subprocess
import sys

from peer import PATIENCE, Lines, Missing, Relay, binary, block, check, environment, moved, run, stop


def shell(script):
    """A shell that finds the binary under test by its name."""
    env = environment(PATH=os.path.dirname(binary()) + os.pathsep + os.environ["PATH"])
    return subprocess.Popen(["bash", "-euc", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True)


def answer(script):
    process = shell(script)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        stop(process)
    if process.returncode != 0:
        raise Missing("exit code %d: %s%s" % (process.returncode, out.decode(), err.decode()))
    return out.decode()


def exchange(preamble):
    """Subscribes and publishes with the README's two curl lines."""
    subscriber = shell(preamble + block("curl-subscribe"))
    try:
        lines = Lines(subscriber.stdout)
        lines.until(lambda s: s == "event: stream-open", "no stream-open")
        said = answer(preamble + block("curl-publish"))
        check("Published" in said, "curl -d is answered: %s" % said.strip())
        lines.until(lambda s: s == "event: message", "no message event")
        lines.until(lambda s: s == "data: hello world", "no hello world")
        check(True, "curl -N shows hello world")
    finally:
        stop(subscriber)


def main():
    with Relay() as relay:
        setup = moved(block("curl-setup"), relay.url)
        exchange(setup)
        python = subprocess.run(
            [sys.executable, "-c", block("pyjwt")], stdout=subprocess.PIPE, timeout=PATIENCE, check=True, text=True)
        check(python.stdout.count(".") == 2, "the PyJWT recipe prints a token")
        exchange("%s\nT=%s\n" % (setup, python.stdout.strip()))


if __name__ == "__main__":
    sys.exit(run(main))
