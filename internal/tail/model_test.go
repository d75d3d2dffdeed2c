package tail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// TestMain lets local times be those of the golden screens everywhere.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// moment is when everything in these tests happens.
func moment() time.Time { return time.Date(2026, 3, 4, 15, 4, 5, 678e6, time.UTC) }

// silent is a service on which nothing happens by itself.
type silent struct {
	followed  chan Subscription // if not nil, takes what was asked for
	published []string
	refuse    error
}

func (s *silent) Follow(ctx context.Context, sub Subscription, _ func(client.Event) error) error {
	if s.followed != nil {
		s.followed <- sub
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *silent) Publish(_ context.Context, topic pubsub.Topic, body []byte, o client.PublishOptions) (client.Published, error) {
	s.published = append(s.published, fmt.Sprintf("%s %s %v", topic, body, o.Retain))
	return client.Published{Took: 1500 * time.Microsecond}, s.refuse
}

func (s *silent) Scope(topic pubsub.Topic) (string, bool) {
	return "token: grants write to: chat", topic == "chat"
}

func (s *silent) Explain(verb string, topics []pubsub.Topic, err error) ui.Problem {
	return ui.Problemf(ui.AuthTopicNotGranted, fmt.Sprintf("not allowed to %s to %q", verb, topics[0])).
		Because("the token grants read to: news").Try("pubsubctl token mint --read " + string(topics[0])).From(err)
}

// open makes a model of a size whose subscriptions are open.
func open(t *testing.T, w, h int, adjust func(*Options), topics ...pubsub.Topic) Model {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Service: &silent{}, Topics: topics, Context: "local", URL: "http://127.0.0.1:7999", Glyphs: true,
		Now: moment, Dir: t.TempDir(), Secrets: &ui.Secrets{}}
	if adjust != nil {
		adjust(&o)
	}
	m := New(ctx, o)
	t.Cleanup(func() { cancel(); m.feeds.wait() })
	m = m.resize(w, h)
	for _, l := range m.links {
		m = happens(t, m, happening{feed: l.id, event: client.Event{Kind: client.KindOpen, Time: moment(), Conn: 1}})
	}
	return m
}

// happens updates the model with a batch and all it leads to.
func happens(t *testing.T, m Model, batch ...happening) Model {
	t.Helper()
	m, _ = m.Update(batchMsg(batch))
	for i := 0; m.scanning; i++ {
		if m, _ = m.Update(scanMsg{}); i > 100_000 {
			t.Fatal("the scan does not end")
		}
	}
	return m
}

// message is a message on the subscription that carries its topic.
func message(m Model, at time.Duration, topic pubsub.Topic, data string) happening {
	h := happening{event: client.Event{Kind: client.KindMessage, Time: moment().Add(at), Conn: 1, Transport: "mqtt",
		Message: client.Message{Topic: topic, Name: "message", Data: []byte(data)}}}
	for _, l := range m.links {
		for _, name := range l.asked.Topics {
			if name == topic {
				h.feed, h.event.Transport = l.id, l.asked.Transport
			}
		}
	}
	return h
}

// texts puts messages with these payloads on a topic, a millisecond apart.
func says(t *testing.T, m Model, topic pubsub.Topic, payloads ...string) Model {
	t.Helper()
	var batch []happening
	for i, p := range payloads {
		batch = append(batch, message(m, time.Duration(i)*time.Millisecond, topic, p))
	}
	return happens(t, m, batch...)
}

// press presses keys by name, and runs what that starts until nothing is left.
func press(t *testing.T, m Model, keys ...string) Model {
	t.Helper()
	for _, k := range keys {
		m = settle(t, m, keyMsg(k))
	}
	return m
}

// enters types text letter by letter.
func enters(t *testing.T, m Model, text string) Model {
	t.Helper()
	for _, r := range text {
		m = settle(t, m, keyMsg(string(r)))
	}
	return m
}

func settle(t *testing.T, m Model, msg tea.Msg) Model {
	t.Helper()
	queue := []tea.Msg{msg}
	for n := 0; len(queue) > 0; n++ {
		if n > 100_000 {
			t.Fatal("commands do not end")
		}
		msg, queue = queue[0], queue[1:]
		if many, ok := msg.(tea.BatchMsg); ok {
			for _, c := range many {
				if c != nil {
					queue = append(queue, c())
				}
			}
			continue
		}
		var cmd tea.Cmd
		m, cmd = m.Update(msg)
		if cmd != nil {
			queue = append(queue, cmd())
		}
	}
	return m
}

