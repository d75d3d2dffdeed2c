package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/store/boltstore"
)

const patience = 20 * time.Second

func stopT(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	http.DefaultClient.CloseIdleConnections()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("shut down: %v", err)
	}
}

// dial opens a connection to the data plane and sends request.
func dial(t *testing.T, s *Server, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Ready().Hub, "http://"))
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

const subscribe = "GET /events?topic=test HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + apptest.TokenRW + "\r\n\r\n"

// readUntil reads up to and with text.
func readUntil(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var got strings.Builder
	for !strings.HasSuffix(got.String(), text) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
		got.WriteByte(b)
	}
	return got.String()
}

func post(t *testing.T, s *Server, query, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Ready().Hub+"/events?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apptest.TokenRW)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != "Published\n" {
		t.Fatalf("published: %s %q", resp.Status, got)
	}
}

func TestShutdownEndsStreamsInGoodOrder(t *testing.T) {
	s, err := Start(t.Context(), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	_, r := dial(t, s, subscribe)
	readUntil(t, r, "\ndata: \n\n\r\n")
	post(t, s, "topic=test", "last words")
	stopT(t, s)
	if rest, err := io.ReadAll(r); !strings.Contains(string(rest), "data: last words\n\n") || !strings.HasSuffix(string(rest), "\r\n0\r\n\r\n") || err != nil {
		t.Errorf("the stream ended with %q, %v", rest, err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.Ready().Hub, "http://")); err == nil {
		t.Error("still listening")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("a second shutdown says %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	s := startT(t, testOptions())
	taken := strings.TrimPrefix(s.Ready().Hub, "http://")
	for plane, set := range map[string]func(*Options){
		"data":    func(o *Options) { o.Listen = taken },
		"control": func(o *Options) { o.Control = taken },
	} {
		o := testOptions()
		set(&o)
		var e *ListenError
		if _, err := Start(t.Context(), o); !errors.As(err, &e) || e.Plane != plane || e.Address != taken {
			t.Errorf("%s: %v", plane, err)
		}
	}
}

func TestDataDirectory(t *testing.T) {
	dir := t.TempDir()
	o := testOptions()
	o.Data = dir
	s := startT(t, o)
	var e *StoreError
	if _, err := Start(t.Context(), o); !errors.As(err, &e) || !errors.Is(err, boltstore.ErrLocked) {
		t.Errorf("a second relay on the same data says %v", err)
	}
	post(t, s, "topic=test&retain=true", "kept")
	stopT(t, s)
	again := startT(t, o)
	_, r := dial(t, again, strings.Replace(subscribe, "topic=test", "topic=test&durable=true", 1))
	readUntil(t, r, "\ndata: kept\n\n")
	stopT(t, again)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no data file")
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Size() > 0 {
			if err := os.WriteFile(f, bytes.Repeat([]byte("junk"), 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var damaged *boltstore.CorruptError
	if _, err := Start(t.Context(), o); !errors.As(err, &damaged) {
		t.Errorf("damaged data says %v", err)
	}
}

// A record whose bytes have changed is no reason not to start, and is named.
func TestDamagedRecordIsNamedAtTheStart(t *testing.T) {
	o := testOptions()
	o.Data = t.TempDir()
	s := startT(t, o)
	post(t, s, "topic=test&retain=true", "kept")
	stopT(t, s)
	path := filepath.Join(o.Data, "relay.db")
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte("kept")) {
		t.Fatal("the message is not in the file", err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte("kept"), []byte("kepT")), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	startT(t, o)
	line, _, _ := strings.Cut(log.String(), "\n")
	for _, want := range []string{"level=WARN", "msg=\"stored records are damaged\"", "count=1", "records=[r:test]", "dir=" + o.Data} {
		if !strings.Contains(line, want) {
			t.Errorf("the first line is %q, want %s in it", line, want)
		}
	}
}

func TestGivenKeysAreNotWrittenDown(t *testing.T) {
	o := testOptions()
	o.Data = t.TempDir()
	s := startT(t, o)
	_, r := dial(t, s, subscribe)
	readUntil(t, r, "stream-open")
	stopT(t, s)
	o.Keys = nil
	s = startT(t, o)
	_, r = dial(t, s, subscribe)
	readUntil(t, r, "Auth process failed")
}

func TestControlPlane(t *testing.T) {
	s := startT(t, testOptions())
	_, r := dial(t, s, subscribe)
	readUntil(t, r, "stream-open")
	get := func(path string) (int, string) {
		resp, err := http.Get(s.Ready().Control + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if status, body := get(path); status != 200 || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	if status, body := get("/metrics"); status != 200 || !strings.Contains(body, "\npubsubctl_relay_streams 1\n") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get("/nothing"); status != 404 {
		t.Errorf("status %d", status)
	}
	s.draining.Store(true)
	if status, body := get("/readyz"); status != 503 || body != "draining\n" {
		t.Errorf("draining: %d %q", status, body)
	}
	s.draining.Store(false)
}

func TestControlPlaneOff(t *testing.T) {
	o := testOptions()
	o.Control = Off
	if s := startT(t, o); s.Ready().Control != "" {
		t.Errorf("control plane at %s", s.Ready().Control)
	}
}

func TestNoApp(t *testing.T) {
	o := testOptions()
	o.NoApp = true
	_, r := dial(t, startT(t, o), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	readUntil(t, r, "502 Bad Gateway\r\n")
}

// Beyond the limit new clients get 503, old ones live on, and a place that is
// given free is taken again.
func TestTooManyConnections(t *testing.T) {
	o := testOptions()
	o.MaxConns = 4
	s := startT(t, o)
	var conns []net.Conn
	var readers []*bufio.Reader
	for range 4 {
		c, r := dial(t, s, subscribe)
		readUntil(t, r, "stream-open")
		conns, readers = append(conns, c), append(readers, r)
	}
	_, r := dial(t, s, "")
	if got, err := io.ReadAll(r); !strings.HasPrefix(string(got), "HTTP/1.1 503 ") {
		t.Errorf("the fifth got %q, %v", got, err)
	}
	// The last one leaves; its place is free once the relay has noticed.
	_ = conns[3].Close()
	for free := false; !free; {
		c, r := dial(t, s, subscribe)
		line, err := r.ReadString('\n')
		free = strings.HasPrefix(line, "HTTP/1.1 200 ")
		if !free && err == nil && !strings.HasPrefix(line, "HTTP/1.1 503 ") {
			t.Fatalf("got %q", line)
		}
		_ = c.Close()
	}
	for i := range 3 {
		_, _ = s.engine.Publish(t.Context())
		if _, err := conns[i].Write(nil); err != nil {
			t.Errorf("an old connection has ended: %v", err)
		}
	}
	if n := s.guard.refused.Load(); n == 0 {
		t.Error("nothing was counted as refused")
	}
	_ = readers
}

// A client that is slow with its request is let go, others are not disturbed.
func TestSlowloris(t *testing.T) {
	o := testOptions()
	o.HeaderTimeout, o.BodyTimeout = 100*time.Millisecond, 100*time.Millisecond
	s := startT(t, o)
	_, stream := dial(t, s, subscribe)
	readUntil(t, stream, "\ndata: \n\n\r\n")
	for name, request := range map[string]string{
		"head": "GET /events?topic=test HTTP/1.1\r\nHost: h\r\nX-Slow: ",
		"body": "POST /events?topic=test HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nAuthorization: Bearer " + apptest.TokenRW + "\r\n\r\nabc",
	} {
		_, r := dial(t, s, request)
		if got, err := io.ReadAll(r); err != nil || strings.Contains(string(got), "200 OK") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	post(t, s, "topic=test", "still here")
	readUntil(t, stream, "data: still here\n\n")
}

func TestBadRequestsDisturbNobody(t *testing.T) {
	s := startT(t, testOptions())
	_, stream := dial(t, s, subscribe)
	readUntil(t, stream, "\ndata: \n\n\r\n")
	auth := "Authorization: Bearer " + apptest.TokenRW + "\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"not http":        {"hello there\r\n\r\n", "400 Bad Request"},
		"huge head":       {"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		"bad length":      {"POST /events?topic=test HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n\r\n", "400 Bad Request"},
		"two lengths":     {"POST /events?topic=test HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400 Bad Request"},
		"bad chunk":       {"POST /events?topic=test HTTP/1.1\r\nHost: h\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "502"},
		"garbage token":   {"POST /events?topic=test HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \x7f.\x01\r\nContent-Length: 0\r\n\r\n", "400 Bad Request"},
		"oversized body":  {"POST /events?topic=test HTTP/1.1\r\nHost: h\r\n" + auth + fmt.Sprintf("Content-Length: %d\r\n\r\n", 40000) + strings.Repeat("x", 40000), "Message size exceeds 32512 bytes maximum"},
		"control in path": {"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := dial(t, s, c.request)
			readUntil(t, r, c.want)
		})
	}
	truncated, _ := dial(t, s, "POST /events?topic=test HTTP/1.1\r\nHost: h\r\n"+auth+"Content-Length: 100\r\n\r\nhalf")
	_ = truncated.Close()
	post(t, s, "topic=test", "undisturbed")
	got := readUntil(t, stream, "data: undisturbed\n\n")
	if strings.Count(got, "event:") != 1 {
		t.Errorf("the stream got %q", got)
	}
}

func TestReadyFileIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ready")
	if err := WriteFile(path, []byte("all of it\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "all of it\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := WriteFile(filepath.Join(path, "x"), nil); err == nil {
		t.Error("wrote below a file")
	}
}

// syncBuffer is a log's destination that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Each event has its line, a refusal the claim that failed, and no line a secret.
func TestEventsAreLogged(t *testing.T) {
	var out syncBuffer
	o := testOptions()
	o.Log = slog.New(slog.NewTextHandler(&out, nil))
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, stream := dial(t, s, subscribe)
	readUntil(t, stream, "stream-open")
	post(t, s, "topic=test", "private words")
	_, r := dial(t, s, strings.ReplaceAll(subscribe, apptest.TokenRW, apptest.TokenExpired))
	readUntil(t, r, "Invalid token")
	stopT(t, s)
	got := out.String()
	for _, want := range []string{"subscribed", "published", "delivered=1", "of=1", "refused", "exp 1700000000", "stream ended"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in the log:\n%s", want, got)
		}
	}
	for _, secret := range []string{apptest.TokenRW, apptest.TokenExpired, "notasecret", "private words"} {
		if strings.Contains(got, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}
