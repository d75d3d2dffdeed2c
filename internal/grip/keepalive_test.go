package grip

import (
	"bytes"
	"strings"
	"testing"
)

func TestCString(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`plain`, "plain"},
		{`a\\b\r\n`, "a\\b\r\n"},
		{`\x00\xfF;`, "\x00\xff;"},
		{`a\qb`, "ab"},
		{``, ""},
	} {
		if got, err := decodeCString(tt.in); err != nil || string(got) != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
	for _, bad := range []string{`\`, `a\x`, `\x1`, `\x1g`, `\xg1`} {
		if got, err := decodeCString(bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}

func TestLenientBase64(t *testing.T) {
	for in, want := range map[string]string{
		"AAH/": "\x00\x01\xff", "!!!": "", "aGk": "hi", "aGk=": "hi", "a-G_k": "hi", "aG\nk=": "hi", "": "", "a": "",
	} {
		if got := decodeBase64(in); string(got) != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Whatever data a keep-alive holds, it can be written and read again. The other
// direction is no identity: \q yields nothing.
func FuzzCString(f *testing.F) {
	for _, s := range []string{`a\n\x3b`, " x ", "\xff\\", ";", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if data, err := decodeCString(s); err == nil && len(data) > len(s) {
			t.Errorf("%q grew to %q", s, data)
		}
		var b strings.Builder
		writeCString(&b, []byte(s))
		got, err := decodeCString(b.String())
		if err != nil || !bytes.Equal(got, []byte(s)) {
			t.Errorf("%q was written as %q and read as %q, %v", s, b.String(), got, err)
		}
		if !rawSafe(b.String()) {
			t.Errorf("%q was written as %q, which a header would change", s, b.String())
		}
	})
}
