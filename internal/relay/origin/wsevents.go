package origin

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	mrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

const (
	// maxEvents bounds the body of an answer to events (grip.md, 5.5).
	maxEvents = 1_000_000
	// minInterval is the least Keep-Alive-Interval.
	minInterval = 20 * time.Second
	// connectRetries of a request whose target cannot be connected to, after 1, 2,
	// 4, 8, 16 s (grip.md, 5.5).
	connectRetries = 5
	// maxMeta bounds what an origin may store with one socket, in bytes.
	maxMeta = 64 << 10
)

// webSocketOverHTTP is a bridge to an HTTP origin (grip.md, 5.3 to 5.7).
type webSocketOverHTTP struct {
	session
	id       string // Connection-Id
	held     int    // content bytes in front of the next events that were sent before
	metaSize int
}

// newConnectionID is a random UUID (RFC 9562, 5.4), the form that Pushpin's has.
func newConnectionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// open asks the origin to accept the socket, again and again if it wants that.
func (w *webSocketOverHTTP) open(ctx context.Context) (*fanout.Reply, error) {
	w.header["Accept"] = []string{eventsType}
	w.header["Content-Type"] = []string{eventsType}
	w.header["Connection-Id"] = []string{w.id}
	if !w.backend.route.noGrip {
		w.header["Sec-WebSocket-Extensions"] = []string{"grip"}
	}
	for {
		if err := w.target.startOpening(ctx); err != nil {
			return nil, err
		}
		a, err := w.exchange(ctx, []grip.Event{{Type: grip.EventOpen}}, 0)
		<-w.target.opening
		if err != nil {
			return nil, err
		}
		if !a.ok {
			if a.long {
				return nil, errors.New("origin refused the socket with more than it may")
			}
			return w.refusal(a.Response, a.body), nil
		}
		switch {
		case a.err != nil:
			return nil, a.err
		case len(a.events) == 0 && a.interval > 0:
			if err := wait(ctx, a.interval); err != nil {
				return nil, err
			}
		default:
			return w.accept(a)
		}
	}
}

func (w *webSocketOverHTTP) accept(a *answer) (*fanout.Reply, error) {
	switch {
	case len(a.events) == 0 || a.events[0].Type != grip.EventOpen:
		return nil, errors.New("origin did not open the socket")
	case a.accepted > 0:
		return nil, errors.New("origin accepted content that it was not sent")
	}
	w.agree(a.Header)
	w.store(a.Header)
	c := new(script)
	c.event(a.events[0])
	c.first.Control = w.implicit()
	w.takeAll(c, a.events[1:])
	c.first.Header = w.accepted(a.Header)
	c.first.Interval = a.interval
	return &c.first, nil
}

// takeAll refuses a second OPEN, which drops the client like DISCONNECT.
func (w *webSocketOverHTTP) takeAll(c *script, events []grip.Event) {
	for i, e := range events {
		if e.Type == grip.EventOpen {
			events[i].Type = grip.EventDisconnect
		}
	}
	w.take(c, events)
}

// events implements bridge.
func (w *webSocketOverHTTP) events(ctx context.Context, in []grip.Event) (*fanout.Reply, error) {
	if isDisconnect(in) {
		w.held = 0 // what was not accepted is lost
	}
	c := new(script)
	if w.target.oneEvent {
		return w.oneByOne(ctx, c, in)
	}
	_, err := w.ask(ctx, c, in)
	return &c.first, err
}

// oneByOne sends what is new in requests of their own, for origins that can take
// no more. Content they did not accept goes in front of the next one.
func (w *webSocketOverHTTP) oneByOne(ctx context.Context, c *script, in []grip.Event) (*fanout.Reply, error) {
	first := 0
	for n := w.held; n > 0 && first < len(in); first++ {
		n -= len(in[first].Content)
	}
	pending := in[:first:first]
	if first == len(in) { // a refresh
		_, err := w.ask(ctx, c, pending)
		return &c.first, err
	}
	for _, e := range in[first:] {
		pending = append(pending, e)
		left, err := w.ask(ctx, c, pending)
		if err != nil || c.ended {
			return &c.first, err
		}
		pending = left
	}
	return &c.first, nil
}

// ask sends events and takes in the answer. It returns what was not accepted.
func (w *webSocketOverHTTP) ask(ctx context.Context, c *script, in []grip.Event) (left []grip.Event, err error) {
	for {
		a, err := w.retry(ctx, in)
		if err == nil {
			err = a.fault()
		}
		if err != nil {
			return nil, err
		}
		w.store(a.Header)
		content, closing := sizes(in)
		rest, err := a.rest(content, closing)
		if err != nil {
			return nil, err
		}
		w.takeAll(c, a.events)
		if a.interval != 0 {
			c.first.Interval = a.interval
		}
		left = tail(in, rest)
		w.held, c.first.Rest = rest, rest
		closes := len(in) > 0 && in[len(in)-1].Type == grip.EventClose
		switch {
		case !closes || c.ended || rest == 0:
			return left, nil
		case a.accepted == 0:
			return nil, errors.New("origin accepts nothing in front of a close")
		}
		// The close is postponed until everything in front of it is accepted.
		in = append(left, in[len(in)-1])
	}
}

// sizes is how many content bytes there are, without and in a CLOSE event.
func sizes(in []grip.Event) (content, closing int) {
	for _, e := range in {
		if e.Type == grip.EventClose {
			closing += len(e.Content)
		} else {
			content += len(e.Content)
		}
	}
	return content, closing
}

