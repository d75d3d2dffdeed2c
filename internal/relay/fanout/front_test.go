package fanout

import (
	"bytes"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// quickEcho is an echo that the front asks on its shards.
type quickEcho struct{ *echo }

func (quickEcho) Quick(*Request) bool { return true }

// serveFront is serve with the front before net/http.
func serveFront(t *testing.T, opt Options, h Quick) (*Engine, *httptest.Server) {
	t.Helper()
	return serve(t, opt, h, func(s *httptest.Server) {
		e := s.Config.Handler.(*server).engine
		s.Listener = e.Front(s.Listener, h, FrontOptions{
			Full: func() bool { return false }, Refused: func(err error) { t.Error(err) },
			HeaderTimeout: patience, BodyTimeout: patience, IdleTimeout: patience,
		})
		s.Start()
	})
}

// A body that comes in pieces is read once, and the request behind it too.
func TestFrontReadsSlowBodies(t *testing.T) {
	_, srv := serveFront(t, Options{}, quickEcho{&echo{}})
	c, r := exchange(t, srv, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
	for _, piece := range []string{"x", "y", "zGET /b HTTP/1.1\r\nHost: h\r\n", "\r\n"} {
		if _, err := c.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	for _, path := range []string{"/a", "/b"} {
		if got := head(t, r); !strings.Contains(got, "X-Path: "+path+"?") {
			t.Errorf("head is %s", got)
		}
		wantBytes(t, r, "plain")
	}
	waiting, more := &conn{held: make([]byte, 100, 4096), need: 4096}, []byte("x")
	if n := testing.AllocsPerRun(100, func() { waiting.Input(nil, more) }); n != 0 {
		t.Errorf("%v allocations for a byte of a body", n)
	}
}

// Many frames right behind the handshake are more than net/http's buffer holds.
func TestFrontKeepsFramesBehindTheHandshake(t *testing.T) {
	_, srv := serveFront(t, Options{}, quickEcho{&echo{}})
	var early bytes.Buffer
	early.WriteString(handshake)
	texts := make([]string, 20)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i)), 1000)
		if err := ws.WriteFrame(&early, ws.MaskFrame(ws.NewTextFrame([]byte(texts[i])))); err != nil {
			t.Fatal(err)
		}
	}
	c, r := exchange(t, srv, early.String())
	head(t, r)
	for _, text := range texts {
		(&wsClient{t, c, r}).want(ws.OpText, text)
	}
}

// A connection on its way to net/http counts, or the limit would not hold.
func TestFrontCountsWhatItHandsOver(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := New(Options{})
	l := e.Front(inner, quickEcho{&echo{}}, FrontOptions{Full: func() bool { return false }, HeaderTimeout: patience})
	if l == inner {
		t.Skip("this system has no front")
	}
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	f := l.(*front)
	for handed := 0; handed < 3; runtime.Gosched() {
		f.mu.Lock()
		handed = len(f.handed)
		f.mu.Unlock()
	}
	if n := e.Detached(); n != 3 {
		t.Errorf("%d connections count, want 3", n)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if n := e.Detached(); n != 2 {
		t.Errorf("%d connections count, want 2", n)
	}
	_ = l.Close()
	if n := e.Detached(); n != 0 {
		t.Errorf("%d connections count behind the end", n)
	}
	if err := e.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// grip.md, 2.5 item 3: a stream that ends in good order leaves its connection to
// the next request, whoever read the first.
func TestConnectionGoesOnBehindAStream(t *testing.T) {
	h := quickStreams{quickEcho{&echo{}}}
	e, srv := serveFront(t, Options{}, h)
	end := &grip.Item{Channel: "c", HTTPStream: &grip.HTTPStream{Action: grip.Close}}
	for _, slow := range []string{"", "X-Slow: yes\r\n"} {
		c, r := exchange(t, srv, "GET /hold HTTP/1.1\r\nHost: h\r\n"+slow+"\r\n")
		for range 3 {
			head(t, r)
			wantBytes(t, r, "4\r\nopen\r\n")
			publishSoon(t, e, end)
			wantBytes(t, r, "0\r\n\r\n")
			if _, err := io.WriteString(c, "GET /hold HTTP/1.1\r\nHost: h\r\n"+slow+"\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		head(t, r)
		// A request that came too early is answered, or the connection closed: never
		// kept waiting.
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		wantBytes(t, r, "4\r\nopen\r\n")
		publishSoon(t, e, end)
		wantBytes(t, r, "0\r\n\r\n")
		if line, err := r.ReadString('\n'); err != io.EOF && line != "HTTP/1.1 201 Created\r\n" {
			t.Fatalf("behind the stream %q, %v", line, err)
		}
	}
	c, r := exchange(t, srv, "GET /hold HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	head(t, r)
	publishSoon(t, e, end)
	if rest, err := io.ReadAll(r); string(rest) != "4\r\nopen\r\n0\r\n\r\n" {
		t.Errorf("a client that wants the end got %q, %v", rest, err)
	}
	_ = c.Close()
}

// quickStreams leaves requests with X-Slow to net/http.
type quickStreams struct{ quickEcho }

func (quickStreams) Quick(r *Request) bool { return r.Header.Get("X-Slow") == "" }
