package tail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// maxMarks is how many combining marks a character keeps; more of them would be
// drawn over the lines above and below.
const maxMarks = 2

// clean makes s safe to show on one line. Beyond ui.Escape it also spells out
// what is invisible or has no width that all terminals agree on: joiners,
// variation selectors, skin tones, flag letters, and marks without a base.
func clean(s string) string {
	if isASCII(s) {
		return s
	}
	escaped := ui.Escape(s)
	if isASCII(escaped) {
		return escaped
	}
	out, marks := make([]byte, 0, len(escaped)+16), maxMarks // nothing to combine with at the start
	for _, r := range escaped {
		combines := r >= 0x300 && runeColumns(r) == 0
		switch {
		case disputed(r), combines && marks >= maxMarks:
			out = appendSpelled(out, r)
			marks = maxMarks
		case combines:
			out = utf8.AppendRune(out, r)
			marks++
		default:
			out = utf8.AppendRune(out, r)
			marks = 0
		}
	}
	return string(out)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// disputed reports whether terminals disagree about the width of r, or of what
// is before it.
func disputed(r rune) bool {
	switch {
	case r < 0x300:
		return r == 0xa0 || r == 0xad // a space that is none, a hyphen that may be none
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zs, r) && r != 0x3000,
		r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef, // variation selectors
		r >= 0x1f3fb && r <= 0x1f3ff, r >= 0x1f1e6 && r <= 0x1f1ff, // skin tones, flag letters
		r >= 0x1160 && r <= 0x11ff, r >= 0xd7b0 && r <= 0xd7ff, // Hangul parts that join
		r == 0x115f, r == 0x3164, r == 0xffa0, r == 0x2800, // blank letters
		unicode.Is(unicode.Co, r):
		return true
	}
	return false
}

func appendSpelled(out []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	digits, mark := 4, `\u`
	if r > 0xffff {
		digits, mark = 8, `\U`
	}
	out = append(out, mark...)
	for i := digits - 1; i >= 0; i-- {
		out = append(out, hex[r>>(4*i)&0xf])
	}
	return out
}

// runeColumns is how many columns r takes, as the renderer counts them.
func runeColumns(r rune) int {
	switch { // what is common is spared the look-up, which allocates
	case r < 0x7f:
		return 1
	case r >= 0x3041 && r <= 0x3096, r >= 0x30a1 && r <= 0x30ff, r >= 0x4e00 && r <= 0x9fff, r >= 0xac00 && r <= 0xd7a3:
		return 2
	}
	return ansi.StringWidthWc(string(r))
}

// columns is the width of text that was cleaned.
func columns(s string) int {
	if isASCII(s) {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// head gives the longest start of s that fits, and its width.
func head(s string, width int) (string, int) {
	if isASCII(s) {
		n := min(len(s), max(0, width))
		return s[:n], n
	}
	used := 0
	for i, r := range s {
		w := runeColumns(r)
		if used+w > width {
			return s[:i], used
		}
		used += w
	}
	return s, used
}

// cut shortens s to the width; more stands for what is gone.
func cut(s string, width int, more string) string {
	whole, _ := head(s, width)
	if len(whole) == len(s) {
		return s
	}
	room := width - columns(more)
	if room < 1 {
		return whole
	}
	short, _ := head(s, room)
	return short + more
}

// fit cuts or pads s to exactly the width.
func fit(s string, width int, more string) string {
	s = cut(s, width, more)
	return s + spaces(width-columns(s))
}

// fitRight is fit with the text at the right.
func fitRight(s string, width int, more string) string {
	s = cut(s, width, more)
	return spaces(width-columns(s)) + s
}

func spaces(n int) string { return strings.Repeat(" ", max(0, n)) }

// preview is the start of a payload as one line of at most width columns. What
// it costs depends on the width, not on the payload.
func preview(data []byte, width int, more string) string {
	const perColumn = utf8.UTFMax * (1 + maxMarks)
	limit := (width + 1) * perColumn
	if len(data) > limit {
		data = data[:limit]
		for range utf8.UTFMax - 1 { // not in the middle of a character
			if r, _ := utf8.DecodeLastRune(data); r != utf8.RuneError {
				break
			}
			data = data[:len(data)-1]
		}
	}
	return cut(clean(string(data)), width, more)
}

// wrap breaks cleaned text into lines of at most width columns.
func wrap(s string, width int) []string {
	width = max(2, width) // a wide character needs two
	var lines []string
	for {
		part, _ := head(s, width)
		if len(part) == len(s) || part == "" {
			return append(lines, s)
		}
		lines, s = append(lines, part), s[len(part):]
	}
}

// isBinary reports whether a payload is not text: not UTF-8, or with control
// characters other than white space.
func isBinary(data []byte) bool {
	if !utf8.Valid(data) {
		return true
	}
	for _, b := range data {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != 0x1b || b == 0x7f {
			return true
		}
	}
	return false
}
