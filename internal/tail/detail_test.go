package tail

import (
	"strings"
	"testing"
)

func plain(lines []detailLine) string { return strings.Join(texts(lines), "\n") }

func TestPrettyKeepsOrderNumbersAndDuplicates(t *testing.T) {
	in := `{"b":1.50,"a":12345678901234567890,"b":[],"c":{},"d":[true,null,"<&>\u001b"]}`
	want := "{\n  \"b\": 1.50,\n  \"a\": 12345678901234567890,\n  \"b\": [],\n  \"c\": {},\n  \"d\": [\n    true,\n    null,\n    \"<&>\\u001b\"\n  ]\n}"
	if got := plain(prettyLines([]byte(in), nil, 80)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFoldedPartsTakeOneLine(t *testing.T) {
	in := `{"a":{"x":[1,2],"y":{"z":1}},"b":[3]}`
	for want, folded := range map[string][]string{
		"{\n  \"a\": { 2 },\n  \"b\": [\n    3\n  ]\n}": {"/a/"},
		"{ 2 }": {"/", "/a/"},
		"{\n  \"a\": {\n    \"x\": [ 2 ],\n    \"y\": {\n      \"z\": 1\n    }\n  },\n  \"b\": [ 1 ]\n}": {"/a/x/", "/b/"},
	} {
		paths := map[string]bool{}
		for _, p := range folded {
			paths[p] = true
		}
		if got := plain(prettyLines([]byte(in), paths, 80)); got != want {
			t.Errorf("with %v folded:\n%s\nwant\n%s", folded, got, want)
		}
	}
}

func TestWhatIsNotJSONIsShownRawWithTheReason(t *testing.T) {
	for in, why := range map[string]string{
		"hello":           "text",
		"{\"a\":1,\n  b}": "not JSON: line 2, column 3: invalid character 'b' looking for beginning of object key string",
		"":                "(empty)",
		"\x00\x01":        "binary, 2 bytes; 3 shows it in hex",
		strings.Repeat("[", 200) + strings.Repeat("]", 200): "JSON nested more than 100 deep, shown raw",
		strings.Repeat("[", 20000):                          "not JSON: line 1, column 10001: invalid character '[' exceeded max depth",
	} {
		if got, _, _ := strings.Cut(plain(prettyLines([]byte(in), nil, 200)), "\n"); got != why {
			t.Errorf("%.20q: %q, want %q", in, got, why)
		}
	}
}

func TestHexShowsEveryByte(t *testing.T) {
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	for width, first := range map[int]string{
		80: "0000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  ................",
		45: "0000  00 01 02 03 04 05 06 07  ........",
		20: "0000  00 01 02 03  ....",
	} {
		lines := strings.Split(plain(hexLines(data, width)), "\n")
		if lines[0] != first || len(lines)*strings.Count(first, ".") != 256 {
			t.Errorf("at %d: %d lines, the first %q", width, len(lines), lines[0])
		}
	}
}

func TestCompareFindsTheFewestChanges(t *testing.T) {
	split := func(s string) []string { return strings.Split(s, "") }
	for _, c := range []struct{ a, b, want string }{
		{"abc", "abc", " a b c"}, {"abc", "axc", " a-b+x c"}, {"abc", "bc", "-a b c"}, {"bc", "abc", "+a b c"},
		{"abcd", "acbd", " a-b c+b d"}, {"ab", "cd", "-a-b+c+d"},
	} {
		if got := strings.Join(compare(split(c.a), split(c.b)), ""); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func TestCompareOfLargeTextsIsBounded(t *testing.T) {
	a, b := strings.Split(strings.Repeat("a\n", 8000), "\n"), strings.Split(strings.Repeat("b\n", 8000), "\n")
	if got := compare(a, b); len(got) != 16_001 {
		t.Errorf("%d lines", len(got))
	}
}

func TestShortenedKeepsContext(t *testing.T) {
	lines := strings.Split(strings.Repeat(" x,", 20)+"-y,"+strings.Repeat(" z,", 4)+"+y", ",")
	got := strings.Join(shortened(lines), ",")
	if want := ".17 equal lines, x, x, x,-y, z, z, z, z,+y"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFoldsStayFromMessageToMessage(t *testing.T) {
	m := says(t, open(t, 100, 30, nil, "chat"), "chat", `{"n":1,"deep":{"a":1}}`, `{"n":2,"deep":{"a":2}}`)
	m = press(t, m, "enter", "down", "down", "enter")
	wantScreen(t, m, `"deep": { 1 }`, `"n": 2`)
	m = press(t, m, "tab", "tab", "up")
	wantScreen(t, m, `"deep": { 1 }`, `"n": 1`)
	wantNotOnScreen(t, press(t, m, "]"), `"deep": { 1 }`)
}
