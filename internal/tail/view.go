package tail

// What the screen promises:
//   - View only reads; it computes nothing that is not visible;
//   - every line has at most the width of the terminal, and there are never more
//     lines than it has;
//   - a word or a mark says everything, colour repeats it;
//   - with less room whole parts go, the state of the connection last.

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// The screen is made for fullWidth and more; between, what does not fit is cut
// off, and below, only the state is shown.
const (
	fullWidth   = 40
	leastWidth  = 12
	leastHeight = 4
)

// View draws the screen. Spaces at the end of a line are left to the renderer,
// which erases what is behind a line.
func (m Model) View() string {
	if m.width < 1 || m.height < 1 {
		return "" // the size is not known yet
	}
	lines := m.screenLines()
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// screenLines are exactly as many lines as the screen has.
func (m Model) screenLines() []string {
	if m.width < leastWidth || m.height < leastHeight {
		lines := make([]string, m.height)
		lines[0] = cut(m.stateWord(), m.width, "")
		lines[m.height-1] = cut("too small", m.width, "")
		return lines
	}
	lines := m.headerLines()
	l := m.layout()
	lines = append(lines, m.bannerLines(l.banner)...)
	body := m.bodyLines(l)
	lines = append(lines, body...)
	if m.mode == modePublish {
		lines = append(lines, m.publishLines()...)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:m.height-1], m.footer())
	if m.width < fullWidth {
		for i := range lines {
			lines[i] = ansi.TruncateWc(lines[i], m.width, "")
		}
	}
	return lines
}

// bodyLines are the panes, or what lies over them.
func (m Model) bodyLines(l layout) []string {
	if m.mode == modeHelp || m.mode == modeStats {
		return m.overlayView(l.body.h)
	}
	screen := newCanvas(m, l.body)
	if l.topics.w > 0 {
		m.drawTopics(screen, l)
	}
	if l.list.w > 0 {
		m.drawList(screen, l)
	}
	if l.detail.w > 0 {
		m.drawDetail(screen, l)
	}
	return screen.lines()
}

// canvas puts pieces of lines side by side. Each row is written from left to
// right; a piece says at which column it starts.
type canvas struct {
	box  box
	rows []strings.Builder
	used []int
	rule string
}

func newCanvas(m Model, b box) *canvas {
	c := &canvas{box: b, rows: make([]strings.Builder, b.h), used: make([]int, b.h), rule: m.glyph("│", "|")}
	return c
}

// put writes text of so many columns at x, y of the screen.
func (c *canvas) put(x, y, width int, text string) {
	y -= c.box.y
	if y < 0 || y >= len(c.rows) || x < c.used[y] {
		return
	}
	c.rows[y].WriteString(spaces(x - c.used[y]))
	c.rows[y].WriteString(text)
	c.used[y] = x + width
}

// ruleAt draws a line from top to bottom.
func (m Model) ruleAt(c *canvas, x, y, h int) {
	for i := range h {
		c.put(x, y+i, 1, m.paint(ui.Dim, c.rule))
	}
}

func (c *canvas) lines() []string {
	out := make([]string, len(c.rows))
	for i := range c.rows {
		out[i] = c.rows[i].String()
	}
	return out
}

// paint colours text if there is colour.
func (m Model) paint(s ui.Style, text string) string { return s.Paint(m.o.Color, text) }

// glyph chooses between a sign and ASCII.
func (m Model) glyph(sign, ascii string) string {
	if m.o.Glyphs {
		return sign
	}
	return ascii
}

// more stands for what is cut off.
func (m Model) more() string { return m.glyph("…", "~") }

// title draws the line above a pane. The mark in front says which pane has the
// focus.
func (m Model) title(c *canvas, b box, focused bool, text string) {
	m.titleAt(c, b, focused, " "+text)
}

// titleAt is title with the text right behind the mark, as in the rows of the list.
func (m Model) titleAt(c *canvas, b box, focused bool, text string) {
	mark, style := " ", ui.Dim
	if focused {
		mark, style = m.glyph("▸", ">"), ui.Bold
	}
	c.put(b.x, b.y-1, b.w, m.paint(style, fit(mark+text, b.w, m.more())))
}

// titleRule is title with a line to the right of the text, between two panes
// that are one above the other.
func (m Model) titleRule(c *canvas, b box, focused bool, text string) {
	text = cut(text, b.w-3, m.more())
	rest := b.w - 3 - columns(text)
	m.title(c, b, focused, text+" "+strings.Repeat(m.glyph("─", "-"), max(0, rest)))
}

// footer is the last line: what is being typed, what just happened, or keys.
func (m Model) footer() string {
	switch {
	case m.prompt() != "":
		return m.promptLine()
	case m.mode == modeConfirm:
		return m.paint(ui.Yellow, cut(m.question(), m.width, m.more()))
	case m.notice != "":
		return m.paint(m.noticeStyle, cut(m.notice, m.width, m.more()))
	case m.mode == modePublish:
		return m.paint(ui.Dim, cut("enter send  esc close  ctrl+j new line  tab topic/body  ctrl+r retain", m.width, ""))
	case m.mode == modeHelp || m.mode == modeStats:
		return m.paint(ui.Dim, cut("up/down scroll  esc close", m.width, ""))
	case m.height < roomyHeight:
		return m.smallFooter()
	}
	return m.keyLine(m.width)
}

// keyLine are the keys that fit, each whole.
func (m Model) keyLine(width int) string {
	line := ""
	if i := m.worst(); i >= 0 && m.links[i].isStuck() {
		line = "r reconnect  "
	}
	for _, c := range m.commands {
		if !c.short {
			continue
		}
		next := line + c.Help().Key + " " + brief(c.Help().Desc)
		if columns(next) > width {
			break
		}
		line = next + "  "
	}
	return m.paint(ui.Dim, strings.TrimRight(line, " "))
}

// brief is the part of a help text before the comma or semicolon.
func brief(s string) string {
	if i := strings.IndexAny(s, ",;"); i >= 0 {
		return s[:i]
	}
	return s
}

// promptLine is the line being typed, with what is wrong with it or what it may be.
func (m Model) promptLine() string {
	prompt := m.prompt()
	text := fieldText(m.input.View(), m.width-columns(prompt)-1)
	line := m.paint(ui.Bold, prompt) + text
	room := m.width - columns(prompt) - columns(text) - 3
	switch {
	case room < 8:
	case m.problem != "":
		line += "   " + m.paint(ui.Red, cut(m.problem, room, m.more()))
	case room >= columns(m.hint()) || m.input.Value() == "":
		line += "   " + m.paint(ui.Dim, cut(m.hint(), room, m.more()))
	}
	return line
}
