package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tape is a sink that keeps what it is given, with times.
type tape struct {
	mu    sync.Mutex // guards the following
	start time.Time
	wrote []string
	at    []time.Duration
	ended string
}

func (p *tape) Write(b []byte) (int, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote = append(p.wrote, string(b))
	p.at = append(p.at, time.Since(p.start))
	return len(b), false, nil
}

func (p *tape) Finish() { p.end("finished") }
func (p *tape) Abort()  { p.end("aborted") }

func (p *tape) end(how string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = how
}

func bubble(t *testing.T, opt Options[string], f func(t *testing.T, h *Hub[string])) {
	synctest.Test(t, func(t *testing.T) {
		opt.Encode = func(v string, _ Format) ([]byte, error) {
			switch v {
			case "end":
				return nil, errors.New("end of stream")
			case "attend":
				return nil, ErrAttend
			case "last":
				return nil, ErrLast
			}
			return []byte(v), nil
		}
		h := New(opt)
		f(t, h)
		if err := h.Drain(context.Background(), ErrDraining); err != nil {
			t.Error(err)
		}
	})
}

func TestKeepAliveComesAfterQuietTime(t *testing.T) {
	bubble(t, Options[string]{Shards: 1}, func(t *testing.T, h *Hub[string]) {
		p := &tape{start: time.Now()}
		joinT(t, h, Joining[string]{
			Sink: p, Channels: []string{"a"}, First: []byte("first"),
			KeepAlive: &KeepAlive{Data: []byte("ka"), Timeout: 55 * time.Second},
		})
		time.Sleep(30 * time.Second)
		h.Publish("a", "v") // starts the quiet time afresh
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(p.wrote) < 10 || p.wrote[1] != "v" {
			t.Fatalf("wrote %q", p.wrote)
		}
		for i := 2; i < len(p.wrote); i++ {
			gap := p.at[i] - p.at[i-1]
			if p.wrote[i] != "ka" || gap < 54*time.Second || gap > 55*time.Second {
				t.Errorf("%q came %v after the one before", p.wrote[i], gap)
			}
		}
	})
}

func TestIntervalKeepAliveIgnoresTraffic(t *testing.T) {
	bubble(t, Options[string]{Shards: 1}, func(t *testing.T, h *Hub[string]) {
		p := &tape{start: time.Now()}
		joinT(t, h, Joining[string]{
			Sink: p, Channels: []string{"a"},
			KeepAlive: &KeepAlive{Data: []byte("ka"), Timeout: 20 * time.Second, Interval: true},
		})
		for range 60 {
			time.Sleep(time.Second)
			h.Publish("a", "v")
		}
		synctest.Wait()
		n := 0
		for _, w := range p.wrote {
			if w == "ka" {
				n++
			}
		}
		if n < 2 || n > 3 {
			t.Errorf("%d keep-alives in 60 s", n)
		}
	})
}

func TestEndFollowsTheValuesBeforeIt(t *testing.T) {
	bubble(t, Options[string]{Shards: 1}, func(t *testing.T, h *Hub[string]) {
		p := &tape{start: time.Now()}
		joinT(t, h, Joining[string]{Sink: p, Channels: []string{"a"}})
		for _, v := range []string{"x", "y", "end", "z"} {
			h.Publish("a", v)
		}
		synctest.Wait()
		got := ""
		for _, w := range p.wrote {
			got += w
		}
		if got != "xy" || p.ended != "finished" || h.Members() != 0 {
			t.Errorf("wrote %q, %s, %d members left", got, p.ended, h.Members())
		}
	})
}

// note is a Receiver that follows orders.
type note struct {
	got   []string
	ticks []time.Duration
	start time.Time
	next  time.Duration
}

func (n *note) Admit(m *Member[string]) { m.Wake(m.Now().Add(n.next)) }

func (n *note) Deliver(m *Member[string], in []Delivery[string]) {
	for _, d := range in {
		n.got = append(n.got, d.Channel+d.Value)
		if d.Value == "swap" {
			m.SetChannels([]string{"b", "c"})
		}
		if d.Value == "bye" {
			m.End(errors.New("asked to"))
		}
	}
}

func (n *note) Tick(_ *Member[string], now time.Time) time.Time {
	n.ticks = append(n.ticks, now.Sub(n.start))
	return now.Add(n.next)
}

func TestReceiver(t *testing.T) {
	bubble(t, Options[string]{Shards: 1}, func(t *testing.T, h *Hub[string]) {
		n := &note{start: time.Now(), next: 3 * time.Minute}
		p := &tape{start: time.Now()}
		joinT(t, h, Joining[string]{Sink: p, Channels: []string{"a", "b"}, Receiver: n})
		for _, step := range [][2]string{
			{"a", "1"}, {"b", "2"}, {"c", "no"}, {"a", "swap"}, {"b", "same round"},
		} {
			h.Publish(step[0], step[1])
		}
		synctest.Wait()
		h.Publish("a", "no")
		h.Publish("c", "3")
		synctest.Wait()
		if h.Subscribers("a") != 0 || h.Subscribers("c") != 1 {
			t.Errorf("a has %d, c has %d", h.Subscribers("a"), h.Subscribers("c"))
		}
		time.Sleep(7 * time.Minute)
		h.Publish("b", "bye")
		synctest.Wait()
		want := "[a1 b2 aswap bsame round c3 bbye]"
		if got := "[" + strings.Join(n.got, " ") + "]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if len(n.ticks) != 2 || n.ticks[0] < 3*time.Minute || n.ticks[0] > 3*time.Minute+100*time.Millisecond {
			t.Errorf("ticks at %v", n.ticks)
		}
		if p.ended != "finished" {
			t.Errorf("sink is %q", p.ended)
		}
	})
}

