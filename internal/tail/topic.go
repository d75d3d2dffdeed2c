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

// topicIndex finds the row of a topic, -1 if there is none.
func (m Model) topicIndex(name pubsub.Topic) int {
	return slices.IndexFunc(m.topics, func(t watchedTopic) bool { return t.name == name })
}

// followed are the names that subscriptions are for.
func (m Model) followed() []pubsub.Topic {
	var names []pubsub.Topic
	for _, t := range m.topics {
		names = append(names, t.name)
	}
	return names
}

// audible reports whether messages of a topic are listed: it is not muted, and if
// some are solo, it is one of them.
func (m Model) audible(name pubsub.Topic) bool {
	i := m.topicIndex(name)
	if i < 0 {
		return !m.anySolo()
	}
	t := m.topics[i]
	return !t.muted && (t.solo || !m.anySolo())
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
