package tail

import tea "charm.land/bubbletea/v2"

// wheelRows is how far one notch of the wheel moves.
const wheelRows = 3

// click selects what is under the mouse; on what is selected already it is enter.
func (m Model) click(at tea.Mouse) (Model, tea.Cmd) {
	if at.Button != tea.MouseLeft || m.mode != modeBrowse {
		return m, nil
	}
	l := m.layout()
	switch {
	case l.topics.holds(at.X, at.Y):
		first := max(0, min(m.topicCursor-l.topics.h/2, len(m.topics)-l.topics.h))
		if i := first + at.Y - l.topics.y; i < len(m.topics) {
			m.focus, m.topicCursor = focusTopics, i
		}
	case l.list.holds(at.X, at.Y):
		rows := m.rows()
		i := indexIn(rows, m.top) + at.Y - l.list.y
		if i >= len(rows) {
			return m, nil
		}
		again := m.focus == focusList && rows[i] == m.cursor
		m.focus = focusList
		if again {
			return m.enter(), nil
		}
		return m.selectAt(rows[i]), nil
	case l.detail.holds(at.X, at.Y):
		i := m.detail.top + at.Y - l.detail.y
		again := m.focus == focusDetail && i == m.detail.cursor
		m.focus = focusDetail
		m.detail = m.detail.move(i-m.detail.cursor, l.detail.h)
		if again {
			return m.enter(), nil
		}
	}
	return m, nil
}

// wheel moves in the pane under the mouse.
func (m Model) wheel(at tea.Mouse) Model {
	n := map[tea.MouseButton]int{tea.MouseWheelUp: -wheelRows, tea.MouseWheelDown: wheelRows}[at.Button]
	if m.mode != modeBrowse {
		return m
	}
	l := m.layout()
	switch {
	case l.topics.holds(at.X, at.Y):
		m.topicCursor = min(max(m.topicCursor+n, 0), max(0, len(m.topics)-1))
	case l.detail.holds(at.X, at.Y):
		m.detail = m.detail.move(n, l.detail.h)
	default:
		m = m.move(n)
	}
	return m
}
