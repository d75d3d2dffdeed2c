package fanout

import (
	"bytes"
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
	// Quick reports whether Request will answer r at once, with all of the body:
	// a Response with a Stream becomes a failure. It must not block. It may be
	// called for a request that is answered by Request later or not at all.
	Quick(r *Request) bool
}

// FrontOptions configures Front.
type FrontOptions struct {
	// Full reports whether one more connection is too many. Refused is told of each that was turned away; the client gets
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
	*server
	handler Quick
	opt     FrontOptions
	inner   net.Listener
	closed  chan struct{}
	wake    chan struct{} // capacity 1: there is something in handed
	stop    func() error  // ends accepting; set by start
	loops   sync.WaitGroup

	mu     sync.Mutex // leaf: guards the following
	handed []passing
	ended  bool
}

// passing is a connection on its way to net/http, with what has been read of it.
type passing struct {
	socket *hub.Descriptor
	read   []byte
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
		server: e.server(q), handler: q, opt: opt, inner: l,
		closed: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if !f.start() {
		return l
	}
	e.front.Store(f)
	return f
}

// join makes a connection a member that the front reads.
func (f *front) join(d *hub.Descriptor, remote string, p phase1) {
	c := &conn{front: f, remote: remote, awaits: p}
	if _, err := f.engine.hub.Join(hub.Joining[*item]{Sink: d, Receiver: c, Owner: (*session)(nil)}); err != nil {
		d.Abort()
	}
}

// keep is the hub's Keep: a stream that has ended in good order leaves its
// connection free for the next request (grip.md, 2.5 item 3).
func (e *Engine) keep(m *hub.Member[*item], cause error) func(*hub.Descriptor) {
	s, f := m.Owner().(*session), e.front.Load()
	if s == nil || f == nil || !s.reusable || s.cut || causeOf(cause) != causeFinished && causeOf(cause) != causeClosed {
		return nil
	}
	return func(d *hub.Descriptor) { f.join(d, s.remote, awaitNext) }
}

// Accept returns the next connection that is net/http's.
func (f *front) Accept() (net.Conn, error) {
	for {
		if p, ok := f.next(); ok {
			c, err := f.open(p)
			f.engine.handing.Add(-1)
			if err == nil {
				return c, nil
			}
			f.opt.Refused(err)
			continue
		}
		select {
		case <-f.wake:
		case <-f.closed:
			return nil, net.ErrClosed
		}
	}
}

func (f *front) next() (p passing, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.handed) == 0 {
		return p, false
	}
	p = f.handed[0]
	f.handed[0] = passing{}
	if f.handed = f.handed[1:]; len(f.handed) > 0 {
		f.poke() // somebody else may be waiting too
	}
	return p, true
}

func (f *front) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Addr is the address of the listener.
func (f *front) Addr() net.Addr { return f.inner.Addr() }

// Close stops accepting. Connections that are being read are the hub's to end.
func (f *front) Close() error {
	f.mu.Lock()
	left, again := f.handed, f.ended
	f.handed, f.ended = nil, true
	f.mu.Unlock()
	if again {
		return nil
	}
	for _, p := range left {
		p.socket.Abort()
	}
	f.engine.handing.Add(-int64(len(left)))
	close(f.closed)
	err := errors.Join(f.stop(), f.inner.Close())
	f.loops.Wait()
	return err
}

// hand gives a connection to net/http. It does not wait: it is called by shards.
func (f *front) hand(p passing) {
	f.mu.Lock()
	ended := f.ended
	if !ended {
		f.handed = append(f.handed, p)
	}
	f.mu.Unlock()
	if ended {
		p.socket.Abort()
		f.engine.handing.Add(-1)
		return
	}
	f.poke()
}

// conn is a connection in the front: the Receiver of a member that listens to
// no channel yet. Owned by its shard.
type conn struct {
	front   *front
	remote  string
	held    []byte // of requests that are not answered
	need    int    // how much of it the first one takes, 0 if that is not known
	stopped bool   // the client does not take its answers: no more for now
	awaits  phase1
	until   time.Time // when the client has taken too long; zero while stopped
}

