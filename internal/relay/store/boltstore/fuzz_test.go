package boltstore

import (
	"bytes"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// FuzzRecord: what either decoder accepts encodes to the same bytes. The input
// is sealed first, or the checksum would stop nearly all of it.
func FuzzRecord(f *testing.F) {
	v := pubsub.Version{Generation: math.MaxUint64, Seq: 7}
	expires := time.Date(2025, 8, 8, 16, 42, 52, 123456789, time.UTC)
	for _, r := range []*store.Record{
		{Topic: "a", Version: v, Entry: store.Entry{Data: []byte("data")}},
		{Topic: "", Version: v, Entry: store.Entry{Expires: expires}, Until: expires.Add(pubsub.Linger)},
		{Topic: "a", Unreadable: true},
	} {
		f.Add(encodeMessage(r))
	}
	f.Add(encodeKey(store.Key{ID: "k", Secret: []byte("secret")}))
	f.Add(encodeKey(store.Key{}))
	f.Fuzz(func(t *testing.T, rec []byte) {
		rec = bytes.Clone(rec)
		if len(rec) >= headLen {
			seal(rec)
		}
		if r, err := decodeMessage(rec); err == nil {
			if again := encodeMessage(r); !bytes.Equal(again, rec) {
				t.Errorf("accepted %x as %+v, wrote %x", rec, r, again)
			}
		}
		if k, err := decodeKey(rec); err == nil {
			if again := encodeKey(k); !bytes.Equal(again, rec) {
				t.Errorf("accepted %x as a key, wrote %x", rec, again)
			}
		}
	})
}

// FuzzPages: no file makes the check of the pages panic or run on, and what it
// lets through bbolt can read to the end. The input's headers are sealed first,
// or their checksums would stop nearly all of it.
func FuzzPages(f *testing.F) {
	f.Add(smallDatabase(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		sealHeader(b, pageHead)
		sealHeader(b, smallPage+pageHead)
		if checkPages(bytes.NewReader(b), int64(len(b))) != nil {
			t.Skip()
		}
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, boltOptions()) // a panic fails the test
		if err != nil {
			t.Fatalf("bbolt does not open what passed: %v", err)
		}
		defer db.Close()
		if err := db.View(readAll); err != nil {
			t.Errorf("bbolt does not read what passed: %v", err)
		}
	})
}

// sealHeader fills in the checksum of the header at at, if b goes that far.
func sealHeader(b []byte, at int) {
	if len(b) >= at+headerLen {
		h := fnv.New64a()
		h.Write(b[at : at+headerLen-8])
		order.PutUint64(b[at+headerLen-8:], h.Sum64())
	}
}

func readAll(tx *bolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
}

// smallPage is the smallest size of a page.
const smallPage = 1024

// smallDatabase is a sound file of small pages, cut behind the last one, to give
// the fuzzer a short input.
func smallDatabase(f *testing.F) []byte {
	path := filepath.Join(f.TempDir(), "db")
	opts := boltOptions()
	opts.PageSize = smallPage
	db, err := bolt.Open(path, 0o600, opts)
	if err != nil {
		f.Fatal(err)
	}
	if err := db.Update(furnish); err != nil {
		f.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for c := byte('a'); c <= 'z'; c++ {
			if err := tx.Bucket([]byte(messagesBucket)).Put([]byte{c}, make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	h, err := readHeader(bytes.NewReader(b))
	if err != nil {
		f.Fatal(err)
	}
	return b[:h.highWater*smallPage]
}
