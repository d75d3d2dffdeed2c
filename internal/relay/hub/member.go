package hub

import (
	"math/rand/v2"
	"time"
)

// Receiver takes a member's values in place of a plain write: a connection with
// filters, sequencing or a protocol of its own. Its methods are called on the
// member's shard and must not block.
type Receiver[T any] interface {
	// Admit is called once, when the member listens to its channels and its
	// first bytes have been written.
	Admit(m *Member[T])
	// Deliver hands over the values of a round that were published on the
	// member's channels, in publishing order. in is valid during the call only.
	Deliver(m *Member[T], in []Delivery[T])
	// Tick is called at or up to 100 ms after the time that Wake was given. It
	// returns when to be called next; the zero time means not until Wake.
	Tick(m *Member[T], now time.Time) time.Time
}

// Reader is a Receiver that wants to know what its peer sends.
type Reader[T any] interface {
	Receiver[T]
	// Input hands over bytes as they come in; p is valid during the call only.
	// After the last of them the peer has closed its side when p is empty: the
	// member then ends, once what it has queued is written.
	Input(m *Member[T], p []byte)
}

// Flusher is a Receiver that wants to know when its peer has caught up.
type Flusher[T any] interface {
	Receiver[T]
	// Flushed is called when all is written that had to wait for the peer.
	Flushed(m *Member[T])
}

// Delivery is one value and the channel it came on.
type Delivery[T any] struct {
	Channel string
	Value   T
}

// KeepAlive is written to a member that has been quiet. Members share it.
type KeepAlive struct {
	// Data is written as it is.
	Data []byte
	// Timeout is the quiet time. Each time a random part of 0.1 to 1 s is cut
	// from it, so that connections opened together do not stay in step.
	Timeout time.Duration
	// Interval writes at the timeout whatever was written meanwhile.
	Interval bool
}

// Member is one connection. Its exported methods may be called by its shard
// only, that is from Receiver, Farewell and Ended calls and from functions
// given to Do, except where they say otherwise.
type Member[T any] struct {
	// Static after Join.
	shard *shard[T]
	sink  Sink
	slot  slot // where the shard keeps it, set by admit

	// Owned by the shard.
	owner     any
	first     bool
	format    Format
	leaving   bool // delivers no more; what is queued is still being written
	done      bool
	stalled   bool // the sink is full
	heard     bool // the peer has sent something that nobody wanted
	recv      Receiver[T]
	direct    bool   // plain writes although there is a Receiver
	paused    bool   // Input is not wanted now
	fed       func() // to call when it is wanted again
	keepAlive *KeepAlive
	channels  []membership[T]
	waiting   *backlog
	cause     error

	lastWrite int64 // nanoseconds since the hub's start; also of the last keep-alive
	jitter    int64 // cut from the keep-alive's timeout
	stalledAt int64
	recvAt    int64 // when to call Tick; 0: never

	timer node[T]

	// The round in which the member was last touched, and the channels, as bits.
	round uint64
	mask  uint64
}

// membership is a place in a channel's list.
type membership[T any] struct {
	channel *channel[T]
	pos     int32
}

// pending is the place of a member that counts on a channel and is not in its
// list yet: values published before it came are still in the shard's inbox.
const pending = -1

// moved says that m has taken the place of the membership at.
func (m *Member[T]) moved(at membership[T]) {
	for i := range m.channels {
		if m.channels[i].channel == at.channel {
			m.channels[i].pos = at.pos
		}
	}
}

// Owner returns what Join or Become was given.
func (m *Member[T]) Owner() any { return m.owner }

// Receiver returns what Join or Become was given.
func (m *Member[T]) Receiver() Receiver[T] { return m.recv }

// First reports whether Join or Become found a channel that nobody listened to
// before.
func (m *Member[T]) First() bool { return m.first }

