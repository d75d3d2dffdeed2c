package fanout

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// echo is a SocketHandler: it echoes messages, and follows a few words.
type echo struct {
	streamer
	slow  bool          // answers on a worker
	gate  chan struct{} // if not nil, each call with messages takes one first
	open  chan struct{} // if not nil, each handshake takes one first
	mu    sync.Mutex    // guards calls
	calls []string
}

func (h *echo) QuickEvents(*Socket, []grip.Event) bool { return !h.slow }

func (h *echo) Events(_ context.Context, s *Socket, in []grip.Event) (*Reply, error) {
	line := ""
	for _, e := range in {
		line += fmt.Sprintf("%v %q;", e.Type, e.Content)
	}
	h.mu.Lock()
	h.calls = append(h.calls, line)
	h.mu.Unlock()
	if h.gate != nil && len(in) > 0 && in[0].Type == grip.EventText {
		<-h.gate
	}
	if h.open != nil && len(in) > 0 && in[0].Type == grip.EventOpen {
		<-h.open
	}
	r := new(Reply)
	for _, e := range in {
		h.follow(s, e, r)
	}
	return r, nil
}

func (h *echo) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

// had reports whether a call has come with this batch.
func (h *echo) had(line string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.calls, line)
}

func (h *echo) follow(s *Socket, e grip.Event, r *Reply) {
	word := string(e.Content)
	switch {
	case e.Type == grip.EventOpen && s.Handshake.Path == "/refuse":
		r.Refuse = &Response{Status: 403, Header: http.Header{"X-Why": {"no"}}, Body: []byte("refused")}
	case e.Type == grip.EventOpen:
		r.Header = http.Header{"X-App": {"yes"}}
		r.Events = append(r.Events, e)
	case e.Type == grip.EventClose:
		r.Events = append(r.Events, e)
	case strings.HasPrefix(word, "sub "), strings.HasPrefix(word, "own "):
		c := grip.Control{Type: grip.ControlSubscribe, Channel: word[4:]}
		if word[0] == 'o' {
			c.Filters = []string{grip.FilterSkipSelf}
		}
		r.Control = append(r.Control, c, grip.Control{Type: grip.ControlSetMeta, Name: "user", Value: "me"})
		r.Events = append(r.Events, grip.Event{Type: grip.EventText, Content: []byte("ok")})
	case strings.HasPrefix(word, "unsub "):
		r.Control = append(r.Control, grip.Control{Type: grip.ControlUnsubscribe, Channel: word[6:]})
		r.Events = append(r.Events, grip.Event{Type: grip.EventText, Content: []byte("ok")})
	case word == "bye":
		r.Events = append(r.Events, grip.Event{Type: grip.EventClose, Content: []byte("\x0f\xa0done")})
	case word == "drop":
		r.Events = append(r.Events, grip.Event{Type: grip.EventDisconnect})
	case word == "panic":
		panic("mistake")
	case strings.HasSuffix(word, "...") && len(word) > 3:
		r.Rest = 3 // the dots come again
		r.Events = append(r.Events, grip.Event{Type: grip.EventText, Content: []byte("part")})
	case e.Type == grip.EventText, e.Type == grip.EventBinary, e.Type == grip.EventPing:
		r.Events = append(r.Events, grip.Event{Type: e.Type, Content: bytes.Clone(e.Content)})
	}
}

// wsClient is the client's end, over any connection.
type wsClient struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

const handshake = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func openSocket(t *testing.T, srv *httptest.Server) *wsClient {
	t.Helper()
	c, r := exchange(t, srv, handshake)
	h := head(t, r)
	for _, want := range []string{"101 Switching Protocols", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "X-App: yes"} {
		if !strings.Contains(h, want) {
			t.Fatalf("no %q in\n%s", want, h)
		}
	}
	return &wsClient{t, c, r}
}

func (c *wsClient) send(op ws.OpCode, text string) { c.write(ws.NewFrame(op, true, []byte(text))) }

