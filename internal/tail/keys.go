package tail

import (
	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
)

// command is one thing a key does. The list of commands is the key map: keys are
// dispatched by it and the help is printed from it, so neither can be wrong.
type command struct {
	key.Binding
	group string
	short bool // also in the line at the bottom
	run   func(Model) (Model, tea.Cmd)
}

func bind(group string, run func(Model) (Model, tea.Cmd), shown, does string, keys ...string) command {
	return command{Binding: key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, does)), group: group, run: run}
}

// still is a command that starts nothing.
func still(run func(Model) Model) func(Model) (Model, tea.Cmd) {
	return func(m Model) (Model, tea.Cmd) { return run(m), nil }
}

const (
	groupMove    = "move"
	groupList    = "list"
	groupTopics  = "topics"
	groupMessage = "message"
	groupView    = "view"
)

// allCommands are the keys of the browse mode, in the order help shows them.
func allCommands() []command {
	var all []command
	for _, part := range [][]command{moveCommands(), listCommands(), messageCommands(), topicCommands(), viewCommands()} {
		all = append(all, part...)
	}
	for i := range all {
		switch all[i].Help().Key {
		case "space", "/", "f", "enter", "p", "?", "q":
			all[i].short = true
		}
	}
	return all
}

func moveCommands() []command {
	return []command{
		bind(groupMove, still(func(m Model) Model { return m.step(-1) }), "up k", "up", "up", "k"),
		bind(groupMove, still(func(m Model) Model { return m.step(1) }), "down j", "down", "down", "j"),
		bind(groupMove, still(func(m Model) Model { return m.step(-m.page()) }), "pgup", "a page up", "pgup", "ctrl+u"),
		bind(groupMove, still(func(m Model) Model { return m.step(m.page()) }), "pgdn", "a page down", "pgdown", "ctrl+d"),
		bind(groupMove, still(Model.oldest), "g", "oldest", "g", "home"),
		bind(groupMove, still(Model.newest), "G", "newest", "G", "end"),
		bind(groupMove, still(Model.followNewest), "F", "follow the newest, end a pause", "F"),
		bind(groupMove, still(func(m Model) Model { return m.turnFocus(1) }), "tab", "next pane", "tab"),
		bind(groupMove, still(func(m Model) Model { return m.turnFocus(-1) }), "shift+tab", "pane before", "shift+tab"),
	}
}

func listCommands() []command {
	return []command{
		bind(groupList, Model.togglePause, "space", "pause, keeps buffering", " "),
		bind(groupList, func(m Model) (Model, tea.Cmd) { return m.ask(modeSearch, m.search.filter.text) }, "/", "search", "/"),
		bind(groupList, func(m Model) (Model, tea.Cmd) { return m.find(1) }, "n", "next match", "n"),
		bind(groupList, func(m Model) (Model, tea.Cmd) { return m.find(-1) }, "N", "match before", "N"),
		bind(groupList, func(m Model) (Model, tea.Cmd) { return m.ask(modeFilter, m.filter.text) }, "f", "filter", "f"),
		bind(groupList, still(Model.nextTimeMode), "t", "times: local, UTC, unix, delta, off", "t"),
		bind(groupList, func(m Model) (Model, tea.Cmd) { return m.ask(modeExport, m.exportName()) }, "e", "export what is listed", "e"),
	}
}

func messageCommands() []command {
	view := func(v detailView) func(Model) (Model, tea.Cmd) {
		return still(func(m Model) Model { return m.showAs(v) })
	}
	return []command{
		bind(groupMessage, still(Model.enter), "enter", "detail; in it, fold", "enter"),
		bind(groupMessage, still(Model.escape), "esc", "close, clear search and filter", "esc"),
		bind(groupMessage, view(viewPretty), "1", "pretty JSON", "1"),
		bind(groupMessage, view(viewRaw), "2", "raw", "2"),
		bind(groupMessage, view(viewHex), "3", "hex", "3"),
		bind(groupMessage, view(viewDiff), "4", "diff with the one before on its topic", "4"),
		bind(groupMessage, still(func(m Model) Model { return m.foldAll(true) }), "[", "fold all", "["),
		bind(groupMessage, still(func(m Model) Model { return m.foldAll(false) }), "]", "unfold all", "]"),
		bind(groupMessage, Model.copy, "y", "copy the payload", "y"),
		bind(groupMessage, Model.sendAgain, "R", "send again", "R"),
	}
}