// Do calls f on the member's shard, unless the member has ended by then. It may
// be called from any goroutine and never blocks.
func (m *Member[T]) Do(f func()) {
	m.shard.push(entry[T]{run: func() {
		if m.Open() {
			m.shard.try(m, f)
		}
	}})
}

// Always calls f on the member's shard, also after the member has ended, and
// tells it whether it is alive. When the shard itself has ended, it calls f where
// it is. It may be called from any goroutine and never blocks.
func (m *Member[T]) Always(f func(alive bool)) {
	run := func() { m.shard.try(m, func() { f(m.Open()) }) }
	if !m.shard.push(entry[T]{run: run}) {
		run()
	}
}

// Open reports whether the member is there and has not been ended.
func (m *Member[T]) Open() bool { return !m.leaving && !m.done }

// Waiting is how many bytes the peer has not taken.
func (m *Member[T]) Waiting() int {
	if m.waiting == nil {
		return 0
	}
	return m.waiting.bytes
}

// Write queues p for the peer. p must not change afterwards.
func (m *Member[T]) Write(p []byte) {
	if m.leaving || m.done || len(p) == 0 {
		return
	}
	m.shard.write(m, p)
}

// Deliver is Write for one published value, which it counts.
func (m *Member[T]) Deliver(p []byte) {
	if m.leaving || m.done || len(p) == 0 {
		return
	}
	m.shard.delivered.Add(1)
	m.shard.write(m, p)
}

// Count counts one value that reaches the peer otherwise.
func (m *Member[T]) Count() { m.shard.delivered.Add(1) }

// End ends the member with cause: it receives nothing more, and what it has
// queued, with its farewell, is written as far as the peer takes it in time.
func (m *Member[T]) End(cause error) { m.shard.end(m, cause) }

// Abort ends the member at once, without farewell.
func (m *Member[T]) Abort(cause error) { m.shard.kill(m, cause) }

// Become makes the member another one on the same sink, as Join would have:
// what j names replaces format, receiver, keep-alive, owner and channels, and
// its First is written. j's Sink is ignored. It reports whether a channel had no
// member before.
func (m *Member[T]) Become(j Joining[T]) (first bool) {
	m.format, m.recv, m.keepAlive, m.owner = j.Format, j.Receiver, j.KeepAlive, j.Owner
	m.direct, m.recvAt, m.lastWrite = j.Direct, 0, m.shard.now
	m.rejitter()
	// Listen first: whoever has read the first bytes may count on hearing what is
	// published from then on. What comes meanwhile waits in the shard's inbox, and
	// what is there already came before.
	m.first = m.SetChannels(j.Channels)
	m.Write(j.First)
	if m.recv != nil && m.Open() {
		m.recv.Admit(m)
	}
	m.shard.rearm(m)
	return m.first
}

// Detach takes the member out of the hub and leaves its descriptor to the
// caller, with nothing waiting to be written. It reports false if that cannot
// be. Ended is called as for any other end, with a nil cause.
func (m *Member[T]) Detach() (*Descriptor, bool) {
	d, ok := m.sink.(*Descriptor)
	if !ok || m.done || m.leaving || m.waiting != nil || m.shard.poll.remove(d) != nil {
		return nil, false
	}
	m.leaving = true
	m.shard.retire(m, func() {})
	return d, true
}

// SetDirect changes what Joining.Direct said. It must not be called from Deliver.
func (m *Member[T]) SetDirect(direct bool) { m.direct = direct }

// Direct reports whether values are written plainly.
func (m *Member[T]) Direct() bool { return m.direct }

// Pause stops Input; what the peer sends waits in its socket. Resume lets it
// come again.
func (m *Member[T]) Pause() { m.paused = true }

// Resume ends a Pause.
func (m *Member[T]) Resume() {
	if !m.paused {
		return
	}
	m.paused = false
	if m.fed != nil {
		m.fed()
		m.fed = nil
		return
	}
	m.shard.notice([]readiness{{slot: m.slot, readable: true}})
}

