package boltstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// BenchmarkPut measures acknowledged writes with one writer and with many, and
// how many of them share a commit. The disk below decides the rest.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Options{})
			before := transactions(b, s)
			b.ReportAllocs()
			b.ResetTimer()
			putAll(b, s, writers)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			b.ReportMetric(float64(b.N)/float64(transactions(b, s)-before), "puts/commit")
		})
	}
}

// putAll lets the writers store b.N messages of 200 bytes together.
func putAll(b *testing.B, s *Store, writers int) {
	message := text(string(make([]byte, 200)))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() { // awaited below
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				topic := pubsub.Topic(fmt.Sprint("topic", n%1000))
				if _, err := s.Put(context.Background(), topic, message); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func transactions(tb testing.TB, s *Store) (n int) {
	tb.Helper()
	err := s.db.View(func(tx *bolt.Tx) error {
		n = tx.ID()
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// BenchmarkOpen measures the checks of a file of ten thousand messages.
func BenchmarkOpen(b *testing.B) {
	dir, message := b.TempDir(), text(string(make([]byte, 200)))
	s := openStore(b, dir, Options{})
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() { // awaited below
			for i := range 10_000 / 64 {
				put(b, s, pubsub.Topic(fmt.Sprint(w, "/", i)), message)
			}
		})
	}
	wg.Wait()
	closeStore(b, s)
	b.ResetTimer()
	for b.Loop() {
		closeStore(b, openStore(b, dir, Options{}))
	}
}