// tail is the last n content bytes of in, in their events.
func tail(in []grip.Event, n int) []grip.Event {
	first := len(in)
	var cut int
	for n > 0 && first > 0 {
		first--
		if e := in[first]; e.Type != grip.EventClose {
			cut = max(0, len(e.Content)-n)
			n -= len(e.Content) - cut
		}
	}
	var out []grip.Event
	for _, e := range in[first:] {
		if e.Type == grip.EventClose {
			continue
		}
		if len(out) == 0 {
			e.Content = e.Content[cut:]
		}
		out = append(out, e)
	}
	return out
}

// isDisconnect reports whether in says that the client is gone: that is told once,
// and waits for no target to come back.
func isDisconnect(in []grip.Event) bool { return len(in) == 1 && in[0].Type == grip.EventDisconnect }

// retry asks again if the target cannot be connected to: it may be starting anew.
func (w *webSocketOverHTTP) retry(ctx context.Context, in []grip.Event) (*answer, error) {
	for n := 0; ; n++ {
		a, err := w.exchange(ctx, in, w.held)
		if err == nil || n == connectRetries || !isConnectError(err) || ctx.Err() != nil || isDisconnect(in) {
			return a, err
		}
		if err := wait(ctx, time.Second<<n+mrand.N(time.Second)); err != nil {
			return nil, err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer is an origin's answer to events.
type answer struct {
	*http.Response
	body     []byte
	long     bool // there is more than may be
	ok       bool // it is one to events
	events   []grip.Event
	err      error         // of reading the events
	interval time.Duration // of Reply
	accepted int           // -1 for everything
}

// exchange sends one request.
func (w *webSocketOverHTTP) exchange(ctx context.Context, in []grip.Event, replayed int) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	b, r := w.backend, w.socket.Handshake
	header := maps.Clone(w.header)
	b.sign(header, nil)
	if replayed > 0 {
		header["Content-Bytes-Replayed"] = []string{strconv.Itoa(replayed)}
	}
	content, _ := sizes(in)
	body := grip.AppendEvents(make([]byte, 0, content+32*len(in)), in...)
	out := &outgoing{
		method: http.MethodPost, path: b.route.rewrite(r.Path), query: r.RawQuery, host: w.host, header: header, content: body,
	}
	resp, err := w.target.send(ctx, out)
	if isServerClosedIdle(err) {
		resp, err = w.target.send(ctx, out)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return w.read(resp)
}

// isServerClosedIdle reports whether a kept connection had ended before the request
// was written to it, so that the origin cannot have seen it. net/http repeats only
// requests that it takes for idempotent, and names the case by its text.
func isServerClosedIdle(err error) bool {
	return err != nil && strings.Contains(err.Error(), "server closed idle connection")
}

func (w *webSocketOverHTTP) read(resp *http.Response) (*answer, error) {
	a := &answer{Response: resp, accepted: -1}
	contentType := resp.Header.Get("Content-Type")
	a.ok = resp.StatusCode == http.StatusOK && isMediaType(contentType, eventsType)
	limit := int64(maxBuffered)
	if a.ok {
		limit = maxEvents
		if contentType != eventsType {
			w.backend.odd.Do(func() {
				w.backend.proxy.log.Warn("content type has parameters", "cause", "Pushpin takes such an answer for a refusal",
					"type", contentType, "route", w.backend.route.String())
			})
		}
	}
	size := int64(bytes.MinRead)
	if resp.ContentLength > 0 {
		size += min(resp.ContentLength, limit)
	}
	buf := bytes.NewBuffer(make([]byte, 0, size))
	n, err := io.Copy(buf, io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("answer to events broke off: %w", err)
	}
	a.body, a.long = buf.Bytes(), n > limit
	if a.ok && !a.long {
		a.events, a.err = grip.ParseEvents(a.body)
		a.interval = interval(resp.Header["Keep-Alive-Interval"])
		if n, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Content-Bytes-Accepted"))); err == nil && n >= 0 {
			a.accepted = n
		}
	} else if a.ok {
		a.err = errLongEvents
	}
	return a, nil
}

var errLongEvents = errors.New("answer to events is longer than 1000000 bytes")

// interval reads Keep-Alive-Interval as Reply.Interval wants it.
func interval(values []string) time.Duration {
	if len(values) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(values[0]), 10, 32)
	if err != nil || n <= 0 {
		return -1
	}
	return max(time.Duration(n)*time.Second, minInterval)
}

// fault is what makes an answer on an open socket useless.
func (a *answer) fault() error {
	if !a.ok {
		return fmt.Errorf("origin answered events with status %d and type %q", a.StatusCode, a.Header.Get("Content-Type"))
	}
	return a.err
}

// rest is how many content bytes were not accepted, given how many were offered
// without and in a CLOSE event (grip.md, 5.7).
func (a *answer) rest(content, closing int) (int, error) {
	switch n := a.accepted; {
	case n < 0 || n == content+closing:
		return 0, nil
	case n > content+closing:
		return 0, errors.New("origin accepted more content than it was sent")
	case n >= content:
		return 0, errors.New("origin accepted all content but not the close")
	default:
		return content - n, nil
	}
}

// store keeps what the origin wants back with every later request.
func (w *webSocketOverHTTP) store(h http.Header) {
	full := false
	for name, values := range h {
		key, ok := strings.CutPrefix(name, setMeta)
		if !ok || key == "" {
			continue
		}
		key = "Meta-" + key
		if old, ok := w.header[key]; ok {
			w.metaSize -= len(key) + len(old[0])
			delete(w.header, key)
		}
		if values[0] == "" {
			continue
		}
		if w.metaSize+len(key)+len(values[0]) > maxMeta {
			full = true
			continue
		}
		w.metaSize += len(key) + len(values[0])
		w.header[key] = values[:1]
	}
	if full {
		w.backend.proxy.log.Warn("meta not stored", "cause", "a socket may have 65536 bytes of it", "route", w.backend.route.String())
	}
}
