package fanout

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// scripted is a SocketHandler whose answers a test writes.
type scripted struct {
	handlerFunc

	mu    sync.Mutex // guards the following
	reply func(in []grip.Event) *Reply
	calls []string
}

func (h *scripted) answer(f func([]grip.Event) *Reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reply = f
}

func (h *scripted) log() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

func (h *scripted) QuickEvents(*Socket, []grip.Event) bool { return true }

func (h *scripted) Events(_ context.Context, _ *Socket, in []grip.Event) (*Reply, error) {
	line := ""
	for _, e := range in {
		line += fmt.Sprintf("%v %q;", e.Type, e.Content)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, line)
	if h.reply == nil {
		return new(Reply), nil
	}
	return h.reply(in), nil
}

// line is a socket in a bubble, without a connection.
type line struct {
	*tape
	so *socket
	m  *hub.Member[*item]
	h  *scripted
}

// openLine joins a socket whose handshake was answered with reply.
func (r *rig) openLine(reply *Reply) *line {
	h := &scripted{}
	s := r.e.server(h)
	so := &socket{session: &session{format: formatFrame, opened: time.Now()}, server: s, handler: h}
	so.session.socket, so.info.push, so.info.Prefix, so.info.MaxChannels = so, so.push, "p-", 2
	p := newTape()
	j := so.joining(reply, nil)
	j.Sink = p
	m, err := r.e.hub.Join(j)
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	return &line{p, so, m, h}
}

func (l *line) how() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *line) input(f ws.Frame) {
	l.m.Feed(ws.MustCompileFrame(ws.MaskFrame(f)), func() {})
	synctest.Wait()
}

// want checks the frames written so far: "text", "binary:x", "close".
func (l *line) want(t *testing.T, frames ...string) {
	t.Helper()
	l.mu.Lock()
	in := strings.NewReader(l.text.String())
	l.mu.Unlock()
	var got []string
	for {
		f, err := readFrame(in)
		if err == io.EOF {
			break
		}
		switch f.Header.OpCode {
		case ws.OpText:
			got = append(got, string(f.Payload))
		case ws.OpClose:
			got = append(got, fmt.Sprintf("close %x", f.Payload))
		default:
			got = append(got, fmt.Sprintf("op%d %q", f.Header.OpCode, f.Payload))
		}
	}
	if !slices.Equal(got, frames) {
		t.Errorf("client got %q, want %q", got, frames)
	}
}

func text(s string) grip.Event { return grip.Event{Type: grip.EventText, Content: []byte(s)} }

func subscribeTo(names ...string) (out []grip.Control) {
	for _, name := range names {
		out = append(out, grip.Control{Type: grip.ControlSubscribe, Channel: name})
	}
	return out
}

// grip.md, 5.9: control messages have their place among the events.
func TestSocketDelaysMessages(t *testing.T) {
	later := func(s string, d time.Duration) []grip.Control {
		return []grip.Control{{Type: grip.ControlSendDelayed, Content: []byte(s), Timeout: d}}
	}
	inBubble(t, quietStart, func(r *rig) {
		l := r.openLine(&Reply{Control: later("0", 2*time.Second)})
		settle(time.Second)
		l.want(t)
		settle(1200 * time.Millisecond)
		l.want(t, "0")
		l.h.answer(func([]grip.Event) *Reply {
			flush := &Reply{Control: []grip.Control{{Type: grip.ControlFlushDelayed}}, Events: []grip.Event{text("c")}}
			return &Reply{Control: later("1", time.Hour), Events: []grip.Event{text("a")}, Then: &Reply{
				Control: later("2", time.Hour), Events: []grip.Event{text("b")}, Then: flush,
			}}
		})
		l.input(ws.NewTextFrame([]byte("go")))
		l.want(t, "0", "a", "1", "b", "2", "c")
		l.h.answer(func([]grip.Event) *Reply { return &Reply{Control: later("3", time.Second), Interval: 30 * time.Second} })
		l.input(ws.NewTextFrame([]byte("go")))
		settle(1200 * time.Millisecond)
		l.want(t, "0", "a", "1", "b", "2", "c", "3")
		settle(29 * time.Second)
		if calls := l.h.log(); len(calls) != 3 || calls[2] != "" {
			t.Errorf("calls %q, want an empty batch at last", l.h.log())
		}
	})
}

