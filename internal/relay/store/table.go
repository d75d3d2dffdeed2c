package store

import (
	"bytes"
	"container/heap"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// shardCount is how many readers of different topics are unlikely to meet.
const shardCount = 64

// Table holds the slots of a store in memory. Any number of goroutines may
// read while one writes; implementations of Store see to it that there is never
// a second writer.
//
// A Table enforces its bounds only when asked (Room), so that what was
// acknowledged under larger bounds can always be loaded.
type Table struct {
	// Static after construction.
	seed   maphash.Seed
	limits Options

	shards [shardCount]tableShard

	// Owned by the writer.
	due    dueQueue
	topics int
	bytes  int64
}

// tableShard is padded to a cache line of its own, so that readers of one do
// not slow readers of its neighbour.
type tableShard struct {
	mu    sync.RWMutex
	cells map[pubsub.Topic]*cell
	_     [96]byte
}

// cell is a place in a shard and, if the slot will be forgotten, in the queue.
type cell struct {
	rec *Record // static: a new record gets a new cell
	at  int     // owned by the writer: index in the queue, -1 if not in it
}

// NewTable returns an empty table with the bounds of o.
func NewTable(o Options) *Table {
	t := &Table{seed: maphash.MakeSeed(), limits: o.withDefaults()}
	for i := range t.shards {
		t.shards[i].cells = map[pubsub.Topic]*cell{}
	}
	return t
}

func (t *Table) shard(topic pubsub.Topic) *tableShard {
	return &t.shards[maphash.String(t.seed, string(topic))%shardCount]
}

func (t *Table) cell(topic pubsub.Topic) *cell {
	s := t.shard(topic)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cells[topic]
}

// Find returns the topic's record, or nil. A forgotten slot is found until it
// is removed. Any goroutine may call it.
func (t *Table) Find(topic pubsub.Topic) *Record {
	if c := t.cell(topic); c != nil {
		return c.rec
	}
	return nil
}

// Get is Store.Get. Any goroutine may call it; it allocates only to copy a
// message out or to complain.
func (t *Table) Get(topic pubsub.Topic, after pubsub.Version) (Slot, error) {
	r := t.Find(topic)
	switch {
	case r == nil:
		// Only legal names get in, so the check is for those that are not there.
		if err := CheckTopic(topic); err != nil {
			return Slot{}, err
		}
		return Slot{}, ErrNotFound
	case r.Unreadable:
		return Slot{}, fmt.Errorf("topic %q: %w", string(topic), ErrUnreadable)
	case r.Until.IsZero():
		return r.slot(after, time.Time{})
	}
	return r.slot(after, time.Now())
}

// slot is what a reader at version after sees at now.
func (r *Record) slot(after pubsub.Version, now time.Time) (Slot, error) {
	switch {
	case r.Forgotten(now):
		return Slot{}, ErrNotFound
	case after.Covers(r.Version):
		return Slot{}, ErrNotNewer
	case r.expired(now):
		return Slot{Version: r.Version}, nil
	}
	return Slot{Version: r.Version, Entry: &Entry{Data: bytes.Clone(r.Entry.Data), Expires: r.Entry.Expires}}, nil
}

// Room reports whether the table may grow by so many topics and bytes, as a
// *FullError if not. Growth of zero or less is always allowed. Only the writer
// may call it.
func (t *Table) Room(topics int, bytes int64) error {
	if topics > 0 && t.topics+topics > t.limits.MaxTopics {
		return &FullError{What: "topics", Limit: int64(t.limits.MaxTopics)}
	}
	if bytes > 0 && t.bytes+bytes > t.limits.MaxBytes {
		return &FullError{What: "bytes", Limit: t.limits.MaxBytes}
	}
	return nil
}

// Set puts r in the place of its topic's record and shows it to readers. The
// table keeps r. Only the writer may call it.
func (t *Table) Set(r *Record) { t.replace(r.Topic, r) }

// Remove forgets the topic. Only the writer may call it.
func (t *Table) Remove(topic pubsub.Topic) { t.replace(topic, nil) }

func (t *Table) replace(topic pubsub.Topic, r *Record) {
	var prev *Record
	if c := t.cell(topic); c != nil {
		prev = c.rec
		t.due.drop(c)
	}
	topics, bytes := Growth(prev, r)
	t.topics, t.bytes = t.topics+topics, t.bytes+bytes
	t.show(topic, t.due.add(r))
}

// show makes c, or its absence if nil, what readers find.
func (t *Table) show(topic pubsub.Topic, c *cell) {
	s := t.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c == nil {
		delete(s.cells, topic)
		return
	}
	s.cells[topic] = c
}

// Due lists at most limit topics that are forgotten at now, those longest so
// first. They stay in the table until removed. Only the writer may call it.
func (t *Table) Due(now time.Time, limit int) []pubsub.Topic {
	var due []*cell
	for len(due) < limit && len(t.due) > 0 && t.due[0].rec.Forgotten(now) {
		due = append(due, heap.Pop(&t.due).(*cell))
	}
	topics := make([]pubsub.Topic, len(due))
	for i, c := range due {
		topics[i] = c.rec.Topic
		heap.Push(&t.due, c)
	}
	return topics
}

// Records lists what is not forgotten at now, ordered by topic. Any goroutine
// may call it. The records are shared with the table and must not be changed.
func (t *Table) Records(now time.Time) []*Record {
	var all []*Record
	for i := range t.shards {
		all = t.shards[i].collect(all, now)
	}
	slices.SortFunc(all, func(a, b *Record) int { return strings.Compare(string(a.Topic), string(b.Topic)) })
	return all
}

func (s *tableShard) collect(all []*Record, now time.Time) []*Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.cells {
		if !c.rec.Forgotten(now) {
			all = append(all, c.rec)
		}
	}
	return all
}

// dueQueue is a heap of the slots that will be forgotten, soonest first. Each
// knows its place, so that a topic written often does not fill it.
type dueQueue []*cell

// add returns the cell of r, in the queue if r will be forgotten; nil for nil.
func (q *dueQueue) add(r *Record) *cell {
	if r == nil {
		return nil
	}
	c := &cell{rec: r, at: -1}
	if !r.Until.IsZero() {
		heap.Push(q, c)
	}
	return c
}

func (q *dueQueue) drop(c *cell) {
	if c.at >= 0 {
		heap.Remove(q, c.at)
	}
}

// Len, Less, Swap, Push and Pop are for container/heap.
func (q dueQueue) Len() int { return len(q) }

func (q dueQueue) Less(i, j int) bool { return q[i].rec.Until.Before(q[j].rec.Until) }

func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *dueQueue) Push(x any) {
	c := x.(*cell)
	c.at = len(*q)
	*q = append(*q, c)
}

func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q, c.at = (*q)[:last], -1
	return c
}
