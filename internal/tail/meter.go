package tail

import (
	"math/bits"
	"time"
)

// history is how many seconds a meter remembers.
const history = 64

// meter counts messages per second, so that a rate and its recent past can be
// shown. The zero meter has counted nothing.
type meter struct {
	count   uint64
	bytes   uint64
	peak    uint32
	current int64 // the second that is being counted, in Unix time
	seconds [history]uint32
	volumes [history]uint64
}

func (m *meter) add(at time.Time, size int) {
	m.turn(at)
	i := m.current % history
	m.seconds[i]++
	m.volumes[i] += uint64(size)
	m.count++
	m.bytes += uint64(size)
}

// turn makes the second of now the current one. A clock that goes back counts
// into the current second.
func (m *meter) turn(now time.Time) {
	s := now.Unix()
	if m.current == 0 {
		m.current = s
	}
	for n := min(s-m.current, history); n > 0; n-- {
		i := (s - n) % history
		m.peak = max(m.peak, m.seconds[i])
		next := (s - n + 1) % history
		m.seconds[next], m.volumes[next] = 0, 0
	}
	m.current = max(m.current, s)
}

// ago gives the count of the second that was complete n seconds ago; n from 0.
func (m *meter) ago(n int) uint32 {
	if m.current == 0 || n >= history-1 {
		return 0
	}
	return m.seconds[(m.current-1-int64(n)+history)%history]
}

// rate is the count of the last complete second.
func (m *meter) rate() uint32 { return m.ago(0) }

// volume is the bytes of the last complete second.
func (m *meter) volume() uint64 {
	if m.current == 0 {
		return 0
	}
	return m.volumes[(m.current-1+history)%history]
}

// spark draws the last n complete seconds, oldest first, against their highest.
func (m *meter) spark(n int, glyphs bool) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	blank := ' '
	if !glyphs {
		levels = []rune(".:-=+*#@")
	}
	var top uint32
	for i := range n {
		top = max(top, m.ago(i))
	}
	out := make([]rune, n)
	for i := range n {
		v := m.ago(n - 1 - i)
		switch {
		case v == 0:
			out[i] = blank
		default:
			out[i] = levels[(uint64(v)*uint64(len(levels)-1)+uint64(top)-1)/uint64(top)]
		}
	}
	return string(out)
}

// subBuckets is how finely a histogram divides each power of two: to 6 %.
const subBuckets = 16

// histogram holds a distribution of whole numbers in fixed memory.
type histogram struct {
	count  uint64
	max    uint64
	counts [64 * subBuckets]uint32
}

func (h *histogram) add(v uint64) {
	h.count++
	h.max = max(h.max, v)
	h.counts[bucket(v)]++
}

func bucket(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 5 // leaves 16 to 31
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// quantile gives a value that the share q of all does not exceed, never more
// than the largest seen.
func (h *histogram) quantile(q float64) uint64 {
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); n > 0 && seen > rank {
			return min(h.max, ceiling(i))
		}
	}
	return h.max
}

// ceiling is the largest value of a bucket.
func ceiling(i int) uint64 {
	if i < 2*subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	return uint64(i%subBuckets+subBuckets+1)<<shift - 1
}
