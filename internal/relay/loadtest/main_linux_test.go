package loadtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	Child(map[string]Role{"simple": serveSimple, "broker": serveBroker})
	if os.Getenv("GORACE") == "" { // children of a race-enabled test else take a second to end
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	os.Exit(m.Run())
}

// simple is an ordinary net/http server of event streams to measure: a handler
// goroutine and a channel per subscriber. fault makes it misbehave.
type simple struct {
	fault string
	frame func(payload []byte) []byte // what a stream is sent of a payload

	mu   sync.Mutex // guards the following
	subs map[chan []byte]bool
	seen int    // messages published
	late []byte // the message that swap sends behind the next one
}

// serveSimple serves until ctx ends. Its first argument is a fault or empty, the
// others a certificate and its key to serve TLS with.
func serveSimple(ctx context.Context, args []string, ready func(addr string)) error {
	s := &simple{subs: make(map[chan []byte]bool), fault: args[0], frame: event}
	return serveHandler(ctx, s, args[1:], ready)
}

// event is a payload on an event stream.
func event(payload []byte) []byte { return fmt.Appendf(nil, "event: message\ndata: %s\n\n", payload) }

func serveHandler(ctx context.Context, h http.Handler, certificate []string, ready func(addr string)) error {
	srv := &http.Server{Handler: h}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	ready(ln.Addr().String())
	if len(certificate) > 0 {
		return ignoreClosed(srv.ServeTLS(ln, certificate[0], certificate[1]))
	}
	return ignoreClosed(srv.Serve(ln))
}

func ignoreClosed(err error) error {
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

func (s *simple) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.stream(w, r)
		return
	}
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.fault == "refuse" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.publish(payload)
	_, _ = io.WriteString(w, "Published\n")
}

// publish hands the payload to every stream, or does what the fault says from
// the fifth message on.
func (s *simple) publish(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if s.seen > 5 {
		switch s.fault {
		case "drop":
			s.fault = ""
			return
		case "damage":
			payload[len(payload)-1] = '!'
		case "repeat":
			s.send(payload)
		case "silent":
			return
		case "swap":
			s.late, s.fault = payload, ""
			return
		}
	}
	s.send(payload)
	s.send(s.late)
	s.late = nil
}

func (s *simple) send(payload []byte) {
	if payload == nil {
		return
	}
	framed := s.frame(payload)
	for c := range s.subs {
		c <- framed
	}
}

// join makes the channel of a new stream.
func (s *simple) join() (c chan []byte, leave func()) {
	c = make(chan []byte, 1024)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, c)
	}
}

func (s *simple) stream(w http.ResponseWriter, r *http.Request) {
	c, leave := s.join()
	defer leave()
	flush := http.NewResponseController(w).Flush
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "event: stream-open\ndata: \n\n")
	for flush() == nil {
		select {
		case event := <-c:
			_, _ = w.Write(event)
		case <-r.Context().Done():
			return
		}
	}
}

// simpleSpec is the ordinary server over a wire and with a fault.
func simpleSpec(t testing.TB, wire Wire, fault string) Spec {
	t.Helper()
	args := []string{fault}
	if wire != Plain {
		cert, key, err := WriteCertificate(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, cert, key)
	}
	s := Floor(false)
	s.Name, s.Start, s.Wire = "net/http", Self("simple", args...), wire
	return s
}
