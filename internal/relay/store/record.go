package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Record is a slot as a store remembers it. Records are shared between
// goroutines: after one has been handed to a Table it never changes.
type Record struct {
	Topic   pubsub.Topic
	Version pubsub.Version
	Entry   Entry
	// Until is when the slot itself, its sequence included, is forgotten. Zero
	// means never, which is so exactly if Entry.Expires is zero.
	Until time.Time
	// Unreadable marks a slot that exists but says nothing; the rest is then
	// without meaning, Topic apart.
	Unreadable bool
}

// recordCost is charged for each slot on top of its bytes: the record, the map
// and queue entries, roughly.
const recordCost = 256

// Size is what the record counts against Options.MaxBytes, in bytes.
func (r *Record) Size() int64 {
	return recordCost + int64(len(r.Topic)) + int64(len(r.Entry.Data))
}

// Forgotten reports whether the slot is as good as deleted: its message expired
// at least pubsub.Linger ago.
func (r *Record) Forgotten(now time.Time) bool {
	return !r.Until.IsZero() && !now.Before(r.Until)
}

// expired reports whether the message is gone while its sequence may linger.
func (r *Record) expired(now time.Time) bool {
	return !r.Entry.Expires.IsZero() && !now.Before(r.Entry.Expires)
}

// Next is the record that a write of e to t at now leaves in the place of prev,
// which is nil if there is no slot. It keeps e.Data. It fails with
// ErrUnreadable if prev is unreadable, as the app's write does: what cannot be
// read cannot be counted on from.
func Next(prev *Record, t pubsub.Topic, e Entry, now time.Time) (*Record, error) {
	if prev != nil && prev.Unreadable {
		return nil, fmt.Errorf("topic %q: %w", string(t), ErrUnreadable)
	}
	next := &Record{Topic: t, Entry: e, Version: pubsub.Version{Generation: newGeneration(), Seq: 1}}
	if prev != nil && !prev.Forgotten(now) && prev.Version.Seq < math.MaxUint64 {
		next.Version = pubsub.Version{Generation: prev.Version.Generation, Seq: prev.Version.Seq + 1}
	}
	next.stamp(now)
	return next, nil
}

// Restored is a copy of r as a store keeps it when it is carried over at now:
// the version stays, the linger follows from the expiry.
func Restored(r *Record, now time.Time) *Record {
	c := *r
	c.Entry.Data = bytes.Clone(r.Entry.Data)
	if c.Unreadable {
		return &Record{Topic: r.Topic, Unreadable: true}
	}
	c.stamp(now)
	return &c
}

// stamp sets Until. A message that had expired before it was written lingers
// from the writing on. Expiry is kept as wall time: it must mean the same after
// a restart, and a monotonic clock stands still while the machine sleeps.
func (r *Record) stamp(now time.Time) {
	r.Until = time.Time{}
	if r.Entry.Expires.IsZero() {
		return
	}
	r.Entry.Expires = r.Entry.Expires.UTC().Round(0)
	from := r.Entry.Expires
	if from.Before(now) {
		from = now
	}
	r.Until = from.UTC().Round(0).Add(pubsub.Linger)
}

// newGeneration draws from the full range, so that even two stores that lost
// everything hardly ever give one version to two messages.
func newGeneration() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: the runtime ends the program instead
	return binary.NativeEndian.Uint64(b[:])
}

// Growth is what a table gains in slots and bytes when next takes the place of
// prev; nil stands for no slot on either side.
func Growth(prev, next *Record) (topics int, bytes int64) {
	if prev != nil {
		topics, bytes = topics-1, bytes-prev.Size()
	}
	if next != nil {
		topics, bytes = topics+1, bytes+next.Size()
	}
	return topics, bytes
}