// keyMsg is a key as the toolkit reports it, by name or as the letter it types.
func keyMsg(name string) tea.KeyMsg {
	special := map[string]tea.KeyType{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd}
	if code, ok := special[name]; ok {
		return tea.KeyMsg{Type: code}
	}
	if name == "space" || name == " " {
		return tea.KeyMsg{Type: tea.KeySpace, Runes: []rune{' '}}
	}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyMsg{Type: tea.KeyCtrlA + tea.KeyType(letter[0]-'a')}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(name)}
}

// screen is what View draws.
func screen(m Model) string { return m.View() }

func wantScreen(t *testing.T, m Model, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if s := screen(m); !strings.Contains(s, p) {
			t.Errorf("no %q in\n%s", p, s)
		}
	}
}

func wantNotOnScreen(t *testing.T, m Model, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if s := screen(m); strings.Contains(s, p) {
			t.Errorf("%q is in\n%s", p, s)
		}
	}
}

func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("message %d.", i+1)
	}
	return out
}

func TestFollowsUntilTheCursorMoves(t *testing.T) {
	m := says(t, open(t, 80, 12, nil, "chat"), "chat", numbered(30)...)
	wantScreen(t, m, "following", "message 30.")
	m = press(t, m, "up", "up")
	wantScreen(t, m, "at 28 of 30")
	m = says(t, m, "chat", "late")
	wantScreen(t, m, "at 28 of 31", "message 28.")
	wantNotOnScreen(t, m, "late")
	m = press(t, m, "F")
	wantScreen(t, m, "following", "late")
	m = press(t, m, "g")
	wantScreen(t, m, "at 1 of 31", "message 1.")
}

func TestPauseKeepsBuffering(t *testing.T) {
	m := says(t, open(t, 80, 24, nil, "chat"), "chat", "before")
	m = press(t, m, "space")
	m = says(t, m, "chat", numbered(7)...)
	wantScreen(t, m, "PAUSED, 7 new", "8 kept", "before")
	wantNotOnScreen(t, m, "message 7.")
	m = press(t, m, "space")
	wantScreen(t, m, "following", "message 7.")
}

func TestDroppedMessagesAreCounted(t *testing.T) {
	m := open(t, 80, 24, func(o *Options) { o.Messages = 10 }, "chat")
	m = says(t, m, "chat", numbered(25)...)
	wantScreen(t, m, "10 kept, 15 dropped", "message 16.")
	wantNotOnScreen(t, m, "message 15.")
	if s := m.summary(); s.Kept != 10 || s.Dropped != 15 || s.Messages != 25 {
		t.Errorf("summary %+v", s)
	}
}

