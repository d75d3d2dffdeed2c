package tail

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestCleanSpellsOutWhatCannotBeSeen(t *testing.T) {
	for in, want := range map[string]string{
		"plain":               "plain",
		"\x1b[31m":            `\x1b[31m`,
		"a\u200db\u200cc":     `a\u200db\u200cc`,
		"\u202e":              `\u202e`,
		"\u0301x":             `\u0301x`,
		"e\u0301":             "e\u0301",
		"e\u0301\u0302\u0303": "e\u0301\u0302" + `\u0303`,
		"漢字":                  "漢字",
		"❤\ufe0f":             "❤" + `\ufe0f`,
		"👍🏽":                  "👍" + `\U0001f3fd`,
		"🇩🇪":                  `\U0001f1e9\U0001f1ea`,
		"\xff\u00a0":          `\xff\u00a0`,
		"हिन्दी":              "हिन्दी",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestFitIsExact(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"abc", 5, "abc  "}, {"abcdef", 5, "abcd…"}, {"漢字漢字", 5, "漢字…"}, {"漢字漢字", 4, "漢… "}, {"漢字", 1, " "}, {"abc", 0, ""}, {"", 2, "  "},
	} {
		if got := fit(c.in, c.width, "…"); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
	if got := fitRight("12", 4, ""); got != "  12" {
		t.Errorf("fitRight gives %q", got)
	}
}

func TestPreviewLooksAtTheStartOnly(t *testing.T) {
	long := []byte(strings.Repeat("漢", 20_000))
	if got := preview(long, 11, "…"); got != "漢漢漢漢漢…" {
		t.Errorf("got %q", got)
	}
	if n := testing.AllocsPerRun(20, func() { preview(long, 80, "…") }); n > 20 {
		t.Errorf("%v allocations for 80 columns", n)
	}
}

func TestWrapKeepsEverything(t *testing.T) {
	for _, in := range []string{"", "short", strings.Repeat("x", 25), "漢字漢字漢字漢字漢字x"} {
		lines := wrap(in, 7)
		if strings.Join(lines, "") != in {
			t.Errorf("%q becomes %q", in, lines)
		}
		for _, l := range lines {
			if columns(l) > 7 {
				t.Errorf("%q is too wide", l)
			}
		}
	}
}

// FuzzClean compares our widths with those of the renderer, in both of its ways
// of counting: a text may be narrower on a terminal that counts graphemes, which
// shifts nothing as payloads are at the right, but never wider.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"abc", "\x1b]0;x\x07", "e\u0301\u200d", "漢字", "👨\u200d👩\u200d👧", "🇩🇪🇫🇷", "❤\ufe0f", "\u1100\u1161\u11a8", "क्षि", "\u00ad\u2028", "a\u0488", "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := clean(s)
		if n := columns(c); n != ansi.StringWidthWc(c) || ansi.StringWidth(c) > n {
			t.Errorf("%q becomes %q: %d columns, the renderer says %d and %d", s, c, n, ansi.StringWidthWc(c), ansi.StringWidth(c))
		}
		if strings.ContainsFunc(c, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || disputed(r) }) {
			t.Errorf("%q becomes %q", s, c)
		}
		for width := range 12 {
			if n := columns(fit(c, width, "…")); n != width {
				t.Errorf("fit(%q, %d) has %d columns", c, width, n)
			}
		}
	})
}

func TestIndexFold(t *testing.T) {
	for _, c := range []struct {
		data, text string
		want       int
	}{
		{"Hello World", "world", 6}, {"Hello World", "World", 6}, {"hello world", "World", -1}, {"aab", "ab", 1}, {"", "a", -1}, {"a", "", 0}, {"ÄÖ", "ö", 2}, {"abc", "abcd", -1},
	} {
		if got := indexOf([]byte(c.data), c.text); got != c.want {
			t.Errorf("indexOf(%q, %q) = %d, want %d", c.data, c.text, got, c.want)
		}
	}
}
