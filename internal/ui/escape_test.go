package ui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct{ rule, in, want string }{
		{"plain text is kept", "hello, world ~", "hello, world ~"},
		{"line ends and tabs show", "a\r\n\tb", `a\r\n\tb`},
		{"escape sequences show", "\x1b[31mred", `\x1b[31mred`},
		{"NUL and DEL show", "\x00\x7f", `\x00\x7f`},
		{"C1 controls show", "\u009b1m", `\u009b1m`},
		{"text direction shows", "a\u202eb\u2066c\u200f\u061c", `a\u202eb\u2066c\u200f\u061c`},
		{"line separators show", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"a byte order mark shows", "\ufeffx", `\ufeffx`},
		{"bytes that are not UTF-8 show", "a\xff\xc0b", `a\xff\xc0b`},
		{"a cut rune shows", "\xe2\x82", `\xe2\x82`},
		{"the replacement character is text", "\ufffd", "\ufffd"},
		{"scripts are kept", "Grüße 日本語 שלום", "Grüße 日本語 שלום"},
		{"joined emoji are kept", "👩‍💻", "👩‍💻"},
		{"tag characters show", "\U000e0041", `\U000e0041`},
		{"a backslash is kept", `a\n`, `a\n`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := Escape(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestEscapeLinesKeepsLayout(t *testing.T) {
	if got := EscapeLines("a\n\tb\x1b\r\n"); got != "a\n\tb\\x1b\\r\n" {
		t.Errorf("got %q", got)
	}
}

func FuzzEscapeIsSafe(f *testing.F) {
	f.Add("a\x1b\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		out := Escape(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q is not UTF-8", out)
		}
		for _, r := range out {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%q lets %U through", out, r)
			}
		}
		if Escape(out) != out {
			t.Errorf("escaping %q twice changes it", in)
		}
		if string(AppendEscaped(nil, []byte(in), false)) != out {
			t.Errorf("bytes and text of %q differ", in)
		}
	})
}

const jwt = "eyJhbGciOiJIUzI1NiIsImtpZCI6InRlc3QifQ.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"

func TestRedact(t *testing.T) {
	key := strings.Repeat("0123456789abcdef", 3)[:40]
	for _, c := range []struct{ rule, in, want string }{
		{"ordinary text is kept", "listening on 127.0.0.1:7999 (sse)", "listening on 127.0.0.1:7999 (sse)"},
		{"a token", "got " + jwt + " here", "got [redacted] here"},
		{"a token without a signature", "x eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "x [redacted]"},
		{"a token cut short", jwt[:60], "[redacted]"},
		{"auth in an address", "GET /events?topic=a&auth=abc&x=1", "GET /events?topic=a&auth=[redacted]&x=1"},
		{"key in an address", "http://h/?key=abc&iss=b", "http://h/?key=[redacted]&iss=b"},
		{"a bearer credential", "Authorization: Bearer abc123", "Authorization: Bearer [redacted]"},
		{"whatever the case", "authorization: bearer abc", "authorization: bearer [redacted]"},
		{"a basic credential", "Basic dXNlcjpwYXNz", "Basic [redacted]"},
		{"a Fastly-Key", "Fastly-Key: abc, x", "Fastly-Key: [redacted], x"},
		{"an environment variable", "FASTLY_API_TOKEN=abc", "FASTLY_API_TOKEN=[redacted]"},
		{"a place for one", "export FASTLY_API_TOKEN=VALUE", "export FASTLY_API_TOKEN=VALUE"},
		{"no more than that", "token=VALUEofit token=VALUE-1", "token=[redacted] token=[redacted]"},
		{"a quoted value", `token="abc"`, `token="[redacted]"`},
		{"a key value of the app", "value " + key, "value [redacted]"},
		{"not a longer number", "value " + key + "0", "value " + key + "0"},
		{"not part of a word", "monkey=1 author=2", "monkey=1 author=2"},
		{"a header without a value", "Bearer ", "Bearer "},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := Redact(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSecretsKnowValues(t *testing.T) {
	var s Secrets
	s.Add("correct horse")
	s.Add("short")
	s.Add("correct horse")
	if got := s.Redact("my correct horse is short"); got != "my [redacted] is short" {
		t.Errorf("got %q", got)
	}
	if got := (*Secrets)(nil).Redact("Bearer x"); got != "Bearer [redacted]" {
		t.Errorf("no known secrets: got %q", got)
	}
}

func FuzzRedactSettles(f *testing.F) {
	f.Add("auth=a&key=" + jwt)
	f.Add("bearer  \"x\"")
	f.Fuzz(func(t *testing.T, in string) {
		once := Redact(in)
		if Redact(once) != once {
			t.Errorf("redacting %q twice gives %q", once, Redact(once))
		}
		if strings.Contains(Redact(in+" "+jwt), jwt) {
			t.Errorf("a token behind %q is kept", in)
		}
	})
}