// phase1 is what a connection in the front waits for.
type phase1 uint8

const (
	awaitHead phase1 = iota
	awaitBody
	awaitNext
)

// Admit implements hub.Receiver.
func (c *conn) Admit(m *hub.Member[*item]) { c.wait(m, c.awaits) }

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
	if len(data) < c.need {
		return // a body that comes byte by byte must not be parsed as often
	}
	c.need = 0
	c.serve(m, data)
}

// serve answers the requests in data, as long as the client takes the answers.
func (c *conn) serve(m *hub.Member[*item], data []byte) {
	for len(data) > 0 && m.Open() {
		if m.Waiting() > 0 {
			c.stop(m, data)
			return
		}
		n, ok := c.request(m, data)
		if !ok {
			return
		}
		if n == 0 {
			break
		}
		data = data[n:]
		c.awaits = awaitNext // the next one has all the time again
	}
	c.keep(data)
	if len(data) == 0 {
		c.wait(m, awaitNext)
	}
}

// keep holds on to the rest of an incomplete request, but not to the room that
// those before it took.
func (c *conn) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		c.held = nil
	case len(c.held) == 0 || cap(c.held) > 4<<10+2*len(rest):
		c.held = bytes.Clone(rest)
	default:
		c.held = append(c.held[:0], rest...)
	}
}

// stop leaves requests alone until the client has taken the answers that wait
// for it, which the hub's write timeout bounds. What it sends waits in its socket.
func (c *conn) stop(m *hub.Member[*item], data []byte) {
	c.keep(data)
	c.stopped, c.until = true, time.Time{}
	m.Pause()
}

// Flushed implements hub.Flusher: the client has taken its answers.
func (c *conn) Flushed(m *hub.Member[*item]) {
	if c.stopped {
		c.stopped = false
		m.Resume()
		c.serve(m, c.held)
	}
}

// pass hands the connection to net/http, with what has been read of it.
func (c *conn) pass(m *hub.Member[*item], data []byte) {
	read := bytes.Clone(data)
	c.front.engine.handing.Add(1) // before the hub forgets it, so that it always counts
	d, ok := m.Detach()
	if !ok {
		c.front.engine.handing.Add(-1)
		m.Abort(errHandOver)
		return
	}
	c.front.hand(passing{d, read})
}

var errHandOver = errors.New("connection cannot be handed over")

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
		c.need = n
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
	resp, err := ask(e.onShard, c.front.handler, &d.asked.Request)
	if err == nil {
		err = checkQuick(resp)
	}
	switch {
	case errors.Is(err, http.ErrAbortHandler):
		m.Abort(errFinished)
		return false
	case err != nil:
		e.log.Warn("request failed", "cause", err, "remote", c.remote)
		resp = e.failure(err)
	case resp.Instruct != nil && resp.Instruct.Hold == grip.Stream:
		c.hold(m, d, resp)
		return false
	}
	m.Write(appendAnswer(make([]byte, 0, 512), resp, e.date(m.Now())))
	return true
}

// checkQuick refuses what a shard cannot do.
func checkQuick(resp *Response) error {
	switch {
	case resp.Stream != nil:
		_ = resp.Stream.Close()
		return errNotQuick
	case resp.Instruct != nil && resp.Instruct.Hold == grip.Response:
		return errResponseHold
	}
	return nil
}

var errNotQuick = errors.New("handler streams an answer that it called quick")

// hold makes the connection a held stream, where it is.
func (c *conn) hold(m *hub.Member[*item], d *desk, resp *Response) {
	first := appendHead(make([]byte, 0, 512), 1, resp)
	first = append(first, frame(resp.Body, formatChunk)...)
	q := d.asked
	m.Become(c.front.joining(&q, resp, formatChunk, first))
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
