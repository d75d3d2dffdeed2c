package tail

import (
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

func put(r *ring, topic pubsub.Topic, size int) uint64 {
	return r.add(&entry{topic: topic, data: []byte(strings.Repeat("x", size))})
}

func TestRingIsBoundedByCount(t *testing.T) {
	r := newRing(100, 1<<30)
	for n := range 1000 {
		if pos := put(r, "chat", n); pos != uint64(n+1) {
			t.Fatalf("entry %d is at %d", n, pos)
		}
	}
	if r.len() != 100 || r.dropped != 900 || len(r.slots) != 100 {
		t.Errorf("%d kept, %d dropped, %d slots", r.len(), r.dropped, len(r.slots))
	}
	for pos := r.first; pos < r.next; pos++ {
		if e := r.at(pos); len(e.data) != int(pos-1) {
			t.Fatalf("at %d is entry %d", pos, len(e.data))
		}
	}
	if r.at(r.first-1) != nil || r.at(r.next) != nil || r.at(0) != nil {
		t.Error("there is something outside")
	}
}

func TestRingIsBoundedByBytes(t *testing.T) {
	r := newRing(1000, 10*(1000+overhead))
	for range 50 {
		put(r, "chat", 1000)
	}
	if r.len() != 10 || r.dropped != 40 || r.bytes != r.maxBytes {
		t.Errorf("%d kept, %d dropped, %d of %d bytes", r.len(), r.dropped, r.bytes, r.maxBytes)
	}
	put(r, "chat", 1<<20)
	if r.len() != 1 || r.at(r.next-1) == nil {
		t.Errorf("%d kept beside one that is larger than the bound", r.len())
	}
	put(r, "chat", 0)
	if r.len() != 1 || r.bytes != overhead {
		t.Errorf("%d kept in %d bytes after it", r.len(), r.bytes)
	}
}

func TestRingFindsTheMessageBeforeOnItsTopic(t *testing.T) {
	r := newRing(4, 1<<20)
	put(r, "a", 1)
	put(r, "b", 2)
	r.add(&entry{kind: kindGap})
	last := put(r, "a", 3)
	if e := r.before(last); e == nil || len(e.data) != 1 {
		t.Errorf("found %v", e)
	}
	put(r, "b", 4)
	if e := r.before(last); e != nil {
		t.Errorf("found %v, which has fallen out", e)
	}
}

func TestGapsAreNotCountedAsDroppedMessages(t *testing.T) {
	r := newRing(1, 1<<20)
	r.add(&entry{kind: kindGap})
	put(r, "a", 1)
	put(r, "a", 1)
	if r.dropped != 1 {
		t.Errorf("%d dropped, want 1", r.dropped)
	}
}
