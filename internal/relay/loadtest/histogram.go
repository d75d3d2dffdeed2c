package loadtest

import (
	"math"
	"math/bits"
	"time"
)

// subBuckets divides each power of two, so a percentile is at most 1/128 (0.8 %)
// above the true value.
const subBuckets = 128

// histogram counts durations in 64 octaves. The zero value is empty.
type histogram struct {
	counts [64 * subBuckets]uint64
	total  uint64
	max    int64
}

// add counts one duration in nanoseconds; a negative one counts as zero.
func (h *histogram) add(ns int64) {
	ns = max(ns, 0)
	h.counts[bucket(uint64(ns))]++
	h.total++
	h.max = max(h.max, ns)
}

func bucket(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - bits.Len64(subBuckets)
	return shift*subBuckets + int(v>>shift)
}

// ceiling is the largest value that falls into bucket i.
func ceiling(i int) int64 {
	if i < 2*subBuckets {
		return int64(i)
	}
	shift := i/subBuckets - 1
	return int64(uint64(i%subBuckets+subBuckets+1)<<shift) - 1
}

// quantile is the least duration that at least the share q of the counted ones
// do not exceed, 0 if none were counted.
func (h *histogram) quantile(q float64) time.Duration {
	want := uint64(math.Ceil(q * float64(h.total)))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= want {
			return time.Duration(min(ceiling(i), h.max))
		}
	}
	return time.Duration(h.max)
}
