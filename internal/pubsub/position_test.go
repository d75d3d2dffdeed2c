package pubsub

import (
	"errors"
	"maps"
	"slices"
	"testing"
)

func TestParsePosition(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Position
		text     string // of the error
	}{
		{"one topic", "test:1-1", Position{"test": {1, 1}}, ""},
		{"several topics", "a:1-2,b:f-3", Position{"a": {1, 2}, "b": {15, 3}}, ""},
		{"plus signs and zeros", "test:+1-+01", Position{"test": {1, 1}}, ""},
		{"empty topic", ":1-1", Position{"": {1, 1}}, ""},
		{"repeated topic, last wins", "a:1-1,a:1-2", Position{"a": {1, 2}}, ""},
		{"item 46, no colon", "foo", nil, "Last-Event-ID part missing ':'\n"},
		{"item 47, padded generation", "test: 1-1", nil, "Last-Event-ID part not a valid version: [ 1-1]\n"},
		{"item 48, empty last part", "test:1-1,", nil, "Last-Event-ID part missing ':'\n"},
		{"item 49, empty", "", nil, "Last-Event-ID part missing ':'\n"},
		{"item 49, encoded colon", "test%3A1-1", nil, "Last-Event-ID part missing ':'\n"},
		{"topic with a colon", "a:b:1-1", nil, "Last-Event-ID part not a valid version: [b:1-1]\n"},
		{"the first bad part decides", "a:x,b", nil, "Last-Event-ID part not a valid version: [x]\n"},
		{"no version", "a:", nil, "Last-Event-ID part not a valid version: []\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePosition(c.in)
			if !maps.Equal(got, c.want) {
				t.Errorf("position %v, want %v", got, c.want)
			}
			if text := errorText(err); text != c.text {
				t.Errorf("text %q, want %q", text, c.text)
			}
		})
	}
}

func errorText(err error) string {
	if e, ok := errors.AsType[*PositionError](err); ok {
		return e.Text()
	}
	return ""
}

func TestPositionErrorHasNoLineEnd(t *testing.T) {
	_, err := ParsePosition("test:")
	if got, want := err.Error(), "parse resume id: Last-Event-ID part not a valid version: []"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestAppendID(t *testing.T) {
	topics := []Topic{"a", "b", "c"}
	for _, c := range []struct {
		name string
		p    Position
		want string
	}{
		{"item 53, first of two", Position{"a": {0xd06fe8f6d007c421, 8}}, "a:d06fe8f6d007c421-8"},
		{"item 53, both", Position{"a": {0xd06fe8f6d007c421, 8}, "b": {0xa7b89db793b3da37, 5}},
			"a:d06fe8f6d007c421-8,b:a7b89db793b3da37-5"},
		{"item 55, unknown topics are left out", Position{"c": {0xa7b89db793b3da37, 5}}, "c:a7b89db793b3da37-5"},
		{"item 61, padding", Position{"a": {0x123456789abcdef, 1}}, "a: 123456789abcdef-1"},
		{"only the stream's topics", Position{"z": {1, 1}}, ""},
		{"nothing known", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(AppendID([]byte("id: "), topics, c.p)); got != "id: "+c.want {
				t.Errorf("got %q, want %q", got, "id: "+c.want)
			}
		})
	}
}

func TestAppendIDAllocatesNothing(t *testing.T) {
	topics := []Topic{"a", "b"}
	p, dst := Position{"a": {0x123456789abcdef, 1}, "b": {1 << 63, 99}}, make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() { dst = AppendID(dst[:0], topics, p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCleanID(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing to do", "a:1-1,b c:2-2", "a:1-1,b c:2-2"},
		{"padding of each part", "a:   1-1,b:  2-2", "a:1-1,b:2-2"},
		{"only behind a colon", "a b: 1-1", "a b:1-1"},
		{"nothing behind the spaces", "a:  ", "a:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := CleanID(c.in); got != c.want {
				t.Errorf("CleanID(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

// What is accepted, written as an event id and cleaned as clients do, reads
// back as the same position. Byte identity is not the rule: case, zeros, plus
// signs, order and repeated topics are all free on the way in.
func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"test:1-1", "a:d06fe8f6d007c421-8,b:A7-05", ":+1-+1", "a: 1-1", "", "a:1-1,a:2-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		p, err := ParsePosition(in)
		if err != nil {
			if errorText(err) == "" {
				t.Fatalf("%q fails without a text: %v", in, err)
			}
			return
		}
		id := AppendID(nil, slices.Sorted(maps.Keys(p)), p)
		if again, err := ParsePosition(CleanID(string(id))); err != nil || !maps.Equal(again, p) {
			t.Errorf("%q reads as %v, its id %q as %v, %v", in, p, id, again, err)
		}
	})
}

func BenchmarkAppendID(b *testing.B) {
	topics := []Topic{"orders"}
	p, dst := Position{"orders": {0xd06fe8f6d007c421, 81}}, make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendID(dst[:0], topics, p)
	}
}
