package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/origin"
)

// ForwardedProto is what becomes of X-Forwarded-Proto on the way to an origin.
type ForwardedProto = origin.ForwardedProto

// The choices; origin.ForwardedProto says what they mean.
const (
	ProtoPassed = origin.ProtoPassed
	ProtoOnly   = origin.ProtoOnly
	ProtoBoth   = origin.ProtoBoth
)

// ForwardedFor is what becomes of X-Forwarded-For on the way to an origin.
type ForwardedFor = origin.ForwardedFor

// RouteError says that a route or the routes file cannot be used.
type RouteError struct {
	// File is the routes file, empty for a route of Options.Routes; Line counts
	// from 1, 0 means the file as a whole.
	File string
	Line int
	// Text is the route as it was written, without keys.
	Text string
	Err  error
}

// Error implements error.
func (e *RouteError) Error() string {
	switch {
	case e.File == "":
		return fmt.Sprintf("route %q: %v", e.Text, e.Err)
	case e.Line == 0:
		return fmt.Sprintf("read routes: %v", e.Err)
	}
	return fmt.Sprintf("routes %s, line %d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *RouteError) Unwrap() error { return e.Err }

// SigKeyError says that a key for Grip-Sig, the relay's or that of a proxy in front,
// cannot be used.
type SigKeyError struct{ Err error }

// Error implements error.
func (e *SigKeyError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SigKeyError) Unwrap() error { return e.Err }

// reloadEvery is how often the routes file is looked at.
const reloadEvery = time.Second

// routing is what a relay knows of origins.
type routing struct {
	// Static after load.
	fixed   []*origin.Route // of Options.Routes
	first   []*origin.Route // of the file when it was loaded
	file    string
	text    []byte   // of the file when it was loaded
	key     grip.Key // signs what is forwarded
	front   grip.Key // of the proxy in front, if there is one
	log     *slog.Logger
	proxy   *origin.Proxy // set by serve
	stop    context.CancelFunc
	watcher sync.WaitGroup
}

// loadRoutes reads what the options say about origins. It returns nil if they
// want none. The error is a *RouteError or a *SigKeyError.
func loadRoutes(o Options) (*routing, error) {
	if len(o.Routes) == 0 && o.RoutesFile == "" && !o.NoApp {
		return nil, nil
	}
	rt := &routing{file: o.RoutesFile, log: o.Log}
	var err error
	if rt.key, err = parseKey(o.SigKey); err != nil {
		return nil, err
	}
	if rt.front, err = parseKey(o.UpstreamKey); err != nil {
		return nil, err
	}
	for _, line := range o.Routes {
		routes, faults := origin.ParseRoutes([]byte(line))
		if len(faults) > 0 {
			return nil, &RouteError{Text: faults[0].Text, Err: faults[0].Err}
		}
		rt.fixed = append(rt.fixed, routes...)
	}
	if rt.file == "" {
		return rt, nil
	}
	return rt, rt.read(o.SkipBadRoutes)
}

// parseKey gives no key for an empty text.
func parseKey(text string) (grip.Key, error) {
	if text == "" {
		return grip.Key{}, nil
	}
	key, err := grip.ParseKey(text, os.ReadFile)
	if err != nil {
		return grip.Key{}, &SigKeyError{err}
	}
	return key, nil
}

// read takes the routes of the file. A relay that starts with half of its
// routes misleads, so a fault is an error unless those are to be skipped.
func (rt *routing) read(skip bool) (err error) {
	if rt.text, err = os.ReadFile(rt.file); err != nil {
		return &RouteError{File: rt.file, Err: err}
	}
	routes, faults := origin.ParseRoutes(rt.text)
	for _, f := range faults {
		if !skip {
			return &RouteError{File: rt.file, Line: f.Line, Text: f.Text, Err: f.Err}
		}
		rt.log.Warn("route skipped", "line", f.Line, "route", f.Text, "cause", f.Err)
	}
	rt.first = routes
	return nil
}

// serve starts the proxy in front of unrouted, which may be nil, and the watch
// over the file.
func (rt *routing) serve(o Options, e *fanout.Engine, unrouted http.Handler) http.Handler {
	rt.proxy = origin.New(origin.Options{
		Engine: e, Log: o.Log, Issuer: o.SigIssuer, Key: rt.key, Debug: o.Debug,
		RouteHeader: o.RouteHeader, ForwardedProto: o.ForwardedProto, Unrouted: unrouted,
		UpstreamKey: rt.front, ForwardedFor: o.ForwardedFor, ForwardedForTrusted: o.ForwardedForTrusted,
		CDNLoop: o.CDNLoop, CORS: o.CORS,
	}, rt.all(rt.first))
	rt.log.Info("routes loaded", "count", len(rt.fixed)+len(rt.first))
	ctx, stop := context.WithCancel(context.Background())
	rt.stop = stop
	if rt.file != "" {
		rt.watcher.Go(func() { // ends by close
			origin.Watch(ctx, rt.file, rt.text, reloadEvery, rt.changed, rt.failed)
		})
	}
	return rt.proxy
}

// all are the fixed routes, which win over equal ones behind them, and those of
// the file.
func (rt *routing) all(ofFile []*origin.Route) []*origin.Route {
	return append(slices.Clone(rt.fixed), ofFile...)
}

func (rt *routing) changed(ofFile []*origin.Route) {
	rt.proxy.SetRoutes(rt.all(ofFile))
	rt.log.Info("routes loaded", "count", len(rt.fixed)+len(ofFile))
}

func (rt *routing) failed(err error) {
	rt.log.Warn("routes not loaded, those before stay", "cause", err)
}

// close ends the watch and what the proxy has open. It may be called on nil.
func (rt *routing) close() {
	if rt == nil || rt.stop == nil {
		return
	}
	rt.stop()
	rt.watcher.Wait()
	rt.proxy.Close()
}

// unrouted is the app beside routes: what a route is for is not the front's.
type unrouted struct {
	*app.App
	proxy *origin.Proxy
}

// Quick implements fanout.Quick.
func (u unrouted) Quick(r *fanout.Request) bool {
	return !u.proxy.Routed(r.Host, r.Path, r.Header, r.Secure) && u.App.Quick(r)
}

// routedOnly is the front's Handler without the app. Everything is net/http's to
// answer; the front takes connections back behind streams that have ended.
type routedOnly struct{}

// Quick implements fanout.Quick.
func (routedOnly) Quick(*fanout.Request) bool { return false }

// Request implements fanout.Handler. It is never asked.
func (routedOnly) Request(context.Context, *fanout.Request) (*fanout.Response, error) {
	return nil, errRoutedOnly
}

var errRoutedOnly = errors.New("no request is for the front")
