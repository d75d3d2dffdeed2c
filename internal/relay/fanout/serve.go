package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// Serve answers requests through h and holds those that h wants held.
func (e *Engine) Serve(h Handler) http.Handler { return e.server(h) }

// server asks one Handler. What may be under way at once has a bound for each of
// them, so that one that answers slowly takes no places from the others.
type server struct {
	engine  *Engine
	handler Handler
	fetch   *fetcher
	calls   chan struct{} // a place for each call of Events that is waited for
}

func (e *Engine) server(h Handler) *server {
	return &server{engine: e, handler: h, fetch: e.newFetcher(h), calls: make(chan struct{}, maxCalls)}
}

// asked is a request with what the engine must remember of the moment it asked.
type asked struct {
	Request
	kept   *kept // the body, nil if there is none
	closes bool  // the client wants the connection closed behind the answer
	hints  uint64
	at     time.Time
}

func (q *asked) base() base { return base{strings.Clone(q.Host), q.Secure} }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &asked{
		Request: Request{
			Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Host: r.Host,
			Header: r.Header, Body: r.Body, ContentLength: r.ContentLength, Secure: r.TLS != nil,
			Remote: r.RemoteAddr, Conn: s.engine.conns.Add(1),
		},
		hints: s.engine.hints.Load(), at: time.Now(), closes: r.Close,
	}
	if h, ok := s.handler.(SocketHandler); ok && isUpgrade(r) {
		s.upgrade(w, r, q, h)
		return
	}
	if bound := s.engine.opt.BodyTimeout; bound > 0 && r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(q.at.Add(bound))
	}
	if r.ContentLength != 0 {
		q.kept = &kept{from: r.Body}
		q.Body = q.kept
	}
	if resp, ok := s.answer(w, r, q); ok {
		s.holdPoll(w, r, q, resp)
	}
}

// answer asks the Handler and does what it says. It reports true for a response
// that is to be held as a long-poll, and has then written nothing.
func (s *server) answer(w http.ResponseWriter, r *http.Request, q *asked) (*Response, bool) {
	resp, err := ask(r.Context(), s.handler, &q.Request)
	if errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.engine.refuse(w, r, err)
		return nil, false
	}
	if resp.Stream != nil {
		defer resp.Stream.Close()
	}
	in := resp.Instruct
	switch {
	case in == nil:
		s.engine.writePlain(w, r, resp)
		return nil, false
	case !q.kept.whole():
		s.engine.writePlain(w, r, requestTooLarge)
		return nil, false
	}
	if err := s.filterInitial(resp); err != nil {
		s.engine.refuse(w, r, err)
		return nil, false
	}
	switch {
	case r.Method == http.MethodHead || in.Hold == grip.None && in.Next.URI == "":
		s.engine.writePlain(w, r, resp)
	case in.Hold != grip.Response:
		s.hold(w, r, q, resp)
	case resp.Stream != nil:
		s.engine.refuse(w, r, errLongPoll)
	default:
		return resp, true
	}
	return nil, false
}

// requestTooLarge answers a request that could not be sent again (grip.md, 1.7).
var requestTooLarge = &Response{
	Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"text/plain"}},
	Body: []byte("Request too large to accept GRIP instruct.\n"),
}

// Causes of an end or a refusal at the front.
var (
	errTimeout = errors.New("client took too long")
	errFull    = errors.New("too many connections")
	errNoFiles = errors.New("no file descriptors are left")
)

var errResponseHold = errors.New("handler holds a response that it called quick")

// ask calls the Handler and turns its panic into an error: one request that
// trips over a mistake must not take the others along. It is called on shards
// and workers too, where http.ErrAbortHandler must not get any further either.
func ask(ctx context.Context, h Handler, r *Request) (resp *Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	resp, err = h.Request(ctx, r)
	switch {
	case err != nil:
	case resp == nil:
		err = errNoAnswer
	case resp.status() < http.StatusOK || resp.status() > maxStatus:
		// Not one that can end a request, and net/http panics at some of them.
		err = fmt.Errorf("handler answered with status %d", resp.status())
		if resp.Stream != nil {
			_ = resp.Stream.Close()
		}
	}
	return resp, err
}

// maxStatus is the highest status that fits into a response.
const maxStatus = 999

var errNoAnswer = errors.New("handler gave no answer")

func panicked(value any) error {
	if err, ok := value.(error); ok {
		return fmt.Errorf("handler panicked: %w", err)
	}
	return fmt.Errorf("handler panicked: %v", value)
}

// refuse answers for an origin that could not be asked (grip.md, 1.7).
func (e *Engine) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		e.log.Warn("request failed", "cause", err, "remote", r.RemoteAddr)
	}
	e.writePlain(w, r, e.failure(err))
}

// writePlain writes a response that is not held.
func (e *Engine) writePlain(w http.ResponseWriter, r *http.Request, resp *Response) {
	if resp.reason() != http.StatusText(resp.status()) && r.ProtoMajor == 1 && e.writeWithReason(w, r, resp) {
		return
	}
	header := w.Header()
	for k, v := range resp.Header {
		header[k] = v
	}
	if resp.Stream == nil && resp.hasBody() {
		header["Content-Length"] = []string{strconv.Itoa(len(resp.Body))}
	}
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // or net/http guesses one
	}
	w.WriteHeader(resp.status())
	out := e.timed(w)
	if resp.Stream == nil {
		_, _ = out.Write(resp.Body)
	} else if !out.pass(resp) {
		panic(http.ErrAbortHandler) // what is missing must not look complete (grip.md, 1.7)
	}
	// Written now, while the deadline lasts; it must not meet the next response.
	_ = out.Flush()
	_ = out.SetWriteDeadline(time.Time{})
}

