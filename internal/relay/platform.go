package relay

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// Platform is an imitated platform API together with what the edge knows from
// it. *fastlytest.Server is one.
type Platform interface {
	// Handler answers the API's requests.
	Handler() http.Handler
	// Attach names who delivers what is published through the API.
	Attach(fastlytest.Publisher)
	// Deployed is what the edge knows now of the service it serves.
	Deployed() fastlytest.Deployment
	// Purges reports whether a token may purge a service: then it may publish to
	// it, and the app takes it for an administrator's.
	Purges(service, token string) bool
	// HasKVItem tells of an item of a KV store, PutKVItem and DeleteKVItem change it.
	// An item whose expires is zero stays.
	HasKVItem(store, key string) bool
	PutKVItem(store, key string, value []byte, expires time.Time) error
	DeleteKVItem(store, key string) error
}

// listenAPI binds the address of the platform API; nil if there is none.
func (s *Server) listenAPI(ctx context.Context) (net.Listener, error) {
	if s.opt.Platform == nil {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.opt.FastlyAPI)
	if err != nil {
		return nil, &ListenError{"fastly-api", s.opt.FastlyAPI, err}
	}
	s.ready.FastlyAPI = baseURL(l, false)
	return l, nil
}

// serveAPI serves the platform API on l.
func (s *Server) serveAPI(l net.Listener) {
	s.api = &http.Server{
		Handler: s.opt.Platform.Handler(), ReadHeaderTimeout: s.opt.HeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: quiet(s.opt.Log),
	}
	s.serve(s.api, l, false)
}

// serveEdge makes the app's place at the edge, and attaches the engine to the API.
func (s *Server) serveEdge() *edge {
	e := newEdge(s.opt, s.engine, s.store)
	s.opt.Platform.Attach(apiPublisher{e})
	return e
}

// apiPublisher delivers what is published through the platform API.
type apiPublisher struct{ edge *edge }

// Publish implements fastlytest.Publisher. Items for a service that the edge does
// not serve reach nobody.
func (p apiPublisher) Publish(ctx context.Context, service string, body json.RawMessage) error {
	items, err := grip.ParsePublish(body)
	if err != nil {
		return err
	}
	if p.edge.serves() != service {
		return nil
	}
	_, err = p.edge.engine.Publish(ctx, items...)
	return err
}
