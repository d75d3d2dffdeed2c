package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/relay/store/storetest"
)

func TestStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openStore(t, t.TempDir(), Options{}) })
}

// openStore opens the store in dir and closes it after the test at the latest.
func openStore(tb testing.TB, dir string, o Options) *Store {
	tb.Helper()
	s, err := Open(context.Background(), dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeStore(tb, s) })
	return s
}

func closeStore(tb testing.TB, s *Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Errorf("Close: %v", err)
	}
}

func put(tb testing.TB, s *Store, topic pubsub.Topic, e store.Entry) pubsub.Version {
	tb.Helper()
	v, err := s.Put(context.Background(), topic, e)
	if err != nil {
		tb.Errorf("Put(%q): %v", topic, err) // may run beside the test's goroutine
	}
	return v
}

func text(s string) store.Entry { return store.Entry{Data: []byte(s)} }

// wantMessage checks that the topic holds data at version v.
func wantMessage(tb testing.TB, s *Store, topic pubsub.Topic, v pubsub.Version, data string) {
	tb.Helper()
	slot, err := s.Get(context.Background(), topic, pubsub.Version{})
	switch {
	case err != nil:
		tb.Errorf("Get(%q): %v", topic, err)
	case slot.Entry == nil || slot.Version != v || string(slot.Entry.Data) != data:
		tb.Errorf("Get(%q) = %+v, want %q at %v", topic, slot, data, v)
	}
}