// A drain is over when the last bytes have left the mailboxes, too.
// Whoever publishes at the same time, members on different shards get a channel's
// values in one order.
func TestConcurrentPublishersHaveOneOrder(t *testing.T) {
	h := testHub(t, Options[string]{Shards: 4})
	tapes := make([]*paper, 8)
	for i := range tapes {
		tapes[i] = &paper{done: make(chan struct{})}
		if _, err := h.Join(Joining[string]{Sink: tapes[i], Channels: []string{"c"}}); err != nil {
			t.Fatal(err)
		}
	}
	var publishers sync.WaitGroup
	for p := range 8 {
		publishers.Go(func() {
			for i := range 500 {
				h.Publish("c", fmt.Sprintf("%d.%d ", p, i))
			}
		})
	}
	publishers.Wait()
	if err := h.Drain(t.Context(), ErrDraining); err != nil {
		t.Fatal(err)
	}
	for _, p := range tapes {
		<-p.done
		if got := p.text.String(); got != tapes[0].text.String() || strings.Count(got, " ") != 8*500 {
			t.Fatalf("one member has\n%.300s\nanother\n%.300s", got, tapes[0].text.String())
		}
	}
}

// paper is a sink that keeps what is written.
type paper struct {
	text strings.Builder
	done chan struct{}
}

func (p *paper) Write(b []byte) (int, bool, error) {
	p.text.Write(b)
	return len(b), false, nil
}
func (p *paper) Finish() { close(p.done) }
func (p *paper) Abort()  { close(p.done) }

func TestDrainWaitsForMailboxes(t *testing.T) {
	bubble(t, Options[string]{
		Shards: 1, Farewell: func(*Member[string], error) []byte { return []byte("bye") },
	}, func(t *testing.T, h *Hub[string]) {
		box, got := NewMailbox(0), ""
		go box.Serve(nil, func(p []byte) error { // ends with the drain
			time.Sleep(time.Second)
			got += string(p)
			return nil
		})
		m := joinT(t, h, Joining[string]{Sink: box})
		if err := h.Drain(t.Context(), ErrDraining); err != nil {
			t.Error(err)
		}
		if got != "bye" {
			t.Errorf("wrote %q", got)
		}
		called := 0
		m.Always(func(alive bool) {
			if called++; alive {
				t.Error("still alive")
			}
		})
		if called != 1 {
			t.Errorf("called %d times after the end", called)
		}
	})
}

// A mistake at the end of one member does not take the others along.
func TestPanicsAtTheEnd(t *testing.T) {
	panics := 0
	bubble(t, Options[string]{
		Shards:   1,
		Farewell: func(*Member[string], error) []byte { panic("farewell") },
		Ended:    func(*Member[string], error) { panic("ended") },
		Panicked: func(*Member[string], any) { panics++ },
	}, func(t *testing.T, h *Hub[string]) {
		p := &tape{start: time.Now()}
		joinT(t, h, Joining[string]{Sink: p, Channels: []string{"a"}})
		q := &tape{start: time.Now()}
		joinT(t, h, Joining[string]{Sink: q, Channels: []string{"b"}})
		h.Publish("a", "end")
		h.Publish("b", "on")
		synctest.Wait()
		if panics != 2 || p.ended != "aborted" || len(q.wrote) != 1 {
			t.Errorf("%d panics, %q, the other has %q", panics, p.ended, q.wrote)
		}
	})
}

// Nothing is written behind the value that makes a Direct member's Receiver end it.
func TestDirectMembersAttend(t *testing.T) {
	bubble(t, Options[string]{Shards: 1}, func(t *testing.T, h *Hub[string]) {
		n := &note{start: time.Now(), next: time.Hour}
		p := &tape{start: time.Now()}
		m := joinT(t, h, Joining[string]{Sink: p, Channels: []string{"a"}, Receiver: n, Direct: true})
		m.Do(func() { // on the shard, so that they make one round
			for _, v := range []string{"1", "attend", "2", "last", "3"} {
				h.Publish("a", v)
			}
		})
		synctest.Wait()
		if got := strings.Join(p.wrote, "|"); got != "12" {
			t.Errorf("wrote %q", got)
		}
		if got := strings.Join(n.got, " "); got != "a1 aattend a2 alast a3" {
			t.Errorf("delivered %q", got)
		}
	})
}
