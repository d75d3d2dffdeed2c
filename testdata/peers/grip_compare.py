"""The relay beside Pushpin: one table of cases, the same transcripts but for the differences that we keep.

    grip_compare.py                       run both and compare
    grip_compare.py --show SYSTEM CASE…   print what pushpin or relay does in these cases, all if none is named
    grip_compare.py --page                print docs/pushpin-differences.md
"""

import argparse
import concurrent.futures
import difflib
import sys
import tempfile
import traceback

import grip_cases_http  # noqa: F401  these three fill CASES
import grip_cases_publish  # noqa: F401
import grip_cases_socket  # noqa: F401
import grip_differences
from grip_case import CASES
from grip_trial import Trial, reply
from grip_wire import Closed, Origin
from peer import ROOT, Missing, check, run
from pushpin import Pushpin, free_ports, installed, shim

AT_ONCE = 8  # cases; most of them wait
PAGE = ROOT / "docs" / "pushpin-differences.md"

ROUTES = """\
# A comment.
client.example {o},over_http
id=named {o},over_http
debug.example,debug {o},over_http
native.example {o}
down.example {down},over_http
down-debug.example,debug {down},over_http
failover.example {down},over_http {o},over_http
replace.example,path_beg=/replace-beg,replace_beg=/replace-beg/api {o},over_http
replace2.example,path_beg=/page-replace-beg,replace_beg=/page-replace-beg/api {o},over_http
host.example {o},over_http,host=elsewhere.example:81
header.example,header=X-Set:new,header=X-Gone: {o},over_http
nogrip.example,no_grip {o},over_http
cors.example,aco {o},over_http
prefix.example,prefix=prefix- {o},over_http
sub.example {o},over_http,sub=implicit
"""


class Table:
    """The cases on one system, several at a time; one origin serves all, each by the first part of its path."""

    def __init__(self, program):
        self.trials = {}
        self.origin = Origin(self._answer)
        self.down = "127.0.0.1:%d" % free_ports(1)[0]
        self.system = Pushpin(program, ROUTES.format(o=self.origin.address, down=self.down))

    def _answer(self, request):
        trial = self.trials.get(request.target.split("/")[1].split("?")[0])
        return trial.answer(request) if trial else [reply("no such case\n", status="404 Not Found")]

    def play(self, case):
        """The case's transcript as lines; a failure is its last line."""
        trial = self.trials[case.name] = Trial(case, self.system, {self.origin.address: "<origin>", self.down: "<down>"})
        try:
            case.play(trial)
            failure = []
        except (Missing, Closed, OSError, AssertionError) as err:
            failure = ["FAILED %s %s" % (type(err).__name__, err)]
        except Exception:  # a fault of the case: told with its place, the others go on
            failure = ["FAILED " + traceback.format_exc()]
        lines = trial.transcript() + failure
        for client in trial.clients:
            client.leave()
        return lines

    def play_all(self, cases):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip([c.name for c in cases], pool.map(self.play, cases)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.system.__exit__()
        self.origin.close()


def program(system, scratch):
    """The executable of a system, which is its name or its path."""
    if system == "pushpin":
        return installed()
    return shim(scratch) if system == "relay" else system


def transcripts(system, cases):
    with tempfile.TemporaryDirectory() as scratch, Table(program(system, scratch)) as table:
        return table.play_all(cases)


def unexplained(case, pushpin, relay, used):
    """The hunks of a case that no kept difference explains, as text."""
    left = []
    matcher = difflib.SequenceMatcher(None, pushpin, relay, autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        found = grip_differences.explain(case, pushpin[a1:a2], relay[b1:b2])
        if found is None:
            left += ["    - " + line for line in pushpin[a1:a2]] + ["    + " + line for line in relay[b1:b2]]
        else:
            used.update(found)
    return left


def compare(cases, other):
    oracle, relay = transcripts("pushpin", cases), transcripts(other, cases)
    used, wrong = set(), []
    for c in cases:
        left = [line for line in oracle[c.name] if line.startswith("FAILED")]
        left = left or unexplained(c.name, oracle[c.name], relay[c.name], used)
        print("%-4s %-28s %s" % ("FAIL" if left else "ok", c.name, c.about))
        if left:
            wrong.append(c.name)
            print("\n".join(left), flush=True)
    return used, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", metavar="SYSTEM")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--beside", default="relay", metavar="SYSTEM", help="relay, or an executable that is started like Pushpin")
    parser.add_argument("cases", nargs="*")
    flags = parser.parse_args()
    cases = [CASES[name] for name in flags.cases] or list(CASES.values())
    if flags.page:
        print(grip_differences.page(), end="")
        return
    if flags.show:
        for name, lines in transcripts(flags.show, cases).items():
            print("== " + name, *lines, sep="\n")
        return
    used, wrong = compare(cases, flags.beside)
    if wrong:
        # Pushpin acts on clocks of its own, and a machine that is busy can come between two steps: what
        # differs for a reason differs again when nothing else runs.
        print("again, alone: " + ", ".join(wrong))
        more, wrong = compare([CASES[name] for name in wrong], flags.beside)
        used |= more
    if not flags.cases and flags.beside == "relay":
        check(PAGE.read_text(encoding="utf-8") == grip_differences.page(), "docs/%s is what --page prints" % PAGE.name)
        stale = {d.name for d in grip_differences.KEPT} - used
        check(not stale, "every kept difference still shows (stale: %s)" % (", ".join(stale) or "none"))
    check(not wrong, "%d cases do the same on both, but for what is kept (wrong: %s)" % (len(cases), ", ".join(wrong) or "none"))


if __name__ == "__main__":
    sys.exit(run(main))
