package tail

import (
	"fmt"
	"maps"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// detailView is one of the four ways to look at a message.
type detailView uint8

const (
	viewPretty detailView = iota
	viewRaw
	viewHex
	viewDiff
)

func (v detailView) String() string {
	return [...]string{"pretty", "raw", "hex", "diff"}[v]
}

// span is text in one style; the text is clean.
type span struct {
	style ui.Style
	text  string
}

// detailLine is a line of the detail pane. A line with a path can be folded.
type detailLine struct {
	spans []span
	path  string
}

// detail is the pane below or beside the list. Its lines are made when the
// message, the view or the width changes, not at each redraw.
type detail struct {
	open   bool
	view   detailView
	folded map[string]bool // by path, kept from message to message

	// What lines were made of.
	pos   uint64
	made  detailView
	width int
	stale bool

	lines       []detailLine
	cursor, top int
}

// refreshDetail makes the lines if they are not those of the selected message.
func (m Model) refreshDetail() Model {
	d := m.detail
	box := m.layout().detail
	if !d.open || box.w == 0 {
		return m
	}
	if d.stale || d.pos != m.cursor || d.made != d.view || d.width != box.w {
		d.lines = m.detailLines(box.w - 2)
		d.pos, d.made, d.width, d.stale = m.cursor, d.view, box.w, false
	}
	m.detail = d.move(0, box.h)
	return m
}

// detailLines are the lines for the selected entry.
func (m Model) detailLines(width int) []detailLine {
	e := m.selected()
	switch {
	case e == nil:
		return []detailLine{plainLine("no message is selected")}
	case e.kind == kindGap:
		return wrapped(plainLine(e.gapText()), width)
	}
	switch m.detail.view {
	case viewPretty:
		return prettyLines(e.data, m.detail.folded, width)
	case viewHex:
		return hexLines(e.data, width)
	case viewDiff:
		return diffLines(m.ring.before(m.cursor), e, width)
	}
	return rawLines(e.data, width)
}

// showAs changes the view and opens the pane.
func (m Model) showAs(v detailView) Model {
	if m.detail.view != v {
		m.detail.cursor, m.detail.top = 0, 0
	}
	m.detail.view, m.detail.open = v, true
	return m.place()
}

// move moves the cursor and keeps it on the screen of so many lines.
func (d detail) move(n, height int) detail {
	d.cursor = min(max(d.cursor+n, 0), max(0, len(d.lines)-1))
	height = max(1, height)
	d.top = min(d.top, d.cursor, max(0, len(d.lines)-height))
	d.top = max(d.top, d.cursor-height+1)
	return d
}

// toggle folds or unfolds what begins at the cursor.
func (d detail) toggle() detail {
	if d.cursor >= len(d.lines) || d.lines[d.cursor].path == "" {
		return d
	}
	path := d.lines[d.cursor].path
	d.folded = maps.Clone(d.folded)
	if d.folded == nil {
		d.folded = map[string]bool{}
	}
	d.folded[path] = !d.folded[path]
	d.stale = true
	return d
}

// foldAll folds everything below the top level, or nothing.
func (m Model) foldAll(fold bool) Model {
	d := m.detail
	if !d.open || d.view != viewPretty {
		return m.say("folding is for pretty JSON in the detail pane")
	}
	all := map[string]bool{}
	if e := m.selected(); fold && e != nil {
		for _, l := range prettyLines(e.data, nil, 1<<20) {
			if l.path != "" && l.path != rootPath {
				all[l.path] = true
			}
		}
	}
	m.detail.folded, m.detail.stale = all, true
	return m.refreshDetail()
}

func plainLine(text string) detailLine { return detailLine{spans: []span{{text: text}}} }

// wrapped breaks a line at the width. All parts but the first are without a path.
func wrapped(l detailLine, width int) []detailLine {
	width = max(2, width)
	var lines []detailLine
	current, used := detailLine{path: l.path}, 0
	for _, s := range l.spans {
		for text := s.text; text != ""; {
			part, n := head(text, width-used)
			if part == "" {
				lines, current, used = append(lines, current), detailLine{}, 0
				continue
			}
			current.spans = append(current.spans, span{s.style, part})
			used += n
			text = text[len(part):]
		}
	}
	return append(lines, current)
}

// rawLines are the payload's own lines, escaped and wrapped.
func rawLines(data []byte, width int) []detailLine {
	var lines []detailLine
	for text := range strings.SplitSeq(string(data), "\n") {
		text = strings.TrimSuffix(text, "\r")
		text = clean(strings.ReplaceAll(text, "\t", "    "))
		for _, part := range wrap(text, width) {
			lines = append(lines, plainLine(part))
		}
	}
	return lines
}

// hexLines are offset, bytes and ASCII.
func hexLines(data []byte, width int) []detailLine {
	per := 16
	for per > 4 && 6+3*per+2+per > width {
		per /= 2
	}
	if len(data) == 0 {
		return []detailLine{plainLine("(empty)")}
	}
	var lines []detailLine
	for at := 0; at < len(data); at += per {
		row := data[at:min(len(data), at+per)]
		var digits, text strings.Builder
		for i, b := range row {
			if i == 8 {
				digits.WriteByte(' ')
			}
			fmt.Fprintf(&digits, "%02x ", b)
			if b < ' ' || b >= 0x7f {
				b = '.'
			}
			text.WriteByte(b)
		}
		pad := 3 * per
		if per > 8 {
			pad++
		}
		lines = append(lines, detailLine{spans: []span{
			{ui.Dim, fmt.Sprintf("%04x  ", at)}, {ui.Plain, fit(digits.String(), pad, "")}, {ui.Dim, " " + text.String()},
		}})
	}
	return lines
}
