package hub

import (
	"errors"
	"runtime"
)

// A round is bounded so that one write stays near what a socket buffer takes,
// and so that the mask of channels fits a word.
const (
	roundBytes    = 64 << 10
	roundItems    = 1024
	roundChannels = 64
	// yieldEvery is how many members are written to before others may run.
	yieldEvery = 128
)

// round is what is delivered together: values in order, each with the bit of
// its channel. Owned by the shard.
type round[T any] struct {
	values   []T
	bits     []uint8
	channels []*channel[T]
	bytes    int

	delivered uint64 // values handed to members in this round

	touched []*Member[T]
	picked  []Delivery[T]
	joins   []join
	spare   []byte // for joining; given away when a backlog keeps a piece of it
	kept    bool
}

// join is the bytes of all values on the channels of mask, in one format.
type join struct {
	mask   uint64
	format Format
	bytes  []byte
	count  int
	end    error // ends the member after bytes
	attend bool  // some value is for the Receiver
}

// add puts a value into the round, and delivers the round when it is full.
func (s *shard[T]) add(c *channel[T], v T) {
	l, r := &c.lists[s.id], &s.round
	if l.n == 0 {
		return
	}
	if l.round != s.roundNo || len(r.values) == 0 {
		if len(r.channels) == roundChannels {
			s.flush()
		}
		if len(r.values) == 0 {
			s.roundNo++
		}
		l.round, l.bit = s.roundNo, uint8(len(r.channels))
		r.channels = append(r.channels, c)
	}
	r.values = append(r.values, v)
	r.bits = append(r.bits, l.bit)
	r.bytes += s.hub.opt.Size(v)
	if r.bytes >= roundBytes || len(r.values) == roundItems {
		s.flush()
	}
}

// flush delivers the round and empties it.
func (s *shard[T]) flush() {
	r := &s.round
	if len(r.values) == 0 {
		return
	}
	s.walking = true
	if len(r.channels) == 1 {
		s.walkOne(&r.channels[0].lists[s.id])
	} else {
		s.walkMany()
	}
	s.walking = false
	s.delivered.Add(r.delivered)
	r.delivered = 0
	s.settle()
	for i, m := range r.touched {
		r.touched[i] = nil
		if !m.done && !m.leaving {
			s.try(m, func() { m.recv.Deliver(m, s.pick(m.mask)) })
		}
	}
	r.reset()
}

func (r *round[T]) reset() {
	clear(r.values)
	clear(r.picked)
	r.values, r.bits, r.channels = r.values[:0], r.bits[:0], r.channels[:0]
	r.touched, r.picked = r.touched[:0], r.picked[:0]
	r.bytes = 0
	if r.kept {
		r.spare, r.kept = nil, false
	}
	clear(r.joins)
	r.joins = r.joins[:0]
	r.spare = r.spare[:0]
}

// walkOne is the fast path, one channel in play: the same bytes to each plain
// member of it.
func (s *shard[T]) walkOne(l *list[T]) {
	n := 0
	for _, chunk := range l.chunks {
		for _, m := range chunk {
			if m.recv != nil && !m.direct {
				m.mask = 1
				s.round.touched = append(s.round.touched, m)
				continue
			}
			s.hand(m, 1)
			if n++; n%yieldEvery == 0 {
				runtime.Gosched()
			}
		}
	}
}

// walkMany is the slow path: first find who listens to which of the channels,
// then write to each member what it listens to, in order.
func (s *shard[T]) walkMany() {
	r := &s.round
	var plain []*Member[T]
	for bit, c := range r.channels {
		for _, chunk := range c.lists[s.id].chunks {
			for _, m := range chunk {
				if m.round != s.roundNo {
					m.round, m.mask = s.roundNo, 0
					if m.recv != nil && !m.direct {
						r.touched = append(r.touched, m)
					} else {
						plain = append(plain, m)
					}
				}
				m.mask |= 1 << bit
			}
		}
	}
	for n, m := range plain {
		s.hand(m, m.mask)
		if n%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
		}
	}
}

// hand writes to a plain member the values on the channels of mask.
func (s *shard[T]) hand(m *Member[T], mask uint64) {
	j := s.joined(mask, m.format)
	if m.leaving {
		return
	}
	if len(j.bytes) > 0 {
		s.round.delivered += uint64(j.count)
		s.write(m, j.bytes)
	}
	if j.end != nil {
		s.end(m, j.end)
	}
	if j.attend && m.recv != nil {
		m.mask = mask
		s.round.touched = append(s.round.touched, m)
	}
}

// joined returns the bytes of a mask and format, made once in a round. A single
// value is not copied.
func (s *shard[T]) joined(mask uint64, f Format) *join {
	r := &s.round
	for i := range r.joins {
		if r.joins[i].mask == mask && r.joins[i].format == f {
			return &r.joins[i]
		}
	}
	j := join{mask: mask, format: f}
	start := len(r.spare)
	for i, v := range r.values {
		if mask>>r.bits[i]&1 == 0 {
			continue
		}
		p, end := s.hub.opt.Encode(v, f)
		if len(p) > 0 {
			j.count++
			r.join(&j, start, p)
		}
		if j.note(end) {
			break
		}
	}
	j.bytes = j.bytes[:len(j.bytes):len(j.bytes)]
	r.joins = append(r.joins, j)
	return &r.joins[len(r.joins)-1]
}

// note takes in what Encode said besides the bytes, and reports whether they are
// the last.
func (j *join) note(end error) (last bool) {
	switch {
	case end == nil:
		return false
	case errors.Is(end, ErrAttend):
		j.attend = true
		return false
	case errors.Is(end, ErrLast):
		j.attend = true
	default:
		j.end = end
	}
	return true
}

// join appends the j.count-th value's bytes; the first stays where it is.
func (r *round[T]) join(j *join, start int, p []byte) {
	if j.count == 1 {
		j.bytes = p
		return
	}
	if j.count == 2 {
		r.spare = append(r.spare, j.bytes...)
	}
	r.spare = append(r.spare, p...)
	j.bytes = r.spare[start:]
}

// pick returns the values on the channels of mask, for a Receiver.
func (s *shard[T]) pick(mask uint64) []Delivery[T] {
	r := &s.round
	r.picked = r.picked[:0]
	for i, v := range r.values {
		if bit := r.bits[i]; mask>>bit&1 != 0 {
			r.picked = append(r.picked, Delivery[T]{r.channels[bit].name, v})
		}
	}
	return r.picked
}
