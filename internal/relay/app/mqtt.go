package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// Bounds of an MQTT connection.
const (
	// pollEvery is after how long without a call the engine makes an empty one.
	pollEvery = 120 * time.Second
	// settleAfter is the same behind a SUBSCRIBE: a message may be stored between
	// the look into the store and the moment the engine listens.
	settleAfter = time.Second
	// heldMax is how many bytes of an unfinished packet may wait (section 11), and
	// piecesMax in how many messages they may have come.
	heldMax   = 200_000
	piecesMax = 4096
	// stateMax bounds what is remembered of a connection, in bytes, where the
	// platform bounds the headers that carry it; from stateWarn on production may
	// fail.
	stateMax  = 128 << 10
	stateWarn = 8 << 10
	// topicsWarn is how many topics the stock proxy listens to.
	topicsWarn = 10
	// quickMax is how many bytes are handled without a worker.
	quickMax = 16 << 10
)

// Codes of close frames (RFC 6455, 7.4.1).
const (
	closeNormal = 1000
	closeTooBig = 1009
)

var _ fanout.SocketHandler = (*App)(nil)

// session is one MQTT connection: what production has the proxy keep for it,
// and what the relay remembers to be quick. It belongs to the call under way.
type session struct {
	connected bool
	client    string // the client id, may be empty
	token     string // the password of CONNECT
	subs      []subscription
	size      int               // of the above, roughly as production writes it
	user      string            // the meta "user" that the engine has
	sender    map[string]string // the meta of what this connection publishes; shared by the items, never changed
	need      int               // size of the packet of which the engine holds the beginning; 0 if not known
	over      bool              // a close was sent; nothing counts any more
	warned    quirks

	// The topic last published to and its live channel: most clients have one.
	topic   pubsub.Topic
	channel string
}

// Format prints nothing of the session, which holds a token, for any verb.
func (*session) Format(s fmt.State, _ rune) { fmt.Fprint(s, "mqtt session") }

var (
	errConfig = errors.New("the configuration cannot be read")
	errState  = errors.New("too many subscriptions for the headers that carry them")
	errUnopen = errors.New("events of a socket that was not opened")
)

// Events answers a batch of events of one WebSocket, see fanout.SocketHandler.
// An error, which drops the connection, means that the configuration cannot be
// read or that the client subscribed to more than production could remember.
func (a *App) Events(ctx context.Context, s *fanout.Socket, in []grip.Event) (*fanout.Reply, error) {
	if len(in) == 1 && in[0].Type == grip.EventOpen {
		return a.openSocket(ctx, s)
	}
	m, ok := s.State.(*session)
	if !ok {
		return nil, errUnopen
	}
	if a.switches.Load().broken {
		return nil, errConfig
	}
	c := call{App: a, session: m, who: peer{s.Conn, s.Remote}, now: time.Now(), stale: true}
	rest := c.handle(ctx, in)
	if c.dropped != nil {
		return nil, c.dropped
	}
	return c.reply(rest), nil
}

// maxChannels is how many channels a socket may listen to: far more than Fanout
// allows, because each topic takes two and the App warns by itself where Fanout
// would silently leave some out (pubsub-app.md, 11).
const maxChannels = 1 << 12

// openSocket answers a handshake. No credential is asked for (Quirk Q14), and
// MQTT cannot be switched off (Quirk Q38).
func (a *App) openSocket(ctx context.Context, s *fanout.Socket) (*fanout.Reply, error) {
	r := s.Handshake
	if on := a.switches.Load(); on.broken || r.Path != "/mqtt" || signed(r) {
		resp, err := a.refuseSocket(ctx, r, on)
		return &fanout.Reply{Refuse: resp}, err
	}
	h := a.bare
	if offersMQTT(r.Header) {
		h = a.speaksMQTT
	}
	s.State = &session{}
	s.Handshake = nil // an idle socket need not keep what nobody asks for again
	s.MaxChannels = maxChannels
	return &fanout.Reply{Header: h, Events: []grip.Event{{Type: grip.EventOpen}}, Interval: pollEvery}, nil
}

// refuseSocket answers a handshake as the plain request it also is. On /events
// production takes it for a publish, which is not imitated (Quirk Q44).
func (a *App) refuseSocket(ctx context.Context, r *fanout.Request, on *switches) (*fanout.Response, error) {
	if !on.broken && r.Path == "/events" && (on.sse || on.publish) {
		return a.notAllowed(on.allowEvents()), nil
	}
	return a.route(ctx, r)
}

// offersMQTT reports whether mqtt is among the subprotocols, as the app looks
// for it: in the first header, between single spaces (Quirk Q32).
func offersMQTT(h http.Header) bool {
	offer := h["Sec-Websocket-Protocol"]
	return len(offer) > 0 && slices.Contains(strings.Split(offer[0], " "), "mqtt")
}

// QuickEvents implements fanout.SocketHandler: everything is answered from
// memory, but for a message to be stored, which may have to reach a disk first,
// and what is long enough to keep others waiting.
func (a *App) QuickEvents(_ *fanout.Socket, in []grip.Event) bool {
	total, whole := 0, true
	for _, e := range in {
		if e.Type != grip.EventText && e.Type != grip.EventBinary {
			continue
		}
		if total += len(e.Content); total > quickMax || !whole {
			return false // what begins inside a packet cannot be judged by its bytes
		}
		var stores bool
		if stores, whole = glance(e.Content); stores {
			return false
		}
	}
	return true
}

// glance reports whether a packet in b may store a message, and whether the
// last one ends with b.
func glance(b []byte) (stores, whole bool) {
	const typeAndRetain, storing = 0xF1, 0x31
	for len(b) > 0 {
		if b[0]&typeAndRetain == storing {
			return true, false
		}
		size, err := mqtt.PacketSize(b)
		if err != nil {
			return false, true // the connection ends here
		}
		if size == 0 || size > len(b) {
			return false, false
		}
		b = b[size:]
	}
	return false, true
}
