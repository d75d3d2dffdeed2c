package tail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/textarea"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// maxPublishing bounds the requests under way.
const maxPublishing = 8

// draft is the message being written. It outlives its pane.
type draft struct {
	topic  textinput.Model
	body   textarea.Model
	onBody bool // the cursor is in the body, not in the topic
	retain bool
	scope  string // what the token allows for the topic, asked when that changes
	denied bool

	// What the fields draw, kept because a long body takes tens of milliseconds:
	// too long for each frame.
	topicView, bodyView string
}

func newDraft() *draft { return &draft{topic: *newInput(), body: newBody(), onBody: true} }

// write replaces the draft by a changed copy.
func (m Model) write(change func(*draft) tea.Cmd) (Model, tea.Cmd) {
	d := *m.draft
	cmd := change(&d)
	d.topicView, d.bodyView = d.topic.View(), d.body.View()
	m.draft = &d
	return m, cmd
}

// size fits the fields to the screen.
func (d *draft) size(width, height int) {
	d.topic.Width = max(1, width-10)
	d.body.SetWidth(max(4, width-2))
	d.body.SetHeight(bodyRows(height))
}

// bodyRows is how many lines of the body are visible.
func bodyRows(height int) int { return min(max(height/4, 1), 12) }

// openPublish opens the pane, on the topic that is meant.
func (m Model) openPublish() (Model, tea.Cmd) {
	m.mode = modePublish
	topic := m.draft.topic.Value()
	if i := m.meantTopic(); i >= 0 && m.draft.body.Value() == "" {
		topic = string(m.topics[i].name)
	}
	return m.write(func(d *draft) tea.Cmd {
		d.topic.SetValue(topic)
		d.askScope(m.o)
		return d.focusOn(topic != "")
	})
}

// askScope finds out what the token allows for the topic.
func (d *draft) askScope(o *Options) {
	d.scope, d.denied = "", false
	if topic := pubsub.Topic(d.topic.Value()); topic != "" {
		text, granted := o.Service.Scope(topic)
		d.scope, d.denied = clean(o.Secrets.Redact(text)), !granted
	}
}

// focusOn puts the cursor into the body or into the topic.
func (d *draft) focusOn(body bool) tea.Cmd {
	d.onBody = body
	if body {
		d.topic.Blur()
		return d.body.Focus()
	}
	d.body.Blur()
	return d.topic.Focus()
}

func (d *draft) update(msg tea.Msg) (cmd tea.Cmd) {
	if d.onBody {
		d.body, cmd = d.body.Update(msg)
	} else {
		d.topic, cmd = d.topic.Update(msg)
	}
	return cmd
}

// compose gives a key to the publish pane.
func (m Model) compose(k tea.KeyMsg) (Model, tea.Cmd) {
	switch k.String() {
	case "esc":
		m.mode = modeBrowse
		return m, nil
	case "ctrl+s":
		return m.sendDraft()
	case "enter":
		return m.enterDraft()
	}
	return m.write(func(d *draft) tea.Cmd { return d.press(k, m.o) })
}

// press is a key that changes the draft.
func (d *draft) press(k tea.KeyMsg, o *Options) tea.Cmd {
	switch k.String() {
	case "tab", "shift+tab":
		return d.focusOn(!d.onBody)
	case "ctrl+r":
		d.retain = !d.retain
		return nil
	case "alt+enter", "ctrl+j":
		if d.onBody {
			d.body.InsertString("\n")
		}
		return nil
	}
	topic := d.topic.Value()
	cmd := d.update(k)
	if d.topic.Value() != topic {
		d.askScope(o)
	}
	return cmd
}

// enterDraft goes from the topic to the body, and from there sends. An empty
// message is sent by ctrl+s only, because a slip is more likely.
func (m Model) enterDraft() (Model, tea.Cmd) {
	if !m.draft.onBody {
		return m.write(func(d *draft) tea.Cmd { return d.focusOn(true) })
	}
	if m.draft.body.Value() == "" {
		return m.say("the message is empty; ctrl+s sends it all the same"), nil
	}
	return m.sendDraft()
}

