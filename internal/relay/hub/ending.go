package hub

import "time"

// ending is a member whose end waits until the walk over the lists is done.
type ending[T any] struct {
	member *Member[T]
	cause  error
	abort  bool
}

// write gives p to the member's sink; what that does not take waits.
func (s *shard[T]) write(m *Member[T], p []byte) {
	if m.keepAlive != nil && !m.keepAlive.Interval {
		m.lastWrite = s.now
	}
	if m.waiting != nil {
		s.queue(m, p)
		return
	}
	n, full, err := m.sink.Write(p)
	if err != nil {
		s.kill(m, ErrGone)
		return
	}
	if full {
		m.stalled, m.stalledAt = true, s.now
		s.queue(m, p[n:])
		s.rearm(m)
	}
}

// queue keeps p for when the sink has room, and ends a member that has more
// waiting than its backlog allows.
func (s *shard[T]) queue(m *Member[T], p []byte) {
	if m.waiting == nil {
		m.waiting = new(backlog)
	}
	m.waiting.push(p)
	s.round.kept = true
	if m.waiting.bytes > s.hub.opt.Backlog && !m.leaving {
		s.end(m, ErrSlow)
	}
}

// resume writes what waits, as far as the sink takes it.
func (s *shard[T]) resume(m *Member[T]) {
	for m.waiting != nil {
		n, full, err := m.sink.Write(m.waiting.front(s.buffer()))
		if err != nil {
			s.kill(m, ErrGone)
			return
		}
		m.waiting.take(n)
		if n > 0 && !m.leaving {
			m.stalledAt = s.now
		}
		if m.waiting.bytes == 0 {
			m.waiting = nil
		}
		if full {
			m.stalled = true
			s.rearm(m)
			return
		}
	}
	if m.leaving {
		s.letGo(m)
		return
	}
	if f, ok := m.recv.(Flusher[T]); ok {
		s.try(m, func() { f.Flushed(m) })
	}
}

// end lets the member have what is queued and its farewell, then retires it.
func (s *shard[T]) end(m *Member[T], cause error) {
	if m.leaving || m.done {
		return
	}
	m.leaving, m.cause = true, cause
	if s.walking {
		s.ending = append(s.ending, ending[T]{member: m, cause: cause})
		return
	}
	s.part(m)
}

// part takes a leaving member out of its channels and says farewell. From here
// on the write timeout runs once, however little the peer takes now and then.
func (s *shard[T]) part(m *Member[T]) {
	s.leaveAll(m)
	m.stalledAt = s.now
	s.try(m, func() {
		if p := s.hub.opt.Farewell(m, m.cause); len(p) > 0 {
			s.write(m, p)
		}
	})
	if m.waiting == nil && !m.done {
		s.letGo(m)
	}
}

// letGo ends a member that has had its last bytes.
func (s *shard[T]) letGo(m *Member[T]) {
	if take := s.keep(m); take != nil {
		s.retire(m, func() {})
		take(m.sink.(*Descriptor))
		return
	}
	s.retire(m, m.sink.Finish)
}

// keep asks whether the connection goes on without the member.
func (s *shard[T]) keep(m *Member[T]) (take func(*Descriptor)) {
	d, ok := m.sink.(*Descriptor)
	if !ok || s.hub.opt.Keep == nil || s.draining || m.heard {
		return nil
	}
	s.try(m, func() { take = s.hub.opt.Keep(m, m.cause) })
	if take == nil || m.done || s.poll.remove(d) != nil {
		return nil
	}
	return take
}

// kill cuts the member off.
func (s *shard[T]) kill(m *Member[T], cause error) {
	if m.done {
		return
	}
	if m.cause == nil {
		m.cause = cause
	}
	m.leaving = true
	if s.walking {
		s.ending = append(s.ending, ending[T]{m, cause, true})
		return
	}
	s.retire(m, m.sink.Abort)
}

// settle ends those whose end had to wait for the walk.
func (s *shard[T]) settle() {
	for i, e := range s.ending {
		s.ending[i] = ending[T]{}
		switch {
		case e.member.done:
		case e.abort:
			s.retire(e.member, e.member.sink.Abort)
		default:
			s.part(e.member)
		}
	}
	s.ending = s.ending[:0]
}

func (s *shard[T]) leaveAll(m *Member[T]) {
	for _, at := range m.channels {
		s.leave(at)
	}
	m.channels = nil
}

// retire forgets the member and closes its sink. That comes last: a peer that
// sees its end is no longer among the listeners, and its end is counted.
func (s *shard[T]) retire(m *Member[T], close func()) {
	m.done = true
	s.leaveAll(m)
	s.wheel.remove(m)
	m.waiting, m.keepAlive = nil, nil
	s.slots[m.slot.index] = nil
	s.free = append(s.free, m.slot.index)
	s.hub.members.Add(-1)
	if _, ok := m.sink.(*Descriptor); ok {
		s.hub.detached.Add(-1)
	}
	s.try(m, func() { s.hub.opt.Ended(m, m.cause) })
	close()
}

// drainSteps is into how many steps a drain divides its time; a step ends at
// least drainLeast members, so that a small hub ends at once.
const (
	drainSteps = 25
	drainLeast = 64
)

func (s *shard[T]) drain(cause error, spread time.Duration) {
	if s.draining {
		return
	}
	s.draining, s.cause = true, cause
	for _, m := range s.slots {
		if m != nil {
			s.parting = append(s.parting, m)
		}
	}
	s.partStep = max(drainLeast, (len(s.parting)+drainSteps-1)/drainSteps)
	if spread <= 0 {
		s.partStep = len(s.parting)
	}
	s.partAt = s.now
	s.partGap = int64(spread) / drainSteps
}

// farewells ends the next step of a drain when it is due.
func (s *shard[T]) farewells() {
	if len(s.parting) == 0 || s.now < s.partAt {
		return
	}
	n := min(s.partStep, len(s.parting))
	for _, m := range s.parting[:n] {
		s.end(m, s.cause)
	}
	s.parting = s.parting[n:]
	s.partAt = s.now + s.partGap
}

// cut ends whatever a drain has left.
func (s *shard[T]) cut() {
	s.draining, s.parting = true, nil
	for _, m := range s.slots {
		if m != nil {
			s.kill(m, s.cause)
		}
	}
}
