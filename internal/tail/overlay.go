package tail

import (
	"fmt"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// overlayView is help or statistics in so many lines.
func (m Model) overlayView(height int) []string {
	lines := m.overlayLines()
	from := min(m.scroll, max(0, len(lines)-height))
	lines = lines[from:min(len(lines), from+height)]
	out := make([]string, height)
	for i, l := range lines {
		text := cut(l.text, m.width, m.more())
		out[i] = m.paint(l.style, text)
	}
	return out
}

func (m Model) overlayLines() []span {
	if m.mode == modeHelp {
		return m.helpLines()
	}
	return m.statsLines()
}

// helpLines are the key map, in two columns where there is room.
func (m Model) helpLines() []span {
	var lines []span
	for _, group := range []string{groupMove, groupList, groupMessage, groupTopics, groupView} {
		lines = append(lines, span{ui.Bold, group})
		var items []string
		for _, c := range m.commands {
			if c.group == group {
				items = append(items, "  "+fit(c.Help().Key, 10, "")+" "+c.Help().Desc)
			}
		}
		lines = append(lines, m.inColumns(items)...)
	}
	return append(lines, span{ui.Bold, "filter and search"}, span{text: "  text, topic:NAME, re:EXPR, jq:EXPR; ! in front excludes; && joins"},
		span{ui.Bold, "marks"}, span{text: "  R retained, B binary, " + m.glyph("»", "*") + " found; " + m.glyph("×", "x") + " muted, " + m.glyph("◆", "*") + " solo"})
}

// inColumns puts items side by side, read downwards.
func (m Model) inColumns(items []string) []span {
	const width = 50
	per := min(max(1, m.width/width), 3)
	rows := (len(items) + per - 1) / per
	lines := make([]span, rows)
	for i, item := range items {
		if i+rows < len(items) {
			item = fit(item, width, "")
		}
		lines[i%rows].text += item
	}
	return lines
}

// statsLines are the statistics.
func (m Model) statsLines() []span {
	took := max(m.now.Sub(m.began), time.Second)
	t := m.total
	lines := []span{
		{ui.Bold, "statistics of " + ui.FormatDuration(took.Round(time.Second))},
		row("messages", grouped(t.count), fmt.Sprintf("%s/s now, %.1f/s on average, %s/s at most", grouped(uint64(t.rate())), float64(t.count)/took.Seconds(), grouped(uint64(max(t.peak, t.rate()))))),
		row("bytes", sizeText(t.bytes), fmt.Sprintf("%s/s now, %s/s on average", sizeText(t.volume()), sizeText(uint64(float64(t.bytes)/took.Seconds())))),
		row("size", quantiles(m.sizes, sizeText), ""),
		row("latency", quantiles(m.delays, delayText), m.delayNote()),
		row("published", grouped(uint64(m.published)), tripNote(m.trips)),
		row("buffer", fmt.Sprintf("%s of %s rows", grouped(uint64(m.ring.len())), grouped(uint64(m.ring.maxCount))),
			fmt.Sprintf("%.1f of %s, %s dropped", float64(m.ring.bytes)/(1<<20), sizeText(uint64(m.ring.maxBytes)), grouped(m.ring.dropped))),
		row("connection", m.stateWord(), fmt.Sprintf("%s, %s", countOf(m.resumed, "reconnect"), countOf(m.gaps, "gap"))),
		{},
		{ui.Bold, "  " + fit("topic", 24, "") + fitRight("messages", 12, "") + fitRight("now", 9, "") + fitRight("at most", 9, "") + fitRight("bytes", 13, "") + "   size p50, p99"},
	}
	for _, w := range m.topics {
		lines = append(lines, span{text: "  " + fit(clean(string(w.name)), 24, m.more()) + fitRight(grouped(w.meter.count), 12, "") +
			fitRight(shortCount(uint64(w.meter.rate()))+"/s", 9, "") + fitRight(shortCount(uint64(max(w.meter.peak, w.meter.rate())))+"/s", 9, "") +
			fitRight(sizeText(w.meter.bytes), 13, "") + "   " + pair(w.sizes)})
	}
	return lines
}

func row(name, value, note string) span {
	text := "  " + fit(name, 12, "") + value
	if note != "" {
		text += ";  " + note
	}
	return span{text: text}
}

func quantiles(h *histogram, text func(uint64) string) string {
	if h.count == 0 {
		return "not known"
	}
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, most %s", text(h.quantile(0.5)), text(h.quantile(0.9)), text(h.quantile(0.99)), text(h.max))
}

func pair(h *histogram) string {
	if h.count == 0 {
		return "-"
	}
	return shortSize(h.quantile(0.5)) + ", " + shortSize(h.quantile(0.99))
}

// delayNote says what the latency is made of.
func (m Model) delayNote() string {
	if m.delays.count == 0 {
		return "no message holds a time (ts, time, timestamp, sent_at)"
	}
	return "by the time in " + countOf(int(m.delays.count), "message")
}

func tripNote(h *histogram) string {
	if h.count == 0 {
		return ""
	}
	return "answered within " + quantiles(h, delayText)
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(uint64(n)) + " " + what + "s"
}

// publishHeight is how many lines the publish pane takes.
func (m Model) publishHeight() int {
	return min(m.draft.body.Height()+4, max(0, m.height-m.layoutTop()-1))
}

// layoutTop is where the body begins.
func (m Model) layoutTop() int {
	if m.height < roomyHeight {
		return 1
	}
	return 2
}

// publishLines are the publish pane.
func (m Model) publishLines() []string {
	d := m.draft
	title := "publish"
	if d.retain {
		title += ", retained: durable subscribers get it, and it stays the topic's last message"
	}
	title = cut(m.glyph("▸ ", "> ")+title+" ", m.width, m.more())
	lines := []string{m.paint(ui.Bold, title+strings.Repeat(m.glyph("─", "-"), max(0, m.width-columns(title))))}
	lines = append(lines, m.paint(ui.Dim, "  topic ")+fieldText(d.topicView, m.width-8))
	for line := range strings.SplitSeq(d.bodyView, "\n") {
		lines = append(lines, "  "+fieldText(line, m.width-2))
	}
	lines = append(lines, m.verdictLine())
	style := ui.Dim
	if d.denied {
		style = ui.Red
	}
	lines = append(lines, m.paint(style, cut("  "+d.scope, m.width, m.more())))
	return lines[:min(len(lines), m.publishHeight())]
}

func (m Model) verdictLine() string {
	text, ok := m.draft.verdict()
	size := len(m.draft.body.Value())
	style := ui.Dim
	if !ok || size > pubsub.MaxPayload {
		style = ui.Yellow
	}
	return m.paint(style, cut(fmt.Sprintf("  %s (%s of %s bytes)", text, grouped(uint64(size)), grouped(pubsub.MaxPayload)), m.width, m.more()))
}