func (c *wsClient) write(f ws.Frame) {
	c.t.Helper()
	if err := ws.WriteFrame(c.c, ws.MaskFrame(f)); err != nil {
		c.t.Fatal(err)
	}
}

func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func (c *wsClient) want(op ws.OpCode, text string) {
	c.t.Helper()
	f, err := readFrame(c.r)
	if err != nil || f.Header.OpCode != op || string(f.Payload) != text || !f.Header.Fin || f.Header.Masked {
		c.t.Fatalf("got %+v %q, %v; want %v %q", f.Header, f.Payload, err, op, text)
	}
}

func (c *wsClient) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		c.t.Fatalf("behind the end: %q, %v", rest, err)
	}
}

func closeBody(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// eachSocket runs f over every way a socket can be carried and answered.
func eachSocket(t *testing.T, f func(t *testing.T, e *Engine, srv *httptest.Server, h *echo)) {
	for name, mode := range map[string]struct{ portable, slow bool }{
		"descriptor": {}, "portable": {portable: true}, "worker": {slow: true}, "portable worker": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &echo{slow: mode.slow}
			e, srv := serve(t, Options{Portable: mode.portable}, h, plainText)
			f(t, e, srv, h)
		})
	}
}

func TestSocketMessages(t *testing.T) {
	eachSocket(t, func(t *testing.T, _ *Engine, srv *httptest.Server, _ *echo) {
		c := openSocket(t, srv)
		c.send(ws.OpText, "hello")
		c.want(ws.OpText, "hello")
		c.send(ws.OpBinary, strings.Repeat("x", 70_000))
		c.want(ws.OpBinary, strings.Repeat("x", 70_000))
		c.send(ws.OpPing, "p")
		c.want(ws.OpPing, "p") // the handler's doing: the engine answers none (Quirk Q28)
		c.write(ws.NewFrame(ws.OpText, false, []byte("in ")))
		c.send(ws.OpPong, "")
		c.write(ws.NewFrame(ws.OpContinuation, false, []byte("three ")))
		c.write(ws.NewFrame(ws.OpContinuation, true, []byte("parts")))
		c.want(ws.OpText, "in three parts")
		c.send(ws.OpClose, closeBody(4001, "enough"))
		c.want(ws.OpClose, closeBody(4001, "enough"))
		c.wantEnd()
	})
}

func message(channel, text string) *grip.Item {
	return &grip.Item{Channel: channel, WSMessage: &grip.WSMessage{Content: []byte(text)}}
}

func TestSocketItems(t *testing.T) {
	eachSocket(t, func(t *testing.T, e *Engine, srv *httptest.Server, h *echo) {
		c, own := openSocket(t, srv), openSocket(t, srv)
		c.send(ws.OpText, "sub a")
		own.send(ws.OpText, "own a")
		c.want(ws.OpText, "ok")
		own.want(ws.OpText, "ok")
		mine := message("a", "mine")
		mine.Meta = map[string]string{"sender": "me"}
		publishTo(t, e, 6, message("a", "1"), mine, message("a", "2"))
		for _, text := range []string{"1", "mine", "2"} {
			c.want(ws.OpText, text)
		}
		own.want(ws.OpText, "1")
		own.want(ws.OpText, "2")
		c.send(ws.OpText, "unsub a")
		c.want(ws.OpText, "ok")
		publishTo(t, e, 1, message("a", "3"))
		own.want(ws.OpText, "3")
		c.send(ws.OpText, "echo")
		c.want(ws.OpText, "echo")
		refresh := &grip.Item{Channel: "a", WSMessage: &grip.WSMessage{Action: grip.Refresh}}
		end := &grip.Item{Channel: "a", WSMessage: &grip.WSMessage{Action: grip.Close, Code: 4002, Reason: "r"}}
		publishTo(t, e, 2, refresh, end)
		own.want(ws.OpClose, closeBody(4002, "r"))
		own.send(ws.OpClose, closeBody(4002, "r"))
		own.wantEnd()
		for !h.had("") { // a worker may still be about to make the refresh's call
			runtime.Gosched()
		}
	})
}

