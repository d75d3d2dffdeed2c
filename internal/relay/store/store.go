// Package store keeps what the app would keep in Fastly's KV stores: each
// topic's newest stored message, and the signing keys.
//
// A write is atomic per topic and durable, as far as the implementation is
// durable at all, before Put returns. The sequence of a topic survives the
// expiry of its message by pubsub.Linger, so that a returning reader can tell
// "nothing new" from "started again"; after that the next write begins a new,
// random generation. Only the newest message of a topic is kept. Nothing is
// said to readers when a slot changes; that is the engine's work.
//
// Every store is bounded by Options: a write that does not fit is refused with
// a *FullError, and nothing acknowledged is dropped to make room for it. Reads
// are answered from memory and never wait for a write to reach a disk.
//
// NewMemory is the store that forgets everything when the process ends;
// boltstore keeps a file. Both build on Table and Keyring. Not promised: a
// history of a topic, an order between topics, or one file used by two
// processes at once.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// ErrFull says that a write would pass a bound of Options. The error that
	// carries it is a *FullError, which names the bound.
	ErrFull = errors.New("store is full")
	// ErrTooLarge says that a payload passes MaxValue or a secret MaxSecret.
	ErrTooLarge = errors.New("value is too large")
	// ErrClosed says that the store was closed before the write could begin.
	ErrClosed = errors.New("store is closed")
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

// Format prints the id alone, whatever the verb, so that no print of a key or of
// something that holds one tells its secret.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "key %q", k.ID) }

// LogValue is the id alone.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// Store keeps retained messages and signing keys. All methods may be called
// from any goroutine.
type Store interface {
	// Put stores e as the topic's newest message: sequence 1 of a new random
	// generation if there is no slot, otherwise the next sequence. It fails with
	// ErrName, ErrTooLarge, ErrFull, ErrUnreadable (the slot must be deleted
	// first), ErrClosed, the cause of ctx, or what the disk said. After the cause
	// of ctx the message may have been stored; after any other error it was not
	// acknowledged and readers of this process never see it.
	Put(ctx context.Context, t pubsub.Topic, e Entry) (pubsub.Version, error)
	// Get returns the topic's slot unless after covers it. It fails with
	// ErrNotFound, ErrNotNewer, ErrName or ErrUnreadable.
	Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (Slot, error)
	// Delete removes the topic's slot, readable or not; the next Put begins a new
	// generation. Deleting what is not there is not an error; ErrName is.
	Delete(ctx context.Context, t pubsub.Topic) error
	// Keys is the signing-key store.
	Keys() KeyStore
	// Close ends what the store has running and releases it. Writes under way are
	// finished or refused with ErrClosed. Closing twice is harmless.
	Close() error
}

// KeyStore keeps signing keys by id. A stored key takes effect at once.
type KeyStore interface {
	// Get returns the secret of id, a copy. It fails with ErrNotFound, ErrName or
	// ErrUnreadable.
	Get(ctx context.Context, id string) ([]byte, error)
	// Put stores a key, replacing one of the same id, readable or not. It fails
	// as Store.Put does, except with ErrUnreadable.
	Put(ctx context.Context, k Key) error
	// List returns all keys, ordered by id. If some cannot be read it returns the
	// others and an error that names them and wraps ErrUnreadable.
	List(ctx context.Context) ([]Key, error)
	// Delete removes a key; ErrNotFound if there is none, ErrName if there can be none.
	Delete(ctx context.Context, id string) error
	// Generation changes whenever any key changes, so that a cache of verified
	// tokens can tell in a few nanoseconds that it is out of date. It changes
	// after the key does: read it before Get, and what you derive is never older
	// than it claims.
	Generation() uint64
}

// Archive is what the stores of this project offer beside Store: their messages
// as a whole, with versions, for carrying them to another store or to a file.
type Archive interface {
	// Records returns every slot that is still remembered, ordered by topic. Each
	// is a consistent slot; together they are no snapshot while others write. The
	// records belong to the store and must not be changed.
	Records(ctx context.Context) ([]*Record, error)
	// Restore stores the records as they are, versions included, in place of
	// slots of the same topics. It fails as Put does, and then records before the
	// one at fault may have been stored.
	Restore(ctx context.Context, records []*Record) error
}