func TestSocketIsDetached(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		l := r.openLine(&Reply{Control: subscribeTo("a", "b", "too many"), Interval: 20 * time.Second})
		r.publish(message("p-a", "1"), message("a", "no"), message("p-too many", "no"))
		settle(0)
		l.h.answer(func([]grip.Event) *Reply {
			return &Reply{Events: []grip.Event{text("last")}, Control: []grip.Control{{Type: grip.ControlDetach}}}
		})
		l.input(ws.NewTextFrame([]byte("go")))
		refresh := &grip.Item{Channel: "p-b", WSMessage: &grip.WSMessage{Action: grip.Refresh}}
		r.publish(refresh, message("p-b", "2"))
		l.input(ws.NewTextFrame([]byte("into the void")))
		settle(time.Hour)
		if want := []string{`TEXT "go";`, `CLOSE "";`}; !slices.Equal(l.h.log(), want) {
			t.Errorf("calls %q, want %q", l.h.log(), want)
		}
		l.input(ws.NewCloseFrame([]byte("\x0f\xa1x")))
		l.want(t, "1", "last", "2", "close 0fa178")
		if l.how() != "finished" || len(l.h.log()) != 2 {
			t.Errorf("socket %q, calls %q", l.how(), l.h.log())
		}
	})
}

// grip.md, 7.7: a proxy in between may drop what comes with the 101.
func TestSocketSettles(t *testing.T) {
	opening := func() *Reply {
		return &Reply{Events: []grip.Event{text("hello")}, Control: subscribeTo("a"), Settle: 50 * time.Millisecond}
	}
	inBubble(t, quietStart, func(r *rig) {
		l := r.openLine(opening())
		r.publish(message("p-a", "1"))
		settle(10 * time.Millisecond)
		l.want(t)
		settle(200 * time.Millisecond)
		r.publish(message("p-a", "2"))
		settle(0)
		l.want(t, "hello", "1", "2")

		l = r.openLine(opening())
		r.publish(message("p-a", "3"))
		l.h.answer(func([]grip.Event) *Reply { return &Reply{Events: []grip.Event{text("echo")}} })
		l.input(ws.NewTextFrame([]byte("the client has the 101")))
		l.want(t, "hello", "3", "echo")

		l = r.openLine(opening())
		r.publish(&grip.Item{Channel: "p-a", WSMessage: &grip.WSMessage{Action: grip.Close, Code: 4000}})
		settle(0)
		l.want(t, "hello", "close 0fa0")
		l = r.openLine(opening())
		l.m.Do(func() { l.m.End(hub.ErrDraining) })
		settle(0)
		l.want(t, "hello", "close 03e9"+fmt.Sprintf("%x", "shutting down"))
	})
}

func TestAnswerToTheHandshakeMayEndTheSocket(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		l := r.openLine(&Reply{Events: []grip.Event{text("x"), {Type: grip.EventClose, Content: []byte("\x0f\xa2")}}})
		l.want(t, "x", "close 0fa2")
		settle(closeWait + 200*time.Millisecond) // the client does not answer
		if l.how() != "finished" {
			t.Errorf("socket %q", l.how())
		}
		l = r.openLine(&Reply{Events: []grip.Event{{Type: grip.EventDisconnect}}})
		if l.want(t); l.how() != "finished" {
			t.Errorf("socket %q", l.how())
		}
	})
}

