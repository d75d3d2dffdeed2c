package tail

import (
	"fmt"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// step moves by n in the pane that has the focus.
func (m Model) step(n int) Model {
	switch {
	case m.focus == focusTopics:
		m.topicCursor = min(max(m.topicCursor+n, 0), max(0, len(m.topics)-1))
		return m
	case m.focus == focusDetail && m.detail.open:
		m.detail = m.detail.move(n, m.layout().detail.h)
		return m
	}
	return m.move(n)
}

// page is how far page keys move.
func (m Model) page() int {
	l := m.layout()
	switch {
	case m.mode == modeHelp || m.mode == modeStats:
		return max(1, m.bodyHeight()-1)
	case m.focus == focusDetail:
		return max(1, l.detail.h-1)
	case m.focus == focusTopics:
		return max(1, l.topics.h-1)
	}
	return max(1, l.list.h-1)
}

func (m Model) oldest() Model {
	if m.focus != focusList {
		return m.step(-1 << 20)
	}
	m.follow = false
	return m.move(-len(m.rows()))
}

func (m Model) newest() Model {
	if m.focus != focusList {
		return m.step(1 << 20)
	}
	return m.move(len(m.rows()) + 1)
}

func (m Model) followNewest() Model {
	m.follow, m.paused = true, 0
	return m.place()
}

// turnFocus goes to the next pane that is there.
func (m Model) turnFocus(dir int) Model {
	order := []focus{focusList, focusTopics}
	if m.detail.open {
		order = []focus{focusList, focusDetail, focusTopics}
	}
	at := max(0, slices.Index(order, m.focus))
	m.focus = order[(at+dir+len(order))%len(order)]
	return m.place()
}

// enter opens the detail of the message, and in the detail folds the line.
func (m Model) enter() Model {
	switch {
	case m.focus == focusTopics:
		m.focus = focusList
	case m.focus == focusDetail && m.detail.open:
		m.detail = m.detail.toggle()
		return m.refreshDetail()
	case m.selected() == nil:
		return m.say("no message is selected")
	default:
		m.detail.open, m.focus = true, focusDetail
	}
	return m.place()
}

// escape closes what is open, one thing at a time.
func (m Model) escape() Model {
	switch {
	case m.detail.open:
		m.detail.open, m.focus = false, focusList
	case m.focus != focusList:
		m.focus = focusList
	case m.search.filter.isSet():
		m.search = search{}
		return m.say("search cleared")
	case m.filter.isSet():
		m.filter = filter{}
		m, _ = m.rescan().scan()
		return m.say("filter cleared")
	}
	return m.place()
}

func (m Model) togglePause() (Model, tea.Cmd) {
	if m.paused != 0 {
		m.paused = 0
		return m.place(), nil
	}
	m.paused = max(1, m.ring.next-1)
	return m.place(), nil
}

// waiting is how many listed entries came since the pause.
func (m Model) waiting() int { return len(m.shown.all()) - len(m.rows()) }

func (m Model) toggleMute() (Model, tea.Cmd) {
	return m.changeTopic(func(t *watchedTopic) { t.muted = !t.muted }).scan()
}

func (m Model) toggleSolo() (Model, tea.Cmd) {
	return m.changeTopic(func(t *watchedTopic) { t.solo = !t.solo }).scan()
}

// addTopic follows one more topic without touching the other subscriptions.
func (m Model) addTopic(name pubsub.Topic) Model {
	switch {
	case name == "":
		return m
	case m.topicIndex(name) >= 0:
		return m.say(fmt.Sprintf("%s is there already", name))
	case len(m.topics) >= maxTopics:
		return m.complain(fmt.Sprintf("no more than %d topics", maxTopics))
	}
	m.topics = append(slices.Clone(m.topics), newTopic(name))
	m.topicCursor = len(m.topics) - 1
	carried := slices.ContainsFunc(m.links, func(l link) bool { return !l.isOver() && slices.Contains(l.asked.Topics, name) })
	if !carried {
		before := len(m.links)
		m = m.connect([]pubsub.Topic{name})
		for _, l := range m.links[before:] {
			m.feeds.start(l.id, l.asked)
		}
	}
	if h := name.Hazards(); len(h) > 0 {
		return m.complain(fmt.Sprintf("topic %q %s", name, h[0]))
	}
	return m.say(fmt.Sprintf("%s added", name))
}

// removeTopic stops following a topic. A subscription that carries other topics
// too goes on, and what still comes for this one is left out; one that was
// refused is asked again without it.
func (m Model) removeTopic() (Model, tea.Cmd) {
	i := m.meantTopic()
	if i < 0 {
		return m.say("there is no topic"), nil
	}
	name := m.topics[i].name
	m.topics = slices.Delete(slices.Clone(m.topics), i, i+1)
	m.topicCursor = min(m.topicCursor, max(0, len(m.topics)-1))
	var rest []link
	refused := false
	for _, l := range m.links {
		if !slices.ContainsFunc(l.asked.Topics, func(t pubsub.Topic) bool { return m.topicIndex(t) >= 0 }) {
			m.feeds.end(l.id)
			continue
		}
		refused = refused || l.isOver() && slices.Contains(l.asked.Topics, name)
		rest = append(rest, l)
	}
	m.links = rest
	if refused {
		m = m.reconnect()
	}
	return m.rescan().say(fmt.Sprintf("%s removed", name)).scan()
}

// timeMode is how the list shows times.
type timeMode uint8

const (
	timeLocal timeMode = iota
	timeUTC
	timeUnix
	timeDelta
	timeOff
	timeModes
)

func (m Model) nextTimeMode() Model {
	m.times = (m.times + 1) % timeModes
	return m
}
