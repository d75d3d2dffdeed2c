package ui

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Escape makes s safe to show on a terminal, on one line: control characters
// (C0, DEL, C1), line and paragraph separators, characters that change the
// direction of text or do not print, and bytes that are not UTF-8 become
// visible escapes (\n, \x1b, \u202e). Printable text of any script is kept, a
// backslash too, so the result is for eyes and cannot be decoded.
func Escape(s string) string {
	if plain(s) {
		return s
	}
	return string(AppendEscaped(make([]byte, 0, len(s)+16), s, false))
}

// EscapeLines is Escape for text of several lines: line feeds and tabs are kept.
func EscapeLines(s string) string {
	return string(AppendEscaped(make([]byte, 0, len(s)+16), s, true))
}

// AppendEscaped appends s to dst as Escape or, if lines is set, as EscapeLines
// would write it.
func AppendEscaped[T ~string | ~[]byte](dst []byte, s T, lines bool) []byte {
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b < 0x7f || lines && (b == '\n' || b == '\t') {
			dst, i = append(dst, b), i+1
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		if r == utf8.RuneError && n <= 1 {
			dst, i = fmt.Appendf(dst, `\x%02x`, b), i+1
			continue
		}
		dst, i = appendRune(dst, r), i+n
	}
	return dst
}

// plain reports whether s is printable ASCII, the case worth being fast.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func appendRune(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\r':
		return append(dst, `\r`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r < ' ' || r == 0x7f:
		return fmt.Appendf(dst, `\x%02x`, r)
	case shown(r):
		return utf8.AppendRune(dst, r)
	case r > 0xffff:
		return fmt.Appendf(dst, `\U%08x`, r)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
}

// shown reports whether a terminal shows r as itself. The two joiners are
// invisible but build letters and emoji, and cannot reorder anything.
func shown(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return unicode.IsGraphic(r) || r == nonJoiner || r == joiner
}
