package tail

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func TestPublishPaneChecksAndSends(t *testing.T) {
	s := &silent{}
	m := open(t, 100, 30, func(o *Options) { o.Service = s }, "chat", "news")
	m = press(t, m, "p")
	wantScreen(t, m, "topic chat", "empty (0 of 32,512 bytes)", "token: grants write to: chat")
	m = press(t, m, "enter")
	wantScreen(t, m, "the message is empty")
	m = enters(t, m, `{"a":`)
	wantScreen(t, m, "not JSON: line 1, column 5")
	m = press(t, enters(t, m, `1}`), "ctrl+j")
	wantScreen(t, m, "JSON ok (8 of 32,512 bytes)")
	m = press(t, m, "ctrl+r", "enter")
	wantScreen(t, m, "published to chat (8 bytes, 1.5 ms)", "publish, retained", "empty (0 of")
	if want := []string{"chat {\"a\":1}\n true"}; !slices.Equal(s.published, want) {
		t.Errorf("published %q, want %q", s.published, want)
	}
	if sum := m.summary(); sum.Published != 1 {
		t.Errorf("summary %+v", sum)
	}
	m = press(t, m, "tab")
	m.draft.topic.SetValue("new") // the test owns this draft
	m = enters(t, m, "s")
	if !m.draft.denied {
		t.Error("a topic that is not granted is not marked")
	}
}

func TestFailedPublishKeepsTheDraft(t *testing.T) {
	s := &silent{refuse: errors.New("no")}
	m := press(t, open(t, 100, 30, func(o *Options) { o.Service = s }, "chat"), "p")
	m = press(t, enters(t, m, "text"), "enter")
	wantScreen(t, m, `not allowed to publish to "chat"; next: pubsubctl token mint`, "text (4 of")
	m = press(t, m, "esc", "p")
	wantScreen(t, m, "text (4 of")
}

func pasted(text string) tea.KeyMsg {
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(text), Paste: true}
}

func TestPastedTextIsOneMessage(t *testing.T) {
	s := &silent{}
	m := press(t, open(t, 100, 30, func(o *Options) { o.Service = s }, "chat"), "p")
	m = settle(t, m, pasted("{\n\"a\": 1\n}"))
	m = press(t, m, "enter")
	if want := []string{"chat {\n\"a\": 1\n} false"}; !slices.Equal(s.published, want) {
		t.Errorf("published %q, want %q", s.published, want)
	}
	m = press(t, m, "esc")
	if m = settle(t, m, pasted("qqq")); m.mode != modeBrowse || m.interrupted {
		t.Error("pasted letters are taken for keys")
	}
}

func TestSendAgainAsksOnProtectedContexts(t *testing.T) {
	s := &silent{}
	m := open(t, 100, 30, func(o *Options) { o.Service, o.Protected, o.Context = s, true, "prod" }, "chat")
	m = says(t, m, "chat", "payload")
	m = press(t, m, "R")
	wantScreen(t, m, "send again to chat? [y/N]  7 bytes; context prod is protected")
	m = press(t, m, "n")
	wantScreen(t, m, "not sent")
	m = press(t, m, "R", "enter")
	if len(s.published) != 0 {
		t.Fatalf("published %q without a yes", s.published)
	}
	m = press(t, m, "R", "y")
	wantScreen(t, m, "sent again to chat")
	if want := []string{"chat payload false"}; !slices.Equal(s.published, want) {
		t.Errorf("published %q, want %q", s.published, want)
	}
}

