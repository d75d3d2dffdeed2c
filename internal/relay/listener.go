package relay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// guard is a listener that refuses connections beyond a limit, and goes on when
// the process has run out of descriptors.
type guard struct {
	net.Listener
	max     int
	held    func() int // connections that are the hub's and not net/http's
	log     *slog.Logger
	tls     bool // a refusal in plain text would be noise
	fronted bool // the listener within accepts for itself and asks full

	open    atomic.Int64
	refused atomic.Uint64

	mu     sync.Mutex // guards the following
	spare  io.Closer  // an open descriptor to give up when there are no others
	closed bool
}

// refusal is what a client beyond the limit reads.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 21\r\nConnection: close\r\n\r\nToo many connections\n"

// newGuard guards l. within may put a listener in its place that accepts
// for itself and keeps the guard's limit.
func newGuard(l net.Listener, o Options, held func() int, within func(*guard, net.Listener) net.Listener) *guard {
	g := &guard{max: o.MaxConns, held: held, log: o.Log, tls: o.TLSCert != ""}
	g.Listener = within(g, l)
	g.fronted = g.Listener != l
	if !g.fronted {
		g.stock()
	}
	return g
}

// Accept returns the next connection within the limit.
func (g *guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			if isExhausted(err) {
				g.shed()
				continue
			}
			return nil, err
		}
		g.open.Add(1)
		// What the front passes on was within the limit when it was accepted.
		if !g.fronted && g.count() > g.max {
			g.open.Add(-1)
			g.refuse(c)
			continue
		}
		return &guarded{Conn: c, guard: g}, nil
	}
}

func isExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// count is how many connections are open.
func (g *guard) count() int { return int(g.open.Load()) + g.held() }

// full reports whether there is no room for one more.
func (g *guard) full() bool { return g.count() >= g.max }

// tell counts a refusal and names it in the log, not each time.
func (g *guard) tell(cause error) {
	if n := g.refused.Add(1); n%1000 == 1 {
		g.log.Warn("connection refused", "cause", cause, "count", n)
	}
}

// refuse turns a connection away without waiting for it.
func (g *guard) refuse(c net.Conn) {
	g.tell(fmt.Errorf("%d connections are open", g.max))
	if !g.tls {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte(refusal))
	}
	_ = c.Close()
}

// shed closes the connection that waits at the front of the backlog, which
// otherwise nobody could even accept, by giving up a spare descriptor for it.
func (g *guard) shed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return // Accept finds out by itself
	}
	g.tell(errors.New("no file descriptors are left"))
	if g.spare != nil {
		_ = g.spare.Close()
		g.spare = nil
		g.acceptOne()
	}
	g.stock()
}

// acceptOne refuses the connection at the front of the backlog. The deadline is
// for the case that its client has left meanwhile.
func (g *guard) acceptOne() {
	l, ok := g.Listener.(*net.TCPListener)
	if !ok {
		return
	}
	_ = l.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if c, err := l.Accept(); err == nil {
		g.refuse(c)
	}
	_ = l.SetDeadline(time.Time{})
}

// stock opens the spare descriptor again, if there is one to be had; else the
// pause keeps Accept from spinning.
func (g *guard) stock() {
	f, err := os.Open(os.DevNull)
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return
	}
	g.spare = f
}

// Close stops listening. Further calls do nothing.
func (g *guard) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	if g.spare != nil {
		_ = g.spare.Close()
		g.spare = nil
	}
	return g.Listener.Close()
}

// guarded is a connection that counts.
type guarded struct {
	net.Conn
	guard *guard
	once  sync.Once
}

// SyscallConn lets the hub take the socket over.
func (c *guarded) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// Close closes the connection and gives its place free.
func (c *guarded) Close() error {
	c.once.Do(func() { c.guard.open.Add(-1) })
	return c.Conn.Close()
}
