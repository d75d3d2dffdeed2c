package grip

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseLast(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []string
		want []Last
	}{
		{"47 one line per channel", []string{"d:hp; last-id=abc-1", "d:hq; last-id=none"},
			[]Last{{"d:hp", "abc-1"}, {"d:hq", "none"}}},
		{"a list on one line", []string{"a; last-id=1, b; last-id=\"2,3\""}, []Last{{"a", "1"}, {"b", "2,3"}}},
		{"an empty id is an id", []string{"a; last-id="}, []Last{{"a", ""}}},
		{"entries without an id are passed over", []string{"a, b; id=3", `c; last-id="x`}, nil},
		{"no header", nil, nil},
	} {
		if got := ParseLast(tt.in); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := ParseLast([]string{strings.Repeat("c; last-id=1,", 50)}); len(got) != MaxChannels {
		t.Errorf("kept %d entries of 50", len(got))
	}
}

func TestLastString(t *testing.T) {
	for want, l := range map[string]Last{
		"d:hp; last-id=abc-1":    {"d:hp", "abc-1"},
		`c; last-id="  1f-2"`:    {"c", "  1f-2"},
		`c; last-id="a,b;\"c\""`: {"c", `a,b;"c"`},
	} {
		if got := l.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if back := ParseLast([]string{l.String()}); !reflect.DeepEqual(back, []Last{l}) {
			t.Errorf("%q came back as %v", want, back)
		}
	}
}