func TestSocketEnds(t *testing.T) {
	eachSocket(t, func(t *testing.T, _ *Engine, srv *httptest.Server, _ *echo) {
		c := openSocket(t, srv)
		c.send(ws.OpText, "bye")
		c.want(ws.OpClose, closeBody(4000, "done"))
		c.send(ws.OpClose, closeBody(4000, ""))
		c.wantEnd()
		for _, word := range []string{"drop", "panic"} {
			c := openSocket(t, srv)
			c.send(ws.OpText, word)
			c.wantEnd()
		}
	})
}

func TestSocketFaults(t *testing.T) {
	huge := ws.NewFrame(ws.OpBinary, true, nil)
	huge.Header.Length, huge.Header.Masked = 256<<20, true
	eachSocket(t, func(t *testing.T, _ *Engine, srv *httptest.Server, _ *echo) {
		other := openSocket(t, srv)
		for name, f := range map[string]struct {
			frame ws.Frame
			code  uint16
		}{
			"reserved bit":      {ws.MaskFrame(ws.Frame{Header: ws.Header{Fin: true, Rsv: 4, OpCode: ws.OpText, Length: 1}, Payload: []byte("x")}), 1002},
			"unmasked":          {ws.NewTextFrame([]byte("x")), 1002},
			"too long":          {huge, 1009},
			"unknown opcode":    {ws.MaskFrame(ws.NewFrame(3, true, nil)), 1002},
			"lone continuation": {ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, nil)), 1002},
			"fragmented ping":   {ws.MaskFrame(ws.NewFrame(ws.OpPing, false, nil)), 1002},
		} {
			c := openSocket(t, srv)
			_ = ws.WriteHeader(c.c, f.frame.Header)
			_, _ = c.c.Write(f.frame.Payload)
			got, err := readFrame(c.r)
			if err != nil || got.Header.OpCode != ws.OpClose || binary.BigEndian.Uint16(got.Payload) != f.code {
				t.Errorf("%s: got %+v %q, %v", name, got.Header, got.Payload, err)
			}
			_ = c.c.Close()
		}
		other.send(ws.OpText, "undisturbed")
		other.want(ws.OpText, "undisturbed")
	})
}

// grip.md 5.7: bytes that are not accepted come again, in front.
func TestSocketRest(t *testing.T) {
	eachSocket(t, func(t *testing.T, _ *Engine, srv *httptest.Server, h *echo) {
		c := openSocket(t, srv)
		c.send(ws.OpText, "first...")
		c.want(ws.OpText, "part")
		c.send(ws.OpPing, "sync")
		c.want(ws.OpText, "...")
		c.want(ws.OpPing, "sync")
	})
}

// A client whose bytes are never accepted is let go before they take the memory.
func TestSocketRestIsBounded(t *testing.T) {
	h := &echo{}
	_, srv := serve(t, Options{}, hoarder{h}, plainText)
	c := openSocket(t, srv)
	var sent sync.WaitGroup
	sent.Go(func() {
		f := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(make([]byte, 60_000))))
		for range 40 {
			if _, err := c.c.Write(f); err != nil {
				return // the relay has closed
			}
		}
	})
	f, err := readFrame(c.r)
	if err != nil || f.Header.OpCode != ws.OpClose || binary.BigEndian.Uint16(f.Payload) != 1009 {
		t.Errorf("got %+v %q, %v", f.Header, f.Payload, err)
	}
	_ = c.c.Close()
	sent.Wait()
}

// hoarder accepts nothing.
type hoarder struct{ *echo }

func (h hoarder) Events(ctx context.Context, s *Socket, in []grip.Event) (*Reply, error) {
	if len(in) > 0 && in[0].Type == grip.EventBinary {
		rest := 0
		for _, e := range in {
			rest += len(e.Content)
		}
		return &Reply{Rest: rest}, nil
	}
	return h.echo.Events(ctx, s, in)
}

