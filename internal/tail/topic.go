package tail

import (
	"slices"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// maxTopics bounds what is followed at once.
const maxTopics = 256

// watchedTopic is one row of the topics pane.
type watchedTopic struct {
	name  pubsub.Topic
	muted bool
	solo  bool
	meter *meter
	sizes *histogram
}

func newTopic(name pubsub.Topic) watchedTopic {
	return watchedTopic{name: name, meter: &meter{}, sizes: &histogram{}}
}

// topicOf finds the row of a topic, -1 if there is none.
func topicOf(topics []watchedTopic, name pubsub.Topic) int {
	for i := range topics {
		if topics[i].name == name {
			return i
		}
	}
	return -1
}

// topicIndex is topicOf the watched ones.
func (m Model) topicIndex(name pubsub.Topic) int { return topicOf(m.topics, name) }

// followed are the names that subscriptions are for.
func (m Model) followed() []pubsub.Topic {
	var names []pubsub.Topic
	for _, t := range m.topics {
		names = append(names, t.name)
	}
	return names
}

// lens decides what is listed: the filter, and which topics are heard.
type lens struct {
	filter  filter
	topics  []watchedTopic
	anySolo bool
	quiet   bool // some topic is muted or solo
}

func (m Model) lens() lens {
	solo := m.anySolo()
	quiet := solo || slices.ContainsFunc(m.topics, func(t watchedTopic) bool { return t.muted })
	return lens{filter: m.filter, topics: m.topics, anySolo: solo, quiet: quiet}
}

// accepts reports whether an entry is listed.
func (l lens) accepts(e *entry) (bool, error) {
	if l.quiet && e.kind == kindMessage && !l.audible(e.topic) {
		return false, nil
	}
	return l.filter.matches(e)
}

// audible reports whether messages of a topic are listed: it is not muted, and if
// some are solo, it is one of them.
func (l lens) audible(name pubsub.Topic) bool {
	i := topicOf(l.topics, name)
	if i < 0 {
		return !l.anySolo
	}
	return !l.topics[i].muted && (l.topics[i].solo || !l.anySolo)
}

func (m Model) anySolo() bool {
	return slices.ContainsFunc(m.topics, func(t watchedTopic) bool { return t.solo })
}

// changeTopic applies change to the topic that is meant. The slice is copied,
// because older copies of the model share it.
func (m Model) changeTopic(change func(*watchedTopic)) Model {
	i := m.meantTopic()
	if i < 0 {
		return m.say("there is no topic")
	}
	m.topics = slices.Clone(m.topics)
	change(&m.topics[i])
	return m.rescan()
}

// meantTopic is the topic that a key is for: the selected one in the topics pane,
// else that of the selected message.
func (m Model) meantTopic() int {
	if e := m.selected(); m.focus != focusTopics && e != nil && e.kind == kindMessage {
		if i := m.topicIndex(e.topic); i >= 0 {
			return i
		}
	}
	if m.topicCursor < len(m.topics) {
		return m.topicCursor
	}
	return -1
}
