package tail

import (
	"fmt"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// loaded is a view with a full ring, and the batch of one frame at 10,000
// messages a second.
func loaded(b *testing.B, w, h int) (Model, batchMsg) {
	m := New(b.Context(), Options{Service: &silent{}, Topics: []pubsub.Topic{"load", "other"}, Glyphs: true, Color: true})
	m = m.resize(w, h)
	var batch batchMsg
	for i := range 333 {
		batch = append(batch, happening{feed: 1, event: client.Event{Kind: client.KindMessage, Time: moment(), Transport: "mqtt",
			Message: client.Message{Topic: "load", Data: fmt.Appendf(nil, `{"n":%d,"level":"info","text":"%0150d"}`, i, i)}}})
	}
	for m.ring.len() < m.ring.maxCount {
		m, _ = m.take(batch)
	}
	return m, batch
}

func BenchmarkBatch(b *testing.B) {
	m, batch := loaded(b, 200, 60)
	for b.Loop() {
		m, _ = m.take(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/message")
}

func BenchmarkView(b *testing.B) {
	m, _ := loaded(b, 200, 60)
	for b.Loop() {
		if m.View() == "" {
			b.Fatal("no screen")
		}
	}
}

// BenchmarkKey is a key that moves the cursor on a full ring, with the redraw.
func BenchmarkKey(b *testing.B) {
	m, _ := loaded(b, 200, 60)
	m = m.oldest()
	var cmd tea.Cmd
	for b.Loop() {
		m, cmd = m.Update(keyMsg("down"))
		_ = m.View()
	}
	_ = cmd
}
