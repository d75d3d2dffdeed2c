package ui

import (
	"slices"
	"strings"
	"sync"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// placeholder stands where a secret is to be put.
const placeholder = "VALUE"

// Secrets are values known to be secret, besides those that Redact recognises
// by their shape. The zero value and nil know none. It may be used from any
// goroutine.
type Secrets struct {
	mu     sync.RWMutex // guards the following
	values []string
}

// minSecret is the shortest value that is looked for, in bytes; shorter ones
// occur by chance.
const minSecret = 6

// Add makes value known. A value shorter than six bytes is not taken.
func (k *Secrets) Add(value string) {
	if len(value) < minSecret {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.values, value) {
		k.values = append(k.values, value)
	}
}

// Redact returns s without the secrets it knows and without those it
// recognises: JSON web tokens, the values of auth=, key=, secret=, token= and
// password= in queries, credentials behind Bearer, Basic, Fastly-Key and
// Fastly-API-Token, and words of exactly 40 lower-case hex digits, which is
// what the app's key values look like.
func (k *Secrets) Redact(s string) string {
	if k != nil {
		k.mu.RLock()
		defer k.mu.RUnlock()
		for _, value := range k.values {
			s = strings.ReplaceAll(s, value, redacted)
		}
	}
	return Redact(s)
}

// Redact is Secrets.Redact with no known values.
func Redact(s string) string {
	if !suspicious(s) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		n, label := secretAt(s, i)
		if n == 0 {
			out, i = append(out, s[i]), i+1
			continue
		}
		out = append(append(out, s[i:i+label]...), redacted...)
		i += n
	}
	return string(out)
}

// suspicious is a quick test that lets ordinary lines pass unchanged: every
// shape Redact knows has one of these, or is a long word.
func suspicious(s string) bool {
	run := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '=' || c == ':' || c == '.':
			return true
		case wordByte(c):
			if run++; run >= 40 {
				return true
			}
		case c == ' ' && run >= 5:
			return true
		default:
			run = 0
		}
	}
	return false
}

// secretAt reports whether a secret begins at s[i]: n is its length together
// with a label of label bytes that may stay. Secrets begin where words begin.
func secretAt(s string, i int) (n, label int) {
	if i > 0 && wordByte(s[i-1]) {
		return 0, 0
	}
	rest := s[i:]
	if n := jwtLen(rest); n > 0 {
		return n, 0
	}
	if n := hexKeyLen(rest); n > 0 {
		return n, 0
	}
	if label = labelLen(rest); label > 0 {
		if v := valueLen(rest[label:]); v > 0 {
			return label + v, label
		}
	}
	return 0, 0
}

// labelLen gives the length of the label at the start of s behind which a
// secret stands, with what separates the two, or 0.
func labelLen(s string) int {
	for _, l := range [...]string{"auth=", "key=", "secret=", "token=", "password=", "bearer ", "basic ",
		"fastly-key:", "fastly-key=", "fastly-api-token=", "fastly_api_token="} {
		if len(s) >= len(l) && strings.EqualFold(s[:len(l)], l) {
			return len(l) + len(s[len(l):]) - len(strings.TrimLeft(s[len(l):], " \""))
		}
	}
	return 0
}

// valueLen gives the length of the value at the start of s: up to white space,
// a quote, or what ends a query parameter. A value already redacted counts 0,
// so redacting twice changes nothing, and so does VALUE, which stands for one in
// commands that are to be completed.
func valueLen(s string) int {
	if strings.HasPrefix(s, redacted) || strings.HasPrefix(s, placeholder) && wordLen(s) == len(placeholder) {
		return 0
	}
	if n := strings.IndexAny(s, " \t\r\n\"'`&#,;<>"); n >= 0 {
		return n
	}
	return len(s)
}

// jwtLen gives the length of the JSON web token at the start of s, or 0. A
// token cut short counts from its first dot on.
func jwtLen(s string) int {
	if !strings.HasPrefix(s, "ey") {
		return 0
	}
	n, parts := 0, 0
	for ; parts < 3; parts++ {
		w := wordLen(s[n:])
		if w == 0 && parts < 2 || w < 8 && parts == 0 {
			return 0
		}
		if n += w; n >= len(s) || s[n] != '.' || parts == 2 {
			break
		}
		n++
	}
	if parts == 0 {
		return 0
	}
	return n
}

// hexKeyLen gives 40 if s starts with a word of exactly 40 lower-case hex digits.
func hexKeyLen(s string) int {
	if wordLen(s) != 40 || strings.Trim(s[:40], "0123456789abcdef") != "" {
		return 0
	}
	return 40
}

func wordLen(s string) int {
	n := 0
	for n < len(s) && wordByte(s[n]) {
		n++
	}
	return n
}

func wordByte(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
