package pubsub

import (
	"errors"
	"math/bits"
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

// genColumns is the width a generation is padded to in the app's text.
const genColumns = 16

// String gives the app's text, as AppendTo does.
func (v Version) String() string {
	var room [40]byte
	return string(v.AppendTo(room[:0]))
}

// AppendTo appends the app's text of v to dst: the generation in lower-case
// hex, right-aligned in 16 columns and padded with spaces, a dash, the sequence
// in decimal. ParseVersion refuses the padding (Quirk Q5).
func (v Version) AppendTo(dst []byte) []byte {
	for n := hexDigits(v.Generation); n < genColumns; n++ {
		dst = append(dst, ' ')
	}
	return v.AppendBare(dst)
}

// AppendBare appends the text of v without the padding: the form that a proxy
// hands back in Grip-Last and that ParseVersion accepts.
func (v Version) AppendBare(dst []byte) []byte {
	dst = strconv.AppendUint(dst, v.Generation, 16)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, v.Seq, 10)
}

// hexDigits is how many hex digits n takes; zero takes one.
func hexDigits(n uint64) int { return max(1, (bits.Len64(n)+3)/4) }

var errVersion = errors.New("not a version")

// ParseVersion reads a version as the app does: hex generation before the
// first dash, decimal sequence behind it, each with an optional plus sign and
// leading zeros, no white space. A generation that String padded is refused,
// and so is a number that does not fit 64 bits.
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
