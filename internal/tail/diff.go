package tail

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

const (
	// maxDiff bounds the table of a comparison, in cells; what is larger is
	// shown as removed and added.
	maxDiff = 1 << 20
	// diffContext is how many equal lines are shown around a change.
	diffContext = 3
)

func asSyntax(err error, target **json.SyntaxError) bool { return errors.As(err, target) }

// diffLines compares a message with the one before it on its topic: line by
// line, JSON in its laid-out form.
func diffLines(before, now *entry, width int) []detailLine {
	if before == nil {
		return wrapped(plainLine("no earlier message of this topic is kept"), width)
	}
	a, b := comparable(before.data, now.data, width)
	lines := compare(a, b)
	if !changed(lines) {
		return wrapped(plainLine(fmt.Sprintf("the same as message %d", before.number)), width)
	}
	out := []detailLine{{spans: []span{{ui.Dim, cut(fmt.Sprintf("- message %d   + message %d", before.number, now.number), width, "")}}}}
	for _, l := range shortened(lines) {
		style := map[byte]ui.Style{'-': ui.Red, '+': ui.Green, '.': ui.Dim}[l[0]]
		mark := l[:1]
		if mark == "." {
			mark = " "
		}
		out = append(out, wrapped(detailLine{spans: []span{{style, mark + " " + l[1:]}}}, width)...)
	}
	return out
}

// comparable gives the lines of both payloads, in the same form.
func comparable(a, b []byte, width int) (left, right []string) {
	if notJSON(a) == "" && notJSON(b) == "" {
		return texts(prettyLines(a, nil, 1<<20)), texts(prettyLines(b, nil, 1<<20))
	}
	return texts(rawLines(a, width-2)), texts(rawLines(b, width-2))
}

func texts(lines []detailLine) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		var b strings.Builder
		for _, s := range l.spans {
			b.WriteString(s.text)
		}
		out[i] = b.String()
	}
	return out
}

func changed(lines []string) bool {
	for _, l := range lines {
		if l[0] != ' ' {
			return true
		}
	}
	return false
}

// compare gives the lines of both with a mark in front: space, - or +. The lines
// both have in common are the most there can be.
func compare(a, b []string) []string {
	var out, tail []string
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		out, a, b = append(out, " "+a[0]), a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail, a, b = append(tail, " "+a[len(a)-1]), a[:len(a)-1], b[:len(b)-1]
	}
	out = append(out, compareMiddle(a, b)...)
	for i := len(tail) - 1; i >= 0; i-- {
		out = append(out, tail[i])
	}
	return out
}

func compareMiddle(a, b []string) []string {
	var out []string
	i, j := 0, 0
	if len(a)*len(b) <= maxDiff {
		common := commonTable(a, b)
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out, i, j = append(out, " "+a[i]), i+1, j+1
			case common[i+1][j] >= common[i][j+1]:
				out, i = append(out, "-"+a[i]), i+1
			default:
				out, j = append(out, "+"+b[j]), j+1
			}
		}
	}
	for ; i < len(a); i++ {
		out = append(out, "-"+a[i])
	}
	for ; j < len(b); j++ {
		out = append(out, "+"+b[j])
	}
	return out
}

// commonTable gives the length of the longest common subsequence of each pair of
// ends.
func commonTable(a, b []string) [][]int32 {
	table := make([][]int32, len(a)+1)
	cells := make([]int32, (len(a)+1)*(len(b)+1))
	for i := range table {
		table[i], cells = cells[:len(b)+1], cells[len(b)+1:]
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	return table
}

// shortened replaces long runs of equal lines by their number, marked with a dot.
func shortened(lines []string) []string {
	var out []string
	for i := 0; i < len(lines); {
		n := i
		for n < len(lines) && lines[n][0] == ' ' {
			n++
		}
		head, foot := diffContext, diffContext
		if i == 0 {
			head = 0
		}
		if n == len(lines) {
			foot = 0
		}
		if n-i <= head+foot+1 {
			out = append(out, lines[i:n]...)
		} else {
			out = append(out, lines[i:i+head]...)
			out = append(out, fmt.Sprintf(".%d equal lines", n-i-head-foot))
			out = append(out, lines[n-foot:n]...)
		}
		for i = n; i < len(lines) && lines[i][0] != ' '; i++ {
			out = append(out, lines[i])
		}
	}
	return out
}
