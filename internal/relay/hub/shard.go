package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// shard is one goroutine and what it owns.
type shard[T any] struct {
	// Static after construction.
	id   int
	hub  *Hub[T]
	wake chan struct{} // capacity 1

	// Owned by the shard's goroutine.
	now     int64 // nanoseconds since the hub's start, as of this turn of the loop
	slots   []*Member[T]
	free    []uint32
	wheel   wheel[T]
	poll    *poller
	round   round[T]
	roundNo uint64
	scratch []byte
	firing  []*Member[T]
	ending  []ending[T] // what to end once the walk is over
	walking bool        // a list is being walked, so nobody may leave it
	gen     uint32

	draining bool
	cause    error        // why the shard drains
	parting  []*Member[T] // still to be ended by the drain
	partStep int          // how many of them in each step
	partAt   int64        // when the next step is due
	partGap  int64        // nanoseconds between steps

	// Atomic.
	delivered atomic.Uint64
	crowded   atomic.Bool // the inbox is over its bound

	mu    sync.Mutex // leaf: guards the following, held for an append
	inbox []entry[T]
	seen  []readiness
	bytes int
	room  chan struct{} // closed when a crowded inbox has been taken
	ended bool          // run has returned
}

// entry is one thing in an inbox: a value, or something to run.
type entry[T any] struct {
	channel *channel[T]
	value   T
	run     func()
}

// slot names a member's place on its shard; gen tells a reused place apart.
type slot struct{ index, gen uint32 }

// readiness is what a poller saw of a member's descriptor.
type readiness struct {
	slot     slot
	readable bool
	writable bool
	hangup   bool
}

func newShard[T any](h *Hub[T], id int) *shard[T] {
	return &shard[T]{id: id, hub: h, wake: make(chan struct{}, 1), room: make(chan struct{})}
}

// push appends to the inbox. It may be called from any goroutine. It reports
// false once the shard has ended.
func (s *shard[T]) push(e entry[T]) bool {
	size := 64
	if e.run == nil {
		size = s.hub.opt.Size(e.value)
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return false
	}
	s.inbox = append(s.inbox, e)
	s.bytes += size
	if s.bytes > s.hub.opt.InboxBytes {
		s.crowded.Store(true)
	}
	first := len(s.inbox) == 1
	s.mu.Unlock()
	if first {
		s.poke()
	}
	return true
}

// finish ends the inbox, unless something has come since it was taken.
func (s *shard[T]) finish() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = len(s.inbox) == 0
	return s.ended
}

// notice appends what the poller saw.
func (s *shard[T]) notice(r []readiness) {
	s.mu.Lock()
	s.seen = append(s.seen, r...)
	s.mu.Unlock()
	s.poke()
}

