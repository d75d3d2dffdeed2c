package boltstore

import (
	"encoding/binary"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// The buckets of a data file, and the items of the first.
const (
	aboutBucket    = "pubsubctl"
	messagesBucket = "messages"
	keysBucket     = "keys"

	stampItem = "format"
	tallyItem = "tally"
)

// stamp is the version of the format. A file with another one is refused; a
// later version of the program may know how to read this one.
const stamp = "1"

// tally is how many records a file holds and the sum of their checksums. It is
// written with every commit. bbolt's pages carry no checksums: without the
// tally, a damaged page that hides records would pass for a file that never had
// them.
type tally struct {
	records, sum uint64
}

func (l *tally) add(rec []byte) { l.records, l.sum = l.records+1, l.sum+sum(rec) }

func (l *tally) drop(rec []byte) { l.records, l.sum = l.records-1, l.sum-sum(rec) }

// put writes rec under key, or deletes it if rec is nil, and keeps count.
func (l *tally) put(b *bolt.Bucket, key string, rec []byte) error {
	if old := b.Get([]byte(key)); old != nil {
		l.drop(old)
	}
	if rec == nil {
		return b.Delete([]byte(key))
	}
	l.add(rec)
	return b.Put([]byte(key), rec)
}

// save writes the tally: 8 bytes count, 8 bytes sum, 4 bytes CRC-32C of both.
func (l tally) save(tx *bolt.Tx) error {
	b := binary.BigEndian.AppendUint64(nil, l.records)
	b = binary.BigEndian.AppendUint64(b, l.sum)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return tx.Bucket([]byte(aboutBucket)).Put([]byte(tallyItem), b)
}

// loadTally checks the stamp and reads the tally.
func loadTally(tx *bolt.Tx) (tally, error) {
	b := tx.Bucket([]byte(aboutBucket))
	if b == nil || tx.Bucket([]byte(messagesBucket)) == nil || tx.Bucket([]byte(keysBucket)) == nil {
		return tally{}, damaged("format stamp", "it is a database of another program")
	}
	if v := b.Get([]byte(stampItem)); string(v) != stamp {
		return tally{}, damaged("format stamp", "it is %q, this program reads %q", v, stamp)
	}
	v := b.Get([]byte(tallyItem))
	if len(v) != 20 || binary.BigEndian.Uint32(v[16:]) != crc32.Checksum(v[:16], crc32.MakeTable(crc32.Castagnoli)) {
		return tally{}, damaged("tally", "it cannot be read")
	}
	return tally{records: binary.BigEndian.Uint64(v), sum: binary.BigEndian.Uint64(v[8:])}, nil
}

// check compares what the file says it holds with what was found. The sum is
// not comparable when a record is unreadable: its checksum may be the damaged
// part.
func (l tally) check(found tally, unreadable int) error {
	switch {
	case l.records != found.records:
		return damaged("tally", "%d records are there of %d written", found.records, l.records)
	case l.sum != found.sum && unreadable == 0:
		return damaged("tally", "the records there are not the last ones written")
	}
	return nil
}
