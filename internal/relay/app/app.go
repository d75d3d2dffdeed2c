package app

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/sse"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// Publisher takes items to whoever is subscribed. Its methods may be called
// from any goroutine and must not wait for readers.
type Publisher interface {
	// Publish hands over the items and returns how many subscribers of their
	// channels they were queued for. An error means that none was.
	Publish(ctx context.Context, items ...*grip.Item) (receivers int, err error)
	// Subscribers returns how many connections listen to a channel now.
	Subscribers(channel string) int
}

// Options is what an App is made of.
type Options struct {
	// Store keeps messages and signing keys. Required; the App does not close it.
	Store store.Store
	// Publisher delivers. Required.
	Publisher Publisher
	// FastlyKeys are the accepted Fastly-Key values. Empty strings are ignored;
	// without any, nobody is an administrator.
	FastlyKeys []string
	// Config holds the items of the app's config store: sse, http-publish and
	// admin, each "true" or "false". What is absent is true, other names are
	// ignored. App.SetConfig changes it later.
	Config map[string]string
	// PublishToken tells whether the service has the token it needs to publish.
	// Without it every publish fails, after its message was stored if that was
	// asked for.
	PublishToken bool
	// MessagesStore tells whether the message store is linked. Without it reads
	// find nothing and retained publishes fail.
	MessagesStore bool
	// Log receives one line per opened stream, publish and refusal. Required.
	Log *slog.Logger
}

// App answers requests and WebSocket events as the Pub/Sub app does. It is a
// fanout.SocketHandler; all its methods may be called from any goroutine.
type App struct {
	// Static after New.
	publisher     Publisher
	messages      messages
	keys          store.KeyStore
	verifier      *token.Verifier
	admins        [][sha256.Size]byte
	publishToken  bool
	log           *slog.Logger
	plain, events http.Header
	json, bare    http.Header
	speaksMQTT    http.Header   // of a handshake that offers mqtt as it should
	accepted      *fanout.Reply // to events that need no answer; nobody changes it
	alive         []byte        // the keep-alive of every stream
	mentioned     *recent       // tokens whose oddities are in the log

	switches atomic.Pointer[switches]
	bodies   sync.Pool // of *[]byte with room for one byte more than a legal payload
}

// New makes an App. Bad values in o.Config are not an error here: as in
// production, they make every request fail.
func New(o Options) *App {
	a := &App{
		publisher:    o.Publisher,
		keys:         o.Store.Keys(),
		verifier:     token.NewVerifier(o.Store.Keys()),
		admins:       digests(o.FastlyKeys),
		publishToken: o.PublishToken,
		log:          o.Log,
		plain:        header("text/plain; charset=utf-8"),
		events:       header("text/event-stream"),
		json:         header("application/json"),
		bare:         header(""),
		speaksMQTT:   header(""),
		accepted:     &fanout.Reply{Interval: pollEvery},
		alive:        []byte(sse.KeepAliveEvent),
		mentioned:    newRecent(),
	}
	a.speaksMQTT["Sec-Websocket-Protocol"] = []string{"mqtt"}
	a.messages = missing{}
	if o.MessagesStore {
		a.messages = o.Store
	}
	a.bodies.New = func() any { b := make([]byte, pubsub.MaxPayload+1); return &b }
	a.SetConfig(o.Config)
	return a
}

// SetConfig replaces the items of the config store. Requests that begin
// afterwards, follow-ups of open streams among them, see the new ones.
func (a *App) SetConfig(items map[string]string) {
	a.switches.Store(readSwitches(items))
}

// Request answers one HTTP request or the follow-up of a held stream. It may
// wait for the store. It fails only if the request's body cannot be read or a
// topic makes an instruction the proxy could not parse.
func (a *App) Request(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	resp, err := a.route(ctx, r)
	if err == nil && r.Method == http.MethodHead {
		resp.Body = nil
	}
	return resp, err
}

// messages is the part of the store that holds stored messages.
type messages interface {
	Put(ctx context.Context, t pubsub.Topic, e store.Entry) (pubsub.Version, error)
	Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (store.Slot, error)
}

// missing is the message store of a service to which none is linked.
type missing struct{}

func (missing) Put(context.Context, pubsub.Topic, store.Entry) (pubsub.Version, error) {
	return pubsub.Version{}, store.ErrMissing
}

func (missing) Get(context.Context, pubsub.Topic, pubsub.Version) (store.Slot, error) {
	return store.Slot{}, store.ErrMissing
}
