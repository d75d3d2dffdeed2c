package storetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// expiryCases run in bubbles, where sleeping for a day costs nothing.
func expiryCases() []testCase {
	return []testCase{
		{"a message vanishes when it expires", bubble(vanishes)},
		{"the sequence outlives the message", bubble(lingers)},
		{"after the linger a new generation begins", bubble(forgets)},
		{"a message stored expired hides the one before", bubble(hides)},
		{"a message stored long expired lingers from the writing on", bubble(lingersFromWriting)},
		{"a write without expiry makes the slot permanent", bubble(permanent)},
		{"the expiry is handed out", bubble(expiryComesBack)},
	}
}

func bubble(run func(t *testing.T, s shelf)) func(*testing.T, opener) {
	return func(t *testing.T, open opener) {
		synctest.Test(t, func(t *testing.T) { run(t, open.shelf(t)) })
	}
}

func in(d time.Duration, data string) store.Entry {
	return store.Entry{Data: []byte(data), Expires: time.Now().Add(d)}
}

// wantExpired checks that the slot is remembered at v without a message.
func wantExpired(t *testing.T, slot store.Slot, v pubsub.Version) {
	t.Helper()
	if slot.Version != v || slot.Entry != nil {
		t.Errorf("slot = %v with entry %v, want %v without", slot.Version, slot.Entry, v)
	}
}

func vanishes(t *testing.T, s shelf) {
	v := s.putEntry("a", in(time.Minute, "one"))
	time.Sleep(time.Minute - 1)
	wantMessage(t, s.get("a"), v, "one")
	time.Sleep(1)
	wantExpired(t, s.get("a"), v)
	if err := s.getErr("a", v); !errors.Is(err, store.ErrNotNewer) {
		t.Errorf("Get by a reader who had it: %v, want ErrNotNewer", err)
	}
}

func lingers(t *testing.T, s shelf) {
	first := s.putEntry("a", in(time.Minute, "one"))
	time.Sleep(time.Minute + pubsub.Linger - 1)
	wantExpired(t, s.get("a"), first)
	second := s.put("a", "two")
	if want := (pubsub.Version{Generation: first.Generation, Seq: 2}); second != want {
		t.Errorf("version = %v, want %v", second, want)
	}
}

func forgets(t *testing.T, s shelf) {
	first := s.putEntry("a", in(time.Minute, "one"))
	time.Sleep(time.Minute + pubsub.Linger)
	for _, after := range []pubsub.Version{none, first} {
		if err := s.getErr("a", after); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get after %v: %v, want ErrNotFound", after, err)
		}
	}
	if v := s.put("a", "two"); v.Seq != 1 || v.Generation == first.Generation {
		t.Errorf("version = %v after %v, want sequence 1 of another generation", v, first)
	}
}

func hides(t *testing.T, s shelf) {
	first := s.put("a", "one")
	second := s.putEntry("a", in(0, "two"))
	wantExpired(t, s.get("a"), second)
	if want := (pubsub.Version{Generation: first.Generation, Seq: 2}); second != want {
		t.Errorf("version = %v, want %v", second, want)
	}
}

func lingersFromWriting(t *testing.T, s shelf) {
	first := s.putEntry("a", in(-1000*time.Hour, "one"))
	time.Sleep(pubsub.Linger - 1)
	wantExpired(t, s.get("a"), first)
	time.Sleep(1)
	if err := s.getErr("a", none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after the linger: %v, want ErrNotFound", err)
	}
}

func permanent(t *testing.T, s shelf) {
	s.putEntry("a", in(time.Minute, "one"))
	v := s.put("a", "two")
	time.Sleep(time.Minute + 10*pubsub.Linger)
	wantMessage(t, s.get("a"), v, "two")
	if next := s.put("a", "three"); next.Seq != 3 || next.Generation != v.Generation {
		t.Errorf("version = %v after %v, want the next", next, v)
	}
}

func expiryComesBack(t *testing.T, s shelf) {
	e := in(90*time.Second, "one")
	s.putEntry("a", e)
	if got := s.get("a").Entry; got == nil || !got.Expires.Equal(e.Expires) {
		t.Errorf("entry = %v, want expiry %v", got, e.Expires)
	}
	s.put("b", "two")
	slot, err := s.Get(context.Background(), "b", none)
	if err != nil || slot.Entry == nil || !slot.Entry.Expires.IsZero() {
		t.Errorf("Get = %v, %v, want a message that never expires", slot, err)
	}
}
