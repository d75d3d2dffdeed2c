package relay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// originT is an origin that says its name, and holds /hold as a stream.
func originT(t *testing.T, name string) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hold") {
			w.Header().Set("Grip-Hold", "stream")
			w.Header().Set("Grip-Channel", "room")
		}
		_, _ = fmt.Fprintf(w, "%s has %s, sig %t, proto %q\n", name, r.URL.Path, r.Header.Get("Grip-Sig") != "", r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func routed(t *testing.T, set func(*Options)) *Server {
	t.Helper()
	o := testOptions()
	o.SigIssuer, o.SigKey, o.Debug, o.ForwardedProto = "pushpin", "changeme", true, ProtoOnly
	set(&o)
	return startT(t, o)
}

// One connection asks the app, an origin and the app again.
func TestRoutesBesideTheApp(t *testing.T) {
	a := originT(t, "origin")
	for name, set := range map[string]func(*Options){"descriptor": func(*Options) {}, "portable": func(o *Options) { o.Portable = true }} {
		t.Run(name, func(t *testing.T) {
			s := routed(t, func(o *Options) { set(o); o.Routes = []string{"*,path_beg=/o/ " + a, "*,path_beg=/events/x " + a} })
			c, r := dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			readUntil(t, r, "Hello from Fastly Pub/Sub!\n")
			for _, step := range []struct{ path, want string }{
				{"/o/a", "origin has /o/a, sig true, proto \"\"\n"}, {"/", "Hello from Fastly Pub/Sub!\n"},
				{"/events/x", "origin has /events/x, sig true, proto \"\"\n"}, {"/events", "\r\n\r\n"},
			} {
				if _, err := io.WriteString(c, "GET "+step.path+" HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				readUntil(t, r, step.want)
			}
		})
	}
}

func TestPublishReachesOriginsStreams(t *testing.T) {
	a := originT(t, "origin")
	s := routed(t, func(o *Options) { o.Routes, o.NoApp = []string{"* " + a}, true })
	_, r := dial(t, s, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	readUntil(t, r, "origin has /hold, sig true, proto \"\"\n")
	resp, err := http.Post(s.Ready().Control+"/publish/", "application/json",
		strings.NewReader(`{"items":[{"channel":"room","formats":{"http-stream":{"content":"to all\n"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	readUntil(t, r, "to all\n")
}

func TestNoRoute(t *testing.T) {
	for name, set := range map[string]func(*Options){
		"no routes at all": func(o *Options) { o.NoApp = true },
		"another path":     func(o *Options) { o.NoApp, o.Routes = true, []string{"*,path_beg=/a 127.0.0.1:1"} },
		"unknown id":       func(o *Options) { o.RouteHeader, o.Routes = true, []string{"id=a 127.0.0.1:1"} },
	} {
		s := routed(t, set)
		_, r := dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\nPushpin-Route: b\r\n\r\n")
		if got := readUntil(t, r, "Route not found\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// lineLog is a log whose lines can be waited for.
type lineLog struct {
	mu    sync.Mutex // guards the following
	text  strings.Builder
	wrote chan struct{}
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

// await waits until text has been written n times.
func (l *lineLog) await(t *testing.T, n int, want string) {
	t.Helper()
	for {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		if strings.Count(text, want) >= n {
			return
		}
		select {
		case <-l.wrote:
		case <-t.Context().Done():
			t.Fatalf("no %q in the log: %s", want, text)
		}
	}
}

func TestRoutesFileIsReadAgain(t *testing.T) {
	a, b := originT(t, "first"), originT(t, "second")
	file := filepath.Join(t.TempDir(), "routes")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# a comment\n* " + a + "\n")
	log := &lineLog{wrote: make(chan struct{}, 1)}
	s := routed(t, func(o *Options) {
		o.RoutesFile, o.Log = file, slog.New(slog.NewTextHandler(log, nil))
		o.Routes = []string{"*,path_beg=/fixed " + a}
	})
	log.await(t, 1, `msg="routes loaded" count=2`)
	c, r := dial(t, s, "")
	ask := func(path, want string) {
		t.Helper()
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		readUntil(t, r, want)
	}
	ask("/x", "first has /x")
	_, held := dial(t, s, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	readUntil(t, held, "first has /hold")

	write("* " + b + "\nnonsense\n")
	log.await(t, 1, "routes not loaded, those before stay")
	ask("/x", "first has /x")

	write("* " + b + "\n")
	log.await(t, 2, `msg="routes loaded" count=2`)
	ask("/x", "second has /x")
	ask("/fixed", "first has /fixed")
}

func TestRoutesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "routes")
	if err := os.WriteFile(file, []byte("\n* 127.0.0.1:1\n*,sig_key=s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(*Options){
		"route":        func(o *Options) { o.Routes = []string{"*,sig_key=s3cret"} },
		"file":         func(o *Options) { o.RoutesFile = file },
		"missing file": func(o *Options) { o.RoutesFile = filepath.Join(dir, "none") },
	} {
		o := testOptions()
		set(&o)
		var e *RouteError
		_, err := Start(t.Context(), o)
		if !errors.As(err, &e) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "file" && (e.Line != 3 || e.File != file) {
			t.Errorf("the fault is said to be in %s, line %d", e.File, e.Line)
		}
	}
	o := testOptions()
	o.RoutesFile, o.SkipBadRoutes = file, true
	startT(t, o)
	o.SigKey = "base64:!!"
	var e *SigKeyError
	if _, err := Start(t.Context(), o); !errors.As(err, &e) {
		t.Errorf("a bad key says %v", err)
	}
}

// /recover/ has the origin of a held response asked once more, with the client's
// own request.
func TestRecoverAsksOriginsAgain(t *testing.T) {
	asked := make(chan string, 4)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Grip-Hold", "response")
		w.Header().Set("Grip-Channel", "room; prev-id=1")
		asked <- r.Header.Get("Cookie") + " " + r.Header.Get("Grip-Last")
	}))
	t.Cleanup(origin.Close)
	s := routed(t, func(o *Options) {
		o.Routes, o.NoFirstUpdate = []string{"* " + strings.TrimPrefix(origin.URL, "http://")}, true
	})
	_, r := dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\n\r\n")
	if first := <-asked; first != "a=b " {
		t.Errorf("asked with %q", first)
	}
	for s.engine.Subscribers("room") == 0 { // held soon after the origin has answered
		runtime.Gosched()
	}
	resp, err := http.Post(s.Ready().Control+"/recover/", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "Updated\n" {
		t.Fatalf("%q, %v", text, err)
	}
	if again := <-asked; again != "a=b room; last-id=1" {
		t.Errorf("asked again with %q", again)
	}
	for s.engine.Subscribers("room") == 0 {
		runtime.Gosched()
	}
	resp, err = http.Post(s.Ready().Control+"/publish/", "", strings.NewReader(`{"items":[{"channel":"room","id":"2","prev-id":"1","formats":{"http-response":{"code":201,"body":"two\n"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	readUntil(t, r, "two\n")
}
