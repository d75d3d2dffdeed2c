package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a service that takes its time and remembers what it got.
type slow struct {
	takes          time.Duration
	fail           string // the body that is refused
	inFlight, most atomic.Int32
	got            chan string
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.most.Store(max(s.most.Load(), s.inFlight.Add(1)))
	defer s.inFlight.Add(-1)
	body, _ := io.ReadAll(r.Body)
	time.Sleep(s.takes)
	if string(body) == s.fail {
		return text(403, "Invalid token\n").answer(r), nil
	}
	s.got <- string(body)
	return text(200, "Published\n").answer(r), nil
}

// upTo makes the bodies "1" to "n".
func upTo(n int) Next {
	return func(_ context.Context, i int) ([]byte, error) {
		if i > n {
			return nil, io.EOF
		}
		return fmt.Append(nil, i), nil
	}
}

func passOn(s Sent) error { return s.Err }

func TestBatchKeepsOrderOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: time.Second, got: make(chan string, 10)}
		c := &Client{URL: "http://service.test", HTTP: s}
		var answers []int
		err := c.PublishAll(t.Context(), "t", upTo(4), BatchOptions{}, func(s Sent) error {
			answers = append(answers, s.N)
			return s.Err
		})
		close(s.got)
		if got := slices.Collect(chanValues(s.got)); err != nil || !slices.Equal(got, []string{"1", "2", "3", "4"}) || s.most.Load() != 1 {
			t.Errorf("err %v, got %q with %d in flight", err, got, s.most.Load())
		}
		if !slices.Equal(answers, []int{1, 2, 3, 4}) {
			t.Errorf("answers %v", answers)
		}
	})
}

func chanValues(ch chan string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for v := range ch {
			if !yield(v) {
				return
			}
		}
	}
}

func TestBatchHoldsItsRateWithBoundedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: time.Second, got: make(chan string, 100)}
		c := &Client{URL: "http://service.test", HTTP: s}
		began := time.Now()
		o := BatchOptions{Every: 100 * time.Millisecond, Parallel: 64}
		if err := c.PublishAll(t.Context(), "t", upTo(50), o, passOn); err != nil {
			t.Fatal(err)
		}
		// The last of 50 starts after 4.9 s and takes one more.
		if took := time.Since(began); took != 5900*time.Millisecond {
			t.Errorf("took %v, want 5.9s", took)
		}
		if m := s.most.Load(); m < 10 || m > 11 {
			t.Errorf("%d in flight, want what rate and answer time call for", m)
		}
	})
}

func TestBatchNeverExceedsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: time.Second, got: make(chan string, 100)}
		c := &Client{URL: "http://service.test", HTTP: s}
		began := time.Now()
		if err := c.PublishAll(t.Context(), "t", upTo(20), BatchOptions{Parallel: 5}, passOn); err != nil {
			t.Fatal(err)
		}
		if m := s.most.Load(); m != 5 || time.Since(began) != 4*time.Second {
			t.Errorf("%d in flight over %v, want 5 over 4s", m, time.Since(began))
		}
	})
}

func TestBatchGivesUpTimeLostToAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{got: make(chan string, 1000)}
		c := &Client{URL: "http://service.test", HTTP: s}
		var starts []time.Duration
		began := time.Now()
		next := func(_ context.Context, n int) ([]byte, error) {
			if n == 2 {
				time.Sleep(time.Minute)
			}
			starts = append(starts, time.Since(began))
			return upTo(40)(t.Context(), n)
		}
		c.PublishAll(t.Context(), "t", next, BatchOptions{Every: 100 * time.Millisecond}, passOn)
		burst := 0
		for _, at := range starts {
			if at == starts[1] {
				burst++
			}
		}
		if burst < 2 || burst > 12 {
			t.Errorf("%d messages at once after the hang, want at most a second's worth", burst)
		}
	})
}

func TestBatchStopsAtTheFirstFailureAndReportsThoseInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: time.Second, fail: "3", got: make(chan string, 100)}
		c := &Client{URL: "http://service.test", HTTP: s}
		var answers []int
		err := c.PublishAll(t.Context(), "t", upTo(1000), BatchOptions{Every: 300 * time.Millisecond, Parallel: 8}, func(s Sent) error {
			answers = append(answers, s.N)
			return s.Err
		})
		var e *Error
		if !errors.As(err, &e) || e.Reason != "invalid_token" {
			t.Errorf("err = %v, want the refusal", err)
		}
		// Number 3 starts after 0.6 s and fails at 1.6 s; 4, 5 and 6 are in flight then.
		if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(answers, want) {
			t.Errorf("answers %v, want %v", answers, want)
		}
	})
}

func TestBatchWaitingForInputEndsWithTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: time.Second, fail: "1", got: make(chan string, 100)}
		c := &Client{URL: "http://service.test", HTTP: s}
		began := time.Now()
		next := func(ctx context.Context, n int) ([]byte, error) {
			if n == 1 {
				return []byte("1"), nil
			}
			<-ctx.Done() // a terminal nobody types on
			return nil, context.Cause(ctx)
		}
		err := c.PublishAll(t.Context(), "t", next, BatchOptions{}, passOn)
		var e *Error
		if !errors.As(err, &e) || time.Since(began) != time.Second {
			t.Errorf("err = %v after %v, want the refusal at once", err, time.Since(began))
		}
	})
}

func TestBatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(2500*time.Millisecond, func() { cancel(cause) })
		c := &Client{URL: "http://service.test", HTTP: hanging{}}
		if err := c.PublishAll(ctx, "t", upTo(9), BatchOptions{Every: time.Second, Parallel: 2}, passOn); !errors.Is(err, cause) {
			t.Errorf("err = %v, want the caller's cause", err)
		}
	})
}
