package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Keyring is a KeyStore in memory. Implementations that keep keys elsewhere too
// read from one and change it with Set and Remove once the change is durable.
type Keyring struct {
	limit int // static after construction

	mu      sync.RWMutex // guards the following
	secrets map[string]secret

	generation atomic.Uint64 // moves after secrets does
}

// secret is a stored secret, or the fact that one cannot be read.
type secret struct {
	value      []byte
	unreadable bool
}

// NewKeyring returns an empty ring with the bounds of o.
func NewKeyring(o Options) *Keyring {
	return &Keyring{limit: o.withDefaults().MaxKeys, secrets: map[string]secret{}}
}

// Get returns a copy of the secret of id, see KeyStore.
func (k *Keyring) Get(ctx context.Context, id string) ([]byte, error) {
	if err := errors.Join(context.Cause(ctx), CheckKeyID(id)); err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	s, ok := k.secrets[id]
	switch {
	case !ok:
		return nil, fmt.Errorf("key %q: %w", id, ErrNotFound)
	case s.unreadable:
		return nil, fmt.Errorf("key %q: %w", id, ErrUnreadable)
	}
	return append([]byte{}, s.value...), nil
}

// Put stores a key, see KeyStore.
func (k *Keyring) Put(ctx context.Context, key Key) error {
	if err := errors.Join(context.Cause(ctx), CheckKey(key)); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.secrets[key.ID]; !ok && len(k.secrets) >= k.limit {
		return k.full()
	}
	k.change(func() { k.secrets[key.ID] = secret{value: bytes.Clone(key.Secret)} })
	return nil
}

// List returns all readable keys, ordered by id, see KeyStore.
func (k *Keyring) List(ctx context.Context) ([]Key, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	keys, lost := make([]Key, 0, len(k.secrets)), []string(nil)
	for id, s := range k.secrets {
		if s.unreadable {
			lost = append(lost, id)
			continue
		}
		keys = append(keys, Key{ID: id, Secret: bytes.Clone(s.value)})
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.ID, b.ID) })
	if len(lost) > 0 {
		slices.Sort(lost)
		return keys, fmt.Errorf("keys %q: %w", lost, ErrUnreadable)
	}
	return keys, nil
}

// Delete removes a key, see KeyStore.
func (k *Keyring) Delete(ctx context.Context, id string) error {
	if err := errors.Join(context.Cause(ctx), CheckKeyID(id)); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.secrets[id]; !ok {
		return fmt.Errorf("key %q: %w", id, ErrNotFound)
	}
	k.change(func() { delete(k.secrets, id) })
	return nil
}

// Generation changes after every change of a key, see KeyStore.
func (k *Keyring) Generation() uint64 { return k.generation.Load() }

// Has reports whether there is a key of the id, readable or not.
func (k *Keyring) Has(id string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, ok := k.secrets[id]
	return ok
}

// Room reports whether so many more keys fit, as a *FullError if not.
func (k *Keyring) Room(more int) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if more > 0 && len(k.secrets)+more > k.limit {
		return k.full()
	}
	return nil
}

func (k *Keyring) full() error { return &FullError{What: "keys", Limit: int64(k.limit)} }

// Set stores a key that was checked before and keeps its Secret.
func (k *Keyring) Set(key Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.change(func() { k.secrets[key.ID] = secret{value: key.Secret} })
}

// SetUnreadable remembers that the key of the id exists and cannot be read.
func (k *Keyring) SetUnreadable(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.change(func() { k.secrets[id] = secret{unreadable: true} })
}

// Remove forgets the key of the id, if there is one.
func (k *Keyring) Remove(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.change(func() { delete(k.secrets, id) })
}

// change makes one change and then announces it. The other order would let a
// reader keep an old secret under the new generation. The caller holds mu.
func (k *Keyring) change(f func()) {
	f()
	k.generation.Add(1)
}
