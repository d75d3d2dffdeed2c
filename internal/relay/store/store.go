// Package store keeps what the app would keep in Fastly's KV stores: each
// topic's newest stored message, and the signing keys.
//
// A write is atomic per topic and durable, as far as the implementation is
// durable at all, before Put returns. The sequence of a topic survives the
// expiry of its message by pubsub.Linger, so that a returning reader can tell
// "nothing new" from "started again"; after that the next write begins a new,
// random generation. Only the newest message of a topic is kept. Nothing is
// said to readers when a slot changes; that is the engine's work.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Conditions callers branch on.
var (
	// ErrNotFound says that the topic has no slot, or that no key has the id.
	ErrNotFound = errors.New("not found")
	// ErrNotNewer says that the slot holds nothing the given version does not cover.
	ErrNotNewer = errors.New("nothing newer")
	// ErrName says that a topic or key id cannot be a key of a KV store
	// (pubsub-app contract, section 11, "KV key").
	ErrName = errors.New("not a legal store key")
	// ErrUnreadable says that a slot exists but cannot be decoded.
	ErrUnreadable = errors.New("slot is unreadable")
	// ErrMissing says that the store itself is not there (a half-configured service).
	ErrMissing = errors.New("store is missing")
)

// Entry is a message to store, or a stored one.
type Entry struct {
	// Data is the payload. Stores neither keep a caller's slice nor hand out their own.
	Data []byte
	// Expires is when the message vanishes; zero means never. A time in the past
	// stores a message nobody receives, which hides the one before it.
	Expires time.Time
}

// Slot is what is stored for a topic. A nil Entry has expired: the sequence is
// still remembered, the message is not to be delivered.
type Slot struct {
	Version pubsub.Version
	Entry   *Entry
}

// Key is one signing key. Secret is used verbatim and never logged.
type Key struct {
	ID     string
	Secret []byte
}

// Store keeps retained messages and signing keys. All methods may be called
// from any goroutine.
type Store interface {
	// Put stores e as the topic's newest message: sequence 1 of a new random
	// generation if there is no slot, otherwise the next sequence.
	Put(ctx context.Context, t pubsub.Topic, e Entry) (pubsub.Version, error)
	// Get returns the topic's slot unless after covers it. It fails with
	// ErrNotFound, ErrNotNewer, ErrName or ErrUnreadable.
	Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (Slot, error)
	// Delete removes the topic's slot; the next Put begins a new generation.
	// Deleting what is not there is not an error.
	Delete(ctx context.Context, t pubsub.Topic) error
	// Keys is the signing-key store.
	Keys() KeyStore
	// Close releases the store. Nothing else may be called afterwards.
	Close() error
}

// KeyStore keeps signing keys by id. A stored key takes effect at once.
type KeyStore interface {
	// Get returns the secret of id, ErrNotFound or ErrName.
	Get(ctx context.Context, id string) ([]byte, error)
	// Put stores a key, replacing one of the same id.
	Put(ctx context.Context, k Key) error
	// List returns all keys, ordered by id.
	List(ctx context.Context) ([]Key, error)
	// Delete removes a key; ErrNotFound if there is none.
	Delete(ctx context.Context, id string) error
	// Generation changes whenever any key changes, so that a cache of verified
	// tokens can tell in a few nanoseconds that it is out of date.
	Generation() uint64
}