// A close in the answer to an empty batch waits for the client like any other.
func TestCloseAfterAnIntervalWaits(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		l := r.openLine(&Reply{Interval: 20 * time.Second})
		l.h.answer(func([]grip.Event) *Reply {
			return &Reply{Events: []grip.Event{{Type: grip.EventClose}}, Interval: -1}
		})
		settle(21 * time.Second)
		l.want(t, "close 03e8")
		if l.how() != "" {
			t.Errorf("socket %q before the client has answered", l.how())
		}
		settle(closeWait)
		if l.how() != "finished" {
			t.Errorf("socket %q", l.how())
		}
	})
}

func TestPushReachesTheSocket(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		h := &scripted{}
		so := &socket{session: &session{format: formatFrame, opened: time.Now()}, server: r.e.server(h), handler: h}
		so.session.socket, so.info.push = so, so.push
		early := make(chan bool, 1)
		go func() { early <- so.info.Push(&Reply{Events: []grip.Event{text("early")}}) }() // ends when the socket has joined
		synctest.Wait()
		p := newTape()
		j := so.joining(&Reply{Events: []grip.Event{text("hello")}}, nil)
		j.Sink = p
		m, err := r.e.hub.Join(j)
		if err != nil {
			t.Fatal(err)
		}
		l := &line{p, so, m, h}
		if !<-early || !so.info.Push(&Reply{Control: subscribeTo("a"), Events: []grip.Event{text("late")}}) {
			t.Error("a push was turned away")
		}
		r.publish(message("a", "item"))
		settle(0)
		l.want(t, "hello", "early", "late", "item")
		if !so.info.Push(&Reply{Events: []grip.Event{{Type: grip.EventClose, Content: []byte("\x0f\xa0")}}}) {
			t.Error("the close was turned away")
		}
		l.input(ws.NewCloseFrame(nil))
		if l.want(t, "hello", "early", "late", "item", "close 0fa0"); l.how() != "finished" {
			t.Errorf("socket %q", l.how())
		}
		if so.info.Push(&Reply{Events: []grip.Event{text("too late")}}) || len(h.log()) > 0 {
			t.Errorf("pushed behind the end; calls %q", h.log())
		}

		lost := &socket{session: &session{}, server: r.e.server(h), handler: h}
		go func() { early <- lost.push(&Reply{}) }() // ends when the socket is lost
		synctest.Wait()
		lost.lost(context.Background())
		if <-early || lost.push(&Reply{}) || !slices.Equal(h.log(), []string{`DISCONNECT "";`}) {
			t.Errorf("pushed to a socket that never was, or calls %q", h.log())
		}
	})
}

// grip.md, 5.6: an origin that polls may answer a client's close later, one that
// does not has to answer at once. Neither hears of the end it has caused.
func TestCloseThatIsNotAnswered(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		l := r.openLine(&Reply{})
		l.input(ws.NewCloseFrame([]byte("\x0f\xa0")))
		if l.want(t); l.how() != "finished" || len(l.h.log()) != 1 {
			t.Errorf("socket %q, calls %q", l.how(), l.h.log())
		}
		l = r.openLine(&Reply{Interval: 20 * time.Second})
		l.input(ws.NewCloseFrame([]byte("\x0f\xa0")))
		l.input(ws.NewTextFrame([]byte("nothing counts now")))
		l.h.answer(func([]grip.Event) *Reply {
			return &Reply{Events: []grip.Event{{Type: grip.EventClose, Content: []byte("\x0f\xa1")}}}
		})
		settle(19 * time.Second)
		if l.want(t); l.how() != "" {
			t.Errorf("socket %q", l.how())
		}
		settle(2 * time.Second)
		l.want(t, "close 0fa1")
		if want := []string{"CLOSE \"\\x0f\\xa0\";", ""}; l.how() != "finished" || !slices.Equal(l.h.log(), want) {
			t.Errorf("socket %q, calls %q, want %q", l.how(), l.h.log(), want)
		}
	})
}