// What comes while the Handler is busy goes in one batch, and a client that
// sends without end has to wait.
func TestSocketBusyHandler(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprint("portable=", portable), func(t *testing.T) {
			h := &echo{slow: true, gate: make(chan struct{})}
			e, srv := serve(t, Options{Portable: portable}, h, plainText)
			c := openSocket(t, srv)
			const n, size = 200, 16 << 10
			var sent sync.WaitGroup
			sent.Go(func() {
				for i := range n {
					c.send(ws.OpText, fmt.Sprintf("%3d", i)+strings.Repeat("x", size))
				}
			})
			for queued(e) < 3 { // behind the first, which waits at the gate
				runtime.Gosched()
			}
			close(h.gate)
			for i := range n {
				c.want(ws.OpText, fmt.Sprintf("%3d", i)+strings.Repeat("x", size))
			}
			sent.Wait()
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.calls) > n-1 { // one is that of the handshake
				t.Errorf("%d calls for %d messages", len(h.calls), n)
			}
		})
	}
}

// queued is how many events wait for the Handler of the engine's one socket.
func queued(e *Engine) int {
	var n int
	seen := make(chan struct{})
	e.hub.Each(func(m *hub.Member[*item]) {
		if s, _ := m.Owner().(*session); s != nil && s.socket != nil {
			n += len(s.socket.queue)
			seen <- struct{}{}
		}
	})
	<-seen
	return n
}

func TestSocketHandshakes(t *testing.T) {
	h := &echo{}
	_, srv := serve(t, Options{}, h, plainText)
	for name, c := range map[string]struct{ request, want string }{
		"refused":    {strings.Replace(handshake, "/ws", "/refuse", 1), "403 Forbidden"},
		"no key":     {strings.Replace(handshake, "dGhl", "", 1), "400 Bad Request"},
		"version":    {strings.Replace(handshake, ": 13", ": 8", 1), "400 Bad Request"},
		"no upgrade": {strings.Replace(handshake, "Upgrade: websocket\r\n", "", 1), "201 Created"},
	} {
		_, r := exchange(t, srv, c.request)
		if got := head(t, r); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Frames sent right behind the handshake count.
	var early bytes.Buffer
	early.WriteString(handshake)
	if err := ws.WriteFrame(&early, ws.MaskFrame(ws.NewTextFrame([]byte("early")))); err != nil {
		t.Fatal(err)
	}
	c, r := exchange(t, srv, early.String())
	head(t, r)
	(&wsClient{t, c, r}).want(ws.OpText, "early")
}

// The Handler hears of a client that vanishes, and a drain says farewell.
func TestSocketGoneAndDrained(t *testing.T) {
	eachSocket(t, func(t *testing.T, e *Engine, srv *httptest.Server, h *echo) {
		c := openSocket(t, srv)
		c.send(ws.OpText, "x")
		c.want(ws.OpText, "x")
		stays := openSocket(t, srv)
		stays.send(ws.OpText, "y")
		stays.want(ws.OpText, "y")
		_ = c.c.(*net.TCPConn).SetLinger(0)
		_ = c.c.Close()
		for e.hub.Members() > 1 {
			stays.send(ws.OpText, "y")
			stays.want(ws.OpText, "y")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := e.Drain(ctx); err != nil {
			t.Error(err)
		}
		stays.want(ws.OpClose, closeBody(1001, "shutting down"))
	})
}

func FuzzFrames(f *testing.F) {
	f.Add(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("hi")))), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		whole, errWhole := new(frames).read(nil, bytes.Clone(in))
		at := max(0, min(cut, len(in)))
		var parts frames
		first, err := parts.read(nil, bytes.Clone(in[:at]))
		first = cloneEvents(first)
		if err == nil {
			var rest []grip.Event
			rest, err = parts.read(nil, bytes.Clone(in[at:]))
			first = append(first, rest...)
		}
		if (err == nil) != (errWhole == nil) || len(first) != len(whole) {
			t.Fatalf("in one piece %d events, %v; cut at %d %d events, %v", len(whole), errWhole, at, len(first), err)
		}
		for i := range whole {
			if whole[i].Type != first[i].Type || !bytes.Equal(whole[i].Content, first[i].Content) {
				t.Fatalf("event %d differs", i)
			}
		}
	})
}
