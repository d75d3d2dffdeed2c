package store

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Memory is a Store that lives as long as the process. It runs no goroutine:
// slots whose linger is over are removed a few at a time by later writes.
type Memory struct {
	// Static after construction. The table has its own locks for readers.
	table *Table
	keys  *Keyring

	mu sync.Mutex // held by the one writer of table
}

// forgetPerWrite is how many forgotten slots a write removes. Two per slot
// added drain any backlog without a write that takes long.
const forgetPerWrite = 2

// NewMemory returns an empty store. Zero Options mean the defaults.
func NewMemory(o Options) *Memory {
	return &Memory{table: NewTable(o), keys: NewKeyring(o)}
}

// Put stores e as the topic's newest message, see Store.
func (m *Memory) Put(ctx context.Context, t pubsub.Topic, e Entry) (pubsub.Version, error) {
	if err := errors.Join(context.Cause(ctx), CheckEntry(t, e)); err != nil {
		return pubsub.Version{}, err
	}
	e.Data = bytes.Clone(e.Data)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.forget(now, forgetPerWrite)
	next, err := Next(m.table.Find(t), t, e, now)
	if err != nil {
		return pubsub.Version{}, err
	}
	if err := m.set(next, now); err != nil {
		return pubsub.Version{}, err
	}
	return next.Version, nil
}

// Get returns the topic's slot unless after covers it, see Store. It never
// waits for a writer longer than for one map assignment.
func (m *Memory) Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (Slot, error) {
	if ctx.Err() != nil {
		return Slot{}, context.Cause(ctx)
	}
	return m.table.Get(t, after)
}

// Delete removes the topic's slot, see Store.
func (m *Memory) Delete(ctx context.Context, t pubsub.Topic) error {
	if err := errors.Join(context.Cause(ctx), CheckTopic(t)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.Remove(t)
	return nil
}

// Records returns every slot, see Archive.
func (m *Memory) Records(ctx context.Context) ([]*Record, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return m.table.Records(time.Now()), nil
}

// Restore stores records as they are, see Archive.
func (m *Memory) Restore(ctx context.Context, records []*Record) error {
	for _, r := range records {
		if err := errors.Join(context.Cause(ctx), CheckRecord(r)); err != nil {
			return err
		}
		if err := m.restore(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) restore(r *Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	return m.set(Restored(r, now), now)
}

// Keys is the signing-key store.
func (m *Memory) Keys() KeyStore { return m.keys }

// Close does nothing: there is nothing to release.
func (m *Memory) Close() error { return nil }

// set shows next if it fits, after clearing out everything forgotten if it
// does not at first. The caller holds mu.
func (m *Memory) set(next *Record, now time.Time) error {
	topics, bytes := Growth(m.table.Find(next.Topic), next)
	if m.table.Room(topics, bytes) != nil {
		m.forget(now, m.table.topics)
		topics, bytes = Growth(m.table.Find(next.Topic), next)
	}
	if err := m.table.Room(topics, bytes); err != nil {
		return err
	}
	m.table.Set(next)
	return nil
}

// forget removes at most limit forgotten slots. The caller holds mu.
func (m *Memory) forget(now time.Time, limit int) {
	for _, t := range m.table.Due(now, limit) {
		m.table.Remove(t)
	}
}
