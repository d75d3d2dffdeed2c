"""Differences between Pushpin 1.36 and the relay that we keep, with the reason. docs/pushpin-differences.md is made from this."""

import collections
import re

# cases: names, or None for any. pushpin, relay: lines of a transcript as regular expressions.
Difference = collections.namedtuple("Difference", "name cases pushpin relay why")

KEPT = []


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


def page():
    return ""
