package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// A record in the file, integers big-endian:
//
//	4  CRC-32C of all that follows
//	1  kind
//	2  length of the name, then the name: a topic or a key id
//	   kindMessage, kindExpiring: 8 generation, 8 sequence
//	   kindExpiring:              8+4 expiry, 8+4 end of the linger (seconds, nanoseconds)
//	   rest: payload, or the secret of kindKey; nothing for kindUnreadable
//
// The name is also the key under which the record lies. It is repeated so that
// damage to the key can be told from damage to the record.
const (
	kindMessage    = 1
	kindExpiring   = 2
	kindUnreadable = 3 // a slot that was brought in unreadable, not one that was damaged
	kindKey        = 4
)

// headLen is the part before the name.
const headLen = 4 + 1 + 2

// Reasons for which a record is not one.
var (
	errShort    = errors.New("record is cut short")
	errChecksum = errors.New("checksum does not match")
	errKind     = errors.New("record is of another kind")
	errTime     = errors.New("record holds an impossible time")
	errTail     = errors.New("record goes on behind its end")
)

// sum is the checksum a record claims, without checking it.
func sum(rec []byte) uint64 {
	if len(rec) < 4 {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(rec))
}

func checksum(rec []byte) uint32 {
	return crc32.Checksum(rec[4:], crc32.MakeTable(crc32.Castagnoli))
}

// seal fills in the checksum of a finished record.
func seal(rec []byte) []byte {
	binary.BigEndian.PutUint32(rec, checksum(rec))
	return rec
}

// begin starts a record with room for size bytes behind the name.
func begin(kind byte, name string, size int) []byte {
	b := make([]byte, 4, headLen+len(name)+size)
	b = append(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(name))) // legal names end at 1024
	return append(b, name...)
}

// unseal checks a record and takes it apart.
func unseal(rec []byte) (kind byte, name string, rest []byte, err error) {
	if len(rec) < headLen {
		return 0, "", nil, errShort
	}
	if uint32(sum(rec)) != checksum(rec) {
		return 0, "", nil, errChecksum
	}
	if name, rest, err = cutName(rec); err != nil {
		return 0, "", nil, err
	}
	return rec[4], name, rest, nil
}

// cutName splits a record of at least headLen bytes behind its name.
func cutName(rec []byte) (name string, rest []byte, err error) {
	n := int(binary.BigEndian.Uint16(rec[5:]))
	if len(rec) < headLen+n {
		return "", nil, errShort
	}
	return string(rec[headLen : headLen+n]), rec[headLen+n:], nil
}

// claimedName is the name a record gives itself, sound or not.
func claimedName(rec []byte) string {
	if len(rec) < headLen {
		return ""
	}
	name, _, _ := cutName(rec)
	return name
}

// encodeMessage is the record of a slot.
func encodeMessage(r *store.Record) []byte {
	switch {
	case r.Unreadable:
		return seal(begin(kindUnreadable, string(r.Topic), 0))
	case r.Entry.Expires.IsZero():
		b := begin(kindMessage, string(r.Topic), 16+len(r.Entry.Data))
		return seal(append(appendVersion(b, r.Version), r.Entry.Data...))
	}
	b := begin(kindExpiring, string(r.Topic), 40+len(r.Entry.Data))
	b = appendVersion(b, r.Version)
	b = appendTime(b, r.Entry.Expires)
	b = appendTime(b, r.Until)
	return seal(append(b, r.Entry.Data...))
}

// decodeMessage is the inverse of encodeMessage: what it accepts encodes to the
// same bytes. The record keeps nothing of rec.
func decodeMessage(rec []byte) (*store.Record, error) {
	kind, name, rest, err := unseal(rec)
	if err != nil {
		return nil, err
	}
	r := &store.Record{Topic: pubsub.Topic(name)}
	switch kind {
	case kindUnreadable:
		r.Unreadable = true
		if len(rest) > 0 {
			return nil, errTail
		}
		return r, nil
	case kindMessage, kindExpiring:
		return r, readSlot(r, kind, rest)
	}
	return nil, fmt.Errorf("%w: %d is no message", errKind, kind)
}

func readSlot(r *store.Record, kind byte, rest []byte) error {
	rest, err := readVersion(&r.Version, rest)
	if err == nil && kind == kindExpiring {
		if rest, err = readTime(&r.Entry.Expires, rest); err == nil {
			rest, err = readTime(&r.Until, rest)
		}
	}
	r.Entry.Data = append([]byte{}, rest...)
	return err
}

func encodeKey(k store.Key) []byte {
	return seal(append(begin(kindKey, k.ID, len(k.Secret)), k.Secret...))
}

// decodeKey is the inverse of encodeKey. The key keeps nothing of rec.
func decodeKey(rec []byte) (store.Key, error) {
	kind, id, rest, err := unseal(rec)
	if err != nil {
		return store.Key{}, err
	}
	if kind != kindKey {
		return store.Key{}, fmt.Errorf("%w: %d is no key", errKind, kind)
	}
	return store.Key{ID: id, Secret: append([]byte{}, rest...)}, nil
}

func appendVersion(b []byte, v pubsub.Version) []byte {
	b = binary.BigEndian.AppendUint64(b, v.Generation)
	return binary.BigEndian.AppendUint64(b, v.Seq)
}

func readVersion(v *pubsub.Version, b []byte) (rest []byte, err error) {
	if len(b) < 16 {
		return nil, errShort
	}
	v.Generation, v.Seq = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return b[16:], nil
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Unix()))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

// readTime refuses the zero time, which would turn "expires" into "never".
func readTime(t *time.Time, b []byte) (rest []byte, err error) {
	if len(b) < 12 {
		return nil, errShort
	}
	sec, nsec := int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint32(b[8:]))
	*t = time.Unix(sec, nsec).UTC()
	if nsec >= int64(time.Second) || t.IsZero() {
		return nil, errTime
	}
	return b[12:], nil
}
