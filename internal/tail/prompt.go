package tail

import (
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// ask opens the line at the bottom.
func (m Model) ask(what mode, value string) (Model, tea.Cmd) {
	m.mode, m.problem = what, ""
	return m.typed(func(in *textinput.Model) tea.Cmd {
		in.SetValue(value)
		in.CursorEnd()
		return in.Focus()
	})
}

// typed replaces the line by a changed copy.
func (m Model) typed(change func(*textinput.Model) tea.Cmd) (Model, tea.Cmd) {
	in := *m.input
	cmd := change(&in)
	m.input = &in
	return m, cmd
}

// feedInput gives a message to the line.
func (m Model) feedInput(msg tea.Msg) (Model, tea.Cmd) {
	m, cmd := m.typed(func(in *textinput.Model) (cmd tea.Cmd) {
		*in, cmd = in.Update(msg)
		return cmd
	})
	m.problem = m.objection()
	return m, cmd
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
func (m Model) edit(k tea.KeyMsg) (Model, tea.Cmd) {
	switch k.String() {
	case "esc":
		m.mode = modeBrowse
		return m, nil
	case "enter":
		return m.commit()
	}
	return m.feedInput(k)
}

// paste gives pasted text to what is being typed; elsewhere it is dropped, for
// its letters are no commands.
func (m Model) paste(p tea.KeyMsg) (Model, tea.Cmd) {
	switch m.mode {
	case modePublish:
		return m.write(func(d *draft) tea.Cmd { return d.update(p) })
	case modeSearch, modeFilter, modeAdd, modeExport:
		return m.feedInput(p)
	}
	return m, nil
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
