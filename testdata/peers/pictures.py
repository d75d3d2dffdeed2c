"""Draws docs/img/tail-*.svg from the real program: `pubsubctl tail` in tmux, with a real relay and real publishes.

  PUBSUBCTL=path/to/pubsubctl python testdata/peers/pictures.py
"""

import html
import re
import subprocess
import sys
import tempfile
import time
import unicodedata

from peer import ROOT, Relay, binary, environment, run
from tail import Shell, publish

COLUMNS, LINES = 104, 28
CELL, ROW, MARGIN = 8.4, 18, 14  # pixels
COLORS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 36: "#76d9e6"}
TEXT, DIM, GROUND = "#d5dbe3", "#8b949e", "#10151c"


def cells(line):
    """The characters of a captured line, each with its column, width and style."""
    column, style = 0, frozenset()
    for escape, text in re.findall(r"\x1b\[([0-9;]*)m|([^\x1b])", line):
        if text:
            width = 0 if unicodedata.combining(text) else 2 if unicodedata.east_asian_width(text) in "WF" else 1
            yield column, width, style, text
            column += width
        for code in (int(c or 0) for c in escape.split(";")) if not text else ():
            if code == 0:
                style = frozenset()
            elif code == 39:
                style = frozenset(c for c in style if c < 30)
            else:
                style = style | {code}


def joined(line, wanted):
    """Neighbouring characters of one style that are wanted, as [column, width, style, text]."""
    found = []
    for column, width, style, text in cells(line):
        if not wanted(style, text):
            continue
        if found and found[-1][2] == style and found[-1][0] + found[-1][1] == column:
            found[-1][1] += width
            found[-1][3] += text
        else:
            found.append([column, width, style, text])
    return found


def color_of(style):
    return next((COLORS[c] for c in style if c in COLORS), DIM if 2 in style else TEXT)


def draw(screen, title):
    width, height = COLUMNS * CELL + 2 * MARGIN, LINES * ROW + 2 * MARGIN
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">' % (width, height, html.escape(title)),
           '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % GROUND,
           '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14">']
    for y, line in enumerate(screen.split("\n")[:LINES]):
        top = MARGIN + y * ROW
        for column, count, style, _ in joined(line, lambda style, text: 7 in style):
            out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>' % (MARGIN + column * CELL, top, count * CELL, ROW, color_of(style)))
        # Each word by itself: several spaces would be drawn as one.
        for column, count, style, text in joined(line, lambda style, text: text != " "):
            color, weight = GROUND if 7 in style else color_of(style), ' font-weight="bold"' if 1 in style else ""
            out.append('<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs" fill="%s"%s>%s</text>'
                       % (MARGIN + column * CELL, top + 14, count * CELL, color, weight, html.escape(text)))
    return "\n".join([*out, "</g>", "</svg>", ""])


def save(window, name, title):
    path = ROOT / "docs" / "img" / ("tail-%s.svg" % name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw(window.ask("capture-pane", "-p", "-e"), title), encoding="utf-8")
    print("wrote", path.relative_to(ROOT))


def load(relay, topic, body, rate):
    return subprocess.Popen([binary(), "publish", "-q", topic, body, "--template", "--url", relay.url, "--rate", "%d/s" % rate],
                            env=environment(), start_new_session=True)


def order(n, status, total, tags):
    return ('{"id":"o-%d","status":"%s","total":%.2f,"customer":{"name":"Ann","city":"Oslo"},"items":[{"sku":"tea","n":2},'
            '{"sku":"cup","n":1}],"tags":%s}' % (n, status, total, tags)).encode()


def main():
    with tempfile.TemporaryDirectory() as scratch, Relay("-q") as relay:
        window = Shell(scratch, COLUMNS, LINES)
        publishers = []
        try:
            window.tail(relay, "orders", "chat", "sensors")
            window.until(r"● open", "not open")
            publishers.append(load(relay, "sensors", '{"sensor":"s-{{.n}}","ts":"{{.time}}","celsius":21.4,"ok":true}', 40))
            time.sleep(3)
            publishers.append(load(relay, "chat", '{"from":"ann","text":"message {{.n}}","ts":"{{.time}}"}', 7))
            time.sleep(6)
            publish(relay, "orders", order(1041, "open", 18.5, '["new"]'))
            publish(relay, "orders", order(1041, "paid", 18.5, '["new","paid"]'), "--retain")
            scenes(window)
        finally:
            for p in publishers:
                p.kill()
                p.wait()
            window.close()


def scenes(window):
    window.press("f")
    window.type("topic:orders")
    window.press("Enter")
    window.until(r"orders +\d+ R", "no order")
    window.press("Enter", "[")
    time.sleep(0.2)
    window.press("4")
    window.until(r"message \d+ +\+ message", "no diff")
    time.sleep(0.5)
    save(window, "diff", "tail filtered to one topic, with the difference between two messages")
    window.press("Escape")
    time.sleep(0.3)
    window.press("f", "C-u", "Enter")
    time.sleep(1.5)
    window.press("Space", "Up", "Up", "1")
    window.until(r"PAUSED", "no pause")
    time.sleep(1)
    save(window, "list", "tail paused on a stream of three topics, one message as pretty JSON")
    window.press("s")
    window.until(r"statistics of", "no statistics")
    save(window, "stats", "tail's statistics: rates, sizes, latencies, the buffer, each topic")
    window.press("q", "q")


if __name__ == "__main__":
    sys.exit(run(main))
