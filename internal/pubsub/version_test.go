package pubsub

import (
	"math"
	"testing"
)

func TestVersionText(t *testing.T) {
	for _, c := range []struct {
		name string
		v    Version
		want string
	}{
		{"one leading space in sixteen", Version{0x123456789abcdef, 1}, " 123456789abcdef-1"},
		{"fifteen spaces for generation one", Version{1, 1}, "               1-1"},
		{"widest generation", Version{math.MaxUint64, 2}, "ffffffffffffffff-2"},
		{"zero", Version{}, "               0-0"},
		{"widest sequence", Version{0xd06fe8f6d007c421, math.MaxUint64}, "d06fe8f6d007c421-18446744073709551615"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.v.String(); got != c.want {
				t.Errorf("String() = %q, want %q", got, c.want)
			}
			if got, err := ParseVersion(string(c.v.AppendBare(nil))); err != nil || got != c.v {
				t.Errorf("bare form reads back as %v, %v", got, err)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Version
		ok   bool
	}{
		{"1-1", Version{1, 1}, true},
		{"+1-1", Version{1, 1}, true},
		{"1-+1", Version{1, 1}, true},
		{"D06F-08", Version{0xd06f, 8}, true},
		{"00000000000000000001-1", Version{1, 1}, true},
		{"ffffffffffffffff-18446744073709551615", Version{math.MaxUint64, math.MaxUint64}, true},
		{" 1-1", Version{}, false},
		{"1-1 ", Version{}, false},
		{"-1", Version{}, false},
		{"1-", Version{}, false},
		{"1--1", Version{}, false},
		{"++1-1", Version{}, false},
		{"0x1-1", Version{}, false},
		{"1_0-1", Version{}, false},
		{"10000000000000000-1", Version{}, false},
		{"1-18446744073709551616", Version{}, false},
		{"1", Version{}, false},
		{"", Version{}, false},
	} {
		t.Run(c.in, func(t *testing.T) {
			got, err := ParseVersion(c.in)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("ParseVersion(%q) = %v, %v", c.in, got, err)
			}
		})
	}
}

func TestVersionCovers(t *testing.T) {
	for _, c := range []struct {
		name string
		v, w Version
		want bool
	}{
		{"same message", Version{7, 2}, Version{7, 2}, true},
		{"earlier message", Version{7, 2}, Version{7, 1}, true},
		{"later message", Version{7, 2}, Version{7, 3}, false},
		{"any other generation is new", Version{7, 2}, Version{6, 1}, false},
		{"none covers nothing", Version{}, Version{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.v.Covers(c.w); got != c.want {
				t.Errorf("%v.Covers(%v) = %t", c.v, c.w, got)
			}
		})
	}
}