func topicCommands() []command {
	return []command{
		bind(groupTopics, func(m Model) (Model, tea.Cmd) { return m.ask(modeAdd, "") }, "a", "add a topic", "a"),
		bind(groupTopics, Model.removeTopic, "x", "remove the topic", "x"),
		bind(groupTopics, Model.toggleMute, "m", "mute the topic", "m"),
		bind(groupTopics, Model.toggleSolo, "o", "list only this topic", "o"),
		bind(groupTopics, Model.openPublish, "p", "publish", "p"),
		bind(groupTopics, func(m Model) (Model, tea.Cmd) { return m.reconnect().scan() }, "r", "reconnect", "r"),
	}
}

func viewCommands() []command {
	return []command{
		bind(groupView, still(func(m Model) Model { return m.overlay(modeStats) }), "s", "statistics", "s"),
		bind(groupView, still(func(m Model) Model { return m.overlay(modeHelp) }), "?", "help", "?"),
		bind(groupView, func(m Model) (Model, tea.Cmd) { return m, tea.Suspend }, "ctrl+z", "suspend", "ctrl+z"),
		bind(groupView, func(m Model) (Model, tea.Cmd) { return m, tea.Quit }, "q", "quit", "q"),
		bind(groupView, interrupt, "ctrl+c", "quit with exit code 130", "ctrl+c"),
	}
}

// interrupt is Ctrl-C, in every mode.
func interrupt(m Model) (Model, tea.Cmd) {
	m.interrupted = true
	return m, tea.Quit
}

// keys gives keys to press one by one: those that were typed faster than they
// were read arrive as one message.
func (m Model) keys(k tea.KeyMsg) (Model, tea.Cmd) {
	if k.Paste {
		return m.paste(k)
	}
	if len(k.Runes) < 2 {
		return m.press(k)
	}
	var all []tea.Cmd
	for _, r := range k.Runes {
		var cmd tea.Cmd
		m, cmd = m.press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: k.Alt})
		all = append(all, cmd)
	}
	return m, tea.Batch(all...)
}

// press gives a key to what the keyboard is for.
func (m Model) press(k tea.KeyMsg) (Model, tea.Cmd) {
	switch k.String() {
	case "ctrl+c":
		return interrupt(m)
	case "ctrl+z":
		return m, tea.Suspend
	}
	switch m.mode {
	case modeBrowse:
		return m.browse(k)
	case modePublish:
		return m.compose(k)
	case modeConfirm:
		return m.answer(k)
	case modeHelp, modeStats:
		return m.read(k), nil
	}
	return m.edit(k)
}

// browse runs the command of a key. A notice has been read by then.
func (m Model) browse(k tea.KeyMsg) (Model, tea.Cmd) {
	for _, c := range m.commands {
		if key.Matches(k, c.Binding) {
			m.notice = ""
			return c.run(m)
		}
	}
	return m, nil
}

// read moves in help and statistics, and leaves them.
func (m Model) read(k tea.KeyMsg) Model {
	switch k.String() {
	case "up", "k":
		m.scroll--
	case "down", "j":
		m.scroll++
	case "pgup":
		m.scroll -= m.page()
	case "pgdown", " ":
		m.scroll += m.page()
	case "s":
		return m.overlay(modeStats)
	case "?":
		return m.overlay(modeHelp)
	case "esc", "q", "enter":
		m.mode = modeBrowse
	}
	m.scroll = min(max(m.scroll, 0), max(0, len(m.overlayLines())-m.bodyHeight()))
	return m
}

// overlay opens help or statistics, or closes the one that is open.
func (m Model) overlay(which mode) Model {
	if m.mode == which {
		m.mode = modeBrowse
		return m
	}
	m.mode, m.scroll = which, 0
	return m
}
