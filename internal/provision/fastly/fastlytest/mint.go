package fastlytest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// Alphabets of ids. Those of KV stores have no capitals.
const (
	mixed = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	lower = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// idLength is how long ids are, tokenLength how long tokens.
const (
	idLength    = 22
	tokenLength = 32
)

// mint makes what is random in production from a seed and a counter, so that a
// run can be repeated.
type mint struct {
	seed uint64
	made uint64
}

// bytes are 32 new bytes.
func (m *mint) bytes() [sha256.Size]byte {
	m.made++
	return digest(m.seed, "made", m.made)
}

func digest(seed uint64, use string, n uint64) [sha256.Size]byte {
	b := binary.BigEndian.AppendUint64([]byte(use), seed)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, n))
}

// text is a new word of at most 32 letters.
func (m *mint) text(length int, alphabet string) string {
	raw := m.bytes()
	out := make([]byte, length)
	for i := range out {
		out[i] = alphabet[int(raw[i])%len(alphabet)]
	}
	return string(out)
}

func (m *mint) id() string    { return m.text(idLength, mixed) }
func (m *mint) kvID() string  { return m.text(idLength, lower) }
func (m *mint) token() string { return m.text(tokenLength, mixed) }

// signer is the key that signs client keys; turn counts its rotations.
func signer(seed, turn uint64) ed25519.PrivateKey {
	raw := digest(seed, "signing key", turn)
	return ed25519.NewKeyFromSeed(raw[:])
}

// fixedID is the id of something every Server has, the same for one seed.
func fixedID(seed uint64, use string) string {
	m := mint{seed: seed ^ binary.BigEndian.Uint64(append([]byte(use), make([]byte, 8)...))}
	return m.id()
}

func itoa(n int) string { return strconv.Itoa(n) }
