package store

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// The largest single values, in bytes. A topic's payload is bounded by the app
// long before (pubsub.MaxPayload); these hold for what other tools put in.
const (
	// MaxValue is the platform's limit for an item of a KV store.
	MaxValue = 25_000_000
	// MaxSecret is far above any sensible HMAC key.
	MaxSecret = 64 << 10
)

// Defaults of Options.
const (
	DefaultMaxTopics = 100_000
	DefaultMaxBytes  = 256 << 20
	DefaultMaxKeys   = 10_000
)

// Options bounds a store. The zero value means the defaults.
type Options struct {
	// MaxTopics is the most slots, those of expired messages included. Zero means
	// DefaultMaxTopics.
	MaxTopics int
	// MaxBytes is the most that all slots may hold together, payloads and topics
	// and a fixed charge for each, in bytes. Zero means DefaultMaxBytes.
	MaxBytes int64
	// MaxKeys is the most signing keys. Zero means DefaultMaxKeys.
	MaxKeys int
}

func (o Options) withDefaults() Options {
	return Options{
		MaxTopics: cmp.Or(o.MaxTopics, DefaultMaxTopics),
		MaxBytes:  cmp.Or(o.MaxBytes, DefaultMaxBytes),
		MaxKeys:   cmp.Or(o.MaxKeys, DefaultMaxKeys),
	}
}

// FullError says which bound a write would pass. errors.Is finds ErrFull in it.
type FullError struct {
	// What is counted: "topics", "bytes" or "keys".
	What string
	// Limit is the bound, in units of What.
	Limit int64
}

// Error names the bound.
func (e *FullError) Error() string {
	return fmt.Sprintf("store is full: it is limited to %d %s", e.Limit, e.What)
}

// Unwrap lets callers test for ErrFull.
func (e *FullError) Unwrap() error { return ErrFull }

// MessageKey is the KV store key of a topic's message (pubsub-app contract, 8.1).
func MessageKey(t pubsub.Topic) string { return messagePrefix + string(t) }

const messagePrefix = "r:"

// CheckTopic reports ErrName if no message of t can be stored.
func CheckTopic(t pubsub.Topic) error {
	if !pubsub.LegalKey(MessageKey(t)) {
		return fmt.Errorf("topic %q: %w", string(t), ErrName)
	}
	return nil
}

// CheckKeyID reports ErrName if no signing key can have the id.
func CheckKeyID(id string) error {
	if !pubsub.LegalKey(id) {
		return fmt.Errorf("key id %q: %w", id, ErrName)
	}
	return nil
}

// CheckEntry reports whether a Put of e to t can be tried: ErrName or ErrTooLarge.
func CheckEntry(t pubsub.Topic, e Entry) error {
	if len(e.Data) > MaxValue {
		return fmt.Errorf("message of %d bytes for topic %q: %w", len(e.Data), string(t), ErrTooLarge)
	}
	return CheckTopic(t)
}

// CheckKey reports whether a Put of k can be tried: ErrName or ErrTooLarge.
func CheckKey(k Key) error {
	if len(k.Secret) > MaxSecret {
		return fmt.Errorf("secret of %d bytes for key %q: %w", len(k.Secret), k.ID, ErrTooLarge)
	}
	return CheckKeyID(k.ID)
}

// CheckRecord reports whether a Restore of r can be tried: ErrName or ErrTooLarge.
func CheckRecord(r *Record) error {
	if r == nil {
		return errors.New("nil record")
	}
	return CheckEntry(r.Topic, r.Entry)
}
