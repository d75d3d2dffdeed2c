package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

func versionCases() []testCase {
	return []testCase{
		{"the first write begins at one", firstWrite},
		{"each write counts on", countsOn},
		{"a reader who has it gets nothing newer", nothingNewer},
		{"another generation is new", otherGeneration},
		{"topics do not disturb each other", separateTopics},
		{"generations are drawn anew per topic", separateGenerations},
		{"deleting begins a new generation", deleteBegins},
		{"deleting nothing is no error", deleteNothing},
		{"any bytes come back", anyBytes},
		{"concurrent writes get one sequence each", concurrentPuts},
		{"a cancelled context writes nothing", cancelled},
	}
}

func firstWrite(t *testing.T, open opener) {
	s := open.shelf(t)
	if err := s.getErr("a", none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get before the first Put: %v, want ErrNotFound", err)
	}
	v := s.put("a", "one")
	if v.Seq != 1 {
		t.Errorf("first sequence = %d, want 1", v.Seq)
	}
	wantMessage(t, s.get("a"), v, "one")
}

func countsOn(t *testing.T, open opener) {
	s := open.shelf(t)
	first := s.put("a", "one")
	for seq := uint64(2); seq <= 10; seq++ {
		v := s.put("a", fmt.Sprint(seq))
		if want := (pubsub.Version{Generation: first.Generation, Seq: seq}); v != want {
			t.Fatalf("version = %v, want %v", v, want)
		}
		wantMessage(t, s.get("a"), v, fmt.Sprint(seq))
	}
}

func nothingNewer(t *testing.T, open opener) {
	s := open.shelf(t)
	first := s.put("a", "one")
	second := s.put("a", "two")
	later := pubsub.Version{Generation: second.Generation, Seq: second.Seq + 5}
	for _, v := range []pubsub.Version{second, later} {
		if err := s.getErr("a", v); !errors.Is(err, store.ErrNotNewer) {
			t.Errorf("Get after %v: %v, want ErrNotNewer", v, err)
		}
	}
	slot, err := s.Get(context.Background(), "a", first)
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, slot, second, "two")
}

func otherGeneration(t *testing.T, open opener) {
	s := open.shelf(t)
	v := s.put("a", "one")
	slot, err := s.Get(context.Background(), "a", pubsub.Version{Generation: v.Generation + 1, Seq: 99})
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, slot, v, "one")
}

func separateTopics(t *testing.T, open opener) {
	s := open.shelf(t)
	topics := []pubsub.Topic{"", "a", "A", "a ", "r:a", "ä", "a/b"}
	versions := map[pubsub.Topic]pubsub.Version{}
	for _, topic := range topics {
		versions[topic] = s.put(topic, "of "+string(topic))
	}
	for _, topic := range topics {
		wantMessage(t, s.get(topic), versions[topic], "of "+string(topic))
	}
}

func separateGenerations(t *testing.T, open opener) {
	s := open.shelf(t)
	const n = 32
	seen, high := map[uint64]bool{}, 0
	for i := range n {
		g := s.put(pubsub.Topic(fmt.Sprint(i)), "x").Generation
		seen[g] = true
		if g >= 1<<63 {
			high++
		}
	}
	if len(seen) != n {
		t.Errorf("%d generations for %d topics", len(seen), n)
	}
	if high == 0 || high == n {
		t.Errorf("%d of %d generations are above 2^63: not drawn from the full range", high, n)
	}
}

func deleteBegins(t *testing.T, open opener) {
	s := open.shelf(t)
	s.put("a", "one")
	old := s.put("a", "two")
	s.remove("a")
	if err := s.getErr("a", none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after Delete: %v, want ErrNotFound", err)
	}
	v := s.put("a", "three")
	if v.Seq != 1 || v.Generation == old.Generation {
		t.Errorf("version after Delete = %v, before %v: want sequence 1 of another generation", v, old)
	}
	slot, err := s.Get(context.Background(), "a", old)
	if err != nil {
		t.Fatalf("Get after the old version: %v", err)
	}
	wantMessage(t, slot, v, "three")
}

func deleteNothing(t *testing.T, open opener) {
	s := open.shelf(t)
	s.remove("a")
	if v := s.put("a", "one"); v.Seq != 1 {
		t.Errorf("sequence = %d, want 1", v.Seq)
	}
}

func anyBytes(t *testing.T, open opener) {
	s := open.shelf(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, data := range []string{"", "\r\n\x00", string(all), string(make([]byte, pubsub.MaxPayload))} {
		v := s.put("a", data)
		wantMessage(t, s.get("a"), v, data)
	}
}

func concurrentPuts(t *testing.T, open opener) {
	s := open.shelf(t)
	const writers, each = 8, 25
	got := make([][]uint64, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { // ends by itself; awaited below
			for range each {
				v, err := s.Put(context.Background(), "a", store.Entry{Data: []byte("x")})
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = append(got[i], v.Seq)
			}
		})
	}
	wg.Wait()
	for i, seqs := range got {
		if !slices.IsSorted(seqs) {
			t.Errorf("writer %d got sequences out of order: %v", i, seqs)
		}
	}
	all := slices.Sorted(slices.Values(slices.Concat(got...)))
	for i, seq := range all {
		if seq != uint64(i+1) {
			t.Fatalf("sequence %d is missing or given twice: %v", i+1, all)
		}
	}
}

func cancelled(t *testing.T, open opener) {
	s := open.shelf(t)
	reason := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(reason)
	if _, err := s.Put(ctx, "a", store.Entry{}); !errors.Is(err, reason) {
		t.Errorf("Put: %v, want the cause", err)
	}
	if _, err := s.Get(ctx, "a", none); !errors.Is(err, reason) {
		t.Errorf("Get: %v, want the cause", err)
	}
	if err := s.Keys().Put(ctx, store.Key{ID: "k"}); !errors.Is(err, reason) {
		t.Errorf("Keys().Put: %v, want the cause", err)
	}
	if err := s.getErr("a", none); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get after a cancelled Put: %v, want ErrNotFound", err)
	}
}