func TestResizeKeepsTheSelection(t *testing.T) {
	m := says(t, open(t, 100, 30, nil, "chat"), "chat", numbered(100)...)
	m = press(t, m, "up", "up", "up", "enter")
	before := m.cursor
	for _, size := range [][2]int{{40, 8}, {200, 60}, {80, 24}, {10, 3}, {1, 1}, {100, 30}} {
		m = settle(t, m, tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		if m.cursor != before {
			t.Errorf("at %v the cursor is on %d, was on %d", size, m.cursor, before)
		}
	}
	wantScreen(t, m, "#97 chat", "at 97 of 100")
}

func TestSelectionThatFallsOutMovesToTheOldest(t *testing.T) {
	m := says(t, open(t, 80, 24, func(o *Options) { o.Messages = 10 }, "chat"), "chat", numbered(10)...)
	m = press(t, m, "g")
	m = says(t, m, "chat", numbered(5)...)
	wantScreen(t, m, "at 1 of 10", "message 6.")
}

func TestFilterListsAndExcludes(t *testing.T) {
	for _, c := range []struct {
		filter string
		shows  []string
		hides  string
	}{
		{"error", []string{`{"level":"error"`, "an ERROR", "in the news", "hides 1"}, `"info"`},
		{"ERROR", []string{"an ERROR", "hides 3"}, "in the news"},
		{"topic:news", []string{"in the news", "hides 3"}, "an ERROR"},
		{"!topic:news", []string{"an ERROR", "hides 1"}, "in the news"},
		{"re:n\":[67]", []string{`"info"`, "hides 3"}, "an ERROR"},
		{".json.n > 5", []string{`"info"`, "hides 3"}, "an ERROR"},
		{"jq:.topic == \"news\"", []string{"in the news", "hides 3"}, "an ERROR"},
		{"error && !topic:chat", []string{"in the news", "hides 3"}, "an ERROR"},
	} {
		t.Run(c.filter, func(t *testing.T) {
			m := open(t, 100, 24, nil, "chat", "news")
			m = says(t, m, "chat", `{"level":"error","n":5}`, `{"level":"info","n":7}`, "an ERROR in text")
			m = says(t, m, "news", "error in the news")
			m = press(t, m, "f")
			m = press(t, enters(t, m, c.filter), "enter")
			wantScreen(t, m, c.shows...)
			wantNotOnScreen(t, m, c.hides)
			m = says(t, m, "chat", "unrelated")
			m = press(t, m, "f")
			m.input.SetValue("")
			wantScreen(t, press(t, m, "enter"), c.hides)
		})
	}
}

func TestFilterThatCannotBeReadStaysInTheLine(t *testing.T) {
	m := press(t, open(t, 80, 24, nil, "chat"), "f")
	m = press(t, enters(t, m, "re:("), "enter")
	wantScreen(t, m, "filter: re:(", "missing closing )")
	wantNotOnScreen(t, press(t, m, "esc"), "missing")
}

func TestFilterThatTakesTooLongIsSwitchedOff(t *testing.T) {
	m := says(t, open(t, 100, 24, nil, "chat"), "chat", "x", "y")
	m = press(t, m, "f")
	m = press(t, enters(t, m, "jq:[range(1e9)] | length > 0"), "enter")
	wantScreen(t, m, "takes too long; the filter is off")
	if m.filter.isSet() || len(m.rows()) != 2 {
		t.Errorf("filter %q, %d rows", m.filter.text, len(m.rows()))
	}
}

func TestSearchThatTakesTooLongIsSwitchedOff(t *testing.T) {
	m := press(t, says(t, open(t, 100, 24, nil, "chat"), "chat", "x", "y"), "/")
	m = press(t, enters(t, m, "jq:[range(1e9)] | length > 0"), "enter")
	wantScreen(t, m, "takes too long; the search is off")
}

func TestSearchThatHasEndedStaysSo(t *testing.T) {
	m := press(t, says(t, open(t, 100, 24, nil, "chat"), "chat", "x", "y"), "/")
	m = press(t, enters(t, m, "y"), "enter")
	before := screen(m)
	if m = settle(t, m, searchMsg{}); screen(m) != before {
		t.Errorf("a late step changes the screen:\n%s", screen(m))
	}
}

func TestHazardousTopicIsPointedOut(t *testing.T) {
	m := open(t, 100, 24, nil, "plain", "chat/#")
	wantScreen(t, m, `topic "chat/#" holds *, # or +, which are not wildcards`)
	m = press(t, m, "a")
	wantScreen(t, press(t, enters(t, m, "a,b"), "enter"), `topic "a,b" holds a comma`)
}

func TestSearchGoesRound(t *testing.T) {
	m := says(t, open(t, 80, 24, nil, "chat"), "chat", "one apple", "two", "three Apple", "four")
	m = press(t, m, "g", "/")
	m = press(t, enters(t, m, "apple"), "enter")
	wantScreen(t, m, "at 3 of 4", "»")
	m = press(t, m, "n")
	wantScreen(t, m, "at 1 of 4", "went round")
	m = press(t, m, "N")
	wantScreen(t, m, "at 3 of 4")
	m = press(t, m, "/")
	m.input.SetValue("pear")
	wantScreen(t, press(t, m, "enter"), `"pear" is in none of 4 rows`)
}

func TestMuteAndSolo(t *testing.T) {
	m := open(t, 100, 24, nil, "a", "b", "c")
	for _, topic := range []pubsub.Topic{"a", "b", "c"} {
		m = says(t, m, topic, "from "+string(topic))
	}
	m = press(t, m, "tab", "down", "m")
	wantNotOnScreen(t, m, "from b")
	m = press(t, m, "m", "o")
	wantScreen(t, m, "from b", "◆b")
	wantNotOnScreen(t, m, "from a", "from c")
}

func TestTopicsComeAndGoWithoutDisturbingOthers(t *testing.T) {
	s := &silent{followed: make(chan Subscription, 4)}
	m := open(t, 100, 24, func(o *Options) { o.Service = s }, "a")
	m = press(t, m, "a")
	m = press(t, enters(t, m, "b"), "enter")
	if got := <-s.followed; len(got.Topics) != 1 || got.Topics[0] != "b" || got.Transport != "sse" {
		t.Errorf("asked for %+v", got)
	}
	wantScreen(t, m, "topics (2)", "b added", "connecting (1 of 2 open)")
	m = says(t, m, "b", "on b")
	wantScreen(t, m, "on b")
	m = press(t, m, "tab", "down", "x")
	wantScreen(t, m, "topics (1)", "b removed", "● open")
	if len(m.links) != 1 {
		t.Errorf("%d subscriptions are left", len(m.links))
	}
	if m = says(t, m, "a", "on a"); m.total.count != 2 {
		t.Errorf("%d messages counted", m.total.count)
	}
}

func TestRemovingTheRefusedTopicAsksAgain(t *testing.T) {
	s := &silent{followed: make(chan Subscription, 4)}
	m := open(t, 100, 24, func(o *Options) { o.Service = s }, "a", "b")
	m = happens(t, m, happening{feed: 1, event: client.Event{Kind: client.KindRefused, Time: moment(), Err: errors.New("no")}})
	wantScreen(t, m, "✗ refused", `not allowed to subscribe to "a"`, "why:  the token grants read to: news", "next: pubsubctl token mint --read a")
	m = press(t, m, "tab", "x")
	if got := <-s.followed; len(got.Topics) != 1 || got.Topics[0] != "b" {
		t.Errorf("asked for %+v", got)
	}
	wantScreen(t, m, "○ connecting")
}

func TestReconnectingMakesOneGapLine(t *testing.T) {
	m := says(t, open(t, 100, 24, func(o *Options) { o.Transport = "sse" }, "a", "b"), "a", "before")
	err := errors.New("cut")
	for _, l := range m.links {
		m = happens(t, m, happening{feed: l.id, event: client.Event{Kind: client.KindReconnecting, Time: moment(), Attempt: 2, Wait: 3 * time.Second, Err: err}})
	}
	wantScreen(t, m, "↻ reconnecting, attempt 2 in 3s", "not allowed to subscribe")
	for _, l := range m.links {
		m = happens(t, m,
			happening{feed: l.id, event: client.Event{Kind: client.KindOpen, Time: moment(), Conn: 2}},
			happening{feed: l.id, event: client.Event{Kind: client.KindGap, Time: moment().Add(time.Second), Since: moment(), Text: "messages published while disconnected are missed"}})
	}
	m = says(t, m, "b", "after")
	wantScreen(t, m, "● open", "before", "gap 15:04:05 to 15:04:06 on a, b: messages published while disco", "after")
	if n := strings.Count(screen(m), "gap "); n != 1 {
		t.Errorf("%d gap lines in\n%s", n, screen(m))
	}
	if s := m.summary(); s.Gaps != 1 || s.Reconnects != 2 || s.State != "open" {
		t.Errorf("summary %+v", s)
	}
}

func TestServiceThatIsNotThereIsAskedAgain(t *testing.T) {
	s := &silent{}
	m := New(t.Context(), Options{Service: s, Topics: []pubsub.Topic{"a"}, Glyphs: true, Now: moment}).resize(100, 24)
	away := client.Event{Kind: client.KindReconnecting, Time: moment(), Attempt: 2, Wait: 3 * time.Second, Err: errors.New("refused")}
	m = happens(t, m, happening{feed: 1, event: away})
	wantScreen(t, m, "↻ reconnecting, attempt 2 in 3s", "why:  the token grants", "next: pubsubctl token mint", "r reconnect")
	if sum := m.summary(); sum.Problem == nil {
		t.Error("the summary does not say why")
	}
	m = happens(t, m, happening{feed: 1, event: client.Event{Kind: client.KindOpen, Time: moment()}})
	wantScreen(t, m, "● open", "no message yet")
	if sum := m.summary(); sum.Reconnects != 0 || sum.Gaps != 0 || sum.Problem != nil {
		t.Errorf("summary %+v", sum)
	}
	m = happens(t, m, happening{feed: 1, event: away})
	wantNotOnScreen(t, m, "why: ", "next: ") // the address was right
}

func TestReconnectByHandTellsWhatIsMissed(t *testing.T) {
	for _, kind := range []client.Kind{client.KindReconnecting, client.KindRefused, client.KindEnded} {
		m := open(t, 100, 24, nil, "a")
		m = happens(t, m, onLink(m, client.Event{Kind: kind, Err: errors.New("cut")}))
		m = press(t, m, "r")
		wantScreen(t, m, "○ connecting", "gap: connected again by hand")
		if m = press(t, m, "r"); m.gaps != 1 {
			t.Errorf("%v: %d gaps, but nothing was open in between", kind, m.gaps)
		}
	}
}

func TestQuitAndInterrupt(t *testing.T) {
	m := open(t, 80, 24, nil, "chat")
	if _, cmd := m.Update(keyMsg("q")); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not quit")
	}
	for _, at := range []string{"", "f", "p", "?", "s"} {
		m := m
		if at != "" {
			m, _ = m.Update(keyMsg(at))
		}
		m, cmd := m.Update(keyMsg("ctrl+c"))
		if cmd == nil || cmd() != tea.Quit() || !m.interrupted {
			t.Errorf("Ctrl-C after %q does not interrupt", at)
		}
	}
}
