package hub

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Causes with which a member ends. Callers add their own through End and Drain.
var (
	// ErrSlow ends a member whose peer does not take what is written.
	ErrSlow = errors.New("slow reader")
	// ErrGone ends a member whose peer has closed the connection.
	ErrGone = errors.New("client left")
	// ErrPanic ends a member whose Receiver has panicked.
	ErrPanic = errors.New("internal error")
	// ErrDraining refuses a Join after Drain was called.
	ErrDraining = errors.New("shutting down")
)

// Format selects one of the encodings of a value. The hub gives formats no
// meaning of their own.
type Format uint8

// ErrAttend is what Encode returns for a value that is not written but told to
// the Receivers of Direct members.
var ErrAttend = errors.New("value is for the receiver")

// ErrLast is ErrAttend for a value behind which nothing more is to be written to
// a Direct member in the same round: its Receiver will end it.
var ErrLast = errors.New("value is for the receiver and the last")

// Defaults of Options.
const (
	DefaultBacklog      = 4 << 20
	DefaultWriteTimeout = 20 * time.Second
)

// Options configures a Hub. Encode is required.
type Options[T any] struct {
	// Encode returns the bytes of v in format f, nil if v has nothing for such
	// members. An end that is not nil ends the member once it has the bytes, but
	// ErrAttend or ErrLast calls its Receiver's Deliver instead, if it has one. Encode
	// is called at least once per round, value and format in use; the bytes must
	// not change afterwards.
	Encode func(v T, f Format) (p []byte, end error)
	// Size tells how many bytes v keeps alive, for the bound on the inbox.
	// Nil counts 256 for each value.
	Size func(v T) int
	// Farewell returns the last bytes for a member that ends with cause, or nil.
	Farewell func(m *Member[T], cause error) []byte
	// Keep, if not nil, is asked about a member on a Descriptor that has ended with
	// all of its bytes written and whose peer has sent nothing unwanted. It may take
	// the connection over by returning what is to be called with it; else the hub
	// closes it. It must not block.
	Keep func(m *Member[T], cause error) func(*Descriptor)
	// Ended, if not nil, is called once for each member after it has ended, on
	// its shard's goroutine. It must not block.
	Ended func(m *Member[T], cause error)
	// Panicked, if not nil, is told of a panic in a Receiver, in Farewell or Ended,
	// or in what Do was given, which then ends only its member; else the program
	// ends.
	Panicked func(m *Member[T], value any)
	// Shards is the number of shards; 0 stands for GOMAXPROCS.
	Shards int
	// Backlog is how many bytes may wait for one member before it ends as slow;
	// 0 stands for DefaultBacklog. The bytes are shared among the members of a channel.
	Backlog int
	// WriteTimeout is how long a peer may take nothing before its member ends as
	// slow, and how long a farewell may take; 0 stands for
	// DefaultWriteTimeout.
	WriteTimeout time.Duration
	// InboxBytes is how much may wait in a shard's inbox before Ready blocks;
	// 0 stands for 32 MiB.
	InboxBytes int
}

// Hub is a set of shards and the index of their channels.
type Hub[T any] struct {
	// Static after construction.
	opt    Options[T]
	shards []*shard[T]
	start  time.Time
	loops  sync.WaitGroup
	mail   sync.WaitGroup // counts mailboxes that are being served; added to under mu

	index sync.Map // channel name → *channel[T]

	// Atomic.
	turn     atomic.Uint32
	members  atomic.Int64
	detached atomic.Int64

	mu       sync.Mutex // guards the following, and the making and removing of channels
	draining bool
}

// New starts a hub. Drain ends it and its goroutines.
func New[T any](opt Options[T]) *Hub[T] {
	if opt.Shards <= 0 {
		opt.Shards = runtime.GOMAXPROCS(0)
	}
	if opt.Backlog <= 0 {
		opt.Backlog = DefaultBacklog
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = DefaultWriteTimeout
	}
	if opt.InboxBytes <= 0 {
		opt.InboxBytes = 32 << 20
	}
	if opt.Size == nil {
		opt.Size = func(T) int { return 256 }
	}
	if opt.Farewell == nil {
		opt.Farewell = func(*Member[T], error) []byte { return nil }
	}
	if opt.Ended == nil {
		opt.Ended = func(*Member[T], error) {}
	}
	h := &Hub[T]{opt: opt, start: time.Now()}
	for i := range opt.Shards {
		h.shards = append(h.shards, newShard(h, i))
	}
	for _, s := range h.shards {
		h.loops.Go(s.run) // owned by the hub, ends after Drain
	}
	return h
}

