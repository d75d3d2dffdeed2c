package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/relay/store/boltstore"
)

// Server is a running relay.
type Server struct {
	// Static after Start.
	opt     Options
	engine  *fanout.Engine
	app     *app.App // nil without the app, and beside a Platform
	store   store.Store
	routing *routing // nil without routes
	guard   *guard
	data    *http.Server
	control *http.Server // nil when off
	api     *http.Server // nil without a Platform
	ready   Ready
	began   time.Time
	serving sync.WaitGroup
	failed  chan error // capacity 3: what ends a listener early

	draining atomic.Bool
}

// ListenError says that an address could not be listened on.
type ListenError struct {
	// Plane is "data", "control" or "fastly-api".
	Plane   string
	Address string
	Err     error
}

// Error implements error.
func (e *ListenError) Error() string {
	return fmt.Sprintf("listen on %s (%s plane): %v", e.Address, e.Plane, e.Err)
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// StoreError says that the data directory cannot be used: locked by another
// relay, damaged, or not accessible.
type StoreError struct {
	Dir string
	Err error
}

// Error implements error.
func (e *StoreError) Error() string { return fmt.Sprintf("open data in %s: %v", e.Dir, e.Err) }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// TLSError says that the certificate or its key cannot be used.
type TLSError struct{ Err error }

// Error implements error.
func (e *TLSError) Error() string { return fmt.Sprintf("load certificate: %v", e.Err) }

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// Start opens the store, listens and serves. It fails with a *StoreError, a
// *TLSError, a *ListenError, a *RouteError, a *SigKeyError or an error about the
// options; then nothing is left running. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{opt: o.withDefaults(), began: time.Now(), failed: make(chan error, 3)}
	var err error
	if s.routing, err = loadRoutes(s.opt); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if err := s.listen(ctx); err != nil {
		_ = s.store.Close()
		return nil, err
	}
	return s, nil
}

// open opens the store.
func (s *Server) open(ctx context.Context) error {
	kept := store.Store(store.NewMemory(store.Options{}))
	if s.opt.Data != "" {
		b, err := boltstore.Open(ctx, s.opt.Data, boltstore.Options{})
		if err != nil {
			return &StoreError{s.opt.Data, err}
		}
		s.warnDamaged(b.Unreadable())
		kept = b
	}
	all, err := withKeys(kept, s.opt.Keys)
	if err == nil && s.opt.prepare != nil {
		err = s.opt.prepare(kept)
	}
	if err != nil {
		_ = kept.Close()
		return err
	}
	s.store = all
	return nil
}

// namedAtMost is how many damaged records one line names.
const namedAtMost = 10

// warnDamaged tells of records that answer with errors from now on, so that
// nobody takes the first such answer for the client's fault.
func (s *Server) warnDamaged(names []string) {
	if len(names) > 0 {
		s.opt.Log.Warn("stored records are damaged", "count", len(names), "records", names[:min(len(names), namedAtMost)],
			"dir", s.opt.Data, "cause", "their checksums do not match; messages of these topics and tokens of these keys are refused")
	}
}

// listen binds the planes and then serves them.
func (s *Server) listen(ctx context.Context) error {
	config, err := s.tlsConfig()
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	data, err := lc.Listen(ctx, "tcp", s.opt.Listen)
	if err != nil {
		return &ListenError{"data", s.opt.Listen, err}
	}
	var control net.Listener
	if s.opt.Control != Off {
		if control, err = lc.Listen(ctx, "tcp", s.opt.Control); err != nil {
			_ = data.Close()
			return &ListenError{"control", s.opt.Control, err}
		}
	}
	s.ready = readyOf(data, control, config != nil)
	api, err := s.listenAPI(ctx)
	if err != nil {
		_ = data.Close()
		if control != nil {
			_ = control.Close()
		}
		return err
	}
	s.serveData(data, config)
	if control != nil {
		s.serveControl(control)
	}
	if api != nil {
		s.serveAPI(api)
	}
	return nil
}

