package ui

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	wide := Table{Header: []string{"NAME", "URL"}}
	wide.Add("a", "http://one.example")
	wide.Add("日本", "x\ty")
	wide.Add("alone")
	for _, c := range []struct {
		rule  string
		width int
		want  string
	}{
		{"columns are aligned and pipes never cut", 0, "NAME   URL\na      http://one.example\n日本   x\\ty\nalone\n"},
		{"a terminal cuts", 12, "NAME   URL\na      ht...\n日本   x\\ty\nalone\n"},
		{"down to nothing but dots", 2, "..\na ...\n..\n..\n"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := wide.render(c.width, false)
			if c.width == 2 {
				for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
					if Columns(line) > 2 {
						t.Errorf("%q is too wide", line)
					}
				}
				return
			}
			if got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestTablePaintsOnlyTheHeader(t *testing.T) {
	table := Table{Header: []string{"A"}, Rows: [][]string{{"b"}}}
	if got := table.render(0, true); got != "\x1b[2mA\x1b[0m\nb\n" {
		t.Errorf("got %q", got)
	}
	table = Table{Rows: [][]string{{"b"}}}
	if got := table.render(0, true); got != "b\n" {
		t.Errorf("got %q", got)
	}
}

func TestColumns(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "한": 2, "👍": 2} {
		if got := Columns(s); got != want {
			t.Errorf("%q takes %d, want %d", s, got, want)
		}
	}
}

func FuzzCutFits(f *testing.F) {
	f.Add("日本語 text", 5)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width &= 0xff
		if got := Columns(Cut(Escape(s), width)); got > width {
			t.Errorf("%q cut to %d takes %d", s, width, got)
		}
	})
}
