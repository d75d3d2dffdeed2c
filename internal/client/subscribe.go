package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

const (
	// defaultSilence is more than twice the app's keep-alive interval of 55 s (rule 15.3).
	defaultSilence = 120 * time.Second
	// settled is how long a connection must last to count as a success. Less
	// would let a service that accepts and drops be asked again in a tight loop.
	settled = 10 * time.Second
	// openAttempts is how often a service that answers with a passing fault is
	// asked before the first stream-open; after it, Backoff decides.
	openAttempts = 3
)

// SubscribeOptions say how topics are followed; the zero value follows live
// messages over SSE and reconnects.
type SubscribeOptions struct {
	// Transport makes the connections; nil means the client's SSE.
	Transport Transport
	// Durable follows stored messages too and resumes by id.
	Durable bool
	// LastEventID resumes from an id seen before; empty starts afresh.
	LastEventID string
	// NoReconnect ends the subscription with its first connection.
	NoReconnect bool
	// Patient asks again, as Backoff says, although no connection was open yet:
	// for someone who watches, and can see a wrong address for themselves.
	Patient bool
	// Backoff spaces the attempts to reconnect.
	Backoff Backoff
	// Silence is how long the service may send nothing at all before the
	// connection is taken for dead; zero means 120 s.
	Silence time.Duration
}

// Subscribe follows topics until ctx ends, fn returns an error, or the
// subscription cannot go on, and returns which: context.Cause(ctx), fn's own
// error, or an *Error. fn is called from this goroutine only.
//
// A service that cannot be reached at first is an error at once: there is
// nothing to resume yet, and the address may be wrong; unless o is Patient. Once
// a connection was open, Subscribe reconnects, but never after a refusal. An
// event of KindRefused or KindEnded comes last unless fn itself stopped.
func (c *Client) Subscribe(ctx context.Context, topics []pubsub.Topic, o SubscribeOptions, fn func(Event) error) error {
	if len(topics) == 0 {
		return &Error{Op: opSubscribe, Category: CategoryUsage, Reason: "no_topic", Err: errors.New("no topic given")}
	}
	if o.Transport == nil {
		o.Transport = c.SSE()
	}
	if _, ok := o.Transport.(packetStreams); ok {
		o.Durable = true // stored messages come whether asked for or not, so gaps are those of a durable stream
	}
	if o.Silence <= 0 {
		o.Silence = defaultSilence
	}
	topics = slices.Compact(slices.Sorted(slices.Values(topics)))
	s := &subscription{topics: topics, options: o, fn: fn}
	s.resumeFrom(o.LastEventID)
	return s.run(ctx)
}

// subscription is the state that outlives a connection. All of it is owned by
// the goroutine in Subscribe.
type subscription struct {
	topics  []pubsub.Topic
	options SubscribeOptions
	fn      func(Event) error

	lastID   string    // fit for the wire; empty starts afresh
	conn     int       // connections asked for so far
	open     bool      // one of them was confirmed
	failures int       // in a row
	lost     time.Time // when the last open connection ended
	afresh   string    // why lastID could not be used, until a gap has said so
}

// stopped marks an error of fn, which no rule here may judge.
type stopped struct{ error }

func (s *subscription) run(ctx context.Context) error {
	for {
		err := s.connection(ctx)
		var stop stopped
		if errors.As(err, &stop) {
			return stop.error
		}
		if !s.again(err) {
			return s.end(err)
		}
		if err := s.pause(ctx, err); err != nil {
			return err
		}
	}
}

// connection runs one connection to its end and says why it ended.
func (s *subscription) connection(ctx context.Context) error {
	s.conn++
	stream, err := s.options.Transport.Open(ctx, Request{
		Topics: s.topics, Durable: s.options.Durable, LastID: s.lastID, Silence: s.options.Silence,
	})
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // the reason it ended is known already
	began := time.Now()
	err = s.follow(stream)
	s.lost = time.Now()
	if s.lost.Sub(began) >= settled {
		s.failures = 0
	}
	return err
}

// follow reports the opening and then each message.
func (s *subscription) follow(stream Stream) error {
	if err := s.opened(); err != nil {
		return err
	}
	for {
		m, err := stream.Next()
		if errors.Is(err, ErrUndecodable) {
			if err := s.emit(Event{Kind: KindGap, Text: err.Error()}); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := s.emit(Event{Kind: KindMessage, Message: m}); err != nil {
			return err
		}
		if m.ID != "" {
			s.resumeFrom(m.ID)
		}
	}
}

// opened reports a confirmed connection and what was missed before it.
func (s *subscription) opened() error {
	again := s.open
	s.open = true
	if err := s.emit(Event{Kind: KindOpen}); err != nil {
		return err
	}
	if !again && s.afresh == "" {
		return nil
	}
	gap := Event{Kind: KindGap, Since: s.lost, Text: s.missed()}
	s.afresh = ""
	return s.emit(gap)
}

// missed says what the time without a connection may have cost.
func (s *subscription) missed() string {
	switch {
	case s.afresh != "":
		return s.afresh + "; the newest stored message of each topic follows, earlier ones and live messages may have been missed"
	case !s.options.Durable:
		return "messages published while disconnected may have been missed"
	case s.lastID == "":
		return "live messages published while disconnected may have been missed; the newest stored message of each topic follows"
	}
	return "live messages published while disconnected may have been missed; stored messages resume after the last id"
}

// resumeFrom remembers an id for the next connection.
func (s *subscription) resumeFrom(id string) {
	clean, ok := resumable(id)
	if !ok {
		s.lastID, s.afresh = "", "the last event id cannot be sent in a header"
		return
	}
	s.lastID = clean
}

// again decides whether a connection that ended with err has a successor.
func (s *subscription) again(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false // the caller's context or its token source
	}
	s.failures++
	if e.Reason == "resume_refused" && s.lastID != "" {
		s.lastID, s.afresh = "", "the service refused the last event id"
		return true
	}
	if !e.Retryable || (s.options.NoReconnect && s.open) {
		return false
	}
	if !s.open && !s.options.Patient {
		// A service that answers with a fault may recover in a moment; one that
		// does not answer is more likely the wrong address.
		answered := e.Status != 0 || e.Condition != ""
		return answered && s.failures < openAttempts
	}
	return s.failures <= s.options.Backoff.attempts()
}

// pause announces the next attempt and waits for it.
func (s *subscription) pause(ctx context.Context, cause error) error {
	wait := s.options.Backoff.wait(s.failures)
	err := s.emit(Event{Kind: KindReconnecting, Attempt: s.failures, Wait: wait, Err: cause})
	var stop stopped
	if errors.As(err, &stop) {
		return stop.error
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return s.end(context.Cause(ctx))
	}
}

// end makes the last report. What fn thinks of it changes nothing.
func (s *subscription) end(err error) error {
	kind := KindEnded
	var e *Error
	if errors.As(err, &e) && e.Refusal() {
		kind = KindRefused
	}
	_ = s.emit(Event{Kind: kind, Err: err})
	return err
}

func (s *subscription) emit(e Event) error {
	e.Time, e.Transport, e.Conn = time.Now(), s.options.Transport.Name(), s.conn
	if err := s.fn(e); err != nil {
		return stopped{err}
	}
	return nil
}
