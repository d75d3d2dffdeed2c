package hub

import (
	"math/bits"
	"time"
)

// The wheel turns one slot each 100 ms, the step in which Fanout batches its
// low-priority work, and once round in 102 s. A timer further off than that
// fires early and is set again.
const (
	wheelStep  = int64(100 * time.Millisecond)
	wheelSlots = 1024
)

// node is a member's place in the wheel.
type node[T any] struct {
	next, prev *Member[T]
	due        int64
	slot       uint16
	set        bool
}

// wheel holds at most one timer for each member of a shard. Owned by the shard.
type wheel[T any] struct {
	heads  [wheelSlots]*Member[T]
	used   [wheelSlots / 64]uint64
	turned int64 // the step up to which slots have been served
	count  int
}

// set makes m fire at due or up to one step later; a timer that is already set
// for sooner is kept.
func (w *wheel[T]) set(m *Member[T], due, now int64) {
	if m.timer.set {
		if m.timer.due <= due {
			return
		}
		w.remove(m)
	}
	if w.count == 0 {
		w.turned = now / wheelStep
	}
	step := due/wheelStep + 1
	step = min(max(step, w.turned+1), w.turned+wheelSlots-1)
	i := uint16(step % wheelSlots)
	m.timer.due, m.timer.slot, m.timer.set = due, i, true
	m.timer.prev, m.timer.next = nil, w.heads[i]
	if m.timer.next != nil {
		m.timer.next.timer.prev = m
	}
	w.heads[i] = m
	w.used[i/64] |= 1 << (i % 64)
	w.count++
}

func (w *wheel[T]) remove(m *Member[T]) {
	t := &m.timer
	if !t.set {
		return
	}
	if t.prev != nil {
		t.prev.timer.next = t.next
	} else {
		w.heads[t.slot] = t.next
		if t.next == nil {
			w.used[t.slot/64] &^= 1 << (t.slot % 64)
		}
	}
	if t.next != nil {
		t.next.timer.prev = t.prev
	}
	t.next, t.prev, t.set = nil, nil, false
	w.count--
}

// expired takes out the members whose slots have come and appends them to dst.
func (w *wheel[T]) expired(dst []*Member[T], now int64) []*Member[T] {
	if w.count == 0 {
		return dst
	}
	for until := now / wheelStep; w.turned < until && w.count > 0; {
		w.turned++
		i := w.turned % wheelSlots
		for m := w.heads[i]; m != nil; {
			next := m.timer.next
			m.timer.next, m.timer.prev, m.timer.set = nil, nil, false
			dst = append(dst, m)
			w.count--
			m = next
		}
		w.heads[i] = nil
		w.used[i/64] &^= 1 << (i % 64)
	}
	return dst
}

// next is how long until a slot must be served, or -1 when none is in use.
func (w *wheel[T]) next(now int64) int64 {
	if w.count == 0 {
		return -1
	}
	first := w.turned + 1
	for ahead := int64(0); ahead < wheelSlots; {
		i := (first + ahead) % wheelSlots
		word := w.used[i/64] >> (i % 64)
		if word != 0 {
			at := (first + ahead + int64(bits.TrailingZeros64(word))) * wheelStep
			return max(0, at-now)
		}
		ahead += 64 - i%64
	}
	return -1
}
