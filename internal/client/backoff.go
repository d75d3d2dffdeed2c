package client

import (
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait between attempts: full jitter, so that many
// readers cut off at once do not come back at once. The zero value waits up to
// 500 ms first, doubles that up to 30 s, and gives up after 1000 failures in a
// row, which is about four hours.
type Backoff struct {
	// Base bounds the first wait; zero means 500 ms.
	Base time.Duration
	// Max bounds every wait; zero means 30 s.
	Max time.Duration
	// Attempts is how many failures in a row end the subscription; zero means 1000.
	Attempts int
	// Random gives numbers in [0, 1); nil means a random source.
	Random func() float64
}

func (b Backoff) base() time.Duration { return orDefault(b.Base, 500*time.Millisecond) }
func (b Backoff) max() time.Duration  { return orDefault(b.Max, 30*time.Second) }
func (b Backoff) attempts() int       { return orDefault(b.Attempts, 1000) }

func orDefault[T int | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

// ceiling is the longest wait before the given attempt, counted from 1.
func (b Backoff) ceiling(attempt int) time.Duration {
	d := b.base()
	for range attempt - 1 {
		if d >= b.max()/2 {
			return b.max()
		}
		d *= 2
	}
	return min(d, b.max())
}

// wait draws the pause before the given attempt, counted from 1.
func (b Backoff) wait(attempt int) time.Duration {
	random := b.Random
	if random == nil {
		random = rand.Float64
	}
	return time.Duration(random() * float64(b.ceiling(attempt)))
}
