package tail

import (
	"time"

	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// Update gives the model after msg. It only dispatches.
func (m Model) Update(msg tea.Msg) (Model, tea.Cmd) {
	switch msg := msg.(type) {
	case batchMsg:
		return m.take(msg)
	case tickMsg:
		return m.tick(time.Time(msg))
	case scanMsg:
		m.scanning = false
		return m.scan()
	case searchMsg:
		if m.search.left == 0 {
			return m, nil // found, or given up, since
		}
		return m.seek()
	case tea.WindowSizeMsg:
		return m.resize(msg.Width, msg.Height), nil
	case tea.KeyMsg:
		return m.keys(msg)
	case tea.MouseMsg:
		return m.mouse(msg)
	case tea.ResumeMsg:
		return m, m.takeMouse()
	case publishedMsg:
		return m.wasPublished(msg), nil
	case doneMsg:
		return m.done(msg), nil
	}
	return m, nil
}

// resize lays the screen out anew; the selection stays.
func (m Model) resize(width, height int) Model {
	m.width, m.height = width, height
	m, _ = m.typed(func(in *textinput.Model) tea.Cmd { in.Width = max(1, width-14); return nil })
	m, _ = m.write(func(d *draft) tea.Cmd { d.size(width, height); return nil })
	return m.place()
}

// tick turns the meters and lets notices go.
func (m Model) tick(now time.Time) (Model, tea.Cmd) {
	m.now = now
	m.total.turn(now)
	for _, t := range m.topics {
		t.meter.turn(now)
	}
	if m.notice != "" && now.After(m.noticeUntil) {
		m.notice = ""
	}
	return m, tick(m.o.Now)
}

// take appends a batch.
func (m Model) take(batch batchMsg) (Model, tea.Cmd) {
	m.now = m.o.Now()
	for _, h := range batch {
		if h.crash != nil {
			return m, func() tea.Msg { return crashedMsg{h.crash} }
		}
		i := linkOf(m.links, h.feed)
		switch {
		case i < 0: // ended since
		case h.event.Kind == client.KindMessage:
			m.books.enter(&m.links[i], m.topics, h.event)
		default:
			m = m.heard(i, h.event)
		}
	}
	m, more := m.scan()
	return m, tea.Batch(m.feeds.next(), more)
}

// books are the ring and the counters over all topics.
type books struct {
	ring   *ring
	total  *meter
	sizes  *histogram
	delays *histogram // in microseconds, of messages that hold a time
}

// enter puts one message into the ring and counts it. A message of a topic that
// was removed since is left out.
func (b books) enter(l *link, topics []watchedTopic, e client.Event) {
	t := topicOf(topics, e.Message.Topic)
	if t < 0 {
		return
	}
	if l.asked.Durable && e.Message.ID != "" {
		l.asked.LastID = e.Message.ID
	}
	data := e.Message.Data
	size := len(data)
	b.total.add(e.Time, size)
	b.sizes.add(uint64(size))
	topics[t].meter.add(e.Time, size)
	topics[t].sizes.add(uint64(size))
	if sent, ok := sentAt(data, e.Time); ok {
		b.delays.add(uint64(max(0, e.Time.Sub(sent).Microseconds())))
	}
	b.ring.add(&entry{
		kind: kindMessage, at: e.Time, topic: e.Message.Topic, id: e.Message.ID, event: e.Message.Name, transport: e.Transport,
		conn: e.Conn, data: data, retained: e.Message.Retained, binary: isBinary(data), number: b.total.count,
	})
}