func (m Model) sendDraft() (Model, tea.Cmd) {
	topic, body := pubsub.Topic(m.draft.topic.Value()), m.draft.body.Value()
	switch {
	case topic == "":
		return m.complain("a message needs a topic"), nil
	case len(body) > pubsub.MaxPayload:
		return m.complain(fmt.Sprintf("the message is %s bytes, the most is %s", grouped(uint64(len(body))), grouped(pubsub.MaxPayload))), nil
	}
	return m.send(topic, []byte(body), m.draft.retain, false)
}

// publishedMsg is what came of a publish.
type publishedMsg struct {
	topic pubsub.Topic
	body  []byte
	again bool
	took  time.Duration
	err   error
}

// send publishes in the background. A topic that HTTP cannot name goes over MQTT.
func (m Model) send(topic pubsub.Topic, body []byte, retain, again bool) (Model, tea.Cmd) {
	if m.publishing >= maxPublishing {
		return m.complain("too many messages are still under way"), nil
	}
	m.publishing++
	service, ctx := m.o.Service, m.feeds.ctx
	o := client.PublishOptions{Retain: retain, MQTT: !pubsub.PlainTopic(topic)}
	return m.say("publishing to " + string(topic)), func() tea.Msg {
		got, err := service.Publish(ctx, topic, body, o)
		return publishedMsg{topic: topic, body: body, again: again, took: got.Took, err: err}
	}
}

func (m Model) wasPublished(p publishedMsg) Model {
	m.publishing--
	if errors.Is(p.err, context.Canceled) {
		return m
	}
	if p.err != nil {
		problem := m.o.Service.Explain("publish", []pubsub.Topic{p.topic}, p.err)
		text := problem.Error()
		if problem.Next != "" {
			text += "; next: " + problem.Next
		}
		return m.complain(text)
	}
	m.published++
	m.trips.add(uint64(p.took.Microseconds()))
	if !p.again && m.draft.body.Value() == string(p.body) {
		m, _ = m.write(func(d *draft) tea.Cmd { d.body.Reset(); return nil })
	}
	what := "published to "
	if p.again {
		what = "sent again to "
	}
	return m.say(fmt.Sprintf("%s%s (%s, %s)", what, p.topic, sizeText(uint64(len(p.body))), delayText(uint64(p.took.Microseconds()))))
}

// pending is a message that waits for a yes.
type pending struct {
	topic pubsub.Topic
	body  []byte
}

// sendAgain sends the selected message again, live.
func (m Model) sendAgain() (Model, tea.Cmd) {
	e := m.selected()
	if e == nil || e.kind != kindMessage {
		return m.say("no message is selected"), nil
	}
	if m.o.Protected {
		m.again, m.mode = pending{e.topic, e.data}, modeConfirm
		return m, nil
	}
	return m.send(e.topic, e.data, false, true)
}

// question is what has to be answered before a message is sent again.
func (m Model) question() string {
	return clean(fmt.Sprintf("send again to %s? [y/N]  %s; context %s is protected", m.again.topic, sizeText(uint64(len(m.again.body))), m.o.Context))
}

// answer takes the answer: only y agrees.
func (m Model) answer(k tea.KeyMsg) (Model, tea.Cmd) {
	m.mode = modeBrowse
	if strings.ToLower(k.String()) == "y" {
		return m.send(m.again.topic, m.again.body, false, true)
	}
	return m.say("not sent"), nil
}

// verdict says whether the draft is the JSON it seems to be.
func (d *draft) verdict() (text string, ok bool) {
	body := []byte(d.body.Value())
	switch {
	case len(body) == 0:
		return "empty", true
	case json.Valid(body):
		return "JSON ok", true
	case !looksLikeJSON(body):
		return "text", true
	}
	return notJSON(body), false
}
