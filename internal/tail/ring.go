package tail

import (
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// kind tells the rows of the list apart.
type kind uint8

const (
	kindMessage kind = iota
	kindGap          // messages may be missing here
)

// entry is one row: a message or a gap. It never changes once it is in the ring.
type entry struct {
	at        time.Time
	data      []byte
	topic     pubsub.Topic
	id        string
	event     string
	transport string
	text      string    // of a gap
	since     time.Time // when the connection before a gap was lost, if one was
	lost      []string  // the topics a gap is on, none for all
	number    uint64    // counts messages of this run from 1; 0 for a gap
	conn      int
	kind      kind
	retained  bool
	binary    bool
}

// overhead is what an entry takes besides its payload, about.
const overhead = 200

func (e *entry) cost() int { return len(e.data) + len(e.id) + len(e.text) + overhead }

// ring keeps the newest entries, bounded by count and by bytes. Each entry has a
// position that counts from 1 and never changes, so that a selection survives
// what falls out. Copies of a Model share one ring; only the newest copy may be
// used, which is how bubbletea calls it.
type ring struct {
	// Static after construction.
	maxCount, maxBytes int

	slots   []*entry // grows up to maxCount, then turns
	first   uint64   // position of the oldest entry
	next    uint64   // position of the entry to come
	bytes   int
	dropped uint64 // messages that fell out
}

func newRing(count, bytes int) *ring {
	return &ring{maxCount: max(1, count), maxBytes: max(1, bytes), first: 1, next: 1}
}

func (r *ring) len() int { return int(r.next - r.first) }

// add appends e and returns its position. The newest entry stays even if it
// alone is larger than the bound.
func (r *ring) add(e *entry) uint64 {
	r.makeRoom(e.cost())
	if len(r.slots) < r.maxCount {
		r.grow()
	}
	pos := r.next
	r.slots[r.slot(pos)] = e
	r.next++
	r.bytes += e.cost()
	return pos
}

// replaceLast puts e where the newest entry is. An entry itself never changes,
// because an export may be reading it.
func (r *ring) replaceLast(e *entry) {
	i := r.slot(r.next - 1)
	r.bytes += e.cost() - r.slots[i].cost()
	r.slots[i] = e
}

func (r *ring) makeRoom(cost int) {
	for r.len() > 0 && (r.len() >= r.maxCount || r.bytes+cost > r.maxBytes) {
		i := r.slot(r.first)
		old := r.slots[i]
		r.slots[i] = nil
		r.first++
		r.bytes -= old.cost()
		if old.kind == kindMessage {
			r.dropped++
		}
	}
}

// grow doubles the slots when they are full. Positions move to new slots.
func (r *ring) grow() {
	if r.len() < len(r.slots) {
		return
	}
	bigger := make([]*entry, min(r.maxCount, max(64, 2*len(r.slots))))
	for pos := r.first; pos < r.next; pos++ {
		bigger[pos%uint64(len(bigger))] = r.slots[r.slot(pos)]
	}
	r.slots = bigger
}

func (r *ring) slot(pos uint64) uint64 { return pos % uint64(len(r.slots)) }

// at gives the entry at a position, nil if it has fallen out or is to come.
func (r *ring) at(pos uint64) *entry {
	if pos < r.first || pos >= r.next {
		return nil
	}
	return r.slots[r.slot(pos)]
}

// before finds the message of the same topic that came before pos.
func (r *ring) before(pos uint64) *entry {
	e := r.at(pos)
	if e == nil {
		return nil
	}
	for p := pos - 1; p >= r.first; p-- {
		if o := r.at(p); o.kind == kindMessage && o.topic == e.topic {
			return o
		}
	}
	return nil
}