// Joining says who joins and how.
type Joining[T any] struct {
	// Sink takes the member's bytes. Required.
	Sink Sink
	// Format selects the encoding the member gets.
	Format Format
	// Channels are the names to listen to; duplicates count once.
	Channels []string
	// First, if not empty, is written before anything else.
	First []byte
	// KeepAlive, if not nil, is written when the member has been quiet.
	KeepAlive *KeepAlive
	// Receiver, if not nil, gets the member's values in place of a plain write.
	Receiver Receiver[T]
	// Direct writes values plainly in spite of the Receiver, whose Deliver is
	// called for those with ErrAttend only, together with the others of the round.
	Direct bool
	// Owner is the caller's own, returned by Member.Owner.
	Owner any
}

// Join makes a member and subscribes it. It fails only with ErrDraining; the
// sink is then still the caller's. From here on the hub closes the sink.
func (h *Hub[T]) Join(j Joining[T]) (*Member[T], error) {
	m := &Member[T]{
		shard: h.shards[h.turn.Add(1)%uint32(len(h.shards))], sink: j.Sink,
		recv: j.Receiver, direct: j.Direct, format: j.Format, owner: j.Owner, keepAlive: j.KeepAlive,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	h.members.Add(1)
	switch sink := j.Sink.(type) {
	case *Descriptor:
		h.detached.Add(1)
	case *Mailbox:
		h.mail.Add(1)
		sink.afterServe(h.mail.Done)
	}
	first := j.First
	// Under the lock, so that a drain comes behind it and ends this member too; and
	// before the member counts, so that all that is counted for it comes behind.
	m.shard.push(entry[T]{run: func() {
		h.joined()
		m.shard.admit(m, first)
	}})
	m.first = h.acquire(m, j.Channels)
	return m, nil
}

// joined waits until the Join that is under way has counted its member: what the
// member writes may make somebody publish, who must then find it.
func (h *Hub[T]) joined() {
	h.mu.Lock()
	defer h.mu.Unlock()
}

// Publish appends v to the inbox of each shard with members on the channel and
// returns how many members that are. It never blocks; see Ready.
func (h *Hub[T]) Publish(channel string, v T) (accepted int) {
	c := h.lookup(channel)
	if c == nil {
		return 0
	}
	c.turns.Lock()
	defer c.turns.Unlock()
	for i, s := range h.shards {
		if n := c.count[i].Load(); n > 0 {
			s.push(entry[T]{channel: c, value: v})
			accepted += int(n)
		}
	}
	return accepted
}

// Each calls f for every member, on the member's shard and behind what was
// published before. It does not wait for that.
func (h *Hub[T]) Each(f func(m *Member[T])) {
	for _, s := range h.shards {
		s.push(entry[T]{run: func() {
			for _, m := range s.slots {
				if m != nil && m.Open() {
					s.try(m, func() { f(m) })
				}
			}
		}})
	}
}

// Ready waits until every inbox has room, so that publishers and not memory
// bear an overload. It returns at once when there is room.
func (h *Hub[T]) Ready(ctx context.Context) error {
	for _, s := range h.shards {
		if err := s.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Crowded reports whether Ready would wait.
func (h *Hub[T]) Crowded() bool {
	for _, s := range h.shards {
		if s.crowded.Load() {
			return true
		}
	}
	return false
}

// Subscribers is the number of members on a channel.
func (h *Hub[T]) Subscribers(channel string) int {
	c := h.lookup(channel)
	if c == nil {
		return 0
	}
	total := 0
	for i := range c.count {
		total += int(c.count[i].Load())
	}
	return total
}

// Members is the number of members that have joined and not yet ended.
func (h *Hub[T]) Members() int { return int(h.members.Load()) }

// Detached is the number of members whose sink is a Descriptor.
func (h *Hub[T]) Detached() int { return int(h.detached.Load()) }

// Delivered is the number of values handed to members since the start: one
// write of n values counts n.
func (h *Hub[T]) Delivered() uint64 {
	var total uint64
	for _, s := range h.shards {
		total += s.delivered.Load()
	}
	return total
}

// Drain refuses joins, ends all members with cause, spread over the first half
// of the time ctx has left, and waits for them to be gone and for mailboxes to be
// served to the end. At the deadline it cuts off the rest and returns ctx's
// error. The hub is of no use afterwards.
func (h *Hub[T]) Drain(ctx context.Context, cause error) error {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	spread := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		spread = max(0, time.Until(deadline)/2)
	}
	for _, s := range h.shards {
		s.push(entry[T]{run: func() { s.drain(cause, spread) }})
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() { // ends when the shards have, which the cut below forces, and then the mailboxes
		h.loops.Wait()
		close(ended)
		h.mail.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, s := range h.shards {
		s.push(entry[T]{run: s.cut})
	}
	<-ended
	return ctx.Err()
}
