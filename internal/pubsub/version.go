package pubsub

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Version names one stored message of a topic: the generation is drawn at
// random when the slot is created, Seq counts the writes since. The zero
// Version means none.
type Version struct {
	Generation, Seq uint64
}

// IsZero reports whether v names no stored message.
func (v Version) IsZero() bool { return v == Version{} }

// Covers reports whether a reader at v has already seen w: the same generation
// and no later write. Any other generation counts as new.
func (v Version) Covers(w Version) bool {
	return !v.IsZero() && v.Generation == w.Generation && w.Seq <= v.Seq
}

// String gives the app's text: the generation in lower-case hex, right-aligned
// in 16 columns and padded with spaces, a dash, the sequence in decimal (Quirk Q5).
func (v Version) String() string {
	return fmt.Sprintf("%16x-%d", v.Generation, v.Seq)
}

var errVersion = errors.New("not a version")

// ParseVersion reads a version as the app does: hex generation before the
// first dash, decimal sequence behind it, each with an optional plus sign and
// leading zeros, no white space. A generation that String padded is refused.
func ParseVersion(s string) (Version, error) {
	gen, seq, ok := strings.Cut(s, "-")
	if !ok {
		return Version{}, errVersion
	}
	g, err := strconv.ParseUint(strings.TrimPrefix(gen, "+"), 16, 64)
	if err != nil {
		return Version{}, errVersion
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(seq, "+"), 10, 64)
	if err != nil {
		return Version{}, errVersion
	}
	return Version{Generation: g, Seq: n}, nil
}
