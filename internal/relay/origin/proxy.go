package origin

import (
	"cmp"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// Options configures a Proxy.
type Options struct {
	// Engine holds the connections. Required.
	Engine *fanout.Engine
	// Log gets a line for each request that failed. Required.
	Log *slog.Logger
	// Issuer and Key sign forwarded requests (Grip-Sig); without either they are
	// not signed, unless their route has its own.
	Issuer string
	Key    grip.Key
	// Debug tells clients why a request failed, on all routes.
	Debug bool
	// RouteHeader lets the Pushpin-Route header choose the route, and removes it.
	RouteHeader bool
	// ForwardedProto is what becomes of X-Forwarded-Proto.
	ForwardedProto ForwardedProto
	// UpstreamKey, if it is not zero, is the key of another GRIP proxy in front: what
	// it has signed is passed on with its own Grip-* headers, and so are the origin's
	// answers, which are for that proxy (grip.md, 1.4).
	UpstreamKey grip.Key
	// ForwardedFor is what becomes of X-Forwarded-For, ForwardedForTrusted the same
	// in what that other proxy has signed.
	ForwardedFor, ForwardedForTrusted ForwardedFor
	// CDNLoop, if not empty, is added to CDN-Loop.
	CDNLoop string
	// CORS lets pages of any site read what origins answer, on all routes.
	CORS bool
	// Unrouted answers what no route matches; nil answers 502.
	Unrouted http.Handler
	// Roots verifies targets with ssl; nil stands for the system's.
	Roots *x509.CertPool
}

// ForwardedProto is what becomes of the headers X-Forwarded-Proto and
// X-Forwarded-Protocol (grip.md, 1.3 item 7).
type ForwardedProto uint8

// The choices.
const (
	// ProtoPassed leaves what the client has sent.
	ProtoPassed ForwardedProto = iota
	// ProtoOnly removes both and sets X-Forwarded-Proto if the client's connection
	// is encrypted.
	ProtoOnly
	// ProtoBoth removes both and then sets both.
	ProtoBoth
)

// Proxy forwards requests to origins. It may be used from any goroutine.
type Proxy struct {
	// Static after construction.
	opt    Options
	log    *slog.Logger
	signer *signer // nil: not signed
	direct *upstream
	routes atomic.Pointer[table]

	mu      sync.Mutex // guards the following
	ups     map[upstreamKey]*upstream
	natives map[net.Conn]struct{} // open WebSockets to origins
	closed  bool
}

// New returns a Proxy; Close ends it.
func New(o Options, routes []*Route) *Proxy {
	p := &Proxy{opt: o, log: o.Log, ups: map[upstreamKey]*upstream{}, natives: map[net.Conn]struct{}{}}
	p.signer = newSigner(o.Issuer, o.Key)
	p.direct = newUpstream(upstreamKey{}, o.Roots)
	p.SetRoutes(routes)
	return p
}

// SetRoutes replaces all routes. Connections that are open keep theirs.
func (p *Proxy) SetRoutes(routes []*Route) {
	p.mu.Lock()
	defer p.mu.Unlock()
	used := map[upstreamKey]*upstream{}
	backends := make([]*backend, len(routes))
	for i, r := range routes {
		for _, w := range r.Warnings {
			p.log.Warn("route only followed in part", "cause", w, "route", r.String())
		}
		backends[i] = p.newBackend(r, used)
	}
	for key, u := range p.ups {
		if used[key] == nil {
			u.transport.CloseIdleConnections()
		}
	}
	p.ups = used
	p.routes.Store(newTable(backends, p.log))
}

// newBackend connects a route to its upstreams, which routes with the same target
// share, also with routes before them. The caller holds p.mu.
func (p *Proxy) newBackend(r *Route, used map[upstreamKey]*upstream) *backend {
	b := &backend{proxy: p, route: r, signer: p.signer, targets: make([]*server, len(r.targets))}
	if r.sigIssuer != "" || r.sigKey.Alg() != "" {
		b.signer = newSigner(cmp.Or(r.sigIssuer, p.opt.Issuer), r.sigKey)
	}
	if r.noGrip {
		b.signer = nil
	}
	for i, t := range r.targets {
		key := keyOf(t)
		u := used[key]
		if u == nil {
			if u = p.ups[key]; u == nil {
				u = newUpstream(key, p.opt.Roots)
			}
			used[key] = u
		}
		b.targets[i] = &server{target: t, upstream: u}
	}
	b.handler = p.opt.Engine.Serve(b)
	return b
}

// Close ends WebSockets to origins and idle connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.natives {
		_ = c.Close()
	}
	for _, u := range p.ups {
		u.transport.CloseIdleConnections()
	}
	p.direct.transport.CloseIdleConnections()
}

