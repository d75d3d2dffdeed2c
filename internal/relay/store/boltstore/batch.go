package boltstore

import (
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// batch collects changes that share a commit. What it holds lies over the table
// and the keyring, so that two writes to one topic follow each other inside of
// it; only the later one reaches the disk. It belongs to the committer.
type batch struct {
	table *store.Table
	keys  *store.Keyring
	now   time.Time

	slots   map[pubsub.Topic]*store.Record // nil: deleted
	secrets map[string]*store.Key          // nil: deleted
	// What the table and the ring gain when the batch is shown.
	topics, newKeys int
	bytes           int64
}

func newBatch(table *store.Table, keys *store.Keyring, now time.Time) *batch {
	return &batch{
		table: table, keys: keys, now: now,
		slots: map[pubsub.Topic]*store.Record{}, secrets: map[string]*store.Key{},
	}
}

func (b *batch) empty() bool { return len(b.slots)+len(b.secrets) == 0 }

// find returns what the topic's record will be if nothing more is added.
func (b *batch) find(t pubsub.Topic) *store.Record {
	if r, ok := b.slots[t]; ok {
		return r
	}
	return b.table.Find(t)
}

func (b *batch) put(t pubsub.Topic, e store.Entry) (pubsub.Version, error) {
	next, err := store.Next(b.find(t), t, e, b.now)
	if err != nil {
		return pubsub.Version{}, err
	}
	return next.Version, b.set(next)
}

func (b *batch) restore(records []*store.Record) error {
	for _, r := range records {
		if err := b.set(store.Restored(r, b.now)); err != nil {
			return err
		}
	}
	return nil
}

// set adds next if it fits, making room by forgetting what can be forgotten.
func (b *batch) set(next *store.Record) error {
	for {
		err := b.room(next)
		if err == nil {
			b.change(next.Topic, next)
			return nil
		}
		if b.forget(purgeChunk) == 0 {
			return err
		}
	}
}

// room reports whether next fits on top of the batch. What does not enlarge the
// store is welcome however full it is.
func (b *batch) room(next *store.Record) error {
	topics, bytes := store.Growth(b.find(next.Topic), next)
	if topics > 0 {
		topics += b.topics
	}
	if bytes > 0 {
		bytes += b.bytes
	}
	return b.table.Room(topics, bytes)
}

// delete adds the removal of a topic that is there.
func (b *batch) delete(t pubsub.Topic) {
	if b.find(t) != nil {
		b.change(t, nil)
	}
}

// forget adds the removal of at most limit slots whose linger is over and
// returns how many it added.
func (b *batch) forget(limit int) int {
	n := 0
	for _, t := range b.table.Due(b.now, limit) {
		if _, ok := b.slots[t]; !ok {
			b.change(t, nil)
			n++
		}
	}
	return n
}

func (b *batch) change(t pubsub.Topic, next *store.Record) {
	topics, bytes := store.Growth(b.find(t), next)
	b.topics, b.bytes = b.topics+topics, b.bytes+bytes
	b.slots[t] = next
}

func (b *batch) hasKey(id string) bool {
	if k, ok := b.secrets[id]; ok {
		return k != nil
	}
	return b.keys.Has(id)
}

func (b *batch) putKey(k store.Key) error {
	if !b.hasKey(k.ID) {
		if err := b.keys.Room(b.newKeys + 1); err != nil {
			return err
		}
		b.newKeys++
	}
	b.secrets[k.ID] = &k
	return nil
}

func (b *batch) deleteKey(id string) error {
	if !b.hasKey(id) {
		return fmt.Errorf("key %q: %w", id, store.ErrNotFound)
	}
	b.newKeys--
	b.secrets[id] = nil
	return nil
}

// save writes the batch to the file and updates t accordingly.
func (b *batch) save(tx *bolt.Tx, t *tally) error {
	messages, keys := tx.Bucket([]byte(messagesBucket)), tx.Bucket([]byte(keysBucket))
	for topic, r := range b.slots {
		var rec []byte
		if r != nil {
			rec = encodeMessage(r)
		}
		if err := t.put(messages, store.MessageKey(topic), rec); err != nil {
			return err
		}
	}
	for id, k := range b.secrets {
		var rec []byte
		if k != nil {
			rec = encodeKey(*k)
		}
		if err := t.put(keys, id, rec); err != nil {
			return err
		}
	}
	return t.save(tx)
}

// show lets readers see the batch.
func (b *batch) show() {
	for topic, r := range b.slots {
		if r == nil {
			b.table.Remove(topic)
			continue
		}
		b.table.Set(r)
	}
	for id, k := range b.secrets {
		if k == nil {
			b.keys.Remove(id)
			continue
		}
		b.keys.Set(*k)
	}
}
