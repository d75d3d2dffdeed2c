"""The table of cases: a name, the numbers of grip.md's checklist or its sections, and what to do."""

import collections

Case = collections.namedtuple("Case", "name about play")
CASES = {}


def case(about):
    """Adds the function to the table. Its name is also its path and channel."""
    def add(play):
        name = play.__name__.replace("_", "-")
        if name in CASES:
            raise ValueError("two cases are called " + name)
        CASES[name] = Case(name, about, play)
        return play
    return add