// exported exports what m lists under a name and reads it.
func exported(t *testing.T, m Model, name string) string {
	t.Helper()
	m = press(t, m, "e")
	m.input.SetValue(name)
	m = press(t, m, "enter")
	wantScreen(t, m, "exported")
	path := filepath.Join(m.o.Dir, name)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExportForms(t *testing.T) {
	m := says(t, open(t, 100, 24, nil, "chat", "news"), "chat", "one, \"two\"", "\xff\x00")
	m = says(t, m, "news", "hidden by the filter")
	m = happens(t, m, onLink(m, client.Event{Kind: client.KindGap, Text: "something is missed"}))
	m = press(t, enters(t, press(t, m, "f"), "topic:chat"), "enter")

	lines := strings.Split(strings.TrimSpace(exported(t, m, "a.ndjson")), "\n")
	var kinds []any
	for _, l := range lines {
		var r map[string]any
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, r["type"])
	}
	if len(lines) != 3 || kinds[0] != "message" || kinds[2] != "gap" {
		t.Errorf("records %q", lines)
	}
	if want := `{"v":1,"type":"message","time":"2026-03-04T15:04:05.679000Z","topic":"chat","transport":"mqtt","event":"message","encoding":"base64","data":"/wA=","size":2,"retained":false,"seq":2,"conn":1}`; lines[1] != want {
		t.Errorf("record %s\nwant   %s", lines[1], want)
	}

	rows, err := csv.NewReader(strings.NewReader(exported(t, m, "a.csv"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][6] != "one, \"two\"" || rows[2][6] != "/wA=" || rows[2][5] != "base64" {
		t.Errorf("table %q, %v", rows, err)
	}
	if got := exported(t, m, "a.raw"); got != "one, \"two\"\n\xff\x00\n" {
		t.Errorf("bodies %q", got)
	}
	m = press(t, m, "e")
	m.input.SetValue("a.raw")
	wantScreen(t, press(t, m, "enter"), "a.raw exists already; nothing is overwritten")
	m = press(t, m, "e")
	m.input.SetValue("no/such/directory")
	wantScreen(t, press(t, m, "enter"), "cannot write no/such/directory: ")
}

func TestClipboardProgramIsThatOfTheScreen(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tmux", "pbcopy", "wl-copy", "xsel"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	if runtime.GOOS == "windows" {
		t.Skip("programs have other names")
	}
	for _, c := range []struct {
		rule, system string
		env          []string
		want         string
	}{
		{"tmux before all", "linux", []string{"TMUX=x", "WAYLAND_DISPLAY=y", "SSH_TTY=z"}, "tmux"},
		{"none of this machine over ssh", "linux", []string{"SSH_TTY=z", "DISPLAY=:0"}, ""},
		{"wayland", "linux", []string{"WAYLAND_DISPLAY=y", "DISPLAY=:0"}, "wl-copy"},
		{"what is installed", "linux", []string{"DISPLAY=:0"}, "xsel"},
		{"macOS", "darwin", nil, "pbcopy"},
		{"nothing", "linux", nil, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := ""
			if words := clipboardProgram(ui.EnvOf(c.env), c.system); words != nil {
				got = words[0]
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCopyWithoutAProgramAsksTheTerminal(t *testing.T) {
	var out bytes.Buffer
	m := says(t, open(t, 100, 24, func(o *Options) { o.Environ, o.Out = []string{"SSH_TTY=x", "TERM=xterm"}, &out }, "chat"), "chat", "payload")
	m = settle(t, m, keyMsg("y"))
	wantScreen(t, m, "sent 7 bytes to the terminal's clipboard (OSC 52)")
	if out.String() != "\x1b]52;c;cGF5bG9hZA==\a" {
		t.Errorf("the terminal is asked with %q", out.String())
	}
	m.o.Environ = []string{"TERM=linux", "SSH_TTY=x"}
	t.Setenv("TMPDIR", t.TempDir())
	m = settle(t, m, keyMsg("y"))
	_, path, _ := strings.Cut(m.notice, "the payload is in ")
	if text, err := os.ReadFile(path); err != nil || string(text) != "payload" {
		t.Errorf("%q: %q, %v", m.notice, text, err)
	}
}

func TestHelpShowsEveryKey(t *testing.T) {
	m := press(t, open(t, 200, 60, nil, "chat"), "?")
	for _, c := range m.commands {
		wantScreen(t, m, c.Help().Key, c.Help().Desc)
	}
	seen := map[string]bool{}
	for _, c := range m.commands {
		for _, k := range c.Keys() {
			if seen[k] {
				t.Errorf("%s is bound twice", k)
			}
			seen[k] = true
		}
	}
	for _, k := range strings.Fields("/ n N f tab enter 1 2 3 4 p a x m o y e R g G F t s r ? q") {
		if !seen[k] {
			t.Errorf("%s does nothing", k)
		}
	}
	if !seen[" "] {
		t.Error("space does nothing")
	}
}

func TestTimesGoRound(t *testing.T) {
	m := says(t, open(t, 100, 24, nil, "chat"), "chat", "a", "b")
	for _, want := range []string{"15:04:05.679 ", "15:04:05.679Z", "1772636645.679", "+0.001", "▸    1    b"} {
		wantScreen(t, m, want)
		m = press(t, m, "t")
	}
	wantScreen(t, m, "15:04:05.679 ")
}

func TestMouseSelectsAndScrolls(t *testing.T) {
	m := says(t, open(t, 100, 30, nil, "chat", "news"), "chat", numbered(100)...)
	at := func(x, y int) tea.MouseMsg { return tea.MouseMsg{X: x, Y: y, Button: tea.MouseButtonLeft} }
	m = settle(t, m, at(40, 5))
	wantScreen(t, m, "at 77 of 100")
	m = settle(t, m, at(40, 5))
	wantScreen(t, m, "#77 chat")
	m = settle(t, m, at(3, 4))
	if m.focus != focusTopics || m.topicCursor != 1 {
		t.Errorf("focus %d, topic %d", m.focus, m.topicCursor)
	}
	m = settle(t, m, tea.MouseMsg{X: 40, Y: 5, Button: tea.MouseButtonWheelUp})
	wantScreen(t, m, "at 74 of 100")
	for _, action := range []tea.MouseAction{tea.MouseActionRelease, tea.MouseActionMotion} {
		m = settle(t, m, tea.MouseMsg{X: 40, Y: 9, Button: tea.MouseButtonLeft, Action: action})
		wantScreen(t, m, "at 74 of 100")
	}
	if _, cmd := m.Update(tea.ResumeMsg{}); cmd != nil {
		t.Error("the mouse is taken without being asked for")
	}
	m.o.Mouse = true
	if _, cmd := m.Update(tea.ResumeMsg{}); cmd == nil || cmd() != tea.EnableMouseCellMotion() {
		t.Error("the mouse is not taken again after a suspension")
	}
}

func TestFilterKeepsTheSelectionWhileItLooks(t *testing.T) {
	m := says(t, open(t, 100, 24, nil, "chat"), "chat", numbered(500)...)
	m = press(t, m, "up", "up")
	before := m.cursor
	m.filter, _ = parseFilter("message")
	m = m.rescan().place() // nothing is looked at yet
	if m.cursor != before {
		t.Errorf("the cursor went to %d, was on %d", m.cursor, before)
	}
	if m, _ = m.scan(); m.cursor != before {
		t.Errorf("the cursor went to %d, was on %d", m.cursor, before)
	}
}

func TestTransportOfSeveralTopics(t *testing.T) {
	for _, c := range []struct {
		rule, transport string
		durable         bool
		want            []string
	}{
		{"auto is MQTT for several", "auto", false, []string{"mqtt"}},
		{"durable is SSE, one each", "auto", true, []string{"sse durable", "sse durable"}},
		{"SSE one each, as its events name no topic", "sse", false, []string{"sse", "sse"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			m := open(t, 80, 24, func(o *Options) { o.Transport, o.Durable = c.transport, c.durable }, "a", "b")
			var got []string
			for _, l := range m.links {
				text := l.asked.Transport
				if l.asked.Durable {
					text += " durable"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReconnectResumesDurableTopicsByID(t *testing.T) {
	s := &silent{followed: make(chan Subscription, 4)}
	m := open(t, 80, 24, func(o *Options) { o.Service, o.Durable = s, true }, "a")
	h := message(m, 0, "a", "x")
	h.event.Message.ID = "abc-7"
	m = press(t, happens(t, m, h), "r")
	select {
	case got := <-s.followed:
		if got.LastID != "abc-7" || !got.Durable {
			t.Errorf("asked for %+v", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is asked for")
	}
	wantScreen(t, m, "gap: connected again by hand")
}

func TestCursorStandsBehindWideCharacters(t *testing.T) {
	wantCaret := func(m Model, where string, want place) {
		t.Helper()
		if at, ok := m.caret(); !ok || at != want {
			t.Errorf("%s the cursor is at %+v, %v, want %+v", where, at, ok, want)
		}
	}
	m := enters(t, press(t, open(t, 80, 24, nil, "chat"), "a"), "x漢字e")
	wantCaret(m, "in the line", place{len("add topic: ") + 6, 23})
	m = press(t, press(t, m, "esc"), "p")
	top := m.height - 1 - m.publishHeight()
	wantCaret(m, "in an empty message", place{2, top + 2})
	m = press(t, enters(t, m, "漢字"), "ctrl+j")
	m = enters(t, m, "ab")
	m = settle(t, m, tea.KeyMsg{Type: tea.KeyLeft})
	wantCaret(m, "in the second line", place{2 + 1, top + 3})
	m = press(t, m, "tab")
	wantCaret(m, "behind a topic", place{8 + 4, top + 1})
	if at, ok := press(t, m, "esc").caret(); ok {
		t.Errorf("there is a cursor at %+v where nothing is typed", at)
	}
}

func TestCursorStaysOnTheScreen(t *testing.T) {
	m := enters(t, press(t, open(t, 40, 8, nil, "chat"), "f"), strings.Repeat("漢字 long ", 20))
	if at, ok := m.caret(); !ok || at.x >= 40 || at.y != 7 {
		t.Errorf("the cursor is at %+v, %v", at, ok)
	}
}

// TestKeysTypedAtOnceAreKeys sends what a slow moment makes of several keys.
func TestKeysTypedAtOnceAreKeys(t *testing.T) {
	m := says(t, open(t, 80, 24, nil, "chat"), "chat", numbered(30)...)
	m = settle(t, m, keyMsg("kkk"))
	wantScreen(t, m, "at 27 of 30")
	m = settle(t, m, keyMsg("f7."))
	wantScreen(t, m, "filter: 7.")
	if m, _ := m.Update(keyMsg("ab")); m.input.Value() != "7.ab" {
		t.Errorf("the line is %q", m.input.Value())
	}
}

// TestPublishPaneShowsWhatIsTypedWithoutAConnection: what is wrong with the
// connection leaves the pane its room on a small screen.
func TestPublishPaneShowsWhatIsTypedWithoutAConnection(t *testing.T) {
	m := open(t, 40, 8, nil, "a-long-topic")
	m = happens(t, m, onLink(m, client.Event{Kind: client.KindRefused, Err: errors.New("no")}))
	wantScreen(t, m, "next: pubsubctl token mint")
	m = enters(t, press(t, m, "p"), `{"typed":`)
	wantScreen(t, m, "refused", "topic a-long-topic", `{"typed":`)
}
