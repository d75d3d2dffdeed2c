package tail

import tea "github.com/charmbracelet/bubbletea"

// wheelRows is how far one notch of the wheel moves.
const wheelRows = 3

// mouse gives an event to what it is about. Only a press counts, which is also
// what a notch of the wheel is.
func (m Model) mouse(at tea.MouseMsg) (Model, tea.Cmd) {
	if m.mode != modeBrowse || at.Action != tea.MouseActionPress {
		return m, nil
	}
	switch at.Button {
	case tea.MouseButtonLeft:
		return m.click(at), nil
	case tea.MouseButtonWheelUp:
		return m.wheel(at, -wheelRows), nil
	case tea.MouseButtonWheelDown:
		return m.wheel(at, wheelRows), nil
	}
	return m, nil
}

// takeMouse asks for the mouse again after a suspension, which gives it back.
func (m Model) takeMouse() tea.Cmd {
	if !m.o.Mouse {
		return nil
	}
	return tea.EnableMouseCellMotion
}

// click selects what is under the mouse; on what is selected already it is enter.
func (m Model) click(at tea.MouseMsg) Model {
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
			return m
		}
		again := m.focus == focusList && rows[i] == m.cursor
		m.focus = focusList
		if again {
			return m.enter()
		}
		return m.selectAt(rows[i])
	case l.detail.holds(at.X, at.Y):
		i := m.detail.top + at.Y - l.detail.y
		again := m.focus == focusDetail && i == m.detail.cursor
		m.focus = focusDetail
		m.detail = m.detail.move(i-m.detail.cursor, l.detail.h)
		if again {
			return m.enter()
		}
	}
	return m
}

// wheel moves n rows in the pane under the mouse.
func (m Model) wheel(at tea.MouseMsg, n int) Model {
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