func (s *Server) tlsConfig() (*tls.Config, error) {
	if s.opt.TLSCert == "" && s.opt.TLSKey == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.opt.TLSCert, s.opt.TLSKey)
	if err != nil {
		return nil, &TLSError{err}
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// maxHeader is how large a request's head may be (pubsub-app.md, 11).
const maxHeader = 128 << 10

func (s *Server) serveData(l net.Listener, config *tls.Config) {
	s.engine = fanout.New(fanout.Options{
		Log: s.opt.Log, Shards: s.opt.Shards, Backlog: s.opt.Backlog, WriteTimeout: s.opt.WriteTimeout,
		Portable: s.opt.Portable, BodyTimeout: s.opt.BodyTimeout, NoFirstUpdate: s.opt.NoFirstUpdate,
		Debug: s.opt.Debug && s.opt.NoApp, // the app's failures read as they do in production
	})
	var handler http.Handler
	within := func(_ *guard, l net.Listener) net.Listener { return l }
	switch {
	case s.opt.NoApp:
	case s.opt.Platform != nil:
		handler = s.engine.Serve(s.serveEdge())
	default:
		s.app = app.New(app.Options{
			Store: s.store, Publisher: s.engine, FastlyKeys: s.opt.FastlyKeys, Config: s.opt.Config,
			PublishToken: !s.opt.NoPublishToken, MessagesStore: !s.opt.NoMessagesStore, Log: s.opt.Log,
		})
		handler = s.engine.Serve(s.app)
		if config == nil {
			within = s.front
		}
	}
	if s.routing != nil {
		handler = s.routing.serve(s.opt, s.engine, handler)
	}
	s.guard = newGuard(l, s.opt, s.engine.Detached, within)
	s.data = &http.Server{
		Handler: handler, TLSConfig: config, ReadHeaderTimeout: s.opt.HeaderTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: quiet(s.opt.Log),
	}
	s.serve(s.data, s.guard, config != nil)
}

// idleTimeout is how long a connection may be idle between two requests.
const idleTimeout = 2 * time.Minute

// front lets the engine read connections before net/http does.
func (s *Server) front(g *guard, l net.Listener) net.Listener {
	quick := fanout.Quick(s.app)
	if s.routing != nil {
		quick = unrouted{s.app, s.routing.proxy}
	}
	return s.engine.Front(l, quick, fanout.FrontOptions{
		Full: g.full, Refused: g.tell, Refusal: []byte(refusal),
		HeaderTimeout: s.opt.HeaderTimeout, BodyTimeout: s.opt.BodyTimeout, IdleTimeout: idleTimeout,
	})
}

func (s *Server) serveControl(l net.Listener) {
	s.control = &http.Server{
		Handler: s.controlPlane(), ReadHeaderTimeout: s.opt.HeaderTimeout, ReadTimeout: s.opt.BodyTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: s.opt.PublishHeaderLimit, ErrorLog: quiet(s.opt.Log),
	}
	s.serve(s.control, l, false)
}

// serve runs srv until it is closed; a listener that fails before is reported by Wait.
func (s *Server) serve(srv *http.Server, l net.Listener, secure bool) {
	s.serving.Go(func() { // ends when srv is closed
		var err error
		if secure {
			err = srv.ServeTLS(l, "", "")
		} else {
			err = srv.Serve(l)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	})
}

// Ready tells where the relay listens.
func (s *Server) Ready() Ready { return s.ready }

// Wait returns when ctx ends, with nil, or when a listener has failed.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// Shutdown ends the relay: it is no longer ready, takes no new connections,
// finishes requests and says farewell to held streams, all within the time ctx
// has; what is left at its end is cut off. The store closes last. Further calls
// do nothing.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.draining.Swap(true) {
		return nil
	}
	s.data.SetKeepAlivesEnabled(false)
	_ = s.guard.Close()
	drained := s.engine.Drain(ctx)
	err := errors.Join(drained, s.data.Shutdown(ctx))
	_ = s.data.Close()
	for _, srv := range []*http.Server{s.control, s.api} {
		if srv != nil {
			_ = srv.Close()
		}
	}
	s.routing.close()
	s.serving.Wait()
	return errors.Join(err, s.store.Close())
}

// quiet passes net/http's complaints on at debug level: they are about clients
// that broke off, which no one needs to act on.
func quiet(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }
