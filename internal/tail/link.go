package tail

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// phase is what the client last said about a subscription, the worst last.
type phase uint8

const (
	phaseOpen phase = iota
	phaseConnecting
	phaseReconnecting
	phaseEnded
	phaseRefused
)

// sameGap is how far apart the subscriptions that lost one service may tell of it.
const sameGap = 30 * time.Second

// link is one subscription as it is seen from here.
type link struct {
	id      int
	asked   Subscription
	phase   phase
	since   time.Time // of the phase
	attempt int
	retry   time.Time   // when the next attempt starts
	opened  bool        // it was open once
	problem *ui.Problem // of a reconnect or of the end
}

func (l link) isOver() bool { return l.phase >= phaseEnded }

// isStuck reports whether someone has to do something: nobody asks again, or the
// service never answered, so that its address may be wrong.
func (l link) isStuck() bool { return l.isOver() || l.phase == phaseReconnecting && !l.opened }

// connect prepares subscriptions to topics: one for all over MQTT, one for each
// over SSE, whose events do not name their topic. start or reconnect begins them.
func (m Model) connect(topics []pubsub.Topic) Model {
	if len(topics) == 0 {
		return m
	}
	groups := [][]pubsub.Topic{topics}
	transport := m.transport(len(topics))
	if transport == "sse" {
		groups = nil
		for _, t := range topics {
			groups = append(groups, []pubsub.Topic{t})
		}
	}
	m.links = slices.Clone(m.links)
	for _, g := range groups {
		m.nextFeed++
		asked := Subscription{Topics: g, Transport: transport, Durable: m.o.Durable && transport == "sse"}
		m.links = append(m.links, link{id: m.nextFeed, asked: asked, phase: phaseConnecting, since: m.now})
	}
	return m
}

// transport is what auto means for so many new topics. A view that already runs
// over one transport stays with it.
func (m Model) transport(count int) string {
	switch {
	case m.o.Transport != "auto":
		return m.o.Transport
	case len(m.links) > 0:
		return m.links[0].asked.Transport
	case count == 1 || m.o.Durable:
		return "sse"
	}
	return "mqtt"
}

// reconnect ends all subscriptions and begins them anew.
func (m Model) reconnect() Model {
	var last map[pubsub.Topic]string
	for _, l := range m.links {
		m.feeds.end(l.id)
		if l.asked.LastID != "" {
			last = withID(last, l.asked.Topics[0], l.asked.LastID)
		}
	}
	lost := slices.ContainsFunc(m.links, func(l link) bool { return l.opened })
	m.links = nil
	m = m.connect(m.followed())
	for i, l := range m.links {
		if l.asked.Durable {
			m.links[i].asked.LastID = last[l.asked.Topics[0]]
		}
		m.feeds.start(l.id, m.links[i].asked)
	}
	if lost {
		m = m.gap(entry{at: m.now, text: "connected again by hand: live messages published meanwhile may have been missed"})
	}
	return m
}

func withID(ids map[pubsub.Topic]string, t pubsub.Topic, id string) map[pubsub.Topic]string {
	if ids == nil {
		ids = map[pubsub.Topic]string{}
	}
	ids[t] = id
	return ids
}

// linkOf finds a subscription; one that was ended since is not there.
func linkOf(links []link, feed int) int {
	for i := range links {
		if links[i].id == feed {
			return i
		}
	}
	return -1
}

// heard takes what a client says about its connection.
func (m Model) heard(i int, e client.Event) Model {
	m.links = slices.Clone(m.links)
	l := &m.links[i]
	l.since = e.Time
	switch e.Kind {
	case client.KindOpen:
		if l.opened {
			m.resumed++
		}
		l.phase, l.opened = phaseOpen, true
	case client.KindGap:
		m = m.gap(entry{at: e.Time, since: e.Since, text: e.Text, lost: m.only(*l)})
	case client.KindReconnecting:
		l.phase, l.attempt, l.retry = phaseReconnecting, e.Attempt, e.Time.Add(e.Wait)
		l.problem = m.explain(*l, e.Err)
	case client.KindRefused:
		l.phase, l.problem = phaseRefused, m.explain(*l, e.Err)
	case client.KindEnded:
		l.phase, l.problem = phaseEnded, m.explain(*l, e.Err)
	}
	return m
}

// only names the topics of a subscription if there are others besides it.
func (m Model) only(l link) []string {
	var names []string
	if len(m.links) > 1 {
		for _, t := range l.asked.Topics {
			names = append(names, string(t))
		}
	}
	return names
}

func (m Model) explain(l link, err error) *ui.Problem {
	p := m.o.Service.Explain("subscribe", l.asked.Topics, err)
	return &p
}

// gap puts a line into the list. Several subscriptions that lost the same service
// one after the other make one line, which names them all.
func (m Model) gap(g entry) Model {
	g.kind, g.text = kindGap, clean(m.o.Secrets.Redact(g.text))
	if last := m.ring.at(m.ring.next - 1); last != nil && last.kind == kindGap && g.at.Sub(last.at) < sameGap {
		g.text = last.text
		if last.since.Before(g.since) {
			g.since = last.since
		}
		g.lost = append(slices.Clone(last.lost), g.lost...)
		slices.Sort(g.lost)
		g.lost = slices.Compact(g.lost)
		m.ring.replaceLast(&g)
		return m
	}
	m.gaps++
	m.ring.add(&g)
	return m
}

// gapText is a gap in one line, its time first.
func (e *entry) gapText() string {
	text := "gap"
	if !e.since.IsZero() {
		text += " " + e.since.Local().Format(time.TimeOnly) + " to " + e.at.Local().Format(time.TimeOnly)
	}
	if len(e.lost) > 0 {
		text += " on " + clean(strings.Join(e.lost, ", "))
	}
	return text + ": " + e.text
}

// worst is the subscription that most asks for attention, -1 if there is none.
func (m Model) worst() int {
	worst := -1
	for i, l := range m.links {
		if worst < 0 || l.phase > m.links[worst].phase {
			worst = i
		}
	}
	return worst
}

// stateWord is the state of the connection in a few words.
func (m Model) stateWord() string {
	i := m.worst()
	if i < 0 {
		return "no topic"
	}
	l := m.links[i]
	word := ""
	switch l.phase {
	case phaseOpen:
		word = "open"
	case phaseConnecting:
		word = "connecting"
	case phaseReconnecting:
		word = fmt.Sprintf("reconnecting, attempt %d", l.attempt)
		if wait := l.retry.Sub(m.now).Round(time.Second); wait > 0 {
			word += " in " + ui.FormatDuration(wait)
		}
	case phaseEnded:
		word = "disconnected"
	case phaseRefused:
		word = "refused"
	}
	if open := m.openLinks(); l.phase != phaseOpen && open > 0 {
		word += fmt.Sprintf(" (%d of %d open)", open, len(m.links))
	}
	return word
}

func (m Model) openLinks() int {
	n := 0
	for _, l := range m.links {
		if l.phase == phaseOpen {
			n++
		}
	}
	return n
}
