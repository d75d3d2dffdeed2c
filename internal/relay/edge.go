package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// edge is the app as a service of an imitated platform has it: there once a
// version is active, with the stores that version links, the keys and switches
// in them, and Fanout if it is on. What is missing or wrong fails as it does in
// production. Any Host will do.
//
// The app is made anew whenever the service changes; it keeps nothing that a
// connection needs.
type edge struct {
	// Static after construction.
	platform Platform
	opt      Options
	engine   *fanout.Engine
	store    store.Store // messages, and the keys given at the start
	admin    string      // the Fastly-Key that stands for every one the platform accepts

	mu      sync.Mutex // guards making an app
	writing sync.Mutex // guards a message's way into both stores
	current atomic.Pointer[service]
}

// service is the app of one state of the platform.
type service struct {
	fastlytest.Deployment
	app *app.App
}

var _ fanout.SocketHandler = (*edge)(nil)

func newEdge(o Options, e *fanout.Engine, s store.Store) *edge {
	return &edge{platform: o.Platform, opt: o, engine: e, store: s, admin: rand.Text()}
}

// now is the service as the edge knows it.
func (e *edge) now() *service {
	d := e.platform.Deployed()
	if s := e.current.Load(); s != nil && s.Serial == d.Serial {
		return s
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.current.Load(); s != nil && s.Serial >= d.Serial {
		return s
	}
	s := &service{Deployment: d}
	s.app = app.New(app.Options{
		Store:        edgeStore{e.store, e, d.MessageStore, edgeKeys{e.store.Keys(), e.platform, d}},
		Publisher:    edgePublisher{e, s},
		FastlyKeys:   append(slices.Clone(e.opt.FastlyKeys), e.admin),
		Config:       d.Config,
		PublishToken: d.PublishToken != "" && !e.opt.NoPublishToken, MessagesStore: d.MessageStore != "" && !e.opt.NoMessagesStore,
		Log: e.opt.Log,
	})
	e.current.Store(s)
	return s
}

// serves is the id of the service that was served last.
func (e *edge) serves() string {
	if s := e.current.Load(); s != nil {
		return s.Service
	}
	return ""
}

// Request implements fanout.Handler.
func (e *edge) Request(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	s := e.now()
	if s.Service == "" {
		return unknownDomain(r), nil
	}
	if r.Method == http.MethodGet && r.Path == "/events" && !r.FollowUp {
		if resp, err := s.failedHandoff(ctx, r); resp != nil || err != nil {
			return resp, err
		}
	}
	return s.app.Request(ctx, e.identify(s, r))
}

// Events implements fanout.SocketHandler.
func (e *edge) Events(ctx context.Context, sock *fanout.Socket, in []grip.Event) (*fanout.Reply, error) {
	s := e.now()
	if len(in) > 0 && in[0].Type == grip.EventOpen {
		if s.Service == "" {
			return &fanout.Reply{Refuse: unknownDomain(sock.Handshake)}, nil
		}
		if sock.Handshake.Path == "/mqtt" {
			if resp, err := s.failedHandoff(ctx, sock.Handshake); resp != nil || err != nil {
				return &fanout.Reply{Refuse: resp}, err
			}
		}
	}
	return s.app.Events(ctx, sock, in)
}

// QuickEvents implements fanout.SocketHandler: asking the platform may wait.
func (e *edge) QuickEvents(*fanout.Socket, []grip.Event) bool { return false }

// identify replaces a Fastly-Key that the platform accepts for this service by
// the one the app accepts.
func (e *edge) identify(s *service, r *fanout.Request) *fanout.Request {
	key := r.Header["Fastly-Key"]
	if len(key) == 0 || !e.platform.Purges(s.Service, key[0]) {
		return r
	}
	as := *r
	as.Header = maps.Clone(r.Header)
	as.Header["Fastly-Key"] = []string{e.admin}
	return &as
}

// unknownDomain is the edge's answer for a domain that no active version has.
func unknownDomain(r *fanout.Request) *fanout.Response {
	return edgeText(http.StatusInternalServerError, "text/plain; charset=utf-8", "Fastly error: unknown domain: "+r.Host+
		". Please check that this domain has been added to a service.\n")
}

func edgeText(status int, kind, body string) *fanout.Response {
	return &fanout.Response{Status: status, Header: http.Header{"Content-Type": {kind}}, Body: []byte(body)}
}

// failedHandoff is what becomes of a connection that the app wants to hand to
// Fanout when that cannot work; nil when it can. It depends on the backend self,
// through which Fanout asks the app again.
func (s *service) failedHandoff(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	if !s.handsOff(r.Path) {
		return nil, nil
	}
	self, found := s.Backends["self"]
	self = strings.ToLower(self)
	switch {
	case !s.Fanout || !found:
		return &fanout.Response{Status: http.StatusInternalServerError}, nil
	case slices.Contains(s.Domains, self):
		return nil, nil
	case slices.Contains(s.Elsewhere, self):
		return s.askUnauthorized(ctx, r)
	}
	return edgeText(http.StatusOK, "text/html; charset=utf-8", "<!doctype html>\n<title>"+self+"</title>\n<p>This is another site.\n"), nil
}

// handsOff reports whether the app would hand a connection to this path to
// Fanout: it answers by itself when its configuration cannot be read or when the
// switch is off.
func (s *service) handsOff(path string) bool {
	for _, name := range []string{"sse", "http-publish", "admin"} {
		if v, ok := s.Config[name]; ok && v != "true" && v != "false" {
			return false
		}
	}
	return path != "/events" || s.Config["sse"] != "false"
}

// askUnauthorized has the app answer a request with somebody else's signature:
// what Fanout brings back when self leads to another service.
func (s *service) askUnauthorized(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	as := *r
	as.Path = "/events"
	if as.Header = maps.Clone(r.Header); as.Header == nil {
		as.Header = http.Header{}
	}
	as.Header["Grip-Sig"] = []string{"of another service"}
	return s.app.Request(ctx, &as)
}

// edgePublisher publishes as the service may.
type edgePublisher struct {
	edge    *edge
	service *service
}

var errPublishRefused = errors.New("the platform's publish endpoint would refuse: " +
	"it needs Fanout, the backend api at api.fastly.com, and a publish token that may purge the service")

// Publish implements app.Publisher.
func (p edgePublisher) Publish(ctx context.Context, items ...*grip.Item) (int, error) {
	s := p.service
	if !s.Fanout || s.Backends["api"] != "api.fastly.com" || !p.edge.platform.Purges(s.Service, s.PublishToken) {
		return 0, errPublishRefused
	}
	return p.edge.engine.Publish(ctx, items...)
}

// Subscribers implements app.Publisher.
func (p edgePublisher) Subscribers(channel string) int { return p.edge.engine.Subscribers(channel) }
