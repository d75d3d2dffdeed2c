package fanout

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// Options configures an Engine. The zero value works.
type Options struct {
	// Log gets a line for each stream that ends; nil discards them.
	Log *slog.Logger
	// Shards is the number of goroutines that own connections; 0 stands for one
	// for each core.
	Shards int
	// Backlog is how many bytes may wait for one connection, 0 for 4 MiB.
	Backlog int
	// WriteTimeout is how long a client may take nothing before it is ended as
	// slow; 0 stands for 20 s.
	WriteTimeout time.Duration
	// NoFirstUpdate switches off the follow-up that each stream with a next link
	// makes a second after a channel gained its first listener (grip.md, 2.7).
	NoFirstUpdate bool
	// BodyTimeout is how long a client may take to send a request's body; 0 sets
	// no bound.
	BodyTimeout time.Duration
	// Portable keeps every connection in net/http, as other systems must.
	Portable bool
	// Debug tells clients why a stream or a request failed.
	Debug bool
	// OrderWait is how long an item waits for the one before it, 0 for 5 s; IDLife
	// how long an id is remembered, to drop it when it comes again, 0 for 60 s.
	OrderWait, IDLife time.Duration
	// Linger is for how long a channel counts as listened to after its last
	// long-poll has ended, 0 for 60 s.
	Linger time.Duration
	// MaxChannels is how many channels one connection may listen to unless its
	// Handler says otherwise, 0 for 20; more are ignored (grip.md, 4).
	MaxChannels int
}

func (o Options) withDefaults() Options {
	if o.OrderWait <= 0 {
		o.OrderWait = orderWait
	}
	if o.IDLife <= 0 {
		o.IDLife = idLife
	}
	if o.Linger <= 0 {
		o.Linger = lingerTime
	}
	if o.MaxChannels <= 0 {
		o.MaxChannels = grip.MaxChannels
	}
	return o
}

// Engine holds connections and delivers items to them.
type Engine struct {
	// Static after construction.
	opt  Options
	log  *slog.Logger
	hub  *hub.Hub[*item]
	seq  *sequencer
	ctx  context.Context // ends with the engine; bounds calls that no request bounds
	stop context.CancelFunc
	// onShard is ctx for calls on a shard, which must not wait for a shard.
	onShard context.Context

	work crew // the goroutines that wait for Handlers

	desks      sync.Pool // of *desk
	keepAlives sync.Map  // keepAliveKey → *hub.KeepAlive, so that streams share one
	lingers    lingers

	// Atomic.
	front     atomic.Pointer[front] // takes connections over whose streams have ended
	conns     atomic.Uint64
	held      atomic.Int64  // streams
	handing   atomic.Int64  // connections between the front and net/http
	hints     atomic.Uint64 // hints published so far, to notice one between asking and holding
	published atomic.Uint64
	kept      atomic.Int64 // entries of keepAlives
	dated     atomic.Pointer[stamp]
	ends      endCounts
}

// New starts an engine; Drain ends it.
func New(opt Options) *Engine {
	opt = opt.withDefaults()
	e := &Engine{opt: opt, log: opt.Log}
	e.lingers.life = opt.Linger
	e.desks.New = func() any { return new(desk) }
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	e.ctx, e.stop = ctx, stop
	e.onShard = context.WithValue(ctx, shardKey{}, true)
	e.hub = hub.New(hub.Options[*item]{
		Encode: encode, Size: size, Farewell: farewell, Keep: e.keep, Ended: e.ended, Panicked: e.panicked,
		Shards: opt.Shards, Backlog: opt.Backlog, WriteTimeout: opt.WriteTimeout,
	})
	e.seq = newSequencer(e.listeners, e.deliver, opt)
	return e
}

// shardKey marks the context of a call on a shard.
type shardKey struct{}

// Publish delivers items in order and returns how many connections they were
// handed to in all. It waits only while more is waiting to be delivered than
// memory should hold, at most until ctx ends. A Handler that publishes from
// Request passes on the context it was given: on a shard Publish does not wait,
// for nobody else would make room.
func (e *Engine) Publish(ctx context.Context, items ...*grip.Item) (receivers int, err error) {
	if ctx.Value(shardKey{}) == nil {
		if err := e.hub.Ready(ctx); err != nil {
			return 0, err
		}
	}
	e.published.Add(uint64(len(items)))
	for _, it := range items {
		if it.ID == "" && it.PrevID == "" && e.seq.idle() {
			receivers += e.deliver(it)
		} else {
			receivers += e.seq.accept(it)
		}
	}
	return receivers, nil
}

func (e *Engine) deliver(it *grip.Item) int {
	if it.HTTPStream != nil && it.HTTPStream.Action == grip.Hint {
		e.hints.Add(1)
	}
	return e.hub.Publish(it.Channel, newItem(it))
}

// Recover forgets the last id of every channel and makes each held stream with a
// next link, and each long-poll, ask its origin again: for a publisher that has
// lost track (grip.md, 2.11).
func (e *Engine) Recover() {
	e.seq.forgetAll()
	e.hub.Each(func(m *hub.Member[*item]) {
		switch r := m.Receiver().(type) {
		case *stream:
			if r.next.URI != "" {
				r.want(m, m.Now())
			}
		case *poll:
			r.decide(m, outcome{again: true})
		}
	})
}

