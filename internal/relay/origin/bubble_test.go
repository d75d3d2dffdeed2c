package origin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// pipes is a network of pipes, so that a bubble's clock can move.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}

	mu      sync.Mutex // guards the following
	refused int        // how many more connections are refused
	last    net.Conn   // the origin's end of the newest one
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) refuse(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = n
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	refuse := p.refused > 0
	if refuse {
		p.refused--
	}
	p.mu.Unlock()
	if refuse {
		return nil, &connectError{errors.New("connection refused")}
	}
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.last = there
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble runs f with a backend whose origin is h, on a fake clock.
func bubble(t *testing.T, h http.HandlerFunc, f func(t *testing.T, b *backend, net *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		route, err := ParseRoute("* origin:1,over_http")
		if err != nil {
			t.Fatal(err)
		}
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		up := newUpstream(upstreamKey{address: "origin:1"}, nil)
		up.dial, up.transport.DialContext = p.dial, p.dial
		srv := &http.Server{Handler: h}
		go srv.Serve(p) // ends with srv
		defer srv.Close()
		defer up.transport.CloseIdleConnections()
		proxy := New(Options{Log: slog.New(slog.DiscardHandler)}, nil)
		f(t, &backend{proxy: proxy, route: route, targets: []*server{{route.targets[0], up}}}, p)
	})
}

func newSocket() *fanout.Socket {
	return &fanout.Socket{Handshake: &fanout.Request{Method: "GET", Path: "/", Host: "h", Header: http.Header{}, Body: http.NoBody}}
}

// call gives events to the backend and tells how long it took.
func call(t *testing.T, b *backend, s *fanout.Socket, kinds ...grip.EventType) (*fanout.Reply, time.Duration, error) {
	t.Helper()
	var in []grip.Event
	for _, k := range kinds {
		in = append(in, grip.Event{Type: k})
	}
	start := time.Now()
	reply, err := b.Events(t.Context(), s, in)
	return reply, time.Since(start), err
}

// TestG72 retries with growing pauses, and gives up after the fifth.
func TestG72ConnectFailuresAreRetried(t *testing.T) {
	for refusals, want := range map[int]struct {
		least, most time.Duration
		fails       bool
	}{0: {}, 1: {time.Second, 2 * time.Second, false}, 5: {31 * time.Second, 36 * time.Second, false}, 6: {31 * time.Second, 36 * time.Second, true}} {
		bodies := ""
		bubble(t, replies(func(w http.ResponseWriter, body string) { bodies += body; events(w, nil) }), func(t *testing.T, b *backend, net *pipes) {
			s := newSocket()
			if reply, _, err := call(t, b, s, grip.EventOpen); err != nil || reply.Refuse != nil {
				t.Fatalf("open: %+v, %v", reply, err)
			}
			b.targets[0].transport.CloseIdleConnections()
			net.refuse(refusals)
			_, took, err := call(t, b, s, grip.EventText)
			if took < want.least || took > want.most || (err != nil) != want.fails {
				t.Errorf("%d refusals: %v, %v", refusals, took, err)
			}
			if (bodies == "TEXT\r\n") == want.fails {
				t.Errorf("%d refusals: origin got %q", refusals, bodies)
			}
		})
	}
}

func TestRefusedHandshakeIsNotRetried(t *testing.T) {
	bubble(t, kit, func(t *testing.T, b *backend, net *pipes) {
		net.refuse(1)
		reply, took, err := call(t, b, newSocket(), grip.EventOpen)
		if err != nil || reply.Refuse == nil || reply.Refuse.Status != 502 || took > 0 {
			t.Errorf("answered %+v after %v, %v", reply, took, err)
		}
	})
}

func TestOpenIsAskedAgainAfterTheInterval(t *testing.T) {
	n := 0
	bubble(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n < 3 {
			events(w, map[string]string{"Keep-Alive-Interval": "5"})
			return
		}
		events(w, map[string]string{"Keep-Alive-Interval": "30"}, "OPEN\r\n")
	}, func(t *testing.T, b *backend, _ *pipes) {
		reply, took, err := call(t, b, newSocket(), grip.EventOpen)
		if err != nil || reply.Refuse != nil || took != 40*time.Second || n != 3 || reply.Interval != 30*time.Second {
			t.Errorf("answered %+v after %v and %d requests, %v", reply, took, n, err)
		}
	})
}

func TestG38Transcript51KeepAliveInterval(t *testing.T) {
	for header, want := range map[string]time.Duration{"120": 120 * time.Second, "3": 20 * time.Second, "0": -1, "x": -1, "-5": -1, "none": 0} {
		bubble(t, replies(func(w http.ResponseWriter, _ string) {
			h := map[string]string{"Keep-Alive-Interval": header}
			if header == "none" {
				h = nil
			}
			events(w, h)
		}), func(t *testing.T, b *backend, _ *pipes) {
			s := newSocket()
			_, _, _ = call(t, b, s, grip.EventOpen)
			if reply, _, err := call(t, b, s); err != nil || reply.Interval != want {
				t.Errorf("%s: interval %v, %v; want %v", header, reply.Interval, err, want)
			}
		})
	}
}

