package hub

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever is set, removed and slept through, a timer fires within one step of
// its time, or before if it is further off than the wheel turns.
func TestWheelFiresInTime(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var w wheel[string]
		due := map[*Member[string]]int64{}
		var now int64
		for range 2000 {
			switch rng.IntN(4) {
			case 0, 1:
				m := new(Member[string])
				due[m] = now + rng.Int64N(int64(150*time.Second))
				w.set(m, due[m], now)
			case 2:
				for m := range due {
					w.remove(m)
					delete(due, m)
					break
				}
			}
			wait := w.next(now)
			if (wait < 0) != (len(due) == 0) {
				t.Fatalf("seed %d: the wheel waits %d for %d timers", seed, wait, len(due))
			}
			switch {
			case wait < 0:
				now += rng.Int64N(int64(time.Minute))
			case rng.IntN(3) == 0:
				now += rng.Int64N(wait + 1) // woken by something else
			default:
				now += wait + rng.Int64N(int64(5*time.Millisecond))
			}
			for _, m := range w.expired(nil, now) {
				want, ok := due[m]
				if !ok {
					t.Fatalf("seed %d: a removed timer fired", seed)
				}
				if want > now {
					w.set(m, want, now) // what fire does with one that came early
					continue
				}
				if late := now - want; late > wheelStep+int64(10*time.Millisecond) {
					t.Fatalf("seed %d: a timer fired %v late", seed, time.Duration(late))
				}
				delete(due, m)
			}
			for _, at := range due {
				if at < now-wheelStep-int64(10*time.Millisecond) {
					t.Fatalf("seed %d: a timer has not fired for %v", seed, time.Duration(now-at))
				}
			}
		}
	}
}
