package provision

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Bounds on looking at the app.
const (
	maxAnswer  = 16 << 10
	openWithin = 10 * time.Second // to a stream's first event
	echoWithin = 5 * time.Second  // to a message's arrival
)

// Answer is what came back for one request without a credential, or why nothing did.
type Answer struct {
	Status int
	Header http.Header
	// Body is its start, at most 16 KiB.
	Body string
	// At is when it came, Took how long that was.
	At   time.Time
	Took time.Duration
	Err  error
}

// skew is how far this machine's clock is ahead of the answer's; known is false
// if the answer does not tell its time. The header has whole seconds.
func (a Answer) skew() (ahead time.Duration, known bool) {
	then, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil || a.At.IsZero() {
		return 0, false
	}
	return a.At.Sub(then).Truncate(time.Second), true
}

// fromApp reports whether the Pub/Sub app wrote the answer: it puts the same
// headers on everything it says.
func (a Answer) fromApp() bool {
	return a.Header.Get("Access-Control-Allow-Origin") != "" && a.Header.Get("Access-Control-Max-Age") != ""
}

// allows reports whether the answer's Allow header lists a method.
func (a Answer) allows(method string) bool {
	for m := range strings.SplitSeq(a.Header.Get("Allow"), ",") {
		if strings.TrimSpace(m) == method {
			return true
		}
	}
	return false
}

// Try is what became of an action that needs a credential. One that was not made
// has Made unset.
type Try struct {
	Made bool
	Err  error
	Took time.Duration
}

// AppSight is what can be seen of the app from outside.
type AppSight struct {
	// URL is its address, empty if none is known; then nothing else is set.
	URL string
	// Hello is GET /, Preflight is OPTIONS /events; Events is PUT /events and Admin
	// GET /admin/keys, which only say what is allowed.
	Hello, Preflight, Events, Admin Answer
	// KeyID is the key the tokens are signed with; empty if a token was given.
	KeyID string
	// Publish sends with a token, AsAdmin with a Fastly-Key, which tells trouble
	// with keys from trouble with publishing.
	Publish, AsAdmin Try
	// Subscribe opens an event stream, and Echo is a message that came back on it;
	// MQTT is the same over MQTT.
	Subscribe, Echo, MQTT Try
	// Retained is a stored message that came to a durable stream; made only by a
	// deep look.
	Retained Try
}

// Look says how to look at the app.
type Look struct {
	// URL is its address without a slash at the end.
	URL string
	// HTTP carries all requests. Required.
	HTTP http.RoundTripper
	// UserAgent names the program.
	UserAgent string
	// Log gets one debug line for each request with a credential; nil logs nothing.
	Log *slog.Logger
	// Timeout is for one request.
	Timeout time.Duration
	// Sign gives a token that reads and writes a topic; nil if none can be had.
	// KeyID is the key it signs with.
	Sign  func(topic string) (string, error)
	KeyID string
	// FastlyKey is a credential for the app's administration; empty for none.
	FastlyKey string
	// Now is the clock that is compared with others'. Required.
	Now func() time.Time
	// Deep stores a message too, and clears it.
	Deep bool
	// Want reports whether a check is wanted; nil wants all. What no wanted check
	// needs is not asked.
	Want func(check string) bool
}

// Watch looks at the app. It publishes to a topic of its own that nobody follows,
// and stores nothing unless the look is deep. It stops at the first answer that
// shows that the app is not there.
func Watch(ctx context.Context, l Look) AppSight {
	s := AppSight{URL: l.URL, KeyID: l.KeyID}
	if l.URL == "" {
		return s
	}
	s.Hello = l.ask(ctx, http.MethodGet, "/")
	if s.Hello.Err != nil || !greets(s.Hello) {
		return s
	}
	s.Preflight = l.ask(ctx, http.MethodOptions, "/events")
	s.Events = l.ask(ctx, http.MethodPut, "/events")
	s.Admin = l.ask(ctx, http.MethodGet, "/admin/keys")
	if l.wants("publish", "signing-key", "publish-token") {
		l.publish(ctx, &s)
	}
	if l.Sign == nil {
		return s
	}
	if l.wants("subscribe", "round-trip", "signing-key") {
		l.roundTrip(ctx, &s)
	}
	if l.wants("mqtt") && !isReason(s.Publish.Err, "publish_failed") { // else the echo would be waited for in vain
		_, s.MQTT = l.confirm(ctx, client.PublishOptions{MQTT: true})
	}
	if l.Deep && l.wants("retained") {
		l.store(ctx, &s)
	}
	return s
}

func (l Look) wants(checks ...string) bool {
	for _, name := range checks {
		if l.Want == nil || l.Want(name) {
			return true
		}
	}
	return false
}