// TestOriginThatNeverAnswers: after a minute nobody waits any longer.
func TestOriginThatNeverAnswers(t *testing.T) {
	half := func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // or net/http does not notice when its client leaves
		switch req.URL.Path {
		case "/half":
			w.Header().Set("Grip-Hold", "response")
			_, _ = io.WriteString(w, "beginning")
			w.(http.Flusher).Flush()
		case "/events":
			w.Header().Set("Content-Type", eventsType)
			_, _ = io.WriteString(w, "OPEN\r\n")
			w.(http.Flusher).Flush()
		}
		<-req.Context().Done()
	}
	bubble(t, half, func(t *testing.T, b *backend, _ *pipes) {
		for _, path := range []string{"/never", "/half"} {
			start := time.Now()
			resp, err := b.Request(t.Context(), &fanout.Request{Method: "GET", Path: path, Host: "h", Header: http.Header{}, Body: http.NoBody})
			if err != nil || resp.Status != 502 || time.Since(start) != answerTimeout {
				t.Errorf("%s answered %+v after %v, %v", path, resp, time.Since(start), err)
			}
		}
		for _, path := range []string{"/never", "/events"} {
			s := newSocket()
			s.Handshake.Path = path
			reply, took, err := call(t, b, s, grip.EventOpen)
			if err != nil || reply.Refuse == nil || took != answerTimeout {
				t.Errorf("%s answered %+v after %v, %v", path, reply, took, err)
			}
		}
	})
}

// TestG51 signs each request anew: after a second it is another token.
func TestG51EachRequestIsSignedAnew(t *testing.T) {
	var sigs []string
	bubble(t, func(w http.ResponseWriter, req *http.Request) {
		sigs = append(sigs, req.Header.Get("Grip-Sig"))
		kit(w, req)
	}, func(t *testing.T, b *backend, _ *pipes) {
		key := testKey(t, "k")
		b.signer = newSigner("i", key)
		s := newSocket()
		_, _, _ = call(t, b, s, grip.EventOpen)
		time.Sleep(2 * time.Hour)
		_, _, _ = call(t, b, s, grip.EventPing)
		if len(sigs) != 2 || sigs[0] == sigs[1] || grip.VerifySig(sigs[1], key, "i", time.Now()) != nil {
			t.Errorf("signed with %q", sigs)
		}
	})
}

// TestKeptConnectionThatTheOriginClosed without a word costs no message, whether
// that is noticed before the next request or by it.
func TestKeptConnectionThatTheOriginClosed(t *testing.T) {
	var bodies strings.Builder
	bubble(t, replies(func(w http.ResponseWriter, body string) {
		bodies.WriteString(body)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: "+eventsType+"\r\nContent-Length: 0\r\n\r\n")
		_ = c.Close()
	}), func(t *testing.T, b *backend, _ *pipes) {
		s := newSocket()
		_, _, _ = call(t, b, s, grip.EventOpen)
		for range 5 {
			if _, _, err := call(t, b, s, grip.EventPing); err != nil {
				t.Error(err)
			}
		}
		if bodies.String() != strings.Repeat("PING\r\n", 5) {
			t.Errorf("origin got %q", bodies.String())
		}
	})
}

// TestConnectionThatClosesWhenItIsTaken is the moment between taking a kept
// connection and writing to it: the origin has not seen the message, so it is sent
// again.
func TestConnectionThatClosesWhenItIsTaken(t *testing.T) {
	bodies := ""
	bubble(t, replies(func(w http.ResponseWriter, body string) { bodies += body; events(w, nil) }), func(t *testing.T, b *backend, p *pipes) {
		s := newSocket()
		_, _, _ = call(t, b, s, grip.EventOpen)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				_ = p.last.Close()
				synctest.Wait() // until net/http has noticed
			}
		}})
		if _, err := b.Events(ctx, s, []grip.Event{{Type: grip.EventPing}}); err != nil || bodies != "PING\r\n" {
			t.Errorf("origin got %q, %v", bodies, err)
		}
	})
}

// TestHandshakesHaveABound: no more than so many reach the origin at once, and
// those that wait go on when others are done.
func TestHandshakesHaveABound(t *testing.T) {
	const clients = maxOpening + 10
	var mu sync.Mutex // guards the following
	now, most := 0, 0
	bubble(t, func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		now--
		mu.Unlock()
		kit(w, req)
	}, func(t *testing.T, b *backend, _ *pipes) {
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				if reply, _, err := call(t, b, newSocket(), grip.EventOpen); err != nil || reply.Refuse != nil {
					t.Errorf("refused: %+v, %v", reply, err)
				}
			})
		}
		all.Wait()
	})
	if most != maxOpening {
		t.Errorf("%d handshakes at once, want %d", most, maxOpening)
	}
}

// TestNativeOriginThatDoesNotAnswerAClose costs its client so long and no longer.
func TestNativeOriginThatDoesNotAnswerAClose(t *testing.T) {
	bubble(t, func(w http.ResponseWriter, req *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			acceptKey(req.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}, func(t *testing.T, b *backend, _ *pipes) {
		b.targets[0].overHTTP = false
		s := newSocket()
		if reply, _, err := call(t, b, s, grip.EventOpen); err != nil || reply.Refuse != nil {
			t.Fatalf("open: %+v, %v", reply, err)
		}
		if reply, took, err := call(t, b, s, grip.EventClose); err == nil || took != closeWait {
			t.Errorf("closed with %+v after %v, %v", reply, took, err)
		}
	})
}
