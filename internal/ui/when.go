package ui

import (
	"fmt"
	"strings"
	"time"
)

// When is a flag value: a moment in RFC 3339, or one relative to now such as
// -10m, +1h or +7d. The zero When is not set.
type When struct {
	text  string
	at    time.Time
	ahead time.Duration
}

// Set reads the text of the flag.
func (w *When) Set(text string) error {
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		d, err := ParseDuration(strings.TrimPrefix(text, "+"))
		if err != nil || strings.HasPrefix(text, "+-") {
			return fmt.Errorf("%q is not a time such as 2026-01-02T15:04:05Z, -10m or +1h", text)
		}
		*w = When{text: text, ahead: d}
		return nil
	}
	if text == "now" {
		*w = When{text: text}
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%q is not a time such as 2026-01-02T15:04:05Z, -10m or +1h", text)
	}
	*w = When{text: text, at: at}
	return nil
}

// String is the text that was set.
func (w When) String() string { return w.text }

// Type names the value in help.
func (w When) Type() string { return "time" }

// IsSet reports whether a moment was given.
func (w When) IsSet() bool { return w.text != "" }

// At gives the moment, with now as what relative ones refer to.
func (w When) At(now time.Time) time.Time {
	if !w.at.IsZero() {
		return w.at
	}
	return now.Add(w.ahead)
}

// FormatTime writes t for people: local, with its zone.
func FormatTime(t time.Time) string {
	return t.Local().Format("2006-01-02 15:04:05 MST")
}
