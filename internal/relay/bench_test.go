//go:build linux

package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/relay/loadtest"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// TestMain also is the server under measurement: the harness starts this binary
// again as a relay of its own.
func TestMain(m *testing.M) {
	loadtest.Child(map[string]loadtest.Role{"relay": serveRelay})
	os.Exit(m.Run())
}

const (
	benchKey    = "bench"
	benchSecret = "only for measuring"
	benchTopic  = "news"
	bearer      = "Authorization: Bearer "
	// benchGrace is how long a measured relay may take to end.
	benchGrace = time.Second
	// portableArg as first argument keeps the relay off its own poller.
	portableArg = "portable"
)

// serveRelay is the relay's child process. A second and third argument are a
// certificate and its key.
func serveRelay(ctx context.Context, args []string, ready func(addr string)) error {
	o := relay.Options{
		Keys: []store.Key{{ID: benchKey, Secret: []byte(benchSecret)}},
		Log:  slog.New(slog.DiscardHandler), Portable: slices.Contains(args, portableArg),
	}
	if len(args) == 3 {
		o.TLSCert, o.TLSKey = args[1], args[2]
	}
	s, err := relay.Start(ctx, o)
	if err != nil {
		return err
	}
	hub, err := url.Parse(s.Ready().Hub)
	if err != nil {
		return err
	}
	ready(hub.Host)
	err = s.Wait(ctx)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), benchGrace)
	defer cancel()
	if late := s.Shutdown(ending); !errors.Is(late, context.DeadlineExceeded) {
		err = errors.Join(err, late)
	}
	return err
}

// relaySpec is the relay with full authorization: a token that may read and one
// that may write, each checked on every request.
func relaySpec(b *testing.B, name string, wire loadtest.Wire, args ...string) loadtest.Spec {
	b.Helper()
	write := bearer + mintToken(b, 0, nil, []string{benchTopic})
	return loadtest.Spec{
		Name: name, Start: loadtest.Self("relay", args...), Wire: wire,
		Subscribe: subscribers(b, 1), Ready: "stream-open",
		Publish: func(size int) [][]byte {
			return [][]byte{loadtest.Request("POST", "/events?topic="+benchTopic, size, write)}
		},
		Answer: "HTTP/1.1 200",
	}
}

// subscribers are stream requests with n different tokens.
func subscribers(b *testing.B, n int) [][]byte {
	b.Helper()
	heads := make([][]byte, n)
	for i := range heads {
		read := mintToken(b, i, []string{benchTopic}, nil)
		heads[i] = loadtest.Request("GET", "/events?topic="+benchTopic, 0, bearer+read)
	}
	return heads
}

// mintToken is a token of client i.
func mintToken(b *testing.B, i int, read, write []string) string {
	b.Helper()
	tok, err := token.Mint(token.MintOptions{
		KeyID: benchKey, Secret: []byte(benchSecret), Read: read, Write: write,
		Subject: fmt.Sprintf("client-%d", i), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		b.Fatal(err)
	}
	return tok
}

func newHarness(b *testing.B) *loadtest.Harness {
	b.Helper()
	h, err := loadtest.New()
	if err != nil {
		b.Fatal(err)
	}
	if h.Shared() {
		b.Log("only one processor: figures of wall time mean nothing")
	}
	return h
}

// printTable ends a benchmark with its table.
func printTable(b *testing.B, rep *loadtest.Report) {
	b.Helper()
	if _, err := rep.WriteTo(os.Stdout); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRelay measures the relay over real sockets, each figure beside its
// floor in the same run, and prints a table at the end.
func BenchmarkRelay(b *testing.B) {
	h := newHarness(b)
	var rep loadtest.Report
	plain := relaySpec(b, "relay", loadtest.Plain)
	for _, f := range []loadtest.Figure{
		loadtest.Saturated(100), loadtest.Saturated(1000), loadtest.Saturated(10_000), loadtest.SaturatedBatch(1000),
		loadtest.Single(1000), loadtest.Paced(1000, 10), loadtest.Stalled(1000, 50, 8000), loadtest.Publish(64),
	} {
		h.Compare(b, &rep, f, plain)
	}
	strangers := plain
	strangers.Subscribe = subscribers(b, loadtest.MaxConns) // each connection has a token never seen before
	h.Compare(b, &rep, loadtest.Connects(loadtest.MaxConns), strangers)
	h.CompareIdle(b, &rep, loadtest.MaxConns, plain, "≤ 4 kB")
	benchmarkPortable(b, h, &rep)
	benchmarkStart(b, &rep)
	printTable(b, &rep)
}

// benchmarkPortable measures what systems without epoll, TLS and HTTP/2 use.
func benchmarkPortable(b *testing.B, h *loadtest.Harness, rep *loadtest.Report) {
	cert, key, err := loadtest.WriteCertificate(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range []loadtest.Spec{
		relaySpec(b, "relay-portable", loadtest.Plain, portableArg),
		relaySpec(b, "relay-tls", loadtest.TLS, "tls", cert, key),
		relaySpec(b, "relay-h2", loadtest.HTTP2, "tls", cert, key),
	} {
		for _, f := range []loadtest.Figure{loadtest.Saturated(1000), loadtest.Single(1000)} {
			f.Goal = "" // the goals are for the fast path
			h.Compare(b, rep, f, s)
		}
		h.CompareIdle(b, rep, 2000, s, "")
	}
}

// benchmarkStart measures the program as a user starts it, away from the user's
// own configuration.
func benchmarkStart(b *testing.B, rep *loadtest.Report) {
	dir := b.TempDir()
	program := filepath.Join(dir, "pubsubctl")
	b.Setenv("XDG_CONFIG_HOME", dir)
	build := sync.OnceValue(func() error { return loadtest.Build(b.Context(), "../../cmd/pubsubctl", program) })
	built := func(took func(context.Context, ...string) (time.Duration, error), args ...string) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (time.Duration, error) {
			if err := build(); err != nil {
				return 0, err
			}
			return took(ctx, append([]string{program}, args...)...)
		}
	}
	loadtest.CompareStart(b, rep, "relay", "< 50 ms",
		built(loadtest.ToFirstLine, "relay", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json"))
	loadtest.CompareStart(b, rep, "help", "< 30 ms", built(loadtest.ToExit, "--help"))
}