// listeners is how many connections listen to a channel, where one that a
// long-poll has just left counts as listened to.
func (e *Engine) listeners(channel string) int {
	if n := e.hub.Subscribers(channel); n > 0 || !e.lingers.has(channel) {
		return n
	}
	return 1
}

func (e *Engine) backlog() int {
	if e.opt.Backlog > 0 {
		return e.opt.Backlog
	}
	return hub.DefaultBacklog
}

// Subscribers is the number of connections that listen to a channel.
func (e *Engine) Subscribers(channel string) int { return e.hub.Subscribers(channel) }

// Detached is the number of connections whose sockets have left net/http or are
// on their way to it.
func (e *Engine) Detached() int { return e.hub.Detached() + int(e.handing.Load()) }

// Drain refuses new connections and ends those that are held, spread over half
// of the time ctx has left; then it stops follow-ups and other calls of Handlers
// that no request waits for, and waits for them as long as ctx lasts.
func (e *Engine) Drain(ctx context.Context) error {
	err := e.hub.Drain(ctx, hub.ErrDraining)
	e.seq.stop()
	e.work.close()
	done := make(chan struct{})
	go func() { // ends when the last Handler has answered
		e.work.Wait()
		close(done)
	}()
	select { // some have just been told that their connections are gone
	case <-done:
	case <-ctx.Done():
	case <-time.After(lastWords):
	}
	e.stop()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lastWords is how long Handlers may take to answer once no connection is left.
const lastWords = time.Second

// crew is a WaitGroup for goroutines that may start others. Once it is closed it
// takes in nobody but those, so that whoever waits for it then waits for all.
type crew struct {
	sync.WaitGroup
	mu      sync.Mutex // guards the following
	running int
	closed  bool
}

// start runs f on a goroutine of its own, unless the crew has gone home.
func (c *crew) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && c.running == 0 {
		return false
	}
	c.running++
	c.Go(func() { // waited for by Drain; ends when the Handler has answered
		defer c.leave()
		f()
	})
	return true
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// Stats are counts since the start, and of now.
type Stats struct {
	Streams   int    // held now
	Published uint64 // items
	Delivered uint64 // items times connections
	// Ended counts held connections by the cause of their end.
	Ended map[string]uint64
}

// Stats returns the engine's counts.
func (e *Engine) Stats() Stats {
	return Stats{
		Streams: int(e.held.Load()), Published: e.published.Load(),
		Delivered: e.hub.Delivered(), Ended: e.ends.snapshot(),
	}
}

// Causes, by the names that metrics and log lines use.
const (
	causeGone = iota
	causeSlow
	causeClosed
	causeDrain
	causeOrigin
	causeFinished
	causeCount
)

var causeNames = [causeCount]string{"gone", "slow", "closed", "drain", "origin", "finished"}

type endCounts [causeCount]atomic.Uint64

func (c *endCounts) snapshot() map[string]uint64 {
	m := make(map[string]uint64, causeCount)
	for i, name := range causeNames {
		m[name] = c[i].Load()
	}
	return m
}

func causeOf(err error) int {
	switch {
	case errors.Is(err, hub.ErrSlow):
		return causeSlow
	case errors.Is(err, errClosed):
		return causeClosed
	case errors.Is(err, hub.ErrDraining):
		return causeDrain
	case errors.Is(err, errOrigin):
		return causeOrigin
	case errors.Is(err, errFinished):
		return causeFinished
	}
	return causeGone
}

// panicked is the hub's Panicked: somebody has to mend this.
func (e *Engine) panicked(m *hub.Member[*item], value any) {
	attrs := []any{"cause", value, "stack", string(debug.Stack())}
	if s, ok := m.Owner().(*session); ok && s != nil {
		attrs = append(attrs, "conn", s.conn, "remote", s.remote)
	}
	e.log.Error("connection dropped by a mistake in this program", attrs...)
}

// ended is the hub's Ended: it counts, and names the cause in the log.
func (e *Engine) ended(m *hub.Member[*item], err error) {
	s := m.Owner().(*session)
	if s == nil {
		return // the front's: no stream has been held on it
	}
	e.held.Add(-1)
	kind := "stream ended"
	switch {
	case s.socket != nil:
		kind = "socket ended"
		s.socket.ended()
	case s.poll != nil:
		kind = "long-poll ended"
		defer s.poll.ended(err) // last: the client's answer follows
	}
	if s.gone != nil {
		s.gone()
	}
	cause := causeOf(err)
	e.ends[cause].Add(1)
	level := slog.LevelInfo
	if cause == causeSlow || cause == causeOrigin {
		level = slog.LevelWarn
	}
	if ctx := context.Background(); e.log.Enabled(ctx, level) {
		attrs := []slog.Attr{
			slog.String("cause", causeNames[cause]), slog.Uint64("conn", s.conn), slog.String("remote", s.remote),
			slog.Duration("took", m.Now().Sub(s.opened).Round(time.Millisecond)),
		}
		e.log.LogAttrs(ctx, level, kind, attrs...)
	}
}
