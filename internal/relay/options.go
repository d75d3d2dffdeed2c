package relay

import (
	"log/slog"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// Options says what to serve and where. The zero value, with a Log, serves the
// app without keys on free loopback ports and keeps everything in memory.
type Options struct {
	// Listen is the data plane's address; empty stands for a free loopback port.
	Listen string
	// Control is the control plane's address; empty stands for a free loopback
	// port, Off for none.
	Control string
	// Keys are signing keys that are valid beside those in the store. They are
	// not written to it.
	Keys []store.Key
	// FastlyKeys are the accepted Fastly-Key values.
	FastlyKeys []string
	// Data is the directory that keeps keys and retained messages; empty keeps
	// them in memory.
	Data string
	// NoApp answers unrouted requests with 502 in place of the Pub/Sub app.
	NoApp bool
	// Routes are lines in Pushpin's syntax: which requests go to which origins.
	Routes []string
	// RoutesFile has more such lines. It is read again when it changes; if it is
	// wrong then, the routes before stay. At the start a wrong line is an error
	// unless SkipBadRoutes leaves it out, as Pushpin does.
	RoutesFile    string
	SkipBadRoutes bool
	// SigIssuer and SigKey sign requests to origins; without either they are not
	// signed. SigKey is the secret itself, "base64:" and the secret, PEM, or
	// "file:" and the path of one of these.
	SigIssuer, SigKey string
	// Debug tells clients of origins why a request failed.
	Debug bool
	// RouteHeader lets the header Pushpin-Route choose the route.
	RouteHeader bool
	// ForwardedProto is what becomes of X-Forwarded-Proto on the way to an origin.
	ForwardedProto ForwardedProto
	// UpstreamKey, if not empty, is the key of another GRIP proxy in front, in the
	// form of SigKey: what it has signed is passed on with its own Grip-* headers.
	UpstreamKey string
	// ForwardedFor, ForwardedForTrusted, CDNLoop and CORS are as in origin.Options.
	ForwardedFor, ForwardedForTrusted ForwardedFor
	CDNLoop                           string
	CORS                              bool
	// NoFirstUpdate, OrderWait, IDLife, Linger and MaxChannels are as in
	// fanout.Options.
	NoFirstUpdate             bool
	OrderWait, IDLife, Linger time.Duration
	MaxChannels               int
	// Config holds the items of the app's config store.
	Config map[string]string
	// NoPublishToken and NoMessagesStore reproduce a half-configured service.
	NoPublishToken, NoMessagesStore bool
	// PublishKey, if not empty, is required on the publish API: as a Bearer, a
	// Fastly-Key, the password of Basic, or a token signed with it.
	PublishKey string
	// PublishLimit is how many bytes the body of a publish request may have, 0 for
	// 1,000,000; ServicePublishLimit is the same at Fastly's paths, where 0 stands
	// for PublishLimit but at least 256 KiB.
	PublishLimit, ServicePublishLimit int64
	// PublishHeaderLimit is the same for its head, 0 for 128 KiB.
	PublishHeaderLimit int
	// Platform, if not nil, imitates the platform API, which is then served at
	// FastlyAPI, empty for a free loopback port. The app is what its active service
	// makes of it: Config has no effect, and Keys and FastlyKeys are valid beside its
	// own. A test talks to it in parallel.
	Platform  Platform
	FastlyAPI string
	// TLSCert and TLSKey name PEM files; both or neither.
	TLSCert, TLSKey string
	// MaxConns is how many client connections may be open; 0 stands for what the
	// limit on open files allows.
	MaxConns int
	// HeaderTimeout is how long a client may take to send a request's head, 0 for
	// 10 s; BodyTimeout how long it may take for the body, 0 for 30 s.
	HeaderTimeout, BodyTimeout time.Duration
	// Shards, Backlog, WriteTimeout and Portable are as in fanout.Options.
	Shards, Backlog int
	WriteTimeout    time.Duration
	Portable        bool
	// Log gets one line for each event. Required.
	Log *slog.Logger

	prepare func(store.Store) error // for tests: fills the store before anything listens
}

// Off as Options.Control serves no control plane.
const Off = "off"

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Control == "" {
		o.Control = "127.0.0.1:0"
	}
	if o.FastlyAPI == "" {
		o.FastlyAPI = "127.0.0.1:0"
	}
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = 10 * time.Second
	}
	if o.BodyTimeout == 0 {
		o.BodyTimeout = 30 * time.Second
	}
	if o.PublishLimit <= 0 {
		o.PublishLimit = defaultPublishLimit
	}
	if o.ServicePublishLimit <= 0 {
		o.ServicePublishLimit = max(o.PublishLimit, leastServiceLimit)
	}
	if o.PublishHeaderLimit <= 0 {
		o.PublishHeaderLimit = maxHeader
	}
	if o.MaxConns <= 0 {
		o.MaxConns = connsByFileLimit()
	}
	return o
}

// DefaultMaxConns is what 0 as Options.MaxConns stands for.
func DefaultMaxConns() int { return connsByFileLimit() }
