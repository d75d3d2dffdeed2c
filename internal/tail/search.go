package tail

import (
	"errors"
	"fmt"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// search is what n and N look for, and how far a search under way has come.
type search struct {
	filter filter
	dir    int // 1 or -1
	at     int // row to look at next
	left   int // rows not yet looked at; 0 if no search is under way
}

// searchMsg continues a search that took longer than a slice.
type searchMsg struct{}

// find looks for the next row that matches, in a direction.
func (m Model) find(dir int) (Model, tea.Cmd) {
	rows := m.rows()
	if !m.search.filter.isSet() {
		return m.say("nothing to search for yet: press /"), nil
	}
	m.search.dir, m.search.left = dir, len(rows)
	m.search.at = indexIn(rows, m.cursor) + dir
	return m.seek()
}

// seek looks at rows for at most a slice.
func (m Model) seek() (Model, tea.Cmd) {
	rows := m.rows()
	if len(rows) == 0 {
		m.search.left = 0
		return m, nil
	}
	for end := time.Now().Add(slice); m.search.left > 0; m.search.left-- {
		if time.Now().After(end) {
			return m, func() tea.Msg { return searchMsg{} }
		}
		at := (m.search.at + len(rows)) % len(rows)
		if wrapped := at != m.search.at; wrapped {
			m = m.say("went round")
		}
		m.search.at = at + m.search.dir
		ok, err := m.found(rows[at])
		if errors.Is(err, errSlowFilter) {
			m.search = search{}
			return m.complain(err.Error() + "; the search is off"), nil
		}
		if ok {
			m.search.left = 0
			return m.selectAt(rows[at]), nil
		}
	}
	return m.say(fmt.Sprintf("%q is in none of %s rows", m.search.filter.text, grouped(uint64(len(rows))))), nil
}

// found reports whether a row is what the search is for.
func (m Model) found(pos uint64) (bool, error) {
	e := m.ring.at(pos)
	if e == nil || e.kind != kindMessage {
		return false, nil
	}
	return m.search.filter.matches(e)
}

// markable is how large a payload may be for an expression to be tried on it at
// each redraw.
const markable = 4096

// marked reports whether a row is marked as found. It is asked for every row at
// every redraw, so what would take long is not marked, though n and N find it.
func (m Model) marked(e *entry) bool {
	f := m.search.filter
	if !f.isSet() || f.effort() == effortMuch || f.effort() == effortSome && len(e.data) > markable {
		return false
	}
	ok, err := f.matches(e)
	return ok && err == nil
}
