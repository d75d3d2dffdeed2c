package ui

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Duration is a flag value: Go's form (90s, 1h30m), also with days in front (7d, 1d12h).
type Duration time.Duration

// Set reads the text of the flag; negative durations are refused.
func (d *Duration) Set(text string) error {
	v, err := ParseDuration(text)
	if err != nil {
		return err
	}
	if v < 0 {
		return errors.New("must not be negative")
	}
	*d = Duration(v)
	return nil
}

// String writes the duration as Set reads it.
func (d Duration) String() string { return FormatDuration(time.Duration(d)) }

// Type names the value in help.
func (d Duration) Type() string { return "duration" }

// D is the duration as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// ParseDuration reads a duration such as 90s, 1h30m, 7d or 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	errForm := fmt.Errorf("%q is not a duration such as 90s, 1h30m or 7d", text)
	body, negative := strings.CutPrefix(text, "-")
	var days int64
	if head, rest, ok := strings.Cut(body, "d"); ok {
		if head == "" || len(head) > 6 || strings.Trim(head, "0123456789") != "" || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
			return 0, errForm
		}
		for _, c := range head {
			days = days*10 + int64(c-'0')
		}
		if body = rest; rest == "" {
			body = "0s"
		}
	}
	part, err := time.ParseDuration(body)
	if err != nil || strings.HasPrefix(body, "-") || strings.HasPrefix(body, "+") {
		return 0, errForm
	}
	if days > int64(math.MaxInt64-part)/int64(day) {
		return 0, errForm
	}
	d := time.Duration(days)*day + part
	if negative {
		d = -d
	}
	return d, nil
}

// FormatDuration writes d briefly: 1h30m, not 1h30m0s, and days from two on.
func FormatDuration(d time.Duration) string {
	if d < 0 {
		return "-" + FormatDuration(-d)
	}
	var days string
	if d >= 2*day {
		days = fmt.Sprintf("%dd", d/day)
		if d %= day; d == 0 {
			return days
		}
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return days + s
}
