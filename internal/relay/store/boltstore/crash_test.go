package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// crashTopics is how many writers the dying process has, a topic each.
const crashTopics = 4

// childWrites stores messages and keys without end and prints a line for each
// that was acknowledged: "put topic version data" or "key id".
func childWrites(dir string) error {
	s, err := Open(context.Background(), dir, Options{})
	if err != nil {
		return err
	}
	errs := make(chan error)
	for i := range crashTopics {
		go func() { errs <- writeForever(s, fmt.Sprint("topic", i)) }() // ends with the process
	}
	go func() { errs <- storeKeysForever(s) }() // ends with the process
	return <-errs
}

func writeForever(s *Store, topic string) error {
	for n := 0; ; n++ {
		data := fmt.Sprintf("%d-%s", n, strings.Repeat("x", n%3000))
		v, err := s.Put(context.Background(), pubsub.Topic(topic), text(data))
		if err != nil {
			return err
		}
		line := fmt.Sprintf("put %s %d %d %s\n", topic, v.Generation, v.Seq, data)
		if _, err := os.Stdout.WriteString(line); err != nil { // one write: whole lines or none
			return err
		}
	}
}

func storeKeysForever(s *Store) error {
	old, err := s.Keys().List(context.Background())
	if err != nil {
		return err
	}
	for n := len(old); n < 1000; n++ {
		id := fmt.Sprint("key", n)
		if err := s.Keys().Put(context.Background(), store.Key{ID: id, Secret: []byte("of " + id)}); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("key " + id + "\n"); err != nil {
			return err
		}
	}
	select {} // the messages go on
}

// acknowledged is what a process that died had been told is stored.
type acknowledged struct {
	versions map[pubsub.Topic]pubsub.Version
	data     map[pubsub.Topic]string
	keys     []string
}

func (a *acknowledged) add(t *testing.T, line string) {
	t.Helper()
	var topic, data string
	var v pubsub.Version
	if id, ok := strings.CutPrefix(line, "key "); ok {
		a.keys = append(a.keys, id)
		return
	}
	if _, err := fmt.Sscanf(line, "put %s %d %d %s", &topic, &v.Generation, &v.Seq, &data); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	if old := a.versions[pubsub.Topic(topic)]; !old.IsZero() && (v.Generation != old.Generation || v.Seq != old.Seq+1) {
		t.Errorf("%s: version %v was acknowledged after %v", topic, v, old)
	}
	a.versions[pubsub.Topic(topic)], a.data[pubsub.Topic(topic)] = v, data
}

// TestAcknowledgedWritesSurviveKill kills a writing process several times and
// looks for everything it had been told is stored. A write on its way when the
// process died may be there or not; then it is the next in sequence.
func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acked := acknowledged{versions: map[pubsub.Topic]pubsub.Version{}, data: map[pubsub.Topic]string{}}
	for round := range 4 {
		c := startChild(t, "write", dir)
		for range 100 * (round + 1) {
			if !c.lines.Scan() {
				t.Fatalf("round %d: the child stopped writing", round)
			}
			acked.add(t, c.lines.Text())
		}
		for _, line := range c.kill(t) {
			acked.add(t, line)
		}
		s := openStore(t, dir, Options{})
		wantAcknowledged(t, s, &acked)
		closeStore(t, s)
	}
	if len(acked.versions) != crashTopics || len(acked.keys) == 0 {
		t.Errorf("%d topics and %d keys were written, want %d and some", len(acked.versions), len(acked.keys), crashTopics)
	}
}

// wantAcknowledged checks that all of a is in s, and takes note of writes that
// got through without being acknowledged.
func wantAcknowledged(t *testing.T, s *Store, a *acknowledged) {
	t.Helper()
	ctx := context.Background()
	for topic, v := range a.versions {
		slot, err := s.Get(ctx, topic, pubsub.Version{})
		if err != nil {
			t.Fatalf("Get(%q): %v, %v was acknowledged", topic, err, v)
		}
		switch {
		case slot.Version == v && string(slot.Entry.Data) != a.data[topic]:
			t.Errorf("%q at %v holds other data than was acknowledged", topic, v)
		case slot.Version != v && slot.Version != (pubsub.Version{Generation: v.Generation, Seq: v.Seq + 1}):
			t.Errorf("%q is at %v, %v was acknowledged", topic, slot.Version, v)
		}
		a.versions[topic], a.data[topic] = slot.Version, string(slot.Entry.Data)
	}
	for _, id := range a.keys {
		if secret, err := s.Keys().Get(ctx, id); err != nil || string(secret) != "of "+id {
			t.Errorf("key %q = %q, %v, it was acknowledged", id, secret, err)
		}
	}
	if lost := s.Unreadable(); len(lost) > 0 {
		t.Errorf("unreadable after a kill: %q", lost)
	}
}

func TestLeftoverOfACutShortStart(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	v := put(t, s, "a", text("one"))
	closeStore(t, s)
	leftover := s.path + freshSuffix
	if err := os.WriteFile(leftover, []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, Options{})
	wantMessage(t, s, "a", v, "one")
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
}

// TestOpenCompacts fills a file, empties most of it and opens it again.
func TestOpenCompacts(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := openStore(t, dir, Options{})
	big := store.Entry{Data: make([]byte, 1<<20)}
	const n = 8
	for i := range n {
		put(t, s, pubsub.Topic(fmt.Sprint(i)), big)
	}
	v := put(t, s, "kept", text("one"))
	if err := s.Keys().Put(ctx, store.Key{ID: "k", Secret: []byte("secret")}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := s.Delete(ctx, pubsub.Topic(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	before := fileSize(t, s.path)
	if before < compactSize {
		t.Fatalf("the file has %d bytes: the test does not reach the limit", before)
	}
	s = openStore(t, dir, Options{})
	if after := fileSize(t, s.path); after > before/10 {
		t.Errorf("the file has %d bytes after the opening, %d before", after, before)
	}
	wantMessage(t, s, "kept", v, "one")
	if next := put(t, s, "kept", text("two")); next.Seq != v.Seq+1 {
		t.Errorf("version = %v after %v, want the next", next, v)
	}
	closeStore(t, s)

	s = openStore(t, dir, Options{})
	wantMessage(t, s, "kept", pubsub.Version{Generation: v.Generation, Seq: v.Seq + 1}, "two")
	if secret, err := s.Keys().Get(ctx, "k"); err != nil || string(secret) != "secret" {
		t.Errorf("key = %q, %v after the compaction", secret, err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
