package ui

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a flag value: a number of bytes, plain or with a unit (512, 32KiB,
// 1.5MB). The units are powers of 1024 (KiB MiB GiB) and of 1000 (kB MB GB).
type Size int64

// Set reads the text of the flag.
func (s *Size) Set(text string) error {
	unit := strings.TrimLeft(text, "0123456789.")
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, unit), 64)
	factor := unitBytes(strings.TrimSpace(unit))
	if err != nil || factor == 0 || n*factor > math.MaxInt64/2 {
		return fmt.Errorf("%q is not a size such as 512, 32KiB or 1MB", text)
	}
	*s = Size(n * factor)
	return nil
}

func unitBytes(unit string) float64 {
	switch strings.ToLower(unit) {
	case "", "b":
		return 1
	case "kb", "k":
		return 1e3
	case "kib":
		return 1 << 10
	case "mb", "m":
		return 1e6
	case "mib":
		return 1 << 20
	case "gb", "g":
		return 1e9
	case "gib":
		return 1 << 30
	}
	return 0
}

// String writes the size as Set reads it, in the largest binary unit that needs
// no fraction.
func (s Size) String() string {
	for _, u := range [...]struct {
		name string
		of   Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.of && s%u.of == 0 {
			return strconv.FormatInt(int64(s/u.of), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Type names the value in help.
func (s Size) Type() string { return "size" }

// Rate is a flag value: so many per time (100/s, 10/m, 5/h; 100 alone is per
// second). The zero Rate is not set.
type Rate struct {
	count float64
	per   time.Duration
}

// Set reads the text of the flag; a rate must be above zero.
func (r *Rate) Set(text string) error {
	head, unit, ok := strings.Cut(text, "/")
	per := time.Second
	if ok {
		per = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}[unit]
	}
	n, err := strconv.ParseFloat(head, 64)
	if err != nil || per == 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return fmt.Errorf("%q is not a rate such as 100/s or 5/m", text)
	}
	if n <= 0 || n > 1e9 {
		return errors.New("must be above 0, and not above 1000000000")
	}
	*r = Rate{count: n, per: per}
	return nil
}

// String writes the rate as Set reads it.
func (r Rate) String() string {
	if r.per == 0 {
		return ""
	}
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h", day: "d"}[r.per]
	return strconv.FormatFloat(r.count, 'g', -1, 64) + "/" + unit
}

// Type names the value in help.
func (r Rate) Type() string { return "rate" }

// IsSet reports whether a rate was given.
func (r Rate) IsSet() bool { return r.per != 0 }

// Every is the time between two events at this rate; 0 if none is set.
func (r Rate) Every() time.Duration {
	if r.per == 0 {
		return 0
	}
	return time.Duration(float64(r.per) / r.count)
}
