package pubsub

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Queries are read in two ways (pubsub-app contract, 2.4): the topics of an
// event stream are form-decoded, everything else is taken as it stands. A
// server applies NormalizeQuery first, then reads the result with either.

// RawParam returns the value of the first parameter called name, exactly as it
// stands in the query: nothing is decoded (Quirks Q6, Q7). A name without an
// equals sign does not count as present.
func RawParam(rawQuery, name string) (string, bool) {
	for piece := range strings.SplitSeq(rawQuery, "&") {
		if key, value, ok := strings.Cut(piece, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// QueryTopics returns the topics an event stream asks for: the form-decoded
// values of all topic parameters, distinct, in ascending byte order. It is nil
// if there is no such parameter; a topic without a value is the empty topic.
// How many topics there may be is for the caller to check.
func QueryTopics(rawQuery string) []Topic {
	var topics []Topic
	for piece := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(piece, "=")
		if piece == "" || formDecode(key) != "topic" {
			continue
		}
		topics = append(topics, Topic(formDecode(value)))
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// formDecode undoes form encoding. A percent sign without two hex digits
// behind it stands for itself; bytes that are not UTF-8 become U+FFFD.
func formDecode(s string) string {
	if strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '+') >= 0 {
		s = string(unescape(s))
	}
	if utf8.ValidString(s) {
		return s
	}
	return replaceInvalid(s)
}

func unescape(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return out
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// replaceInvalid puts one U+FFFD in place of each piece that is not UTF-8. A
// sequence that begins well and breaks off is one piece, as the Encoding
// Standard has it; strings.ToValidUTF8 would join neighbouring pieces.
func replaceInvalid(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			size = brokenLen(s)
		}
		b.WriteRune(r)
		s = s[size:]
	}
	return b.String()
}

// brokenLen is the length of the broken sequence s begins with: as many bytes
// as could still have become a character, at least one.
func brokenLen(s string) int {
	n := 1
	for n < min(len(s), utf8.UTFMax) && couldContinue(s[:n+1]) {
		n++
	}
	return n
}

// couldContinue reports whether some valid character is longer than prefix and
// begins with it. Filling up with the least and with the greatest continuation
// bytes finds one if there is one, because the valid second bytes of any lead
// byte form a range that touches 0x80 or 0xBF.
func couldContinue(prefix string) bool {
	for _, fill := range []string{"\x80\x80\x80", "\xBF\xBF\xBF"} {
		for more := 1; len(prefix)+more <= utf8.UTFMax; more++ {
			_, size := utf8.DecodeRuneInString(prefix + fill[:more])
			if size == len(prefix)+more {
				return true
			}
		}
	}
	return false
}

// NormalizeQuery percent-encodes what a URL parser of the WHATWG kind encodes in
// a query: space, double and single quote, angle brackets, number sign,
// controls and everything outside ASCII. All else stays as it was sent.
func NormalizeQuery(rawQuery string) string {
	first := strings.IndexFunc(rawQuery, func(r rune) bool { return r >= utf8.RuneSelf || needsEscape(byte(r)) })
	if first < 0 {
		return rawQuery
	}
	const digits = "0123456789ABCDEF"
	out := append(make([]byte, 0, len(rawQuery)+16), rawQuery[:first]...)
	for i := first; i < len(rawQuery); i++ {
		if c := rawQuery[i]; needsEscape(c) {
			out = append(out, '%', digits[c>>4], digits[c&0xF])
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

func needsEscape(c byte) bool {
	return c <= ' ' || c >= 0x7F || c == '"' || c == '\'' || c == '<' || c == '>' || c == '#'
}
