package tail

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// drawTopics draws the rows of the topics pane.
func (m Model) drawTopics(c *canvas, l layout) {
	b := l.topics
	if l.titles {
		m.title(c, b, m.focus == focusTopics, fmt.Sprintf("topics (%d)", len(m.topics)))
	}
	if b.w < m.width {
		defer m.ruleAt(c, b.x+b.w, l.body.y, l.body.h)
	}
	if len(m.topics) == 0 {
		c.put(b.x, b.y, b.w, m.paint(ui.Dim, fit("  none; a adds one", b.w, m.more())))
		return
	}
	first := max(0, min(m.topicCursor-b.h/2, len(m.topics)-b.h))
	for i := range min(b.h, len(m.topics)-first) {
		c.put(b.x, b.y+i, b.w, m.topicRow(first+i, b.w))
	}
}

// topicRow is mark, name, rate and sparkline in exactly width columns.
func (m Model) topicRow(i, width int) string {
	t := m.topics[i]
	mark := " "
	switch {
	case t.muted:
		mark = m.glyph("×", "x")
	case t.solo:
		mark = m.glyph("◆", "*")
	}
	selected := i == m.topicCursor && m.focus == focusTopics
	pointer := " "
	if selected {
		pointer = m.glyph("▸", ">")
	}
	rate := fitRight(shortCount(uint64(t.meter.rate()))+"/s", 7, "")
	sparks := min(12, max(0, width-2-8-8))
	spark := " " + t.meter.spark(sparks, m.o.Glyphs)
	if sparks < 4 {
		spark = ""
	}
	name := fit(clean(string(t.name)), max(1, width-2-columns(rate)-columns(spark)), m.more())
	switch {
	case selected:
		return m.paint(ui.Invert, pointer+mark+name+rate+spark)
	case t.muted || m.anySolo() && !t.solo:
		return m.paint(ui.Dim, pointer+mark+name+rate+spark)
	}
	return pointer + mark + name + m.paint(ui.Dim, rate) + m.paint(ui.Cyan, spark)
}

// listColumns are the widths of the list's columns; 0 leaves one out.
type listColumns struct{ time, topic, size, marks, text int }

// columnsFor divides the width of the list.
func (m Model) columnsFor(width int) listColumns {
	c := listColumns{time: 12, marks: 2, size: 5}
	switch m.times {
	case timeUTC:
		c.time = 13
	case timeUnix:
		c.time = 14
	case timeDelta:
		c.time = 9
	case timeOff:
		c.time = 0
	}
	if width < 50 {
		c.time = min(c.time, 9)
		if m.times == timeLocal || m.times == timeUTC {
			c.time = min(c.time, 8) // without the fraction
		}
		c.size = 4
	}
	if len(m.topics) > 1 {
		for _, t := range m.topics {
			c.topic = max(c.topic, 5, columns(clean(string(t.name))))
		}
		c.topic = min(c.topic, max(4, width/5), 24)
	}
	c.text = max(1, width-1-c.gapped(c.time)-c.gapped(c.topic)-c.gapped(c.size)-c.gapped(c.marks))
	return c
}

func (listColumns) gapped(n int) int {
	if n == 0 {
		return 0
	}
	return n + 1
}

// drawList draws the visible rows.
func (m Model) drawList(c *canvas, l layout) {
	b, rows := l.list, m.rows()
	cols := m.columnsFor(b.w)
	if l.titles {
		m.titleAt(c, b, m.focus == focusList, m.listTitle(cols))
	}
	if len(rows) == 0 {
		for i, text := range m.emptyText() {
			c.put(b.x, b.y+i, b.w, m.paint(ui.Dim, fit("  "+text, b.w, m.more())))
		}
		return
	}
	first := indexIn(rows, m.top)
	for i := range min(b.h, len(rows)-first) {
		pos := rows[first+i]
		var before *entry
		if first+i > 0 {
			before = m.ring.at(rows[first+i-1])
		}
		c.put(b.x, b.y+i, b.w, m.row(pos, before, cols, b.w))
	}
}

// listTitle names the columns.
func (m Model) listTitle(c listColumns) string {
	text := ""
	if c.time > 0 {
		text += fit([...]string{"time", "time (UTC)", "unix time", "delta", ""}[m.times], c.time, "") + " "
	}
	if c.topic > 0 {
		text += fit("topic", c.topic, "") + " "
	}
	return text + fitRight("size", c.size, "") + " " + fit("", c.marks, "") + " message"
}

