package loadtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Child(map[string]Role{"simple": serveSimple})
	if os.Getenv("GORACE") == "" { // children of a race-enabled test else take a second to end
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	os.Exit(m.Run())
}

// simple is an ordinary net/http server of event streams to measure: a handler
// goroutine and a channel per subscriber. fault makes it misbehave.
type simple struct {
	fault string

	mu   sync.Mutex // guards the following
	subs map[chan []byte]bool
	seen int    // messages published
	late []byte // the message that swap sends behind the next one
}

// serveSimple serves until ctx ends. Its first argument is plain or tls, its
// second a fault or empty.
func serveSimple(ctx context.Context, args []string, ready func(addr string)) error {
	s := &simple{subs: make(map[chan []byte]bool), fault: args[1]}
	srv := &http.Server{Handler: s}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	ready(ln.Addr().String())
	if args[0] == "tls" {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		err = srv.ServeTLS(ln, "", "")
		return ignoreClosed(err)
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
	event := fmt.Appendf(nil, "event: message\ndata: %s\n\n", payload)
	for c := range s.subs {
		c <- event
	}
}

func (s *simple) stream(w http.ResponseWriter, r *http.Request) {
	c := make(chan []byte, 1024)
	s.mu.Lock()
	s.subs[c] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.subs, c)
		s.mu.Unlock()
	}()
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

// selfSigned is a certificate for a server on loopback.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// simpleSpec is the ordinary server over a wire and with a fault.
func simpleSpec(wire Wire, fault string) Spec {
	mode := "tls"
	if wire == Plain {
		mode = "plain"
	}
	s := Floor(false)
	s.Name, s.Start, s.Wire = "net/http", Self("simple", mode, fault), wire
	return s
}
