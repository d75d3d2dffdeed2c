package pubsub

import (
	"slices"
	"strings"
	"testing"
)

func TestPlainTopic(t *testing.T) {
	const plain = "azAZ09-._~/:@!$*(),;=?"
	if !PlainTopic(plain) {
		t.Errorf("%q is refused", plain)
	}
	for _, c := range " %&+#\"<>'[]{}^|\\`\x00\x7f\n" {
		if topic := "a" + Topic(c); PlainTopic(topic) {
			t.Errorf("%q is accepted", topic)
		}
	}
	if PlainTopic("é") {
		t.Error("a name outside ASCII is accepted")
	}
}

func TestLegalKey(t *testing.T) {
	for _, c := range []struct {
		name, key string
		want      bool
	}{
		{"plain", "r:test", true},
		{"longest", strings.Repeat("k", 1024), true},
		{"too long", strings.Repeat("k", 1025), false},
		{"empty", "", false},
		{"dot", ".", false},
		{"two dots", "..", false},
		{"three dots", "...", true},
		{"dot slash", "r:a./b", false},
		{"slash dot", "r:a/.b", true},
		{"number sign", "a#", false},
		{"semicolon", "a;", false},
		{"question mark", "a?", false},
		{"caret", "a^", false},
		{"bar", "a|", false},
		{"CR", "a\r", false},
		{"LF", "a\n", false},
		{"not UTF-8", "a\xff", false},
		{"outside ASCII", "é", true},
		{"reserved prefix", ".well-known/acme-challenge/x", false},
		{"reserved prefix elsewhere", "r:.well-known/acme-challenge/x", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LegalKey(c.key); got != c.want {
				t.Errorf("LegalKey(%q) = %t", c.key, got)
			}
		})
	}
}

func TestHazards(t *testing.T) {
	for _, c := range []struct {
		topic Topic
		want  []Hazard
	}{
		{"orders/eu-1.new", nil},
		{"", nil},
		{"a*", []Hazard{HazardWildcard}},
		{"a/+", []Hazard{HazardWildcard}},
		{"#", []Hazard{HazardWildcard, HazardStore}},
		{"a,b", []Hazard{HazardComma}},
		{"a;b", []Hazard{HazardSemicolon, HazardStore}},
		{"a:b", []Hazard{HazardColon}},
		{" a", []Hazard{HazardSpace}},
		{"a b", nil},
		{"a\x01", []Hazard{HazardControl}},
		{"é", []Hazard{HazardNonASCII}},
		{"a?", []Hazard{HazardStore}},
		{Topic(strings.Repeat("k", 1023)), []Hazard{HazardStore}},
	} {
		t.Run(string(c.topic[:min(len(c.topic), 12)]), func(t *testing.T) {
			if got := c.topic.Hazards(); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestEveryHazardIsExplained(t *testing.T) {
	seen := map[string]Hazard{Hazard(0).String(): 0}
	for h := HazardWildcard; h <= HazardStore; h++ {
		if other, dup := seen[h.String()]; dup {
			t.Errorf("hazards %d and %d read the same", h, other)
		}
		seen[h.String()] = h
	}
}

func TestGrant(t *testing.T) {
	g := Grant{Read: []string{"*", "te*", "news"}, Write: []string{""}}
	for _, c := range []struct {
		name      string
		got, want bool
	}{
		{"listed topic", g.CanRead("news"), true},
		{"item 32, a star is no wildcard", g.CanRead("test"), false},
		{"a star is a topic", g.CanRead("*"), true},
		{"case matters", g.CanRead("News"), false},
		{"reading is not writing", g.CanWrite("news"), false},
		{"empty topic when listed", g.CanWrite(""), true},
		{"an admin may do all", Grant{Admin: true}.CanRead("x") && Grant{Admin: true}.CanWrite("x"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %t", c.got)
			}
		})
	}
}
