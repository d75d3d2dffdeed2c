package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/relay/store/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return store.NewMemory(store.Options{}) })
}

func put(tb testing.TB, s store.Store, topic pubsub.Topic, e store.Entry) pubsub.Version {
	tb.Helper()
	v, err := s.Put(context.Background(), topic, e)
	if err != nil {
		tb.Errorf("Put(%q): %v", topic, err) // may run beside the test's goroutine
	}
	return v
}

func text(s string) store.Entry { return store.Entry{Data: []byte(s)} }

func wantFull(t *testing.T, what string, limit int64, err error) {
	t.Helper()
	var full *store.FullError
	if !errors.As(err, &full) || !errors.Is(err, store.ErrFull) || full.What != what || full.Limit != limit {
		t.Errorf("error = %v, want that there is no room for more than %d %s", err, limit, what)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s, ctx := store.NewMemory(store.Options{MaxTopics: 2, MaxBytes: 2000, MaxKeys: 1}), context.Background()
	v := put(t, s, "a", text("one"))
	put(t, s, "b", text(strings.Repeat("x", 1000)))
	_, err := s.Put(ctx, "c", text(""))
	wantFull(t, "topics", 2, err)
	_, err = s.Put(ctx, "a", text(strings.Repeat("x", 1000)))
	wantFull(t, "bytes", 2000, err)
	if slot, err := s.Get(ctx, "a", pubsub.Version{}); err != nil || slot.Version != v || string(slot.Entry.Data) != "one" {
		t.Errorf("Get after a refused write = %+v, %v, want one at %v", slot, err, v)
	}
	put(t, s, "b", text("smaller"))
	put(t, s, "a", text(strings.Repeat("x", 1000)))
	if err := s.Delete(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "c", text("in the place of b"))

	if err := s.Keys().Put(ctx, store.Key{ID: "k"}); err != nil {
		t.Fatal(err)
	}
	wantFull(t, "keys", 1, s.Keys().Put(ctx, store.Key{ID: "l"}))
	if err := s.Keys().Put(ctx, store.Key{ID: "k", Secret: []byte("new")}); err != nil {
		t.Errorf("replacing a key in a full ring: %v", err)
	}
}

func TestForgottenSlotsMakeRoomInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10
		s := store.NewMemory(store.Options{MaxTopics: n})
		for i := range n {
			put(t, s, pubsub.Topic(fmt.Sprint("old", i)), store.Entry{Expires: time.Now().Add(time.Duration(n-i) * time.Second)})
		}
		time.Sleep(pubsub.Linger + n*time.Second)
		for i := range n {
			put(t, s, pubsub.Topic(fmt.Sprint("new", i)), text("x"))
		}
		_, err := s.Put(t.Context(), "one too many", text("x"))
		wantFull(t, "topics", n, err)
	})
}

func TestLargeValuesAreRefused(t *testing.T) {
	s, ctx := store.NewMemory(store.Options{}), context.Background()
	if _, err := s.Put(ctx, "a", store.Entry{Data: make([]byte, store.MaxValue+1)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Put: %v, want ErrTooLarge", err)
	}
	if err := s.Keys().Put(ctx, store.Key{ID: "k", Secret: make([]byte, store.MaxSecret+1)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Keys().Put: %v, want ErrTooLarge", err)
	}
}

func TestKeysDoNotPrintTheirSecret(t *testing.T) {
	k := store.Key{ID: "id", Secret: []byte("hidden")}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("key", "key", k)
	for _, got := range []string{fmt.Sprint(k), fmt.Sprintf("%+v", []store.Key{k}), fmt.Sprintf("%#v", k), fmt.Sprintf("%s", &k), logged.String()} {
		if strings.Contains(got, "hidden") || strings.Contains(got, fmt.Sprintf("%x", "hidden")) || strings.Contains(got, "104") {
			t.Errorf("%q tells the secret", got)
		}
		if !strings.Contains(got, "id") {
			t.Errorf("%q does not name the key", got)
		}
	}
}

func TestAskingWithTheCurrentVersionDoesNotAllocate(t *testing.T) {
	s, ctx := store.NewMemory(store.Options{}), context.Background()
	plain := put(t, s, "plain", text("x"))
	expiring := put(t, s, "expiring", store.Entry{Expires: time.Now().Add(time.Hour)})
	for topic, v := range map[pubsub.Topic]pubsub.Version{"plain": plain, "expiring": expiring} {
		n := testing.AllocsPerRun(100, func() {
			if _, err := s.Get(ctx, topic, v); err != store.ErrNotNewer {
				t.Errorf("Get(%q): %v, want ErrNotNewer", topic, err)
			}
		})
		if n != 0 {
			t.Errorf("Get(%q) allocates %v times", topic, n)
		}
	}
}

func BenchmarkMemoryPut(b *testing.B) {
	s, e := store.NewMemory(store.Options{}), store.Entry{Data: make([]byte, 200)}
	for name, topics := range map[string]int{"one topic": 1, "1000 topics": 1000} {
		b.Run(name, func(b *testing.B) {
			names := topicNames(topics)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					put(b, s, names[i%topics], e)
				}
			})
		})
	}
}

func BenchmarkMemoryGet(b *testing.B) {
	s := store.NewMemory(store.Options{})
	names := topicNames(1000)
	versions := make([]pubsub.Version, len(names))
	for i, t := range names {
		versions[i] = put(b, s, t, store.Entry{Data: make([]byte, 200)})
	}
	for name, known := range map[string]bool{"nothing newer": true, "message": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					var after pubsub.Version
					if known {
						after = versions[i%len(names)]
					}
					if _, err := s.Get(context.Background(), names[i%len(names)], after); (err == nil) == known {
						b.Errorf("Get: %v", err)
					}
				}
			})
		})
	}
}

func topicNames(n int) []pubsub.Topic {
	names := make([]pubsub.Topic, n)
	for i := range names {
		names[i] = pubsub.Topic(fmt.Sprint("topic", i))
	}
	return names
}
