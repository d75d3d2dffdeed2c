package loadtest

import (
	"fmt"
	"io"
	"strings"
)

// Row is one figure of one server.
type Row struct {
	// Figure and Server name what was measured.
	Figure, Server string
	// Unit is of Value and Floor, which are medians over the benchmark's rounds.
	Unit         string
	Value, Floor float64
	// Goal says what the project wants of the figure, empty if nothing.
	Goal string
	// ServerBusy and LoadBusy are shares of a core, Others is what somebody else
	// took of theirs; 0 where they say nothing.
	ServerBusy, LoadBusy, Others float64
}

// Ratio is the value relative to the floor's, 0 without a floor.
func (r Row) Ratio() float64 {
	if r.Floor == 0 {
		return 0
	}
	return r.Value / r.Floor
}

// Report collects rows. The zero value is empty. It is for one goroutine.
type Report struct{ rows []Row }

// Add appends a row, or replaces the one of the same figure and server: a
// benchmark function may be called several times with growing rounds.
func (r *Report) Add(row Row) {
	for i, old := range r.rows {
		if old.Figure == row.Figure && old.Server == row.Server {
			r.rows[i] = row
			return
		}
	}
	r.rows = append(r.rows, row)
}

// WriteTo writes the rows as a Markdown table, nothing if there are none.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	if len(r.rows) == 0 {
		return 0, nil
	}
	var b strings.Builder
	b.WriteString("| figure | server | value | floor | ratio | goal | server busy | load busy | others |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %s %s | %s | %s | %s | %s | %s | %s |\n",
			row.Figure, row.Server, short(row.Value), row.Unit, short(row.Floor), times(row.Ratio()), dash(row.Goal),
			percent(row.ServerBusy), percent(row.LoadBusy), percent(row.Others))
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// short writes a number with about three digits, and none behind the point
// from a hundred on.
func short(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func times(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f ×", v)
}

func percent(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
