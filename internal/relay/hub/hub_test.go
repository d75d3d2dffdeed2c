package hub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const deadline = 20 * time.Second

func testHub(t *testing.T, opt Options[string]) *Hub[string] {
	t.Helper()
	if opt.Encode == nil {
		opt.Encode = func(v string, _ Format) ([]byte, error) { return []byte(v), nil }
	}
	h := New(opt)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		if t.Context().Err() != nil { // cleanup runs after the test's context ends
			ctx, cancel = context.WithTimeout(context.Background(), deadline)
			defer cancel()
		}
		_ = h.Drain(ctx, ErrDraining)
	})
	return h
}

// sinks are the two kinds, which must behave alike.
var sinks = map[string]func(t *testing.T, c net.Conn) Sink{
	"descriptor": func(t *testing.T, c net.Conn) Sink {
		d, ok := NewDescriptor(c)
		if !ok {
			t.Skip("this system has no descriptors")
		}
		return d
	},
	"mailbox": func(t *testing.T, c net.Conn) Sink {
		b := NewMailbox(0)
		done, gone := make(chan struct{}), make(chan struct{})
		go func() { // ends with the connection
			defer close(done)
			if !b.Serve(gone, func(p []byte) error { _, err := c.Write(p); return err }) {
				_ = c.(*net.TCPConn).SetLinger(0)
			}
			_ = c.Close()
		}()
		go func() { // ends with the connection
			_, _ = io.Copy(io.Discard, c)
			close(gone)
		}()
		t.Cleanup(func() { _ = c.Close(); <-done; <-gone })
		return b
	},
}

func eachSink(t *testing.T, f func(t *testing.T, sink func(net.Conn) Sink)) {
	for name, make := range sinks {
		t.Run(name, func(t *testing.T) {
			f(t, func(c net.Conn) Sink { return make(t, c) })
		})
	}
}

// pair is a connected pair of loopback sockets.
func pair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(deadline))
	return server, client
}

func joinT(t testing.TB, h *Hub[string], j Joining[string]) *Member[string] {
	t.Helper()
	m, err := h.Join(j)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantLines(t *testing.T, r *bufio.Reader, want ...string) {
	t.Helper()
	for _, w := range want {
		got, err := r.ReadString('\n')
		if err != nil || strings.TrimSuffix(got, "\n") != w {
			t.Fatalf("got %q, %v; want %q", got, err, w)
		}
	}
}

func TestFirstBytesThenValuesInOrder(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		h := testHub(t, Options[string]{})
		s, c := pair(t)
		joinT(t, h, Joining[string]{Sink: sink(s), Channels: []string{"a", "b", "a"}, First: []byte("hello\n")})
		if n := h.Subscribers("a"); n != 1 {
			t.Errorf("a has %d members, want 1", n)
		}
		var want []string
		for i := range 300 {
			v := fmt.Sprint(i)
			want = append(want, v)
			if n := h.Publish([]string{"a", "b"}[i%2], v+"\n"); n != 1 {
				t.Fatalf("handed to %d members, want 1", n)
			}
			h.Publish("other", "never\n")
		}
		r := bufio.NewReader(c)
		wantLines(t, r, "hello")
		wantLines(t, r, want...)
	})
}

// Each of many members on overlapping channels gets exactly its values, in order.
func TestOverlappingChannels(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		h := testHub(t, Options[string]{Shards: 2})
		sets := [][]string{{"a"}, {"b"}, {"a", "b"}, {"b", "c"}, {"a", "b", "c"}, {"c"}}
		const each, rounds = 5, 200
		var readers sync.WaitGroup
		for i := range each * len(sets) {
			set := sets[i%len(sets)]
			s, c := pair(t)
			joinT(t, h, Joining[string]{Sink: sink(s), Channels: set})
			readers.Go(func() {
				r := bufio.NewReader(c)
				for k := range rounds {
					for _, name := range set {
						want := fmt.Sprintf("%s%d", name, k)
						if got, err := r.ReadString('\n'); got != want+"\n" {
							t.Errorf("got %q, %v; want %q", got, err, want)
							return
						}
					}
				}
			})
		}
		for k := range rounds {
			for _, name := range []string{"a", "b", "c"} {
				h.Publish(name, fmt.Sprintf("%s%d\n", name, k))
			}
		}
		readers.Wait()
	})
}

