package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// BenchmarkDispatch measures the way of a message from ready bytes to the
// caller's function.
func BenchmarkDispatch(b *testing.B) {
	for _, size := range []int{16, 200, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			event := message(strings.Repeat("x", size))
			body := io.MultiReader(strings.NewReader(opened), &endless{block: bytes.Repeat([]byte(event), 32)})
			c := &Client{URL: "http://service.test", HTTP: ready{body}}
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			n := 0
			err := c.Subscribe(b.Context(), []pubsub.Topic{"t"}, SubscribeOptions{}, func(e Event) error {
				if n++; n > b.N {
					return errEnough
				}
				return nil
			})
			if !errors.Is(err, errEnough) {
				b.Fatal(err)
			}
		})
	}
}

// endless repeats a block in reads as large as the reader asks for.
type endless struct {
	block []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.block[e.at:])
	e.at = (e.at + n) % len(e.block)
	return n, nil
}

// ready answers every request with the same stream.
type ready struct{ body io.Reader }

func (r ready) RoundTrip(req *http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {"text/event-stream"}, "Access-Control-Allow-Origin": {"*"}, "Access-Control-Max-Age": {"3600"}}
	body := struct {
		io.Reader
		io.Closer
	}{r.body, io.NopCloser(nil)}
	return &http.Response{StatusCode: 200, Header: h, Body: body, Request: req}, nil
}

// BenchmarkPublish measures messages over kept connections on loopback, with
// the server's share of the processor included: it is net/http and does
// nothing but read and answer.
func BenchmarkPublish(b *testing.B) {
	var d net.Dialer
	for _, o := range []BatchOptions{{Parallel: 1}, {Parallel: 16}, {Parallel: 64}, {Parallel: 64, Dial: d.DialContext}} {
		b.Run(fmt.Sprintf("parallel=%d/pipeline=%t", o.Parallel, o.Dial != nil), func(b *testing.B) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Access-Control-Allow-Origin", "*")
				w.Header().Set("Access-Control-Max-Age", "3600")
				io.WriteString(w, "Published\n")
			}))
			defer srv.Close()
			rt := NewHTTP(o.Parallel)
			defer rt.CloseIdleConnections()
			c := &Client{URL: srv.URL, HTTP: rt}
			body := make([]byte, 200)
			next := func(_ context.Context, n int) ([]byte, error) {
				if n > b.N {
					return nil, io.EOF
				}
				return body, nil
			}
			b.ReportAllocs()
			if err := c.PublishAll(b.Context(), "t", next, o, func(s Sent) error { return s.Err }); err != nil {
				b.Fatal(err)
			}
		})
	}
}
