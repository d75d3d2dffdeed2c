package client

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// ErrNoEcho says that a published message did not come back in time.
var ErrNoEcho = errors.New("the message did not come back in time")

// settle is how long a durable subscription may deliver what is stored already
// before the message to confirm is sent; the app sends it right behind
// stream-open. Without it, a stored message with the same payload would be
// taken for the echo.
const settle = 250 * time.Millisecond

// echoGrace is how much longer another connection may take than the sender's.
const echoGrace = time.Second

// Confirmed is a message that made the whole way.
type Confirmed struct {
	Published
	// Echo is the time from the sending of the message to its arrival at a
	// subscriber.
	Echo time.Duration
}

// PublishConfirmed subscribes to topic, publishes body, and waits up to within
// for it to come back; ErrNoEcho if it does not. The token must grant both.
// The echo is known by its payload, so another publisher of the same payload
// at the same time can pass for it. Over MQTT it has to arrive on a connection
// other than the sender's: the error matches ErrEchoOnly if it came back there
// alone.
func (c *Client) PublishConfirmed(ctx context.Context, topic pubsub.Topic, body []byte, o PublishOptions, within time.Duration) (Confirmed, error) {
	if o.Retain && o.Clear {
		return Confirmed{}, &Error{Op: opPublish, Category: CategoryUsage, Reason: "ttl", Err: errors.New("a message that clears is delivered to nobody")}
	}
	ctx, stop := context.WithCancel(ctx)
	e := &echo{body: body, opened: make(chan struct{}), heard: make(chan time.Time, 1), ended: make(chan error, 1)}
	over := make(chan struct{})
	// Owned by this call, which waits for it below.
	go func() {
		defer close(over)
		e.ended <- c.Subscribe(ctx, []pubsub.Topic{topic}, c.listening(o), e.take)
	}()
	defer func() { stop(); <-over }()
	if err := e.awaitOpen(ctx, o.Retain && !o.MQTT); err != nil {
		return Confirmed{}, err
	}
	e.sent.Store(true)
	p, sending := c.Publish(ctx, topic, body, o)
	within -= time.Since(p.began)
	if errors.Is(sending, ErrEchoOnly) {
		within = min(within, echoGrace) // no proof yet that nobody else gets it
	} else if sending != nil {
		return Confirmed{}, sending
	}
	at, err := e.await(ctx, within)
	if errors.Is(err, ErrNoEcho) && sending != nil {
		err = sending
	}
	return Confirmed{Published: p, Echo: at.Sub(p.began)}, err
}

// listening is how the message is listened for. What is stored already need not
// come; over SSE that cannot be said.
func (c *Client) listening(o PublishOptions) SubscribeOptions {
	s := SubscribeOptions{Durable: o.Retain, NoReconnect: true}
	if o.MQTT {
		s.Transport = packetStreams{client: c, unstored: true}
	}
	return s
}

// echo listens for one payload.
type echo struct {
	body   []byte
	sent   atomic.Bool    // whether an arrival may be the echo
	opened chan struct{}  // closed by the subscription's goroutine, once
	heard  chan time.Time // capacity 1: the first arrival
	ended  chan error     // capacity 1: why the subscription is over
}

var errHeard = errors.New("the echo was heard")

// take is called with what happens to the subscription, which never reconnects.
func (e *echo) take(ev Event) error {
	switch {
	case ev.Kind == KindOpen:
		close(e.opened)
	case ev.Kind == KindMessage && e.sent.Load() && bytes.Equal(ev.Message.Data, e.body):
		e.heard <- ev.Time
		return errHeard
	}
	return nil
}

// awaitOpen waits until the subscription stands, and until what is stored has
// been delivered.
func (e *echo) awaitOpen(ctx context.Context, durable bool) error {
	select {
	case <-e.opened:
	case err := <-e.ended:
		return err
	}
	if durable {
		return sleepUntil(ctx, time.Now().Add(settle))
	}
	return nil
}

func (e *echo) await(ctx context.Context, within time.Duration) (time.Time, error) {
	if len(e.heard) > 0 {
		return <-e.heard, nil // the time may be over by now; it was not then
	}
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case at := <-e.heard:
		return at, nil
	case err := <-e.ended:
		if errors.Is(err, errHeard) {
			return <-e.heard, nil
		}
		return time.Time{}, err
	case <-late.C:
		return time.Time{}, ErrNoEcho
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}