// emptyText explains an empty list.
func (m Model) emptyText() []string {
	switch {
	case len(m.topics) == 0:
		return []string{"no topic is followed: press a and type its name"}
	case m.hidden() > 0:
		return []string{"everything is hidden by the filter, or by mute and solo", "f changes the filter; m and o on a topic list it again"}
	case m.openLinks() > 0:
		return []string{"no message yet", "p publishes one"}
	}
	return nil
}

// row is one entry in exactly width columns.
func (m Model) row(pos uint64, before *entry, c listColumns, width int) string {
	e := m.ring.at(pos)
	if e == nil {
		return spaces(width)
	}
	selected := pos == m.cursor
	pointer := " "
	if selected {
		pointer = m.glyph("▸", ">")
	}
	if e.kind == kindGap {
		return m.gapRow(e, pointer, selected, width)
	}
	when, topic := "", ""
	if c.time > 0 {
		when = fit(m.timeText(e, before), c.time, "") + " "
	}
	if c.topic > 0 {
		topic = fit(clean(string(e.topic)), c.topic, m.more()) + " "
	}
	size := fitRight(shortSize(uint64(len(e.data))), c.size, "") + " "
	marks := fit(m.marks(e), c.marks, "") + " "
	text := fit(preview(e.data, c.text, m.more()), c.text, "")
	if selected && m.focus == focusList {
		return m.paint(ui.Invert, pointer+when+topic+size+marks+text)
	}
	if selected {
		text = m.paint(ui.Bold, text)
	}
	return pointer + m.paint(ui.Dim, when) + m.paint(ui.Cyan, topic) + m.paint(ui.Dim, size) + m.paint(ui.Yellow, marks) + text
}

// marks are letters for what is special about a message.
func (m Model) marks(e *entry) string {
	text := ""
	if e.retained {
		text += "R"
	}
	if e.binary {
		text += "B"
	}
	if m.marked(e) {
		text = m.glyph("»", "*") + text
	}
	return text
}

func (m Model) gapRow(e *entry, pointer string, selected bool, width int) string {
	line := m.glyph("──", "--")
	text := fit(pointer+line+" "+e.gapText()+" "+line, width, m.more())
	if selected && m.focus == focusList {
		return m.paint(ui.Invert, text)
	}
	return m.paint(ui.Yellow, text)
}

func (m Model) timeText(e, before *entry) string {
	switch m.times {
	case timeUTC:
		return e.at.UTC().Format("15:04:05.000Z")
	case timeUnix:
		return strconv.FormatFloat(float64(e.at.UnixMilli())/1000, 'f', 3, 64)
	case timeDelta:
		var since time.Duration
		if before != nil {
			since = e.at.Sub(before.at)
		}
		return fitRight("+"+strconv.FormatFloat(since.Seconds(), 'f', 3, 64), 9, "")
	}
	return e.at.Local().Format("15:04:05.000")
}

// drawDetail draws the visible lines of the detail pane.
func (m Model) drawDetail(c *canvas, l layout) {
	b := l.detail
	if l.beside {
		m.ruleAt(c, b.x-1, l.body.y, l.body.h)
	}
	if l.titles {
		draw := m.title
		if !l.beside && l.list.w > 0 {
			draw = m.titleRule
		}
		draw(c, b, m.focus == focusDetail, m.detailTitle())
	}
	lines := m.detail.lines
	for i := range min(b.h, max(0, len(lines)-m.detail.top)) {
		at := m.detail.top + i
		c.put(b.x, b.y+i, b.w, m.detailRow(lines[at], at == m.detail.cursor && m.focus == focusDetail, b.w))
	}
}

func (m Model) detailRow(l detailLine, here bool, width int) string {
	mark := "  "
	switch {
	case here && l.path != "":
		mark = m.glyph("▸±", ">+")
	case here:
		mark = m.glyph("▸ ", "> ")
	case l.path != "" && m.detail.folded[l.path]:
		mark = " +"
	case l.path != "":
		mark = m.glyph(" ·", " -")
	}
	var b strings.Builder
	b.WriteString(m.paint(ui.Dim, mark))
	used := 2
	for _, s := range l.spans {
		text, n := head(s.text, width-used)
		b.WriteString(m.paint(s.style, text))
		used += n
	}
	return b.String() + spaces(width-used)
}

// detailTitle names the message and the view.
func (m Model) detailTitle() string {
	e := m.selected()
	if e == nil {
		return "detail"
	}
	if e.kind == kindGap {
		return "gap"
	}
	text := fmt.Sprintf("#%d %s  %s  %s", e.number, clean(string(e.topic)), m.detail.view, sizeText(uint64(len(e.data))))
	if e.id != "" {
		text += "  id " + clean(e.id)
	}
	return text
}
