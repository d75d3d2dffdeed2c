package storetest

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// archiveCases hold for stores that are a store.Archive too; others skip them.
func archiveCases() []testCase {
	return []testCase{
		{"what was taken out can be put into another store", bubbleArchive(moves)},
		{"records come by topic and without the forgotten", bubbleArchive(ordered)},
		{"the last sequence is followed by a new generation", bubbleArchive(wrapsAround)},
		{"an unreadable slot fails until it is deleted", bubbleArchive(unreadable)},
		{"illegal topics are not restored", bubbleArchive(restoreChecks)},
	}
}

func bubbleArchive(run func(t *testing.T, s shelf, a store.Archive, open opener)) func(*testing.T, opener) {
	return func(t *testing.T, open opener) {
		synctest.Test(t, func(t *testing.T) {
			s := open.shelf(t)
			a, ok := s.Store.(store.Archive)
			if !ok {
				t.Skip("the store is no archive")
			}
			run(t, s, a, open)
		})
	}
}

func restore(t *testing.T, a store.Archive, records ...*store.Record) {
	t.Helper()
	if err := a.Restore(context.Background(), records); err != nil {
		t.Fatalf("Restore: %v", err)
	}
}

func moves(t *testing.T, s shelf, a store.Archive, open opener) {
	s.put("a", "one")
	kept := s.put("a", "two")
	expiring := s.putEntry("b", in(time.Minute, "three"))
	records, err := a.Records(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	other := open.shelf(t)
	other.put("a", "replaced")
	restore(t, other.Store.(store.Archive), records...)
	wantMessage(t, other.get("a"), kept, "two")
	wantMessage(t, other.get("b"), expiring, "three")
	time.Sleep(time.Minute)
	wantExpired(t, other.get("b"), expiring)
	if v := other.put("a", "four"); v.Generation != kept.Generation || v.Seq != kept.Seq+1 {
		t.Errorf("version = %v after %v, want the next", v, kept)
	}
}

func ordered(t *testing.T, s shelf, a store.Archive, _ opener) {
	s.putEntry("gone", in(0, "x"))
	time.Sleep(pubsub.Linger)
	for _, topic := range []pubsub.Topic{"b", "", "a", "ab"} {
		s.put(topic, "x")
	}
	s.putEntry("expired", in(0, "x"))
	records, err := a.Records(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []pubsub.Topic{"", "a", "ab", "b", "expired"}
	if len(records) != len(want) {
		t.Fatalf("%d records, want %d", len(records), len(want))
	}
	for i, r := range records {
		if r.Topic != want[i] {
			t.Errorf("record %d is of %q, want %q", i, r.Topic, want[i])
		}
	}
}

func wrapsAround(t *testing.T, s shelf, a store.Archive, _ opener) {
	last := pubsub.Version{Generation: 7, Seq: math.MaxUint64}
	restore(t, a, &store.Record{Topic: "a", Version: last, Entry: store.Entry{Data: []byte("x")}})
	if v := s.put("a", "y"); v.Seq != 1 || v.Generation == last.Generation {
		t.Errorf("version = %v after %v, want sequence 1 of another generation", v, last)
	}
}

func unreadable(t *testing.T, s shelf, a store.Archive, _ opener) {
	ctx := context.Background()
	restore(t, a, &store.Record{Topic: "a", Unreadable: true})
	for _, after := range []pubsub.Version{none, {Generation: 1, Seq: 1}} {
		if err := s.getErr("a", after); !errors.Is(err, store.ErrUnreadable) {
			t.Errorf("Get after %v: %v, want ErrUnreadable", after, err)
		}
	}
	if _, err := s.Put(ctx, "a", store.Entry{}); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("Put: %v, want ErrUnreadable", err)
	}
	s.remove("a")
	v := s.put("a", "new")
	wantMessage(t, s.get("a"), v, "new")
}

func restoreChecks(t *testing.T, _ shelf, a store.Archive, _ opener) {
	err := a.Restore(context.Background(), []*store.Record{{Topic: "a;b"}})
	if !errors.Is(err, store.ErrName) {
		t.Errorf("Restore: %v, want ErrName", err)
	}
}
