package origin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// seen is a request as the origin read it.
type seen struct {
	method, uri, host string
	header            http.Header
	body              string
	length            int64
	chunked           bool
}

// rig is an origin behind a Proxy, both on loopback.
type rig struct {
	t      *testing.T
	engine *fanout.Engine
	proxy  *Proxy
	front  *httptest.Server
	addr   string // of the origin
	log    *logBook

	mu   sync.Mutex // guards seen
	seen []seen
	more chan struct{} // gets one for each request, as far as there is room
}

// logBook keeps what was logged.
type logBook struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRig starts an origin that answers with h and a proxy with the routes, in
// which ORIGIN stands for the origin's address.
func newRig(t *testing.T, h http.HandlerFunc, opt Options, lines ...string) *rig {
	t.Helper()
	r := &rig{t: t, more: make(chan struct{}, 1024), log: new(logBook)}
	origin := httptest.NewServer(r.record(h))
	t.Cleanup(origin.Close) // after the proxy, which has something to tell it at its end
	r.addr = origin.Listener.Addr().String()
	r.start(opt, lines...)
	return r
}

// start starts the proxy in front of r.addr.
func (r *rig) start(opt Options, lines ...string) {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.engine = fanout.New(fanout.Options{Log: log, NoFirstUpdate: true, Shards: 1})
	opt.Engine, opt.Log = r.engine, log
	r.proxy = New(opt, r.routes(lines...))
	r.front = httptest.NewServer(r.proxy)
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.front.CloseClientConnections()
		_ = r.engine.Drain(ctx)
		r.front.Close()
		r.proxy.Close()
	})
}

func (r *rig) routes(lines ...string) []*Route {
	r.t.Helper()
	var routes []*Route
	for _, line := range lines {
		route, err := ParseRoute(strings.ReplaceAll(line, "ORIGIN", r.addr))
		if err != nil {
			r.t.Fatal(err)
		}
		routes = append(routes, route)
	}
	return routes
}

func (r *rig) record(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.seen = append(r.seen, seen{
			req.Method, req.RequestURI, req.Host, req.Header.Clone(), string(body), req.ContentLength,
			len(req.TransferEncoding) > 0,
		})
		r.mu.Unlock()
		select {
		case r.more <- struct{}{}:
		default:
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		h(w, req)
	}
}

// request returns the n-th request that the origin got, from 0, and waits for it.
func (r *rig) request(n int) seen {
	r.t.Helper()
	late := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		if n < len(r.seen) {
			defer r.mu.Unlock()
			return r.seen[n]
		}
		r.mu.Unlock()
		select {
		case <-r.more:
		case <-late:
			r.t.Fatalf("request %d never came", n)
		}
	}
}

// calls is how many requests the origin got so far.
func (r *rig) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// client is a connection to the proxy.
type client struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (r *rig) dial() *client {
	r.t.Helper()
	c, err := net.Dial("tcp", r.front.Listener.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{r.t, c, bufio.NewReader(c)}
}

// send writes a request given with plain line ends.
func (c *client) send(text string) {
	c.t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	if _, err := io.WriteString(c.c, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads a response, without its body.
func (c *client) reply() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// do sends a request on a connection of its own and reads the whole response.
func (r *rig) do(text string) (*http.Response, string) {
	r.t.Helper()
	c := r.dial()
	c.send(text)
	resp := c.reply()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("read body: %v", err)
	}
	return resp, string(body)
}

func get(path string, headers ...string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\nHost: client.example\n%s\n", path, lines(headers))
}

func lines(headers []string) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h + "\n")
	}
	return b.String()
}

func post(path, body string, headers ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\nHost: client.example\nContent-Length: %d\n%s\n%s", path, len(body), lines(headers), body)
}

// publish publishes items and fails if nobody got them.
func (r *rig) publish(items ...*grip.Item) {
	r.t.Helper()
	if n, err := r.engine.Publish(context.Background(), items...); n == 0 || err != nil {
		r.t.Fatalf("publish reached %d, %v", n, err)
	}
}

// until waits for what only shows by looking.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s never happened", what)
		}
	}
}

// subscribed waits until a channel has a listener.
func (r *rig) subscribed(channel string) {
	r.t.Helper()
	until(r.t, "subscription to "+channel, func() bool { return r.engine.Subscribers(channel) > 0 })
}

// ReadString reads n bytes.
func (c *client) ReadString(n int, from io.Reader) string {
	c.t.Helper()
	buf := make([]byte, n)
	if got, err := io.ReadFull(from, buf); err != nil {
		c.t.Fatalf("read %q, %v", buf[:got], err)
	}
	return string(buf)
}

const handshakeHead = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"

// socket opens a WebSocket.
func (r *rig) socket(path string, headers ...string) *client {
	r.t.Helper()
	c := r.dial()
	c.send(get(path, append([]string{strings.TrimSuffix(handshakeHead, "\n")}, headers...)...))
	resp := c.reply()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		body, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("handshake answered %s %v %q", resp.Status, resp.Header, body)
	}
	return c
}

func (c *client) frame(op ws.OpCode, text string) { c.write(ws.NewFrame(op, true, []byte(text))) }

func (c *client) write(f ws.Frame) {
	c.t.Helper()
	if err := ws.WriteFrame(c.c, ws.MaskFrame(f)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) want(op ws.OpCode, text string) {
	c.t.Helper()
	f, err := readFrame(c.r)
	if err != nil || f.Header.OpCode != op || string(f.Payload) != text {
		c.t.Fatalf("got opcode %d %q, %v; want %d %q", f.Header.OpCode, f.Payload, err, op, text)
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

// wantEnd expects the end of the connection without another byte.
func (c *client) wantEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		c.t.Fatalf("behind the end: %q, %v", rest, err)
	}
}

// events answers with a websocket-events body.
func events(w http.ResponseWriter, headers map[string]string, events ...string) {
	w.Header().Set("Content-Type", eventsType)
	for k, v := range headers {
		w.Header().Set(k, v)
	}
	_, _ = io.WriteString(w, strings.Join(events, ""))
}

func event(kind, content string) string {
	if content == "" {
		return kind + "\r\n"
	}
	return fmt.Sprintf("%s %x\r\n%s\r\n", kind, len(content), content)
}

var gripExtension = map[string]string{"Sec-WebSocket-Extensions": `grip; message-prefix=""`}
