package tail

import (
	"time"

	tea "charm.land/bubbletea/v2"

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
		return m.seek()
	case tea.WindowSizeMsg:
		return m.resize(msg.Width, msg.Height), nil
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.PasteMsg:
		return m.paste(msg)
	case tea.MouseClickMsg:
		return m.click(msg.Mouse())
	case tea.MouseWheelMsg:
		return m.wheel(msg.Mouse()), nil
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
	m.input.SetWidth(max(1, width-14))
	m.draft = m.draft.sized(width, height)
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
		i := m.linkIndex(h.feed)
		switch {
		case i < 0: // ended since
		case h.event.Kind == client.KindMessage:
			m = m.message(i, h.event)
		default:
			m = m.heard(i, h.event)
		}
	}
	m, more := m.scan()
	return m, tea.Batch(m.feeds.next(), more)
}

// message puts one message into the ring and counts it.
func (m Model) message(i int, e client.Event) Model {
	t := m.topicIndex(e.Message.Topic)
	if t < 0 {
		return m // removed since
	}
	if m.links[i].asked.Durable && e.Message.ID != "" {
		m.links[i].asked.LastID = e.Message.ID
	}
	data := e.Message.Data
	size := len(data)
	m.total.add(e.Time, size)
	m.sizes.add(uint64(size))
	m.topics[t].meter.add(e.Time, size)
	m.topics[t].sizes.add(uint64(size))
	if sent, ok := sentAt(data, e.Time); ok {
		m.delays.add(uint64(max(0, e.Time.Sub(sent).Microseconds())))
	}
	m.ring.add(&entry{
		kind: kindMessage, at: e.Time, topic: e.Message.Topic, id: e.Message.ID, event: e.Message.Name, transport: e.Transport,
		conn: e.Conn, data: data, retained: e.Message.Retained, binary: isBinary(data), number: m.total.count,
	})
	return m
}