func TestSlowReaderEndsByNameAndOthersGoOn(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		ended := make(chan error, 8)
		h := testHub(t, Options[string]{
			Backlog: 256 << 10, Shards: 1,
			Ended:    func(_ *Member[string], cause error) { ended <- cause },
			Farewell: func(*Member[string], error) []byte { return []byte("bye\n") },
		})
		slow, stuck := pair(t)
		_ = stuck.(*net.TCPConn).SetReadBuffer(64 << 10)
		joinT(t, h, Joining[string]{Sink: sink(slow), Channels: []string{"a"}})
		good, c := pair(t)
		joinT(t, h, Joining[string]{Sink: sink(good), Channels: []string{"a"}})
		line := strings.Repeat("x", 4000) + "\n"
		r := bufio.NewReader(c)
		n := 0
		for ; h.Subscribers("a") == 2; n++ {
			h.Publish("a", line)
			if got, err := r.ReadString('\n'); got != line {
				t.Fatalf("the other reader got %d bytes, %v", len(got), err)
			}
		}
		// What was queued is still sent, then the farewell.
		got, err := io.ReadAll(stuck)
		if err != nil || !strings.HasSuffix(string(got), "x\nbye\n") || len(got) < 256<<10 {
			t.Errorf("the slow reader got %d bytes, %v", len(got), err)
		}
		if cause := <-ended; !errors.Is(cause, ErrSlow) {
			t.Errorf("cause is %v", cause)
		}
	})
}

func TestStalledReaderIsCutAfterWriteTimeout(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		ended := make(chan error, 1)
		h := testHub(t, Options[string]{
			WriteTimeout: 50 * time.Millisecond, Shards: 1, Backlog: 64 << 20,
			Ended: func(_ *Member[string], cause error) { ended <- cause },
		})
		s, c := pair(t)
		_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		joinT(t, h, Joining[string]{Sink: sink(s), Channels: []string{"a"}})
		h.Publish("a", strings.Repeat("x", 32<<20))
		if cause := <-ended; !errors.Is(cause, ErrSlow) {
			t.Errorf("cause is %v", cause)
		}
	})
}

func TestBacklogDrainsWhenTheReaderReturns(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		h := testHub(t, Options[string]{Shards: 1, Backlog: 64 << 20})
		s, c := pair(t)
		joinT(t, h, Joining[string]{Sink: sink(s), Channels: []string{"a"}})
		const lines = 5000
		pad := strings.Repeat("y", 2000)
		for i := range lines {
			h.Publish("a", fmt.Sprintf("%d %s\n", i, pad))
		}
		r := bufio.NewReaderSize(c, 64<<10)
		for i := range lines {
			got, err := r.ReadString('\n')
			if want := fmt.Sprintf("%d %s\n", i, pad); got != want {
				t.Fatalf("line %d is %.20q, %v", i, got, err)
			}
		}
	})
}

func TestClientLeaving(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		ended := make(chan error, 1)
		h := testHub(t, Options[string]{Ended: func(_ *Member[string], cause error) { ended <- cause }})
		s, c := pair(t)
		joinT(t, h, Joining[string]{Sink: sink(s), Channels: []string{"a"}})
		_ = c.Close()
		if cause := <-ended; !errors.Is(cause, ErrGone) {
			t.Errorf("cause is %v", cause)
		}
		if h.Subscribers("a") != 0 || h.Members() != 0 {
			t.Errorf("%d subscribers, %d members left", h.Subscribers("a"), h.Members())
		}
	})
}

func TestDrainSaysFarewellToAll(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		h := New(Options[string]{
			Encode:   func(v string, _ Format) ([]byte, error) { return []byte(v), nil },
			Farewell: func(_ *Member[string], cause error) []byte { return []byte(cause.Error()) },
		})
		var clients []net.Conn
		for range 200 {
			s, c := pair(t)
			joinT(t, h, Joining[string]{Sink: sink(s), Channels: []string{"a"}, First: []byte("hi ")})
			clients = append(clients, c)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := h.Drain(ctx, errors.New("closing")); err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			if got, err := io.ReadAll(c); string(got) != "hi closing" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		if _, err := h.Join(Joining[string]{Sink: NewMailbox(0)}); !errors.Is(err, ErrDraining) {
			t.Errorf("a join after the drain says %v", err)
		}
	})
}

// Members join, leave and are written to at once; each sees an unbroken run.
func TestChurn(t *testing.T) {
	eachSink(t, func(t *testing.T, sink func(net.Conn) Sink) {
		h := testHub(t, Options[string]{Shards: 2})
		stop := make(chan struct{})
		var publisher, readers sync.WaitGroup
		publisher.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if h.Ready(t.Context()) != nil {
					return
				}
				h.Publish("a", fmt.Sprintf("%d\n", i))
				h.Publish("b", fmt.Sprintf("%d\n", i))
			}
		})
		for w := range 4 {
			readers.Go(func() {
				for range 25 {
					s, c := pair(t)
					joinT(t, h, Joining[string]{Sink: sink(s), Channels: []string{[]string{"a", "b"}[w%2]}})
					readRun(t, c, 50)
					_ = c.Close()
				}
			})
		}
		readers.Wait()
		close(stop)
		publisher.Wait()
	})
}

func readRun(t *testing.T, c net.Conn, n int) {
	r := bufio.NewReader(c)
	last := -1
	for range n {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Errorf("after %d: %v", last, err)
			return
		}
		var got int
		if _, err := fmt.Sscan(line, &got); err != nil || (last >= 0 && got != last+1) {
			t.Errorf("got %q after %d", line, last)
			return
		}
		last = got
	}
}
