package fanout

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

const patience = 20 * time.Second

// streamer is a Handler that holds /hold and answers everything else at once.
type streamer struct{ asked chan *Request }

func (s streamer) Request(_ context.Context, r *Request) (*Response, error) {
	if s.asked != nil {
		s.asked <- r
	}
	switch r.Path {
	case "/fail":
		return nil, errors.New("no origin")
	case "/panic":
		panic("mistake")
	case "/hold":
		return &Response{
			Header:   http.Header{"Content-Type": {"text/event-stream"}, "X-Two": {"a", "b"}, "Content-Length": {"4"}},
			Body:     []byte("open"),
			Instruct: &grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "c"}}},
		}, nil
	}
	return &Response{Status: 201, Header: http.Header{"X-Path": {r.Path + "?" + r.RawQuery}}, Body: []byte("plain")}, nil
}

func serve(t *testing.T, opt Options, h Handler, start func(*httptest.Server)) (*Engine, *httptest.Server) {
	t.Helper()
	e := New(opt)
	srv := httptest.NewUnstartedServer(e.Serve(h))
	start(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Drain(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return e, srv
}

func plainText(s *httptest.Server) { s.Start() }

func exchange(t *testing.T, srv *httptest.Server, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// head reads a response's head and returns its lines, sorted but for the first.
func head(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var lines []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", lines, err)
		}
		if line == "\r\n" {
			slices.Sort(lines[1:])
			return strings.Join(lines, "\n")
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
	}
}

func wantBytes(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

// publishTo publishes and checks how many streams were reached: one whose first
// bytes have been read has joined.
func publishTo(t *testing.T, e *Engine, n int, items ...*grip.Item) {
	t.Helper()
	if got, err := e.Publish(t.Context(), items...); got != n || err != nil {
		t.Fatalf("handed to %d, %v; want %d", got, err, n)
	}
}

// Transcript 06: the bytes of a held stream.
func TestWireHTTP11(t *testing.T) {
	e, srv := serve(t, Options{}, streamer{}, plainText)
	_, r := exchange(t, srv, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	want := "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked\nX-Two: a\nX-Two: b"
	if got := head(t, r); got != want {
		t.Errorf("head is\n%s\nwant\n%s", got, want)
	}
	wantBytes(t, r, "4\r\nopen\r\n")
	publishTo(t, e, 2, send("c", "hello, this is long enough"), send("c", ""))
	wantBytes(t, r, "1a\r\nhello, this is long enough\r\n")
	publishTo(t, e, 1, act("c", grip.Close))
	rest, err := io.ReadAll(r)
	if string(rest) != "0\r\n\r\n" || err != nil {
		t.Errorf("the end is %q, %v", rest, err)
	}
}

// Transcript 07: HTTP/1.0 gets the bare content.
func TestWireHTTP10(t *testing.T) {
	e, srv := serve(t, Options{}, streamer{}, plainText)
	_, r := exchange(t, srv, "GET /hold HTTP/1.0\r\n\r\n")
	want := "HTTP/1.0 200 OK\nConnection: close\nContent-Type: text/event-stream\nX-Two: a\nX-Two: b"
	if got := head(t, r); got != want {
		t.Errorf("head is\n%s\nwant\n%s", got, want)
	}
	wantBytes(t, r, "open")
	publishTo(t, e, 1, send("c", "x"))
	publishTo(t, e, 1, act("c", grip.Close))
	if rest, err := io.ReadAll(r); string(rest) != "x" || err != nil {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

// The ways a connection can stay in net/http deliver the same content.
func TestWirePortable(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){
		"http/1.1": plainText,
		"tls":      func(s *httptest.Server) { s.StartTLS() },
		"http/2":   func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		t.Run(name, func(t *testing.T) {
			e, srv := serve(t, Options{Portable: true}, streamer{}, start)
			resp, err := srv.Client().Get(srv.URL + "/hold")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if (name == "http/2") != (resp.ProtoMajor == 2) {
				t.Errorf("protocol is %s", resp.Proto)
			}
			if got := resp.Header["X-Two"]; !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("X-Two is %q", got)
			}
			wantBytes(t, resp.Body, "open")
			publishTo(t, e, 2, send("c", "x"), send("c", "y"))
			wantBytes(t, resp.Body, "xy")
			publishTo(t, e, 1, send("c", "z"))
			publishTo(t, e, 1, act("c", grip.Close))
			if rest, err := io.ReadAll(resp.Body); string(rest) != "z" || err != nil {
				t.Errorf("the rest is %q, %v", rest, err)
			}
		})
	}
}

func TestClientLeavingIsNoticed(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprint("portable=", portable), func(t *testing.T) {
			e, srv := serve(t, Options{Portable: portable}, streamer{}, plainText)
			c, r := exchange(t, srv, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
			head(t, r)
			_ = c.Close()
			for end := time.Now().Add(patience); e.Subscribers("c") > 0; {
				if time.Now().After(end) {
					t.Fatal("the stream is still held")
				}
				_, _ = e.Publish(t.Context(), send("c", "x"))
			}
		})
	}
}

func TestRequestsThatAreNotHeld(t *testing.T) {
	asked := make(chan *Request, 1)
	_, srv := serve(t, Options{}, streamer{asked}, plainText)
	c, r := exchange(t, srv, "POST /%65vents?a=%2F&b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\nabc")
	got := <-asked
	if got.Method != "POST" || got.Path != "/%65vents" || got.RawQuery != "a=%2F&b" || got.Host != "h:1" ||
		got.ContentLength != 3 || got.Remote != c.LocalAddr().String() || got.Conn == 0 {
		t.Errorf("the handler saw %+v", got)
	}
	if h := head(t, r); !strings.Contains(h, "201 Created") || !strings.Contains(h, "Content-Length: 5") || strings.Contains(h, "Content-Type") {
		t.Errorf("head is\n%s", h)
	}
	wantBytes(t, r, "plain")
	for path, status := range map[string]string{"/fail": "502", "/panic": "502", "/x": "201"} {
		_, _ = fmt.Fprintf(c, "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		<-asked
		if h := head(t, r); !strings.Contains(h, " "+status+" ") {
			t.Errorf("%s: %s", path, h)
		}
	}
	// HEAD is never held.
	_, _ = io.WriteString(c, "HEAD /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	<-asked
	if h := head(t, r); !strings.Contains(h, "200 OK") {
		t.Errorf("head is\n%s", h)
	}
	<-asked
	if h := head(t, r); !strings.Contains(h, "201 Created") {
		t.Errorf("head is\n%s", h)
	}
}

// broken is a Handler whose answer breaks off when broken is closed.
type broken struct{ off chan struct{} }

func (b broken) Request(context.Context, *Request) (*Response, error) {
	r, w := io.Pipe()
	go func() { // ends when off is closed
		_, _ = io.WriteString(w, "half")
		<-b.off
		_ = w.CloseWithError(errors.New("origin died"))
	}()
	return &Response{Stream: r}, nil
}

// grip.md 1.6 and 1.7: an answer is passed on as it comes, and one that its
// origin breaks off does not end in good order.
func TestBrokenAnswer(t *testing.T) {
	h := broken{make(chan struct{})}
	_, srv := serve(t, Options{}, h, plainText)
	_, r := exchange(t, srv, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	head(t, r)
	wantBytes(t, r, "4\r\nhalf\r\n")
	close(h.off)
	if rest, err := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("the answer ends with %q, %v", rest, err)
	}
}

// odd is a Handler that holds with the status its path names.
type odd struct{}

func (odd) Request(_ context.Context, r *Request) (*Response, error) {
	status, err := strconv.Atoi(r.Path[1:])
	return &Response{Status: status, Instruct: &grip.Instruct{Hold: grip.Stream}}, err
}

// A status that cannot end a request is the origin's mistake.
func TestOddStatuses(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprint("portable=", portable), func(t *testing.T) {
			e, srv := serve(t, Options{Portable: portable}, odd{}, plainText)
			for status, want := range map[string]string{"-1": "502", "99": "502", "101": "502", "999": "999", "1000": "502"} {
				_, r := exchange(t, srv, "GET /"+status+" HTTP/1.1\r\nHost: h\r\n\r\n")
				if h := head(t, r); !strings.HasPrefix(h, "HTTP/1.1 "+want+" ") {
					t.Errorf("%s: %s", status, h)
				}
			}
			if n := e.Stats().Streams; n != 1 {
				t.Errorf("%d streams are held", n)
			}
		})
	}
}

// A slow reader of an event stream is told why, the others go on.
func TestSlowReaderIsTold(t *testing.T) {
	e, srv := serve(t, Options{Backlog: 128 << 10, Shards: 1}, streamer{}, plainText)
	_, slow := exchange(t, srv, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	head(t, slow)
	_, fast := exchange(t, srv, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	head(t, fast)
	wantBytes(t, fast, "4\r\nopen\r\n")
	content := strings.Repeat("x", 16<<10)
	for e.Subscribers("c") == 2 {
		_, _ = e.Publish(t.Context(), send("c", content))
		wantBytes(t, fast, "4000\r\n"+content+"\r\n")
	}
	all, err := io.ReadAll(slow)
	if err != nil || !strings.HasSuffix(string(all), "\r\n16\r\n: ended: slow reader\n\n\r\n0\r\n\r\n") {
		t.Errorf("the end is %q, %v", all[max(0, len(all)-60):], err)
	}
	if n := e.Stats().Ended["slow"]; n != 1 {
		t.Errorf("%d slow readers counted", n)
	}
}