// greets reports whether an answer is the app's greeting.
func greets(a Answer) bool {
	return a.Status == http.StatusOK && strings.TrimSpace(a.Body) == "Hello from Fastly Pub/Sub!"
}

// Door asks the address of the platform's API without a credential, to see
// whether it is there and what time it has.
func (l Look) Door(ctx context.Context, endpoint string) Answer {
	l.URL = endpoint
	return l.ask(ctx, http.MethodGet, "/")
}

// ask sends a request without credentials and follows no redirect.
func (l Look) ask(ctx context.Context, method, path string) Answer {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, l.URL+path, nil)
	if err != nil {
		return Answer{Err: err}
	}
	r.Header.Set("User-Agent", l.UserAgent)
	began := time.Now()
	resp, err := l.HTTP.RoundTrip(r)
	if err != nil {
		return Answer{Err: err, Took: time.Since(began)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body), At: l.Now(), Took: time.Since(began), Err: err}
}

// probeTopic is a topic that nobody else has.
func probeTopic() pubsub.Topic { return pubsub.Topic("__pubsubctl_probe_" + rand.Text()) }

// client talks to the app about one topic: with a token for it, or, for admin,
// with the Fastly-Key.
func (l Look) client(topic pubsub.Topic, admin bool) *client.Client {
	c := &client.Client{URL: l.URL, HTTP: l.HTTP, UserAgent: l.UserAgent, Timeout: l.Timeout, Log: l.Log}
	if admin {
		c.FastlyKey = l.FastlyKey
		return c
	}
	c.Token = func(context.Context) (string, error) { return l.Sign(string(topic)) }
	return c
}

// publish sends one message with each credential there is.
func (l Look) publish(ctx context.Context, s *AppSight) {
	topic := probeTopic()
	if l.Sign != nil {
		p, err := l.client(topic, false).Publish(ctx, topic, []byte("probe"), client.PublishOptions{})
		s.Publish = Try{Made: true, Err: err, Took: p.Took}
	}
	if l.FastlyKey != "" {
		p, err := l.client(topic, true).Publish(ctx, topic, []byte("probe"), client.PublishOptions{})
		s.AsAdmin = Try{Made: true, Err: err, Took: p.Took}
	}
}

// roundTrip follows a topic and publishes to it.
func (l Look) roundTrip(ctx context.Context, s *AppSight) {
	s.Subscribe, s.Echo = l.confirm(ctx, client.PublishOptions{})
}

// confirm publishes a message that should come back, and tells whether the
// subscription stood from whether the message made it.
func (l Look) confirm(ctx context.Context, o client.PublishOptions) (opened, echo Try) {
	topic := probeTopic()
	ctx, cancel := context.WithTimeoutCause(ctx, openWithin+echoWithin, errNotInTime)
	defer cancel()
	got, err := l.client(topic, false).PublishConfirmed(ctx, topic, []byte(topic), o, echoWithin)
	opened, echo = Try{Made: true}, Try{Made: true, Err: err, Took: got.Echo}
	if e, ok := errors.AsType[*client.Error](err); errors.Is(err, errNotInTime) || ok && e.Op == "subscribe" {
		opened.Err = err
	}
	return opened, echo
}

var errNotInTime = fmt.Errorf("nothing came of it within %v", openWithin+echoWithin)

// store keeps a message, waits for it on a durable stream, and clears it.
func (l Look) store(ctx context.Context, s *AppSight) {
	topic := probeTopic()
	c := l.client(topic, false)
	ctx, cancel := context.WithTimeoutCause(ctx, openWithin+echoWithin, errNotInTime)
	defer cancel()
	began := time.Now()
	s.Retained = Try{Made: true}
	if _, s.Retained.Err = c.Publish(ctx, topic, []byte("probe"), client.PublishOptions{Retain: true, TTL: time.Minute}); s.Retained.Err != nil {
		return
	}
	s.Retained.Err = l.replay(ctx, c, topic)
	s.Retained.Took = time.Since(began)
	if _, err := c.Publish(ctx, topic, nil, client.PublishOptions{Retain: true, Clear: true}); s.Retained.Err == nil {
		s.Retained.Err = err
	}
}

var errReplayed = errors.New("the stored message came")

// replay waits for the stored message of a topic.
func (l Look) replay(ctx context.Context, c *client.Client, topic pubsub.Topic) error {
	err := c.Subscribe(ctx, []pubsub.Topic{topic}, client.SubscribeOptions{Durable: true, NoReconnect: true}, func(e client.Event) error {
		if e.Kind == client.KindMessage {
			return errReplayed
		}
		return nil
	})
	if errors.Is(err, errReplayed) {
		return nil
	}
	return err
}