func (s *shard[T]) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shard[T]) ready(ctx context.Context) error {
	for s.crowded.Load() {
		s.mu.Lock()
		room := s.room
		s.mu.Unlock()
		if !s.crowded.Load() {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// take empties the inbox, leaving the given slices in its place.
func (s *shard[T]) take(inbox []entry[T], ready []readiness) ([]entry[T], []readiness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inbox, s.inbox = s.inbox, inbox[:0]
	ready, s.seen = s.seen, ready[:0]
	s.bytes = 0
	if s.crowded.Load() {
		s.crowded.Store(false)
		close(s.room)
		s.room = make(chan struct{})
	}
	return inbox, ready
}

// run is the shard's loop. It ends when a drain has left it without members.
func (s *shard[T]) run() {
	defer func() { s.poll.close() }()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var inbox []entry[T]
	var ready []readiness
	for {
		inbox, ready = s.take(inbox, ready)
		s.now = int64(time.Since(s.hub.start))
		s.react(ready)
		s.work(inbox)
		s.tick()
		s.farewells()
		if s.draining && s.empty() && s.finish() {
			return
		}
		if len(inbox) > 0 || len(ready) > 0 {
			inbox = reuse(inbox)
			continue
		}
		s.sleep(timer)
	}
}

// reuse clears an inbox for its next turn, so that it keeps no values alive,
// and lets go of one that a burst has blown up.
func reuse[T any](inbox []entry[T]) []entry[T] {
	if cap(inbox) > 4096 && len(inbox) < cap(inbox)/8 {
		return nil
	}
	clear(inbox)
	return inbox
}

// sleep waits until there is something in the inbox or a timer is due.
func (s *shard[T]) sleep(timer *time.Timer) {
	wait := s.wheel.next(s.now)
	if len(s.parting) > 0 && (wait < 0 || wait > s.partAt-s.now) {
		wait = max(0, s.partAt-s.now)
	}
	if wait >= 0 {
		timer.Reset(time.Duration(wait))
	} else {
		timer.Stop()
	}
	select {
	case <-s.wake:
	case <-timer.C:
	}
}

func (s *shard[T]) empty() bool { return len(s.free) == len(s.slots) }

// work goes through an inbox in order: runs of values become rounds, which end
// where something else stands between them.
func (s *shard[T]) work(inbox []entry[T]) {
	for i := range inbox {
		if run := inbox[i].run; run != nil {
			s.flush()
			run()
			continue
		}
		s.add(inbox[i].channel, inbox[i].value)
	}
	s.flush()
}

// admit makes m a member of the shard and writes its first bytes.
func (s *shard[T]) admit(m *Member[T], first []byte) {
	s.gen++
	if len(s.free) > 0 {
		i := s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		m.slot = slot{i, s.gen}
		s.slots[i] = m
	} else {
		m.slot = slot{uint32(len(s.slots)), s.gen}
		s.slots = append(s.slots, m)
	}
	s.enter(m)
	if err := s.attach(m); err != nil {
		s.kill(m, err)
		return
	}
	m.lastWrite = s.now
	m.rejitter()
	if len(first) > 0 {
		s.write(m, first)
	}
	if m.recv != nil && m.Open() {
		s.try(m, func() { m.recv.Admit(m) })
	}
	s.rearm(m)
}

// attach connects the member's sink with the shard.
func (s *shard[T]) attach(m *Member[T]) error {
	switch sink := m.sink.(type) {
	case *Descriptor:
		return s.watchDescriptor(sink, m.slot)
	case watcher:
		at := m.slot
		sink.watch(Signal{
			writable: func() { s.notice([]readiness{{slot: at, writable: true}}) },
			gone:     func(error) { s.notice([]readiness{{slot: at, hangup: true}}) },
		})
	}
	return nil
}

func (s *shard[T]) watchDescriptor(d *Descriptor, at slot) error {
	if s.poll == nil {
		p, err := newPoller(s.notice)
		if err != nil {
			return err
		}
		s.poll = p
	}
	return s.poll.add(d, at)
}

// enter puts m into the lists of those of its channels where it is not yet.
func (s *shard[T]) enter(m *Member[T]) {
	for i := range m.channels {
		if at := &m.channels[i]; at.pos == pending {
			at.pos = at.channel.lists[s.id].add(m)
		}
	}
}

// leave takes a membership out of its list and mends the one that moved.
func (s *shard[T]) leave(at membership[T]) {
	if at.pos != pending {
		if moved := at.channel.lists[s.id].remove(at.pos); moved != nil {
			moved.moved(at)
		}
	}
	s.hub.release(at.channel, s.id)
}

// react handles what pollers and mailboxes saw.
func (s *shard[T]) react(ready []readiness) {
	for _, r := range ready {
		if int(r.slot.index) >= len(s.slots) {
			continue
		}
		m := s.slots[r.slot.index]
		if m == nil || m.slot != r.slot {
			continue
		}
		if r.writable && m.stalled {
			m.stalled = false
			s.resume(m)
		}
		if (r.readable || r.hangup) && !m.done {
			s.read(m, r)
		}
	}
}

// maxReads is how many buffers are read from one connection before others have
// their turn.
const maxReads = 8

// read takes in what the peer has sent. A connection that only listens is
// killed when its peer is gone; what it sends is of no interest.
func (s *shard[T]) read(m *Member[T], r readiness) {
	d, ok := m.sink.(*Descriptor)
	if !ok {
		s.kill(m, ErrGone)
		return
	}
	for range maxReads {
		if m.paused && !m.leaving {
			return // Resume tells us again
		}
		n, state := d.read(s.buffer())
		if n > 0 {
			if in, ok := m.recv.(Reader[T]); ok && !m.leaving {
				s.try(m, func() { in.Input(m, s.buffer()[:n]) })
			} else {
				m.heard = true
			}
			if m.done {
				return
			}
			continue
		}
		switch state {
		case readClosed:
			s.hungUp(m)
		case readFailed:
			s.kill(m, ErrGone)
		}
		return
	}
	s.notice([]readiness{r}) // there is more, but not now
}

// hungUp is for a peer that has closed its side in good order. It may still
// want its answer, unless it was only listening. That is told again with each
// event, so a member that is leaving already goes on with what is queued.
func (s *shard[T]) hungUp(m *Member[T]) {
	in, ok := m.recv.(Reader[T])
	switch {
	case !ok:
		s.kill(m, ErrGone)
	case !m.leaving:
		s.try(m, func() { in.Input(m, nil) })
		s.end(m, ErrGone)
	}
}

func (s *shard[T]) buffer() []byte {
	if s.scratch == nil {
		s.scratch = make([]byte, scratchLen)
	}
	return s.scratch
}

// tick serves the timers that are due.
func (s *shard[T]) tick() {
	s.firing = s.wheel.expired(s.firing[:0], s.now)
	for i, m := range s.firing {
		s.firing[i] = nil
		s.fire(m)
	}
}

func (s *shard[T]) fire(m *Member[T]) {
	if m.done {
		return
	}
	if m.stalled && s.now >= m.stalledAt+int64(s.hub.opt.WriteTimeout) {
		s.kill(m, ErrSlow)
		return
	}
	if k := m.keepAlive; k != nil && !m.leaving && s.now >= m.quietUntil() {
		s.write(m, k.Data)
		m.lastWrite = s.now
		m.rejitter()
	}
	if m.recvAt != 0 && s.now >= m.recvAt && !m.leaving {
		m.recvAt = 0
		s.try(m, func() { m.Wake(m.recv.Tick(m, s.time())) })
	}
	s.rearm(m)
}

// try calls f, which is m's, and ends m if that panics: a mistake made for one
// connection must not take the others along.
func (s *shard[T]) try(m *Member[T], f func()) {
	if s.hub.opt.Panicked == nil {
		f()
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.hub.opt.Panicked(m, p)
			s.kill(m, ErrPanic)
		}
	}()
	f()
}

// time is the wall-clock form of s.now.
func (s *shard[T]) time() time.Time { return s.hub.start.Add(time.Duration(s.now)) }

// rearm sets the member's timer to the soonest thing it waits for. A timer that
// is set too early corrects itself when it fires; so a write does not touch it.
func (s *shard[T]) rearm(m *Member[T]) {
	if m.done {
		return
	}
	if due := m.due(s.hub.opt.WriteTimeout); due != 0 {
		s.wheel.set(m, due, s.now)
	}
}
