package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// backend is the fanout.SocketHandler of one route. What belongs to a request or a
// socket is passed along, so that all but odd is static.
type backend struct {
	proxy   *Proxy
	route   *Route
	signer  *signer // nil: not signed
	targets []*server
	handler http.Handler // serves this backend through the engine

	odd sync.Once // tells of a content type that Pushpin would not take
}

// outgoing is a request to an origin, for any of the targets.
type outgoing struct {
	method, path, query, host string
	header                    http.Header
	body                      *requestBody // nil for none
	content                   []byte       // in place of body: sent as a whole, and again if need be
}

// Request implements fanout.Handler: it forwards, and fails with an answer of its
// own.
func (b *backend) Request(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := b.forward(ctx, cancel, r)
	if err != nil {
		cancel()
		return b.failed(r, err), nil
	}
	return resp, nil
}

// forward sends the request. The response's Stream, if it has one, calls cancel
// when it is closed; without one nothing is left that cancel would end.
func (b *backend) forward(ctx context.Context, cancel context.CancelFunc, r *fanout.Request) (*fanout.Response, error) {
	if b.targets[0].address == testTarget {
		cancel()
		return testRequest(r), nil
	}
	body := newRequestBody(r)
	resp, from, err := b.exchange(ctx, r, body) //nolint:bodyclose // incoming closes it
	if err != nil {
		body.stop()
		return nil, err
	}
	in := &incoming{Response: resp, from: from, cancel: cancel, body: body}
	in.untouched = b.route.noGrip || !r.FollowUp && b.proxy.trusts(r.Header)
	if resp.StatusCode < http.StatusOK {
		_ = in.Close()
		return nil, fmt.Errorf("%s answered status %d to a request that asks for no other protocol", from.address, resp.StatusCode)
	}
	return b.answer(r, in)
}

// exchange sends the request the way it has to go.
func (b *backend) exchange(ctx context.Context, r *fanout.Request, body *requestBody) (*http.Response, *server, error) {
	if r.FollowUp && isAbsolute(r.Path) {
		resp, err := b.direct(ctx, r)
		return resp, &server{target: target{address: r.Path}, upstream: b.proxy.direct}, err
	}
	trusted := !r.FollowUp && b.proxy.trusts(r.Header)
	out := &outgoing{method: r.Method, path: b.route.rewrite(r.Path), query: r.RawQuery, host: b.host(r)}
	if r.FollowUp {
		out.header = b.internalHeader()
	} else {
		out.header, out.body = b.requestHeader(r.Header, r.Secure), body
		b.addHops(out.header, r.Remote, trusted)
	}
	if trusted {
		keepGrip(out.header, r.Header)
	} else {
		b.sign(out.header, r.Last)
	}
	return b.send(ctx, out)
}

// direct asks a link on another host, over the network and signed all the same.
func (b *backend) direct(ctx context.Context, r *fanout.Request) (*http.Response, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, err
	}
	u.RawQuery = r.RawQuery
	out := &outgoing{method: r.Method, host: u.Host, header: http.Header{"User-Agent": nil}}
	b.sign(out.header, r.Last)
	return b.proxy.direct.transport.RoundTrip(out.request(ctx, u))
}

// send tries the targets in order, going on only if one cannot be connected to.
func (b *backend) send(ctx context.Context, out *outgoing) (*http.Response, *server, error) {
	var tried []string
	var faults []error
	for _, t := range b.targets {
		resp, err := t.send(ctx, out)
		if err == nil {
			return resp, t, nil
		}
		if !isConnectError(err) {
			return nil, t, err
		}
		tried, faults = append(tried, t.address), append(faults, err)
	}
	return nil, nil, &unreachable{tried, errors.Join(faults...)}
}

// unreachable says that no target could be connected to.
type unreachable struct {
	tried []string
	err   error
}

func (e *unreachable) Error() string { return e.err.Error() }
func (e *unreachable) Unwrap() error { return e.err }

func (t *server) send(ctx context.Context, out *outgoing) (*http.Response, error) {
	host := out.host
	if t.host != "" {
		host = t.host
	}
	req := out.request(ctx, requestURL(t.upstream, out.path, out.query))
	req.Host = host
	return t.transport.RoundTrip(req)
}

// requestURL keeps the path as it is, byte for byte.
func requestURL(u *upstream, path, query string) *url.URL {
	out := &url.URL{Scheme: u.scheme(), Host: u.address, Opaque: path, RawQuery: query}
	if strings.HasPrefix(path, "//") { // an opaque part would be read as a host
		out.Opaque, out.Path = "", path
		if plain, err := url.PathUnescape(path); err == nil {
			out.Path, out.RawPath = plain, path
		}
	}
	return out
}

func (o *outgoing) request(ctx context.Context, u *url.URL) *http.Request {
	req := &http.Request{
		Method: o.method, URL: u, Host: o.host, Header: o.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	switch {
	case len(o.content) > 0:
		content := o.content
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(content))
	case o.body != nil && o.body.length != 0:
		req.Body, req.ContentLength = o.body, o.body.length
	}
	if req.ContentLength == 0 && hasNoBody(req) && needsLength(o.method) {
		req.Body, req.TransferEncoding = http.NoBody, []string{"identity"} // makes net/http say Content-Length: 0
	}
	return req.WithContext(ctx)
}

func hasNoBody(req *http.Request) bool { return req.Body == nil || req.Body == http.NoBody }

// needsLength tells the methods that get a length though they have no body
// (grip.md, 1.5).
func needsLength(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return false
	}
	return true
}

// requestBody passes the client's body on. Closing does nothing, so that the next
// target can have it; stop ends it for good.
type requestBody struct {
	length  int64 // -1 if unknown
	stopped atomic.Bool

	mu     sync.Mutex // held while reading
	reader io.Reader
}

func newRequestBody(r *fanout.Request) *requestBody {
	return &requestBody{reader: r.Body, length: r.ContentLength}
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped.Load() {
		return 0, errStopped
	}
	return b.reader.Read(p)
}

var errStopped = errors.New("request has been answered")

func (b *requestBody) Close() error { return nil }

func (b *requestBody) stop() { b.stopped.Store(true) }

// leave stops and waits until nobody reads: net/http may go on with a request
// whose answer came early, and the engine will read what is left of it.
func (b *requestBody) leave() {
	b.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
}

// incoming is an origin's response while it is read. It is the Stream of those
// that are passed on.
type incoming struct {
	*http.Response
	from   *server
	cancel context.CancelFunc
	body   *requestBody
	// untouched: instructions are not for this relay.
	untouched bool
}

func (in *incoming) Read(p []byte) (int, error) { return in.Body.Read(p) }

// Close implements io.Closer.
func (in *incoming) Close() error {
	in.body.stop()
	err := in.Body.Close()
	in.cancel()
	return err
}

// maxBuffered bounds a response that is read before it is answered (grip.md, 1.7
// and 2.5).
const maxBuffered = 100_000

// buffer reads the beginning of the body and reports whether there is more. It
// waits no longer than for the head.
func (in *incoming) buffer() (body []byte, more bool, err error) {
	late := time.AfterFunc(answerTimeout, in.cancel)
	defer late.Stop()
	size := int64(512)
	if in.ContentLength >= 0 {
		size = min(in.ContentLength, maxBuffered) + bytes.MinRead
	}
	buf := bytes.NewBuffer(make([]byte, 0, size))
	n, err := io.Copy(buf, io.LimitReader(in.Body, maxBuffered+1))
	if err != nil {
		return nil, false, fmt.Errorf("response broke off: %w", err)
	}
	return buf.Bytes(), n > maxBuffered, nil
}
