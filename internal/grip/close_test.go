package grip

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClose(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		code          int
		reason        string
	}{
		{"20 code and reason", "\x03\xe9bye", 1001, "bye"},
		{"28 no content", "", 0, ""},
		{"28 code 0", "\x00\x00", 0, ""},
		{"28 application code", "\x0f\xa2zz", 4002, "zz"},
	} {
		code, reason, err := ParseClose([]byte(tt.content))
		if err != nil || code != tt.code || reason != tt.reason {
			t.Errorf("%s: got %d, %q, %v", tt.name, code, reason, err)
		}
		if tt.content == "" {
			continue
		}
		if got := string(AppendClose(nil, code, reason)); got != tt.content {
			t.Errorf("%s: wrote %q, want %q", tt.name, got, tt.content)
		}
	}
	if code, reason, err := ParseClose([]byte{3}); err == nil {
		t.Errorf("a single byte: got %d, %q, want an error", code, reason)
	}
}

func TestLegalClose(t *testing.T) {
	for _, code := range []int{1000, 1001, 1003, 1007, 1011, 1014, 1016, 3000, 4999, 65535} {
		if got, ok := LegalClose(code); got != code || !ok {
			t.Errorf("%d: got %d, %v, want it unchanged", code, got, ok)
		}
	}
	for _, code := range []int{-1, 0, 1, 999, 1004, 1005, 1006, 1015, 65536, 1 << 40} {
		if got, ok := LegalClose(code); got != 1000 || ok {
			t.Errorf("%d: got %d, %v, want 1000, false", code, got, ok)
		}
	}
}

func TestAppendCloseBoundsTheReason(t *testing.T) {
	for _, reason := range []string{strings.Repeat("x", 124), strings.Repeat("é", 100), strings.Repeat("\xffx", 100), strings.Repeat("世", 41) + "y"} {
		content := AppendClose(nil, 1000, reason)
		if len(content) > 125 || len(content) < 122 || !utf8.Valid(content[2:]) {
			t.Errorf("%.10q…: wrote %d bytes, valid %v; want 122 to 125 of UTF-8", reason, len(content), utf8.Valid(content[2:]))
		}
	}
	if got := string(AppendClose(nil, 1000, "a\xffb")); got != "\x03\xe8a\ufffdb" {
		t.Errorf("a byte that is no UTF-8: got %q", got)
	}
}
