package ui

import (
	"io"
	"strings"
	"unicode"
)

// Table prints rows as aligned columns, two spaces apart and without lines.
type Table struct {
	// Header names the columns; empty for none.
	Header []string
	// Rows are the cells; a short row has empty cells at its end.
	Rows [][]string
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Print writes the table to the Out of s, cut to its width if it is a terminal.
// Cells are escaped always, because a line end in one would break the table.
func (t *Table) Print(s *Streams) error {
	_, err := io.WriteString(s.Out, t.render(s.Width, s.OutColor))
	return err
}

func (t *Table) render(width int, color bool) string {
	rows := make([][]string, 0, len(t.Rows)+1)
	if len(t.Header) > 0 {
		rows = append(rows, t.Header)
	}
	rows = append(rows, t.Rows...)
	cells, widths := measure(rows)
	var b strings.Builder
	for i, row := range cells {
		line := joinCells(row, widths)
		if width > 0 {
			line = Cut(line, width)
		}
		if i == 0 && len(t.Header) > 0 {
			line = Dim.Paint(color, line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// measure escapes all cells and finds the width of each column.
func measure(rows [][]string) (cells [][]string, widths []int) {
	for _, row := range rows {
		out := make([]string, len(row))
		for i, cell := range row {
			out[i] = Escape(cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Columns(out[i]))
		}
		cells = append(cells, out)
	}
	return cells, widths
}

func joinCells(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		b.WriteString(cell)
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-Columns(cell)+2))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Columns is how many columns of a terminal the text takes: none for marks that
// combine, two for wide characters. It is an approximation that errs for rare
// scripts; the text must be escaped before.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, // Hangul
		r >= 0x2e80 && r <= 0xa4cf && r != 0x303f, // CJK to Yi
		r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd: // emoji, CJK extensions
		return 2
	}
	return 1
}

// Cut shortens s to at most width columns; what was cut shows as three dots if
// there is room for them.
func Cut(s string, width int) string {
	if Columns(s) <= width {
		return s
	}
	const dots = "..."
	room := width - len(dots)
	if room < 1 {
		return strings.Repeat(".", max(0, width))
	}
	for i, r := range s {
		if room -= runeColumns(r); room < 0 {
			return s[:i] + dots
		}
	}
	return s
}
