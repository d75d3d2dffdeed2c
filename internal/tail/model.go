package tail

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/charmbracelet/bubbles/textarea"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// mode is what the keyboard is for.
type mode uint8

const (
	modeBrowse  mode = iota
	modeSearch       // typing what to look for
	modeFilter       // typing what to list
	modeAdd          // typing a topic
	modeExport       // typing a file name
	modePublish      // writing a message
	modeConfirm      // answering whether to send again
	modeHelp
	modeStats
)

// focus is the pane that the arrow keys move in.
type focus uint8

const (
	focusList focus = iota
	focusTopics
	focusDetail
)

// Model is the whole state of the view. It is a value: Update returns the next
// one. What it points to (ring, shown, meters) is shared with older copies, which
// nobody may use any more. The text fields are large and therefore pointers, too,
// so that a copy stays cheap.
type Model struct {
	// Static after New.
	o        *Options
	feeds    *feeds
	commands []command
	began    time.Time

	width, height int
	now           time.Time

	links    []link // one per subscription
	nextFeed int
	gaps     int
	resumed  int // connections after the first

	topics      []watchedTopic
	topicCursor int
	books

	// The list: which entries are shown, and where we are in them.
	filter    filter
	shown     *shown
	scanning  bool // a scanMsg is on its way
	filterErr string
	cursor    uint64 // position of the selected entry, 0 if none
	top       uint64 // position of the first visible row
	follow    bool
	paused    uint64 // the last position shown while paused, 0 if not paused
	times     timeMode
	search    search

	focus  focus
	mode   mode
	detail detail

	input   *textinput.Model // never changed, but replaced; so is draft
	problem string           // what is wrong with the input
	draft   *draft
	again   pending
	scroll  int // of help and statistics

	notice      string
	noticeStyle ui.Style
	noticeUntil time.Time

	published   int
	publishing  int
	trips       *histogram // in microseconds, of own publishes
	interrupted bool
}

// New makes the model; ctx ends its subscriptions.
func New(ctx context.Context, o Options) Model {
	o = o.filled()
	now := o.Now()
	m := Model{
		o: &o, feeds: newFeeds(ctx, o.Service), commands: allCommands(), began: now, now: now,
		books: books{ring: newRing(o.Messages, o.Bytes), total: &meter{}, sizes: &histogram{}, delays: &histogram{}},
		trips: &histogram{}, shown: &shown{next: 1}, follow: true,
		input: newInput(), draft: newDraft(),
	}
	for _, t := range o.Topics {
		if m.topicIndex(t) < 0 {
			m.topics = append(m.topics, newTopic(t))
		}
	}
	m = m.connect(m.followed())
	for _, t := range m.topics {
		if h := t.name.Hazards(); len(h) > 0 {
			return m.complain(fmt.Sprintf("topic %q %s", t.name, h[0]))
		}
	}
	return m
}

func newInput() *textinput.Model {
	in := textinput.New()
	in.Prompt = ""
	in.CharLimit = 4096
	in.Cursor = newCursor()
	in.KeyMap.Paste.SetEnabled(false) // it reads this machine's clipboard; terminals paste by themselves
	return &in
}

func newBody() textarea.Model {
	body := textarea.New()
	body.Prompt, body.ShowLineNumbers, body.EndOfBufferCharacter = "", false, ' '
	body.CharLimit, body.MaxHeight = pubsub.MaxPayload, 0
	body.FocusedStyle, body.BlurredStyle = textarea.Style{}, textarea.Style{}
	body.Cursor = newCursor()
	body.KeyMap.Paste.SetEnabled(false)
	return body
}

// start is the first command: the subscriptions are begun here, so that New does
// nothing but compute.
func (m Model) start() tea.Cmd {
	for _, l := range m.links {
		m.feeds.start(l.id, l.asked)
	}
	return tea.Batch(m.feeds.next(), tick(m.o.Now))
}

// tickMsg comes once a second: rates and countdowns are of whole seconds.
type tickMsg time.Time

func tick(now func() time.Time) tea.Cmd {
	return tea.Every(time.Second, func(time.Time) tea.Msg { return tickMsg(now()) })
}

// selected is the entry the cursor is on, nil if there is none.
func (m Model) selected() *entry { return m.ring.at(m.cursor) }

// say shows a notice for a few seconds.
func (m Model) say(text string) Model { return m.sayIn(ui.Plain, text) }

// complain shows what went wrong, a little longer.
func (m Model) complain(text string) Model {
	m = m.sayIn(ui.Red, text)
	m.noticeUntil = m.noticeUntil.Add(4 * time.Second)
	return m
}

func (m Model) sayIn(style ui.Style, text string) Model {
	m.notice, m.noticeStyle = clean(m.o.Secrets.Redact(text)), style
	m.noticeUntil = m.now.Add(4 * time.Second)
	return m
}

// Summary is what Run reports at the end.
type Summary struct {
	// Messages, Bytes and Topics count what arrived; Kept and Dropped say where
	// the messages are.
	Messages, Bytes uint64
	Topics          int
	Kept            int
	Dropped         uint64
	// Gaps and Reconnects count the interruptions, Published the messages sent.
	Gaps, Reconnects, Published int
	Took                        time.Duration
	// State is the last state of the connection in words; Problem says why it is
	// over, or was never open, if so.
	State   string
	Problem *ui.Problem
}

func (m Model) summary() Summary {
	kept := int(m.total.count - m.ring.dropped)
	s := Summary{
		Messages: m.total.count, Bytes: m.total.bytes, Topics: len(m.followed()), Kept: kept, Dropped: m.ring.dropped,
		Gaps: m.gaps, Reconnects: m.resumed, Published: m.published, Took: m.o.Now().Sub(m.began), State: m.stateWord(),
	}
	if i := slices.IndexFunc(m.links, link.isStuck); i >= 0 {
		s.Problem = m.links[i].problem
	}
	return s
}
