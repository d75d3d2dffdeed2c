package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// sound is a data file in good order, and what it holds.
type sound struct {
	path     string
	bytes    []byte
	versions map[pubsub.Topic]pubsub.Version
	data     map[pubsub.Topic]string
	keys     map[string]string
}

// newSound builds a file with several pages of every kind, and pages that fell
// free, in a directory of its own.
func newSound(t *testing.T) sound {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	s := openStore(t, dir, Options{})
	f := sound{s.path, nil, map[pubsub.Topic]pubsub.Version{}, map[pubsub.Topic]string{}, map[string]string{}}
	for i := range 40 {
		topic, data := pubsub.Topic(fmt.Sprint("topic", i)), strings.Repeat(fmt.Sprint(i), 100)
		f.versions[topic], f.data[topic] = put(t, s, topic, text(data)), data
	}
	for i := range 3 {
		id := fmt.Sprint("key", i)
		f.keys[id] = "secret of " + id
		if err := s.Keys().Put(ctx, store.Key{ID: id, Secret: []byte(f.keys[id])}); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	return f.read(t)
}

func (f sound) read(t *testing.T) sound {
	t.Helper()
	b, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	f.bytes = b
	return f
}

func (f sound) write(t *testing.T, b []byte) {
	t.Helper()
	if err := os.WriteFile(f.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newest is the header in force.
func (f sound) newest(t *testing.T) header {
	t.Helper()
	h, err := readHeader(bytes.NewReader(f.bytes))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// with changes the file by way of bbolt.
func (f sound) with(t *testing.T, change func(*bolt.Tx) error) sound {
	t.Helper()
	db, err := bolt.Open(f.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
	return f.read(t)
}

func TestDamagedFileIsRefusedAndLeftAlone(t *testing.T) {
	zero := func(id func(header) uint64) func(*testing.T, sound) []byte {
		return func(t *testing.T, f sound) []byte {
			h, b := f.newest(t), bytes.Clone(f.bytes)
			clear(b[id(h)*uint64(h.pageSize) : (id(h)+1)*uint64(h.pageSize)])
			return b
		}
	}
	through := func(change func(*bolt.Tx) error) func(*testing.T, sound) []byte {
		return func(t *testing.T, f sound) []byte { return f.with(t, change).bytes }
	}
	cases := []struct {
		name, check string
		damage      func(t *testing.T, f sound) []byte
	}{
		{"empty", "size", func(*testing.T, sound) []byte { return nil }},
		{"a few bytes", "size", func(_ *testing.T, f sound) []byte { return f.bytes[:20] }},
		{"cut in the header", "size", func(t *testing.T, f sound) []byte { return f.bytes[:f.newest(t).pageSize] }},
		{"cut in half", "size", func(_ *testing.T, f sound) []byte { return f.bytes[:len(f.bytes)/2] }},
		{"cut by one page in use", "size", func(t *testing.T, f sound) []byte {
			h := f.newest(t)
			return f.bytes[:(h.highWater-1)*uint64(h.pageSize)]
		}},
		{"text", "file header", func(*testing.T, sound) []byte { return []byte(strings.Repeat("dear diary\n", 1000)) }},
		{"zeroed header", "file header", zero(func(header) uint64 { return 0 })},
		{"zeroed second header", "file header", zero(func(header) uint64 { return 1 })},
		{"zeroed root", "pages", zero(func(h header) uint64 { return h.root })},
		{"zeroed free list", "pages", zero(func(h header) uint64 { return h.freelist })},
		{"free list that names a page in use", "pages", func(t *testing.T, f sound) []byte {
			h, b := f.newest(t), bytes.Clone(f.bytes)
			order.PutUint64(b[h.freelist*uint64(h.pageSize)+pageHead:], h.root)
			return b
		}},
		{"nothing but zeros", "file header", func(_ *testing.T, f sound) []byte { return make([]byte, len(f.bytes)) }},
		{"database of another program", "format stamp", through(func(tx *bolt.Tx) error {
			return tx.DeleteBucket([]byte(aboutBucket))
		})},
		{"stamp of another version", "format stamp", through(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte(aboutBucket)).Put([]byte(stampItem), []byte("2"))
		})},
		{"no tally", "tally", through(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte(aboutBucket)).Delete([]byte(tallyItem))
		})},
		{"a record less", "tally", through(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte(messagesBucket)).Delete([]byte("r:topic7"))
		})},
		{"an old record in the place of a new one", "tally", through(func(tx *bolt.Tx) error {
			old := encodeMessage(&store.Record{Topic: "topic7", Version: pubsub.Version{Generation: 1, Seq: 1}})
			return tx.Bucket([]byte(messagesBucket)).Put([]byte("r:topic7"), old)
		})},
		{"a record under another's key", "records", through(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(messagesBucket))
			return b.Put([]byte("r:topic7"), b.Get([]byte("r:topic8")))
		})},
		{"a bucket among the records", "records", through(func(tx *bolt.Tx) error {
			_, err := tx.Bucket([]byte(messagesBucket)).CreateBucket([]byte("r:bucket"))
			return err
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newSound(t)
			b := bytes.Clone(c.damage(t, f))
			f.write(t, b)
			_, err := Open(context.Background(), filepath.Dir(f.path), Options{})
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Path != f.path || corrupt.Check != c.check {
				t.Errorf("Open: %v, want a CorruptError about the %s of %s", err, c.check, f.path)
			}
			if after := f.read(t).bytes; !bytes.Equal(after, b) {
				t.Error("the damaged file was changed")
			}
		})
	}
}