// track remembers an open WebSocket to an origin, so that Close ends it. It
// reports false if that is too late.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.natives[c] = struct{}{}
	}
	return !p.closed
}

func (p *Proxy) untrack(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.natives, c)
}

// Routed reports whether a request is for a route and not for Unrouted. It does
// not wait or allocate.
func (p *Proxy) Routed(host, path string, header http.Header, secure bool) bool {
	q := p.asked(host, path, header, secure)
	return q.byID || p.routes.Load().find(q) != nil
}

func (p *Proxy) asked(host, path string, header http.Header, secure bool) asked {
	q := asked{host: host, path: path, secure: secure, socket: asksForSocket(header)}
	if v := header[routeHeader]; p.opt.RouteHeader && len(v) > 0 {
		q.id, q.byID = v[0], true
	}
	return q
}

// asksForSocket leaves the details to the engine, which checks them.
func asksForSocket(header http.Header) bool {
	v := header["Upgrade"]
	return len(v) > 0 && strings.EqualFold(v[0], "websocket")
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := p.asked(r.Host, r.URL.EscapedPath(), r.Header, r.TLS != nil)
	b := p.routes.Load().find(q)
	switch {
	case r.Method == http.MethodConnect: // a tunnel leads past every route
		writeText(w, http.StatusMethodNotAllowed, "Method not allowed: CONNECT.\n")
	case b != nil && b.forbids(r.Header) && !p.trusts(r.Header):
		writeText(w, http.StatusForbidden, "Client not allowed to send WebSocket events directly.\n")
	case b != nil:
		b.handler.ServeHTTP(w, r)
	case p.opt.Unrouted != nil && !q.byID:
		p.opt.Unrouted.ServeHTTP(w, r)
	default:
		writeText(w, http.StatusBadGateway, "Route not found\n")
	}
}

// trusts reports whether a request comes from the GRIP proxy in front.
func (p *Proxy) trusts(h http.Header) bool {
	sig := h["Grip-Sig"]
	return p.opt.UpstreamKey.Alg() != "" && len(sig) == 1 && grip.VerifySig(sig[0], p.opt.UpstreamKey, "", time.Now()) == nil
}

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header()["Content-Type"] = []string{"text/plain"}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client may be gone
}

// signer makes Grip-Sig values. One of them serves a whole second: only issuer
// and expiry are in it.
type signer struct {
	grip *grip.Signer
	made atomic.Pointer[signature]
}

type signature struct {
	second int64
	header []string
}

// newSigner returns nil if there is nothing to sign with.
func newSigner(issuer string, key grip.Key) *signer {
	s, err := grip.NewSigner(issuer, key)
	if err != nil {
		return nil
	}
	return &signer{grip: s}
}

// header is the value of Grip-Sig for now, nil if it cannot be made.
func (s *signer) header(now time.Time) []string {
	if m := s.made.Load(); m != nil && m.second == now.Unix() {
		return m.header
	}
	sig, err := s.grip.Sign(now)
	if err != nil {
		return nil
	}
	s.made.Store(&signature{now.Unix(), []string{sig}})
	return []string{sig}
}