func TestOpenAgain(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := openStore(t, dir, Options{})
	put(t, s, "a", text("one"))
	v := put(t, s, "a", text("two"))
	expires := time.Now().Add(time.Hour)
	w := put(t, s, "b", store.Entry{Data: []byte("three"), Expires: expires})
	put(t, s, "deleted", text("x"))
	if err := s.Delete(ctx, "deleted"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"k", "gone"} {
		if err := s.Keys().Put(ctx, store.Key{ID: id, Secret: []byte("secret")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Keys().Delete(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)

	s = openStore(t, dir, Options{})
	wantMessage(t, s, "a", v, "two")
	wantMessage(t, s, "b", w, "three")
	if slot, err := s.Get(ctx, "b", pubsub.Version{}); err != nil || !slot.Entry.Expires.Equal(expires) {
		t.Errorf("Get(b) = %+v, %v, want expiry %v", slot, err, expires)
	}
	if _, err := s.Get(ctx, "deleted", pubsub.Version{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get(deleted): %v, want ErrNotFound", err)
	}
	if keys, err := s.Keys().List(ctx); err != nil || len(keys) != 1 || string(keys[0].Secret) != "secret" {
		t.Errorf("List = %v, %v, want k alone", keys, err)
	}
	if next := put(t, s, "a", text("four")); next != (pubsub.Version{Generation: v.Generation, Seq: 3}) {
		t.Errorf("version = %v after %v, want the next", next, v)
	}
}

func TestLingerGoesOnWhileClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openStore(t, dir, Options{})
		v := put(t, s, "a", store.Entry{Expires: time.Now()})
		closeStore(t, s)
		time.Sleep(pubsub.Linger - time.Minute)
		s = openStore(t, dir, Options{})
		if slot, err := s.Get(t.Context(), "a", pubsub.Version{}); err != nil || slot.Version != v || slot.Entry != nil {
			t.Errorf("Get within the linger = %+v, %v, want %v without message", slot, err, v)
		}
		closeStore(t, s)
		time.Sleep(time.Minute)
		s = openStore(t, dir, Options{})
		if _, err := s.Get(t.Context(), "a", pubsub.Version{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get after the linger: %v, want ErrNotFound", err)
		}
	})
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mode bits")
	}
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := openStore(t, dir, Options{})
	for name, want := range map[string]os.FileMode{"": 0o700, dataFile: 0o600, lockFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %q is %04o, want %04o", name, got, want)
		}
	}
	closeStore(t, s)
	if err := os.Chmod(filepath.Join(dir, dataFile), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir, Options{}); !errors.Is(err, ErrExposed) {
		t.Errorf("Open of a file the group can read: %v, want ErrExposed", err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	readOnly := filepath.Join(dir, "read-only")
	if err := os.Mkdir(readOnly, 0o500); err != nil {
		t.Fatal(err)
	}
	swapped := filepath.Join(dir, "swapped")
	if err := os.MkdirAll(filepath.Join(swapped, dataFile), 0o700); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{"a file": file, "below a file": filepath.Join(file, "x"), "a directory as data file": swapped}
	if os.Geteuid() > 0 {
		cases["a read-only directory"] = readOnly // root writes everywhere
	}
	for name, dir := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), dir, Options{})
			var corrupt *CorruptError
			if err == nil || errors.As(err, &corrupt) || errors.Is(err, ErrLocked) {
				t.Errorf("Open: %v, want what the system said", err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	s, ctx := openStore(t, t.TempDir(), Options{Limits: store.Options{MaxTopics: 2, MaxBytes: 2000, MaxKeys: 1}}), context.Background()
	wantFull := func(what string, err error) {
		t.Helper()
		var full *store.FullError
		if !errors.As(err, &full) || full.What != what {
			t.Errorf("error = %v, want that there is no room for more %s", err, what)
		}
	}
	v := put(t, s, "a", text("one"))
	put(t, s, "b", text(strings.Repeat("x", 1000)))
	_, err := s.Put(ctx, "c", text(""))
	wantFull("topics", err)
	_, err = s.Put(ctx, "a", text(strings.Repeat("x", 1000)))
	wantFull("bytes", err)
	wantMessage(t, s, "a", v, "one")
	put(t, s, "b", text("smaller")) // what shrinks the store is always welcome
	put(t, s, "a", text(strings.Repeat("x", 1000)))
	if err := s.Keys().Put(ctx, store.Key{ID: "k"}); err != nil {
		t.Fatal(err)
	}
	wantFull("keys", s.Keys().Put(ctx, store.Key{ID: "l"}))
	if err := s.Keys().Put(ctx, store.Key{ID: "k", Secret: []byte("new")}); err != nil {
		t.Errorf("replacing a key in a full ring: %v", err)
	}
}

func TestForgottenSlotsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, t.TempDir(), Options{Limits: store.Options{MaxTopics: 2}, PurgeEvery: 1000 * time.Hour})
		put(t, s, "a", store.Entry{Expires: time.Now()})
		put(t, s, "b", store.Entry{Expires: time.Now()})
		time.Sleep(pubsub.Linger)
		put(t, s, "c", text("x"))
		put(t, s, "d", text("x"))
		if _, err := s.Put(t.Context(), "e", text("x")); !errors.Is(err, store.ErrFull) {
			t.Errorf("Put: %v, want ErrFull", err)
		}
	})
}

// stall makes the committer wait inside a batch until the returned function is
// called. What is sent meanwhile forms the next batch.
func stall(t *testing.T, s *Store) (release func()) {
	t.Helper()
	held, hold := make(chan struct{}), make(chan struct{})
	go func() { // ends when released
		err := s.do(context.Background(), 0, func(*batch) error {
			close(held)
			<-hold
			return nil
		})
		if err != nil {
			t.Errorf("stalled request: %v", err)
		}
	}()
	<-held
	return func() { close(hold) }
}

func TestWaitingWritersShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, t.TempDir(), Options{})
		before, release := transactions(t, s), stall(t, s)
		const writers = 64
		seqs := make([]uint64, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { seqs[i] = put(t, s, "hot", text(fmt.Sprint(i))).Seq }) // awaited below
		}
		synctest.Wait() // all of them wait for the committer now
		release()
		wg.Wait()
		if n := transactions(t, s) - before; n != 1 {
			t.Errorf("%d commits for %d waiting writers, want 1", n, writers)
		}
		seen := map[uint64]bool{}
		for i, seq := range seqs {
			if seen[seq] || seq < 1 || seq > writers {
				t.Errorf("sequence %d given twice or out of range", seq)
			}
			seen[seq] = true
			if seq == writers {
				slot, err := s.Get(t.Context(), "hot", pubsub.Version{})
				if err != nil || string(slot.Entry.Data) != fmt.Sprint(i) {
					t.Errorf("slot = %+v, %v, want the data of the last sequence", slot, err)
				}
			}
		}
	})
}

func TestRefusalsInACommitLeaveTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, t.TempDir(), Options{Limits: store.Options{MaxTopics: 1}})
		v := put(t, s, "a", text("one"))
		release := stall(t, s)
		var wg sync.WaitGroup
		var w pubsub.Version
		var full, missing error
		wg.Go(func() { w = put(t, s, "a", text("two")) })
		wg.Go(func() { _, full = s.Put(t.Context(), "b", text("x")) })
		wg.Go(func() { missing = s.Keys().Delete(t.Context(), "k") })
		synctest.Wait()
		release()
		wg.Wait()
		if !errors.Is(full, store.ErrFull) || !errors.Is(missing, store.ErrNotFound) {
			t.Errorf("refusals = %v, %v, want ErrFull and ErrNotFound", full, missing)
		}
		if w.Seq != v.Seq+1 {
			t.Errorf("version = %v after %v, want the next", w, v)
		}
		wantMessage(t, s, "a", w, "two")
	})
}

func TestWriterGoesAwayWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, t.TempDir(), Options{})
		defer stall(t, s)()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Put(ctx, "a", text("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put: %v, want the end of the context", err)
		}
	})
}

func TestCloseRefusesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, t.TempDir(), Options{})
		release := stall(t, s)
		var wg sync.WaitGroup
		var waiting error
		wg.Go(func() { _, waiting = s.Put(t.Context(), "a", text("x")) })
		synctest.Wait() // the writer waits for the committer
		wg.Go(func() { closeStore(t, s) })
		synctest.Wait() // Close has refused it and waits for the batch under way
		release()
		wg.Wait()
		if !errors.Is(waiting, store.ErrClosed) {
			t.Errorf("Put: %v, want ErrClosed", waiting)
		}
		if _, err := s.Put(t.Context(), "a", text("x")); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Put after Close: %v, want ErrClosed", err)
		}
		closeStore(t, s)
	})
}

// TestPurgeGoesInSmallSteps lets many slots become forgotten at once and writes
// while they are removed.
func TestPurgeGoesInSmallSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const old, every = 3*purgeChunk + 7, pubsub.Linger + time.Hour
		s := openStore(t, t.TempDir(), Options{PurgeEvery: every})
		topics := restoreExpired(t, s, old)
		left := func() (n int) {
			for _, topic := range topics {
				if s.table.Find(topic) != nil {
					n++
				}
			}
			return n
		}
		time.Sleep(every)
		for done := purgeChunk; done < old; done += purgeChunk {
			synctest.Wait() // one step is done, the next comes after a pause
			if got := left(); got != old-done {
				t.Errorf("%d slots are left, want %d: a step removes %d", got, old-done, purgeChunk)
			}
			v := put(t, s, "live", text("x"))
			wantMessage(t, s, "live", v, "x")
			time.Sleep(purgePause)
		}
		synctest.Wait()
		if got := left(); got != 0 {
			t.Errorf("%d slots are left in the end", got)
		}
		closeStore(t, s)
		if s.tally.records != 1 {
			t.Errorf("the file holds %d records, want the live one", s.tally.records)
		}
	})
}

// restoreExpired stores n messages that expire at once.
func restoreExpired(t *testing.T, s *Store, n int) []pubsub.Topic {
	t.Helper()
	topics, records := make([]pubsub.Topic, n), make([]*store.Record, n)
	for i := range records {
		topics[i] = pubsub.Topic(fmt.Sprint(i))
		records[i] = &store.Record{Topic: topics[i], Entry: store.Entry{Expires: time.Now()}}
	}
	if err := s.Restore(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	return topics
}
