package tail

import (
	"fmt"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// sparkWidth is how many seconds the header draws.
const sparkWidth = 16

// stateMark is the sign and the style of the state.
func (m Model) stateMark() (string, ui.Style) {
	i := m.worst()
	if i < 0 {
		return m.glyph("○", "-"), ui.Dim
	}
	switch m.links[i].phase {
	case phaseOpen:
		return m.glyph("●", "*"), ui.Green
	case phaseConnecting:
		return m.glyph("○", "o"), ui.Yellow
	case phaseReconnecting:
		return m.glyph("↻", "?"), ui.Yellow
	}
	return m.glyph("✗", "x"), ui.Red
}

// headerLines are the state of the connection and where we are in the messages.
func (m Model) headerLines() []string {
	mark, style := m.stateMark()
	state := mark + " " + m.stateWord()
	rate := grouped(uint64(m.total.rate())) + "/s"
	spark := m.total.spark(min(sparkWidth, max(4, m.width/8)), m.o.Glyphs)
	right := rate + " " + spark
	room := m.width - columns(right) - 1
	if room < columns(state)+1 {
		right, room = rate, m.width-columns(rate)-1
	}
	left := m.paint(style, cut(state, room, m.more()))
	used := min(columns(state), room)
	if about := m.about(); room-used > 8 {
		about = cut("  "+about, room-used, m.more())
		left += m.paint(ui.Dim, about)
		used += columns(about)
	}
	first := left + spaces(m.width-used-columns(right)) + m.paint(ui.Cyan, right)
	if m.height < roomyHeight {
		return []string{first}
	}
	return []string{first, m.secondLine()}
}

// about is what we are connected to.
func (m Model) about() string {
	transport := m.o.Transport
	if len(m.links) > 0 {
		transport = m.links[0].asked.Transport
	}
	parts := []string{transport}
	if m.o.Durable {
		parts = append(parts, "durable")
	}
	name := m.o.Context
	if m.o.Protected {
		name += " (protected)"
	}
	return clean(strings.Join(append(parts, name, m.o.URL), "  "))
}

// secondLine is where we are, what is left out, and what is kept.
func (m Model) secondLine() string {
	kept := m.keptText()
	room := max(0, m.width-columns(kept)-2)
	where := m.whereText()
	line := m.paint(m.whereStyle(), cut(where, room, m.more()))
	used := min(columns(where), room)
	if f := m.filterText(); f != "" && room-used > 4 {
		f = cut("  "+f, room-used, m.more())
		line += m.paint(ui.Yellow, f)
		used += columns(f)
	}
	return line + spaces(m.width-used-columns(kept)) + m.paint(ui.Dim, kept)
}

func (m Model) whereStyle() ui.Style {
	if m.paused != 0 {
		return ui.Yellow
	}
	return ui.Plain
}

// whereText says what the list shows of what there is.
func (m Model) whereText() string {
	rows := m.rows()
	switch {
	case m.paused != 0:
		return fmt.Sprintf("PAUSED, %s new", grouped(uint64(m.waiting())))
	case m.ring.len() > 0 && m.seen() < 90: // what is left is looked at before one could read this
		return fmt.Sprintf("looking, %d %%", m.seen())
	case m.follow:
		return "following"
	case len(rows) == 0:
		return "nothing listed"
	}
	return fmt.Sprintf("at %s of %s", grouped(uint64(indexIn(rows, m.cursor)+1)), grouped(uint64(len(rows))))
}

// seen is how much of what is kept the filter has looked at, in percent.
func (m Model) seen() int {
	return int(100 * (m.shown.next - min(m.shown.next, m.ring.first)) / max(1, m.ring.next-m.ring.first))
}

// filterText is the filter and what it hides.
func (m Model) filterText() string {
	var parts []string
	if m.filter.isSet() {
		parts = append(parts, "filter "+clean(m.filter.text))
	}
	if m.filterErr != "" {
		parts = append(parts, "fails on some: "+m.filterErr)
	}
	if n := m.hidden(); n > 0 {
		parts = append(parts, "hides "+grouped(uint64(n)))
	}
	if m.search.filter.isSet() {
		parts = append(parts, "search "+clean(m.search.filter.text))
	}
	return strings.Join(parts, ", ")
}

// keptText is how full the buffer is.
func (m Model) keptText() string {
	kept := grouped(m.total.count-m.ring.dropped) + " kept"
	if m.ring.dropped > 0 {
		kept += ", " + grouped(m.ring.dropped) + " dropped"
	}
	return kept
}

// smallFooter is the second line on screens that have no room for it above.
func (m Model) smallFooter() string {
	text := m.whereText()
	if m.filter.isSet() || m.hidden() > 0 {
		text += "  " + m.filterText()
	}
	kept := m.keptText()
	help := "? help"
	if room := m.width - columns(text) - columns(kept) - columns(help) - 4; room >= 0 {
		return m.paint(m.whereStyle(), text) + "  " + m.paint(ui.Dim, kept+spaces(room)+"  "+help)
	}
	return m.paint(m.whereStyle(), cut(text+"  "+kept, m.width, m.more()))
}

// banner says why the connection is not there, and what to do: the sentence, the
// evidence, the command.
func (m Model) banner() (text, why, next string) {
	i := m.worst()
	if i < 0 {
		return "", "", ""
	}
	tidy := func(s string) string { return clean(m.o.Secrets.Redact(s)) }
	l := m.links[i]
	if l.phase < phaseReconnecting {
		return "", "", ""
	}
	if l.isStuck() {
		why, next = tidy(l.problem.Why), tidy(l.problem.Next)
	}
	return tidy(l.problem.Error()), why, next
}

// bannerLines are at most so many lines of the banner. The command is kept
// longest, then the sentence, and the evidence is wrapped into what is left.
func (m Model) bannerLines(room int) []string {
	text, why, next := m.banner()
	if text == "" || room < 1 {
		return nil
	}
	lines := wrap(text, m.width)
	var foot []string
	if next != "" {
		foot = wrap("next: "+next, m.width)
	}
	lines = lines[:max(1, min(len(lines), room-len(foot)))]
	if left := room - len(lines) - len(foot); why != "" && left > 0 {
		reason := wrap("why:  "+why, m.width)
		lines = append(lines, reason[:min(left, len(reason))]...)
	}
	lines = append(lines, foot...)
	lines = lines[:min(room, len(lines))]
	_, style := m.stateMark()
	for i := range lines {
		lines[i] = m.paint(style, lines[i])
	}
	return lines
}
