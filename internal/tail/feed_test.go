package tail

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// talkative says so many messages, one per pause, and then waits.
type talkative struct {
	silent
	count int
	pause time.Duration
}

func (s *talkative) Follow(ctx context.Context, _ Subscription, fn func(client.Event) error) error {
	data := []byte("message 000000")
	for i := range s.count {
		copy(data[8:], fmt.Sprintf("%06d", i)) // as a client reuses its buffer
		if err := fn(client.Event{Kind: client.KindMessage, Message: client.Message{Data: data}}); err != nil {
			return err
		}
		if s.pause > 0 {
			time.Sleep(s.pause)
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// feeding runs a subscription in a bubble.
func feeding(t *testing.T, s Service, do func(f *feeds)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFeeds(ctx, s)
		f.start(1, Subscription{})
		do(f)
		cancel()
		f.wait()
		if f.next()() != nil {
			t.Error("there is a batch after the end")
		}
	})
}

func TestBatchIsWhatComesWithinAFrame(t *testing.T) {
	feeding(t, &talkative{count: 100, pause: 10 * time.Millisecond}, func(f *feeds) {
		began := time.Now()
		batch := f.next()().(batchMsg)
		if n, took := len(batch), time.Since(began); n != 4 || took != frame {
			t.Errorf("%d messages within %v, want those of 0, 10, 20 and 30 ms", n, took)
		}
	})
}

func TestBatchIsBounded(t *testing.T) {
	feeding(t, &talkative{count: 5000}, func(f *feeds) {
		for n := 0; n < 5000; {
			began := time.Now()
			batch := f.next()().(batchMsg)
			if len(batch) > maxBatch || len(batch) == maxBatch && time.Since(began) != 0 {
				t.Fatalf("%d messages after %v", len(batch), time.Since(began))
			}
			for _, h := range batch {
				if want := fmt.Sprintf("message %06d", n); string(h.event.Message.Data) != want || h.feed != 1 {
					t.Fatalf("got %q of feed %d, want %q", h.event.Message.Data, h.feed, want)
				}
				n++
			}
		}
	})
}

func TestSlowScreenSlowsTheReader(t *testing.T) {
	feeding(t, &talkative{count: 1 << 20}, func(f *feeds) {
		synctest.Wait()
		if n := len(f.events); n != ahead {
			t.Errorf("%d events wait, want %d", n, ahead)
		}
	})
}

func TestEndedSubscriptionLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := newFeeds(ctx, &talkative{count: 1 << 20})
		f.start(7, Subscription{})
		synctest.Wait()
		f.end(7)
		f.wait() // although its events were never read
	})
}
