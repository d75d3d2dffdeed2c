package origin

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// floor answers without looking, so that what it costs is net/http's server.
func floor(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	w.Header()["Content-Type"] = []string{eventsType}
	w.Header()["Date"] = nil
	_, _ = io.WriteString(w, "TEXT 5\r\nm:abc\r\n")
}

func benchBackend(b *testing.B, line string, h http.HandlerFunc) *backend {
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	route, err := ParseRoute("* " + srv.Listener.Addr().String() + line)
	if err != nil {
		b.Fatal(err)
	}
	key, err := grip.ParseKey("changeme", nil)
	if err != nil {
		b.Fatal(err)
	}
	up := newUpstream(upstreamKey{address: srv.Listener.Addr().String()}, nil)
	p := New(Options{Log: slog.New(slog.DiscardHandler)}, nil)
	return &backend{proxy: p, route: route, signer: newSigner("pushpin", key), targets: []*server{{route.targets[0], up}}}
}

// BenchmarkEvents is one message of a client over HTTP and its answer, the
// origin's work included; "floor" is the same request by net/http alone.
func BenchmarkEvents(b *testing.B) {
	be := benchBackend(b, ",over_http", floor)
	b.Run("bridge", func(b *testing.B) {
		s := newSocket()
		w := &webSocketOverHTTP{session: session{backend: be, socket: s, target: be.targets[0], header: http.Header{
			"Cookie": {"a=b"}, "Accept": {eventsType}, "Content-Type": {eventsType}, "Connection-Id": {newConnectionID()}, "User-Agent": nil,
		}, host: "h", grip: true, prefix: "m:"}}
		s.State = w
		in := []grip.Event{{Type: grip.EventText, Content: []byte("hello")}}
		b.ReportAllocs()
		for b.Loop() {
			if r, err := be.Events(context.Background(), s, in); err != nil || len(r.Events) != 1 {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req := (&outgoing{method: "POST", host: "h", header: http.Header{"User-Agent": nil}, content: []byte("TEXT 5\r\nhello\r\n")}).
				request(context.Background(), requestURL(be.targets[0].upstream, "/", ""))
			resp, err := be.targets[0].transport.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}

// BenchmarkRequest is one plain request that is forwarded.
func BenchmarkRequest(b *testing.B) {
	be := benchBackend(b, "", floor)
	r := &fanout.Request{Method: "GET", Path: "/", Host: "h", Header: http.Header{"Accept": {"x"}, "User-Agent": {"me"}}, Body: http.NoBody}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := be.Request(context.Background(), r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Stream)
		_ = resp.Stream.Close()
	}
}