// timed is a response whose client may take nothing for so long and no longer.
type timed struct {
	*http.ResponseController
	w       http.ResponseWriter
	timeout time.Duration
}

func (e *Engine) timed(w http.ResponseWriter) timed {
	return timed{http.NewResponseController(w), w, e.writeTimeout()}
}

// Write implements io.Writer, piece by piece: a client that is slow and not
// stuck has the time for each of them.
func (t timed) Write(p []byte) (n int, err error) {
	const piece = 32 << 10
	for n < len(p) && err == nil {
		_ = t.SetWriteDeadline(time.Now().Add(t.timeout))
		var m int
		m, err = t.w.Write(p[n:min(len(p), n+piece)])
		n += m
	}
	return n, err
}

// live is a timed response that is sent on as it comes (grip.md, 1.6).
type live struct{ timed }

// Write implements io.Writer.
func (l live) Write(p []byte) (n int, err error) {
	if n, err = l.timed.Write(p); err == nil {
		err = l.Flush()
	}
	return n, err
}

func (r *Response) status() int {
	if r.Status == 0 {
		return http.StatusOK
	}
	return r.Status
}

// hold turns the connection into a member of the hub.
func (s *server) hold(w http.ResponseWriter, r *http.Request, q *asked, resp *Response) {
	if resp.Stream == nil && s.engine.canHijack(r) {
		if sink, ok := hijack(w); ok {
			f, head := formatChunk, appendHead(nil, r.ProtoMinor, resp)
			if r.ProtoMinor == 0 {
				f = formatRaw
			}
			first := append(head, frame(resp.Body, f)...)
			if _, err := s.join(q, resp, sink, f, first); err != nil {
				_, _, _ = sink.Write([]byte(unavailable))
				sink.Finish()
			}
			return
		}
	}
	s.holdPortable(w, r, q, resp)
}

// unavailable answers a request that came too late to be held.
const unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// canHijack reports whether the request came over a plain socket that a shard
// can own.
func (e *Engine) canHijack(r *http.Request) bool {
	if e.opt.Portable || !hub.HasDescriptors || r.ProtoMajor != 1 || r.TLS != nil {
		return false
	}
	_, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok
}

// hijack takes the socket away from net/http.
func hijack(w http.ResponseWriter) (*hub.Descriptor, bool) {
	hj, ok := w.(http.Hijacker)
	if !ok {
		return nil, false
	}
	conn, _, err := hj.Hijack()
	if err != nil {
		return nil, false
	}
	sink, ok := hub.NewDescriptor(conn)
	if !ok {
		_ = conn.Close()
		panic(http.ErrAbortHandler)
	}
	return sink, true
}

// appendHead writes the head of a held response (RFC 9112, 4 and 5).
func appendHead(dst []byte, minor int, resp *Response) []byte {
	if minor == 0 {
		dst = append(dst, "HTTP/1.0 "...)
	} else {
		dst = append(dst, "HTTP/1.1 "...)
	}
	status := resp.status()
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(appendLine(dst, resp.reason()), "\r\n"...)
	dst = appendFields(dst, resp.Header)
	if minor == 0 {
		return append(dst, "Connection: close\r\n\r\n"...)
	}
	return append(dst, "Transfer-Encoding: chunked\r\n\r\n"...)
}

// holdPortable keeps the connection in net/http: this goroutine writes what the
// hub puts into the mailbox. A body that goes on is sent before the hold begins
// (grip.md, 2.5 item 6).
func (s *server) holdPortable(w http.ResponseWriter, r *http.Request, q *asked, resp *Response) {
	out, first := s.engine.timed(w), resp.Body
	if resp.Stream != nil {
		first = nil
		s.writeHeld(out, resp)
		if !out.pass(resp) {
			panic(http.ErrAbortHandler)
		}
	}
	box := hub.NewMailbox(0)
	own, err := s.join(q, resp, box, formatRaw, first)
	switch {
	case err != nil && resp.Stream != nil:
		panic(http.ErrAbortHandler)
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case resp.Stream == nil:
		s.writeHeld(out, resp)
	}
	finished := box.Serve(r.Context().Done(), func(p []byte) error {
		if _, err := out.Write(p); err != nil {
			return err
		}
		return out.Flush()
	})
	if !finished || own.cut {
		panic(http.ErrAbortHandler) // cuts the body off, so that the client knows
	}
}

// writeHeld writes the head of a response that stays open.
func (s *server) writeHeld(out timed, resp *Response) {
	header := out.w.Header()
	for k, v := range resp.Header {
		if k != "Content-Length" {
			header[k] = v
		}
	}
	out.w.WriteHeader(resp.status())
	_ = out.SetReadDeadline(time.Time{}) // that was for the request's body
	_ = out.Flush()
}

// pass writes the whole body of resp, each piece as it comes, and reports whether
// it could.
func (t timed) pass(resp *Response) bool {
	_, err := live{t}.Write(resp.Body)
	if err == nil {
		_, err = io.Copy(live{t}, resp.Stream)
	}
	return err == nil
}

func (e *Engine) writeTimeout() time.Duration {
	if e.opt.WriteTimeout > 0 {
		return e.opt.WriteTimeout
	}
	return hub.DefaultWriteTimeout
}
