package fanout

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// Quick is a Handler that can tell which requests it answers without waiting
// for anything. The front answers those on the shard that read them.
type Quick interface {
	Handler
	// Quick reports whether Request will answer r at once. It must not block.
	Quick(r *Request) bool
}

// FrontOptions configures Front.
type FrontOptions struct {
	// Full reports whether one more connection is too many, given how many the
	// front holds. Refused is told of each that was turned away; the client gets
	// Refusal.
	Full    func() bool
	Refused func(cause error)
	Refusal []byte
	// HeaderTimeout, BodyTimeout and IdleTimeout bound how long a client may take
	// for a request's head, for its body, and between two requests.
	HeaderTimeout, BodyTimeout, IdleTimeout time.Duration
}

// front takes connections before net/http does. It reads the plainest requests
// on the shards and answers those that are quick; a connection that sends
// anything else is handed over, with what has been read of it. It is the
// listener from which net/http accepts those.
type front struct {
	// Static after construction.
	engine  *Engine
	handler Quick
	opt     FrontOptions
	inner   net.Listener
	closed  chan struct{}
	once    sync.Once
	stop    func() error // ends accepting; set by start

	handed chan net.Conn // never closed
	loops  sync.WaitGroup
}

// Front returns the listener that an http.Server with e.Serve(h) should serve
// in place of l. On systems or listeners where the engine cannot read sockets
// itself, and for Handlers that are not Quick, that is l.
func (e *Engine) Front(l net.Listener, h Handler, opt FrontOptions) net.Listener {
	q, ok := h.(Quick)
	if !ok || e.opt.Portable || !hub.HasDescriptors {
		return l
	}
	f := &front{
		engine: e, handler: q, opt: opt, inner: l,
		closed: make(chan struct{}), handed: make(chan net.Conn, 16),
	}
	if !f.start() {
		return l
	}
	return f
}

// Accept returns the next connection that is net/http's.
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.handed:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Addr is the address of the listener.
func (f *front) Addr() net.Addr { return f.inner.Addr() }

// Close stops accepting. Connections that are being read are the hub's to end.
func (f *front) Close() error {
	var err error
	f.once.Do(func() {
		close(f.closed)
		err = errors.Join(f.stop(), f.inner.Close())
		f.loops.Wait()
	})
	return err
}

// hand gives a connection to net/http.
func (f *front) hand(c net.Conn) {
	select {
	case f.handed <- c:
	case <-f.closed:
		_ = c.Close()
	}
}

// conn is a connection in the front: the Receiver of a member that listens to
// no channel yet. Owned by its shard.
type conn struct {
	front  *front
	remote string
	held   []byte // of a request that is not complete
	awaits phase1
	until  time.Time // when the client has taken too long
}

// phase1 is what a connection in the front waits for.
type phase1 uint8

const (
	awaitHead phase1 = iota
	awaitBody
	awaitNext
)

// Admit implements hub.Receiver.
func (c *conn) Admit(m *hub.Member[*item]) { c.wait(m, awaitHead) }

// Deliver implements hub.Receiver; nothing is ever delivered.
func (c *conn) Deliver(*hub.Member[*item], []hub.Delivery[*item]) {}

// Tick implements hub.Receiver: the client has taken too long.
func (c *conn) Tick(m *hub.Member[*item], now time.Time) time.Time {
	if !c.until.IsZero() && !now.Before(c.until) {
		m.End(errTimeout)
	}
	return c.until
}

// wait sets how long the client may take from here on. What it waits for
// already goes on as it was: sending a byte now and then must not help.
func (c *conn) wait(m *hub.Member[*item], p phase1) {
	if !c.until.IsZero() && c.awaits == p && p != awaitNext {
		return
	}
	c.awaits = p
	d := c.front.opt.IdleTimeout
	switch p {
	case awaitHead:
		d = c.front.opt.HeaderTimeout
	case awaitBody:
		d = c.front.opt.BodyTimeout
	}
	early := c.until.IsZero() || m.Now().Add(d).Before(c.until)
	c.until = m.Now().Add(d)
	if early {
		m.Wake(c.until) // a later time is found when the timer fires
	}
}