func TestFlippedByteInAValue(t *testing.T) {
	f, ctx := newSound(t), context.Background()
	f.write(t, bytes.Replace(f.bytes, []byte(f.data["topic7"]), []byte("8"+f.data["topic7"][1:]), -1))
	s := openStore(t, filepath.Dir(f.path), Options{})
	if lost := s.Unreadable(); len(lost) != 1 || lost[0] != "r:topic7" {
		t.Errorf("Unreadable = %q, want r:topic7", lost)
	}
	if _, err := s.Get(ctx, "topic7", pubsub.Version{}); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("Get: %v, want ErrUnreadable", err)
	}
	if _, err := s.Put(ctx, "topic7", text("x")); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("Put: %v, want ErrUnreadable", err)
	}
	wantMessage(t, s, "topic8", f.versions["topic8"], f.data["topic8"])
	if err := s.Delete(ctx, "topic7"); err != nil {
		t.Fatal(err)
	}
	v := put(t, s, "topic7", text("anew"))
	closeStore(t, s)
	s = openStore(t, filepath.Dir(f.path), Options{})
	wantMessage(t, s, "topic7", v, "anew")
	if lost := s.Unreadable(); len(lost) > 0 {
		t.Errorf("Unreadable = %q after the repair", lost)
	}
}

func TestFlippedByteInASecret(t *testing.T) {
	f, ctx := newSound(t), context.Background()
	f.write(t, bytes.Replace(f.bytes, []byte("secret of key1"), []byte("Secret of key1"), -1))
	keys := openStore(t, filepath.Dir(f.path), Options{}).Keys()
	if _, err := keys.Get(ctx, "key1"); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("Get: %v, want ErrUnreadable", err)
	}
	all, err := keys.List(ctx)
	if !errors.Is(err, store.ErrUnreadable) || !strings.Contains(err.Error(), "key1") || len(all) != 2 {
		t.Errorf("List = %v, %v, want the other two and an error that names key1", all, err)
	}
	if err := keys.Put(ctx, store.Key{ID: "key1", Secret: []byte("new")}); err != nil {
		t.Errorf("Put in the place of an unreadable key: %v", err)
	}
	if secret, err := keys.Get(ctx, "key1"); err != nil || string(secret) != "new" {
		t.Errorf("Get = %q, %v, want new", secret, err)
	}
}

// TestNoFlippedBitGoesUnnoticed damages a sound file in many places, one at a
// time. Each time the file is refused, or a slot is unreadable, or everything is
// there as it was because the byte meant nothing.
func TestNoFlippedBitGoesUnnoticed(t *testing.T) {
	f := newSound(t)
	rnd := rand.New(rand.NewPCG(1, 2)) // the same places each time
	refused, unreadable := 0, 0
	h := f.newest(t)
	for at := 0; at < int(h.highWater)*int(h.pageSize); at += 1 + rnd.IntN(120) {
		bit := byte(1) << rnd.IntN(8)
		b := bytes.Clone(f.bytes)
		b[at] ^= bit
		f.write(t, b)
		db, c, err := openFile(f.path, store.Options{})
		var d *damage
		switch {
		case errors.As(err, &d):
			refused++
			continue
		case err != nil:
			t.Fatalf("bit %#x of byte %d: %v", bit, at, err)
		}
		unreadable += len(c.unreadable)
		f.compare(t, fmt.Sprintf("bit %#x of byte %d", bit, at), c)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 || unreadable == 0 {
		t.Errorf("%d files refused, %d records unreadable: the test hit nothing", refused, unreadable)
	}
}

// compare checks that c holds what f does, or says that it cannot be read.
func (f sound) compare(t *testing.T, where string, c *contents) {
	t.Helper()
	for topic, v := range f.versions {
		slot, err := c.table.Get(topic, pubsub.Version{})
		if errors.Is(err, store.ErrUnreadable) && len(c.unreadable) == 1 {
			continue
		}
		if err != nil || slot.Version != v || string(slot.Entry.Data) != f.data[topic] {
			t.Errorf("%s: %q = %+v, %v, want %v", where, topic, slot.Version, err, v)
		}
	}
	for id, want := range f.keys {
		secret, err := c.keys.Get(context.Background(), id)
		if errors.Is(err, store.ErrUnreadable) && len(c.unreadable) == 1 {
			continue
		}
		if err != nil || string(secret) != want {
			t.Errorf("%s: key %q = %q, %v, want %q", where, id, secret, err, want)
		}
	}
}

// TestAfterAFailedCommit closes the file behind the store's back.
func TestAfterAFailedCommit(t *testing.T) {
	s, ctx := openStore(t, t.TempDir(), Options{}), context.Background()
	v := put(t, s, "a", text("one"))
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, first := s.Put(ctx, "a", text("two"))
	_, second := s.Put(ctx, "a", text("three"))
	if first == nil || second == nil || !strings.Contains(second.Error(), "no longer writes") {
		t.Errorf("errors = %v, %v, want the second to say that nothing is written any more", first, second)
	}
	wantMessage(t, s, "a", v, "one")
}

func TestRefusedWrites(t *testing.T) {
	cases := map[string]struct {
		err  error
		want bool
	}{
		"the disk is full":          {&os.PathError{Op: "write", Path: "x", Err: errors.New("no space")}, true},
		"the file cannot grow":      {fmt.Errorf("file resize error: %s", "no space"), true},
		"the disk cannot be synced": {errors.New("input/output error"), false},
		"the file cannot be closed": {&os.PathError{Op: "close", Path: "x", Err: errors.New("bad")}, false},
		"pages are damaged":         {damaged("pages", "page 7"), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := refusedWrite(c.err); got != c.want {
				t.Errorf("refusedWrite(%v) = %t, want %t", c.err, got, c.want)
			}
		})
	}
}
