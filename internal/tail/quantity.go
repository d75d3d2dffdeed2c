package tail

import (
	"fmt"
	"strconv"
)

// grouped writes n with commas between thousands.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// shortCount writes n in at most five columns.
func shortCount(n uint64) string {
	switch {
	case n < 10_000:
		return strconv.FormatUint(n, 10)
	case n < 1_000_000:
		return strconv.FormatUint(n/1000, 10) + "k"
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + "M"
}

// shortSize writes a number of bytes in at most four columns.
func shortSize(n uint64) string {
	switch {
	case n < 1000:
		return strconv.FormatUint(n, 10)
	case n < 10<<10:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + "K"
	case n < 1000<<10:
		return strconv.FormatUint(n>>10, 10) + "K"
	case n < 10<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + "M"
	}
	return strconv.FormatUint(n>>20, 10) + "M"
}

// sizeText writes a number of bytes for reading.
func sizeText(n uint64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 10_000:
		return grouped(n) + " bytes"
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// delayText writes microseconds.
func delayText(us uint64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%.2f ms", float64(us)/1000)
	case us < 1_000_000:
		return fmt.Sprintf("%.1f ms", float64(us)/1000)
	}
	return fmt.Sprintf("%.1f s", float64(us)/1e6)
}
