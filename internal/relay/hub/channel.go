package hub

import (
	"slices"
	"sync"
	"sync/atomic"
)

// channel is one name somebody listens to.
type channel[T any] struct {
	// Static after construction.
	name string
	// count is the number of members per shard, so that Publish passes by
	// shards without any. Atomic.
	count []atomic.Int32
	// lists has one member list per shard, each owned by its shard.
	lists []list[T]
	// refs is the sum of count. Guarded by the hub's mu.
	refs int
	// turns is held while a value goes to the inboxes of several shards, so that
	// all of them have the channel's values in one order.
	turns sync.Mutex
}

func (h *Hub[T]) lookup(name string) *channel[T] {
	v, ok := h.index.Load(name)
	if !ok {
		return nil
	}
	return v.(*channel[T])
}

// acquire adds the named channels to those of m, making those that are missing,
// and counts m on each. It reports whether some channel had no member before. m
// comes into the lists when its shard calls enter, which the caller has pushed to
// the shard's inbox before: so whatever is counted for m comes behind that. The
// caller holds h.mu.
func (h *Hub[T]) acquire(m *Member[T], names []string) (first bool) {
	m.channels = slices.Grow(m.channels, len(names))
	for _, name := range names {
		if m.listens(name) {
			continue
		}
		c := h.lookup(name)
		if c == nil {
			c = &channel[T]{
				name: name, count: make([]atomic.Int32, len(h.shards)), lists: make([]list[T], len(h.shards)),
			}
			h.index.Store(name, c)
		}
		first = first || c.refs == 0
		c.refs++
		c.count[m.shard.id].Add(1)
		m.channels = append(m.channels, membership[T]{c, pending})
	}
	return first
}

// release takes one member of the shard off c and forgets c when it was the last.
func (h *Hub[T]) release(c *channel[T], shard int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.count[shard].Add(-1)
	if c.refs--; c.refs == 0 {
		h.index.CompareAndDelete(c.name, c)
	}
}

// chunkLen keeps joining cheap: a list grows by chunks, never by copying it whole.
const chunkLen = 256

// list is the members of one channel on one shard, in no order. Owned by the shard.
type list[T any] struct {
	chunks [][]*Member[T]
	n      int

	// round and bit say which bit the list has in the round of that number.
	round uint64
	bit   uint8
}

func (l *list[T]) add(m *Member[T]) (pos int32) {
	if l.n == len(l.chunks)*chunkLen {
		l.chunks = append(l.chunks, nil)
	}
	c := l.n / chunkLen
	l.chunks[c] = append(l.chunks[c], m)
	l.n++
	return int32(l.n - 1)
}

// remove takes the member at pos out, moves the last one into its place and
// returns that one, or nil if it was the last itself.
func (l *list[T]) remove(pos int32) (moved *Member[T]) {
	last := l.n - 1
	tail := l.chunks[last/chunkLen]
	moved = tail[last%chunkLen]
	tail[last%chunkLen] = nil
	l.chunks[last/chunkLen] = tail[:last%chunkLen]
	if last%chunkLen == 0 {
		l.chunks = l.chunks[:last/chunkLen]
	}
	l.n = last
	if int(pos) == last {
		return nil
	}
	l.chunks[pos/chunkLen][pos%chunkLen] = moved
	return moved
}
