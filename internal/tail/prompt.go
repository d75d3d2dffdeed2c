package tail

import (
	tea "charm.land/bubbletea/v2"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// ask opens the line at the bottom.
func (m Model) ask(what mode, value string) (Model, tea.Cmd) {
	m.mode, m.problem = what, ""
	m.input.SetValue(value)
	m.input.CursorEnd()
	return m, m.input.Focus()
}

// prompt is the word in front of the line.
func (m Model) prompt() string {
	switch m.mode {
	case modeSearch:
		return "search: "
	case modeFilter:
		return "filter: "
	case modeAdd:
		return "add topic: "
	case modeExport:
		return "export to: "
	}
	return ""
}

// hint says what may be typed.
func (m Model) hint() string {
	switch m.mode {
	case modeSearch, modeFilter:
		return "text  topic:NAME  re:EXPR  jq:EXPR or .json.n > 1  !excludes  a && b  (empty: off)"
	case modeAdd:
		return "the exact name; there are no wildcards"
	case modeExport:
		return "by its ending: .ndjson records, .csv table, other bodies as they are"
	}
	return ""
}

// edit gives a key to the line.
func (m Model) edit(k tea.KeyPressMsg) (Model, tea.Cmd) {
	switch k.String() {
	case "esc":
		m.mode = modeBrowse
		return m, nil
	case "enter":
		return m.commit()
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(k)
	m.problem = m.objection()
	return m, cmd
}

// paste gives pasted text to what is being typed; elsewhere it is dropped, for
// its letters are no commands.
func (m Model) paste(p tea.PasteMsg) (Model, tea.Cmd) {
	var cmd tea.Cmd
	switch m.mode {
	case modePublish:
		m.draft, cmd = m.draft.update(p)
		return m, cmd
	case modeSearch, modeFilter, modeAdd, modeExport:
		m.input, cmd = m.input.Update(p)
		m.problem = m.objection()
	}
	return m, cmd
}

// objection is what is wrong with the line so far.
func (m Model) objection() string {
	if m.mode != modeFilter && m.mode != modeSearch {
		return ""
	}
	if _, err := parseFilter(m.input.Value()); err != nil {
		return clean(err.Error())
	}
	return ""
}

// commit does what the line says. What cannot be done stays in the line.
func (m Model) commit() (Model, tea.Cmd) {
	value, what := m.input.Value(), m.mode
	if m.problem = m.objection(); m.problem != "" {
		return m, nil
	}
	m.mode = modeBrowse
	switch what {
	case modeSearch:
		m.search.filter, _ = parseFilter(value)
		if !m.search.filter.isSet() {
			return m, nil
		}
		return m.find(1)
	case modeFilter:
		m.filter, _ = parseFilter(value)
		return m.rescan().scan()
	case modeAdd:
		return m.addTopic(pubsub.Topic(value)), nil
	case modeExport:
		return m.export(value)
	}
	return m, nil
}