// Input implements hub.Reader.
func (c *conn) Input(m *hub.Member[*item], p []byte) {
	if len(p) == 0 {
		return // the peer has closed its side; the member ends by itself
	}
	data := p
	if len(c.held) > 0 {
		c.held = append(c.held, p...)
		data = c.held
	}
	for len(data) > 0 {
		n, ok := c.request(m, data)
		if !ok {
			return
		}
		if n == 0 {
			break
		}
		data = data[n:]
	}
	c.keep(m, data)
}

// keep holds on to the rest of an incomplete request.
func (c *conn) keep(m *hub.Member[*item], rest []byte) {
	switch {
	case len(rest) == 0:
		c.held = nil
		c.wait(m, awaitNext)
	case len(c.held) > 0:
		c.held = append(c.held[:0], rest...)
	default:
		c.held = bytes.Clone(rest)
	}
}

// request answers the request at the start of data and returns its length, 0
// if it is incomplete. It reports false when the connection is no longer the
// front's.
func (c *conn) request(m *hub.Member[*item], data []byte) (n int, ok bool) {
	d := c.front.engine.desk()
	defer c.front.engine.desks.Put(d)
	head, state := d.parsed.parseHead(data)
	switch state {
	case headOther:
		c.pass(m, data)
		return 0, false
	case headPartial:
		c.wait(m, awaitHead)
		return 0, true
	}
	n = head + d.parsed.length
	if len(data) < n {
		c.wait(m, awaitBody)
		return 0, true
	}
	d.fill(c, data[head:n])
	if !c.front.handler.Quick(&d.asked.Request) || c.front.engine.hub.Crowded() {
		c.pass(m, data)
		return 0, false
	}
	return n, c.answer(m, d)
}

// desk is what reading and answering one request needs, used again for others.
type desk struct {
	parsed request1
	asked  asked
	body   bytes.Reader
}

func (e *Engine) desk() *desk { return e.desks.Get().(*desk) }

func (d *desk) fill(c *conn, body []byte) {
	e, p := c.front.engine, &d.parsed
	d.body.Reset(body)
	d.asked = asked{
		Request: Request{
			Method: p.method, Path: p.path, RawQuery: p.query, Host: p.host, Header: p.header,
			Body: &d.body, ContentLength: int64(len(body)), Remote: c.remote, Conn: e.conns.Add(1),
		},
		hints: e.hints.Load(),
	}
}

// answer asks the Handler and writes what it says, or holds the connection. It
// reports whether the front goes on with it.
func (c *conn) answer(m *hub.Member[*item], d *desk) bool {
	e := c.front.engine
	d.asked.at = m.Now()
	resp, err := ask(context.Background(), c.front.handler, &d.asked.Request)
	switch {
	case err != nil:
		e.log.Warn("request failed", "cause", err, "remote", c.remote)
		m.Write(appendAnswer(nil, e.failure(err), e.date(m.Now())))
		m.End(errFinished)
		return false
	case resp.Instruct != nil && resp.Instruct.Hold == grip.Stream:
		c.hold(m, d, resp)
		return false
	}
	m.Write(appendAnswer(make([]byte, 0, 512), resp, e.date(m.Now())))
	return true
}

// hold makes the connection a held stream, where it is.
func (c *conn) hold(m *hub.Member[*item], d *desk, resp *Response) {
	first := appendHead(make([]byte, 0, 512), 1, resp)
	first = append(first, frame(resp.Body, formatChunk)...)
	q := d.asked
	m.Become(c.front.engine.joining(c.front.handler, &q, resp, formatChunk, first))
}

// failure is the answer for an origin that could not be asked (grip.md, 1.7).
func (e *Engine) failure(err error) *Response {
	body := "Error while proxying to origin.\n"
	if e.opt.Debug {
		body = err.Error() + "\n"
	}
	return &Response{Status: http.StatusBadGateway, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(body)}
}

// stamp is a Date header's value and the second it is of.
type stamp struct {
	second int64
	text   string
}

// date is the value of a Date header for now.
func (e *Engine) date(now time.Time) string {
	if s := e.dated.Load(); s != nil && s.second == now.Unix() {
		return s.text
	}
	s := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	e.dated.Store(s)
	return s.text
}