// Feed gives a Reader bytes that were read elsewhere, for sinks that are no
// Descriptor. done is called once more may be fed, on the shard; p must not
// change before. It may be called from any goroutine.
func (m *Member[T]) Feed(p []byte, done func()) {
	m.shard.push(entry[T]{run: func() {
		if in, ok := m.recv.(Reader[T]); ok && m.Open() {
			m.shard.try(m, func() { in.Input(m, p) })
		}
		if m.paused && !m.done {
			m.fed = done
			return
		}
		done()
	}})
}

// Now is the time of the shard's current turn.
func (m *Member[T]) Now() time.Time { return m.shard.time() }

// Wake asks for a Tick at the given time; the zero time cancels.
func (m *Member[T]) Wake(at time.Time) {
	m.recvAt = 0
	if !at.IsZero() {
		m.recvAt = max(1, int64(at.Sub(m.shard.hub.start)))
	}
	m.shard.rearm(m)
}

// SetKeepAlive replaces the keep-alive; nil ends it. The quiet time goes on, or
// begins if there was none.
func (m *Member[T]) SetKeepAlive(k *KeepAlive) {
	if m.keepAlive == k {
		return
	}
	if m.keepAlive == nil {
		m.lastWrite = m.shard.now // nobody has looked at the quiet time before
	}
	m.keepAlive = k
	m.rejitter()
	m.shard.rearm(m)
}

// SetChannels makes the member listen to the named channels and no others. It
// reports whether one of the new ones had no member before.
func (m *Member[T]) SetChannels(names []string) (first bool) {
	if m.done || m.leaving {
		return false
	}
	if names = m.retain(names); len(names) == 0 {
		return false
	}
	h := m.shard.hub
	// In this order for the same reason as in Join; the entry is this goroutine's
	// to run, so it has to wait for nothing.
	m.shard.push(entry[T]{run: func() { m.shard.enter(m) }})
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acquire(m, names)
}

// retain leaves all channels but the named ones and returns those that are new.
func (m *Member[T]) retain(names []string) (added []string) {
	if len(m.channels) == 0 {
		return names
	}
	missing := make(map[string]bool, len(names))
	for _, name := range names {
		missing[name] = true
	}
	keep := m.channels[:0:0]
	for _, at := range m.channels {
		if _, ok := missing[at.channel.name]; ok {
			missing[at.channel.name] = false
			keep = append(keep, at)
		} else {
			m.shard.leave(at)
		}
	}
	m.channels = keep
	for _, name := range names {
		if missing[name] {
			added = append(added, name)
		}
	}
	return added
}

// Channels appends the names the member listens to.
func (m *Member[T]) Channels(dst []string) []string {
	for _, s := range m.channels {
		dst = append(dst, s.channel.name)
	}
	return dst
}

func (m *Member[T]) listens(name string) bool {
	for _, s := range m.channels {
		if s.channel.name == name {
			return true
		}
	}
	return false
}

// due is when the member's timer must fire next, 0 for never.
func (m *Member[T]) due(writeTimeout time.Duration) int64 {
	due := int64(0)
	sooner := func(t int64) {
		if due == 0 || t < due {
			due = t
		}
	}
	if m.stalled {
		sooner(m.stalledAt + int64(writeTimeout))
	}
	if m.leaving {
		return due
	}
	if m.keepAlive != nil {
		sooner(m.quietUntil())
	}
	if m.recvAt != 0 {
		sooner(m.recvAt)
	}
	return due
}

func (m *Member[T]) quietUntil() int64 {
	return m.lastWrite + int64(m.keepAlive.Timeout) - m.jitter
}

// rejitter draws a new part to cut; the wheel may add up to 0.1 s again.
func (m *Member[T]) rejitter() {
	const least, most = int64(100 * time.Millisecond), int64(time.Second)
	m.jitter = least + rand.Int64N(most-least)
	if m.keepAlive != nil {
		m.jitter = min(m.jitter, int64(m.keepAlive.Timeout)-1)
	}
}
