package tail

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
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
		if m.search.left%16 == 0 && time.Now().After(end) {
			m.search.left-- // progress even if the clock jumps
			return m, func() tea.Msg { return searchMsg{} }
		}
		at := (m.search.at + len(rows)) % len(rows)
		if wrapped := at != m.search.at; wrapped {
			m = m.say("went round")
		}
		m.search.at = at + m.search.dir
		if m.found(rows[at]) {
			m.search.left = 0
			return m.selectAt(rows[at]), nil
		}
	}
	return m.say(fmt.Sprintf("%q is in none of %s rows", m.search.filter.text, grouped(uint64(len(rows))))), nil
}

// found reports whether a row is what the search is for.
func (m Model) found(pos uint64) bool {
	e := m.ring.at(pos)
	if e == nil || e.kind != kindMessage || !m.search.filter.isSet() {
		return false
	}
	ok, err := m.search.filter.matches(e)
	return ok && err == nil
}
