package apptest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// service is one started service and how to speak to it.
type service struct {
	client  *http.Client
	sockets *http.Client
	base    string
}

// header is a list of names and values in turn.
type header []string

func bearer(tok string) header { return header{"Authorization", "Bearer " + tok} }

var (
	rw    = bearer(TokenRW)
	admin = header{"Fastly-Key", FastlyKey}
)

// cors are the fields of every answer of the app.
func cors() header {
	return header{
		"Access-Control-Allow-Origin", "*",
		"Access-Control-Allow-Methods", "OPTIONS, HEAD, GET, POST, PUT, DELETE",
		"Access-Control-Allow-Headers", "Authorization, Content-Type",
		"Access-Control-Allow-Credentials", "true",
		"Access-Control-Max-Age", "3600",
	}
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *service) send(t *testing.T, ctx context.Context, method, target, body string, h header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, s.base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(h); i += 2 {
		req.Header[http.CanonicalHeaderKey(h[i])] = []string{h[i+1]}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp
}

// do sends a request and reads its whole answer, which must carry CORS.
func (s *service) do(t *testing.T, method, target, body string, h header) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp := s.send(t, ctx, method, target, body, h)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: read: %v", method, target, err)
	}
	checkHeader(t, resp.Header, cors()...)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func checkHeader(t *testing.T, got http.Header, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if v := strings.Join(got.Values(want[i]), "|"); v != want[i+1] {
			t.Errorf("header %s is %q, want %q", want[i], v, want[i+1])
		}
	}
}

// wantText sends a request that must be answered by a status and a text.
func (s *service) wantText(t *testing.T, method, target, body string, h header, status int, text string) answer {
	t.Helper()
	a := s.do(t, method, target, body, h)
	if a.status != status || a.body != text {
		t.Errorf("%s %s: %d %q, want %d %q", method, target, a.status, a.body, status, text)
	}
	if text != "" {
		checkHeader(t, a.header, "Content-Type", "text/plain; charset=utf-8")
	}
	return a
}

// publish sends a POST that must succeed.
func (s *service) publish(t *testing.T, query, body string) {
	t.Helper()
	s.wantText(t, "POST", "/events?"+query, body, admin, http.StatusOK, "Published\n")
}

// refused sends a GET /events that must be answered by one stream-error.
func (s *service) refused(t *testing.T, query string, h header, condition, text string) {
	t.Helper()
	a := s.do(t, "GET", "/events?"+query, "", h)
	one := "event: stream-error\ndata: {\"condition\":" + quote(condition) + ",\"text\":" + quote(text) + "}\n\n"
	two := "event: stream-error\ndata: {\"text\":" + quote(text) + ",\"condition\":" + quote(condition) + "}\n\n"
	if a.status != http.StatusOK || a.body != one && a.body != two {
		t.Errorf("GET /events?%s: %d %q, want 200 %q", query, a.status, a.body, one)
	}
	checkHeader(t, a.header, "Content-Type", "text/event-stream")
}

// crashed sends a request that must be answered by the platform.
func (s *service) crashed(t *testing.T, method, target string, h header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp := s.send(t, ctx, method, target, "", h)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusInternalServerError || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s %s: %d %v, want 500 without CORS", method, target, resp.StatusCode, resp.Header)
	}
}

// stream is an open event stream.
type stream struct {
	events chan string // closed at the end of the body
}

const opened = "event: stream-open\ndata: \n\n"

// open sends a GET /events that must open a stream. A goroutine reads it until
// it ends or the test does; the test waits for the goroutine.
func (s *service) open(t *testing.T, query string, h header) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	resp := s.send(t, ctx, "GET", "/events?"+query, "", h)
	st, done := &stream{events: make(chan string, 1024)}, make(chan struct{})
	go func() {
		defer close(done)
		st.read(ctx, resp.Body)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		resp.Body.Close()
	})
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /events?%s: status %d", query, resp.StatusCode)
	}
	checkHeader(t, resp.Header, append(cors(), "Content-Type", "text/event-stream")...)
	st.want(t, opened)
	return st
}

// read sends every event, its empty line included. What the body ends with, if
// it is not a whole event, is sent as it is.
func (st *stream) read(ctx context.Context, body io.Reader) {
	defer close(st.events)
	r, event := bufio.NewReader(body), ""
	for {
		line, err := r.ReadString('\n')
		event += line
		if line == "\n" || err != nil && event != "" {
			select {
			case st.events <- event:
				event = ""
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// next waits for one event.
func (st *stream) next(t *testing.T) string {
	t.Helper()
	return st.within(t, patience)
}

func (st *stream) within(t *testing.T, d time.Duration) string {
	t.Helper()
	select {
	case e, ok := <-st.events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(d):
		t.Fatalf("no event within %v", d)
	}
	return ""
}

// want waits for exactly these events.
func (st *stream) want(t *testing.T, events ...string) {
	t.Helper()
	for _, want := range events {
		if got := st.next(t); got != want {
			t.Fatalf("got event %q, want %q", got, want)
		}
	}
}

// live is the event of a message that was not stored.
func live(data string) string { return "event: message\ndata: " + data + "\n\n" }

// saved is the event of a stored message.
func saved(id, data string) string { return "event: message\nid: " + id + "\ndata: " + data + "\n\n" }

// mark publishes a live message and waits for it: what did not arrive before it
// did not arrive. topic is raw, as in a query.
func (s *service) mark(t *testing.T, topic string, streams ...*stream) {
	t.Helper()
	s.publish(t, "topic="+topic, "mark")
	for _, st := range streams {
		st.want(t, live("mark"))
	}
}
