package tail

import (
	"errors"
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// slice is how long one Update may look for entries; a key waits no longer.
const slice = 8 * time.Millisecond

// shown lists the positions that pass the filter, in order, and remembers how
// far the ring was looked through.
type shown struct {
	positions []uint64
	gone      int    // positions at the front that have fallen out
	next      uint64 // the first position not looked at
}

func (s *shown) all() []uint64 { return s.positions[s.gone:] }

// forget drops what fell out of the ring.
func (s *shown) forget(first uint64) {
	for s.gone < len(s.positions) && s.positions[s.gone] < first {
		s.gone++
	}
	if s.gone > 4096 && s.gone > len(s.positions)/2 {
		s.positions = append(s.positions[:0], s.positions[s.gone:]...)
		s.gone = 0
	}
	s.next = max(s.next, first)
}

// scanMsg continues a scan that took longer than a slice.
type scanMsg struct{}

// rescan starts over, after a change of what is listed.
func (m Model) rescan() Model {
	*m.shown = shown{next: m.ring.first}
	m.filterErr = ""
	return m
}

// scan looks through new entries for at most a slice, and then goes on by a
// message, so that keys come in between.
func (m Model) scan() (Model, tea.Cmd) {
	m.shown.forget(m.ring.first)
	for end, lens := time.Now().Add(slice), m.lens(); m.shown.next < m.ring.next; {
		pos := m.shown.next
		if (pos%64 == 0 || lens.filter.isSet()) && time.Now().After(end) {
			break
		}
		m.shown.next++
		ok, err := lens.accepts(m.ring.at(pos))
		if ok {
			m.shown.positions = append(m.shown.positions, pos)
		}
		if errors.Is(err, errSlowFilter) {
			m.filter = filter{}
			m = m.complain(err.Error() + "; the filter is off").rescan()
			lens = m.lens()
		} else if err != nil && m.filterErr == "" {
			m.filterErr = clean(err.Error())
		}
	}
	m = m.place()
	if m.shown.next < m.ring.next && !m.scanning {
		m.scanning = true
		return m, func() tea.Msg { return scanMsg{} }
	}
	return m, nil
}

// hidden is how many entries that are kept are not listed.
func (m Model) hidden() int {
	return int(m.shown.next-min(m.shown.next, m.ring.first)) - len(m.shown.all())
}

// rows are the positions the list may show now: all that pass, and while paused
// only those from before.
func (m Model) rows() []uint64 {
	all := m.shown.all()
	if m.paused == 0 {
		return all
	}
	n, _ := slices.BinarySearch(all, m.paused+1)
	return all[:n]
}

// indexIn finds the row at or after a position.
func indexIn(rows []uint64, pos uint64) int {
	i, _ := slices.BinarySearch(rows, pos)
	return i
}

// place keeps the cursor on an entry that is there and the entry on the screen.
func (m Model) place() Model {
	rows := m.rows()
	if !m.follow && m.cursor >= m.shown.next && m.ring.at(m.cursor) != nil {
		return m // a scan has not come to the selected entry yet
	}
	if len(rows) == 0 {
		m.cursor, m.top = 0, 0
		return m.refreshDetail()
	}
	height := max(1, m.layout().list.h)
	at := min(indexIn(rows, m.cursor), len(rows)-1)
	top := min(indexIn(rows, m.top), len(rows)-1)
	if m.follow {
		at, top = len(rows)-1, len(rows)-height
	}
	top = min(top, at)               // the cursor is not above
	top = max(top, at-height+1)      // nor below
	top = min(top, len(rows)-height) // no empty rows while there are entries
	top = max(top, 0)
	m.cursor, m.top = rows[at], rows[top]
	return m.refreshDetail()
}

// move moves the cursor by n rows and stops following unless it ends up last.
func (m Model) move(n int) Model {
	rows := m.rows()
	if len(rows) == 0 {
		return m
	}
	at := min(indexIn(rows, m.cursor), len(rows)-1)
	at = min(max(at+n, 0), len(rows)-1)
	m.follow = n > 0 && at == len(rows)-1
	m.cursor = rows[at]
	return m.place()
}

// selectAt puts the cursor on a position.
func (m Model) selectAt(pos uint64) Model {
	m.follow = false
	m.cursor = pos
	return m.place()
}
