package token

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// ErrUnknownKey says that Keys holds no key of an id.
var ErrUnknownKey = errors.New("no such key")

// NewKey makes a signing key from 32 bytes of random, as the app makes them
// (pubsub-app contract, 3.7): value is 40 hex digits, id 8 that follow from it. An
// error is random's own; random must be a cryptographic source.
//
// SHA-1 only spreads the random bytes over the digits; nothing depends on its
// resistance to collisions.
func NewKey(random io.Reader) (id, value string, err error) {
	var seed [32]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return "", "", fmt.Errorf("read random bytes: %w", err)
	}
	sum := sha1.Sum(seed[:])
	value = hex.EncodeToString(sum[:])
	return KeyID(value), value, nil
}

// KeyID is the id that a key made by NewKey has, which tells whether a pasted
// pair belongs together. Keys made elsewhere may have any id.
func KeyID(value string) string {
	sum := sha1.Sum([]byte(value))
	return hex.EncodeToString(sum[:4])
}

// Keys is a KeySource of fixed keys: secrets by id. It must not be changed once
// in use.
type Keys map[string][]byte

// Get returns the secret of a key, or ErrUnknownKey.
func (k Keys) Get(_ context.Context, kid string) ([]byte, error) {
	secret, ok := k[kid]
	if !ok {
		return nil, ErrUnknownKey
	}
	return secret, nil
}

// Generation is always 0.
func (k Keys) Generation() uint64 { return 0 }
