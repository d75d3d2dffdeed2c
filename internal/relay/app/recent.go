package app

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

const (
	// quietFor is how long a token that was warned of is not warned of again.
	quietFor = time.Minute
	// recentSlots bounds how many tokens are remembered so.
	recentSlots = 256
)

// recent remembers what was warned of not long ago, so that a publisher with an
// odd token does not fill the log: one line for each and a minute. Two that share
// a slot displace each other, which costs a line and no more.
type recent struct {
	seed  maphash.Seed
	slots [recentSlots]atomic.Pointer[mention]
}

// mention is a token by its hash; it never changes.
type mention struct {
	of    uint64
	until time.Time
}

func newRecent() *recent { return &recent{seed: maphash.MakeSeed()} }

// first reports whether tok was not mentioned in the last while, and remembers it.
func (r *recent) first(tok string, now time.Time) bool {
	of := maphash.String(r.seed, tok)
	slot := &r.slots[of%recentSlots]
	if m := slot.Load(); m != nil && m.of == of && now.Before(m.until) {
		return false
	}
	slot.Store(&mention{of, now.Add(quietFor)})
	return true
}
