package tail

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

var update = flag.Bool("update", false, "rewrite the golden screens")

// scene is one state of the view that has a golden screen.
type scene struct {
	name string
	make func(t *testing.T, m Model) Model
}

// order is a payload as people have them.
const order = `{"id":"o-1042","ts":"2026-03-04T15:04:05Z","status":"paid","total":12.50,"items":[{"sku":"tea","n":2},{"sku":"cup","n":1}],"customer":{"name":"Ann 漢字","tags":["a","b"]},"note":null,"open":true}`

// traffic is what all scenes begin with.
func traffic(t *testing.T, m Model) Model {
	m = says(t, m, "orders", strings.Replace(order, "paid", "open", 1), order)
	m = says(t, m, "chat", "hello world", "red \x1b[31malert\x1b[0m \u202egnp.exe", "漢字 and e\u0301 and 👨\u200d👩 and 🇩🇪", "\x00\x01\xff\xfe binary", strings.Repeat("a long line ", 200))
	retained := message(m, 9*time.Millisecond, "orders", `{"id":"o-1043","status":"open"}`)
	retained.event.Message.Retained, retained.event.Message.ID = true, "5f3a-12"
	return happens(t, m, retained)
}

func onLink(m Model, e client.Event) happening {
	e.Time = moment().Add(2 * time.Second)
	return happening{feed: m.links[0].id, event: e}
}

func scenes() []scene {
	return []scene{
		{"list", traffic},
		{"empty", func(_ *testing.T, m Model) Model { return m }},
		{"detail pretty", func(t *testing.T, m Model) Model { return press(t, traffic(t, m), "g", "down", "enter") }},
		{"detail folded", func(t *testing.T, m Model) Model {
			return press(t, traffic(t, m), "g", "down", "enter", "[", "down", "down")
		}},
		{"detail raw", func(t *testing.T, m Model) Model {
			return press(t, traffic(t, m), "g", "down", "down", "down", "2", "tab")
		}},
		{"detail hex", func(t *testing.T, m Model) Model {
			return press(t, traffic(t, m), "up", "up", "3", "tab")
		}},
		{"detail diff", func(t *testing.T, m Model) Model { return press(t, traffic(t, m), "g", "down", "4", "tab") }},
		{"topics", func(t *testing.T, m Model) Model { return press(t, traffic(t, m), "tab", "m", "down", "o") }},
		{"search", func(t *testing.T, m Model) Model {
			return press(t, enters(t, press(t, traffic(t, m), "/"), "open"), "enter")
		}},
		{"filter line", func(t *testing.T, m Model) Model { return enters(t, press(t, traffic(t, m), "f"), "re:(") }},
		{"filtered and paused", func(t *testing.T, m Model) Model {
			m = press(t, enters(t, press(t, traffic(t, m), "f"), "topic:orders"), "enter", "space")
			return says(t, m, "orders", "unseen")
		}},
		{"publish", func(t *testing.T, m Model) Model { return enters(t, press(t, traffic(t, m), "p"), `{"hello":`) }},
		{"help", func(t *testing.T, m Model) Model { return press(t, m, "?") }},
		{"statistics", func(t *testing.T, m Model) Model {
			m = traffic(t, m)
			m, _ = m.tick(moment().Add(time.Second))
			return press(t, m, "s")
		}},
		{"reconnecting", func(t *testing.T, m Model) Model {
			m = traffic(t, m)
			return happens(t, m, onLink(m, client.Event{Kind: client.KindReconnecting, Attempt: 3, Wait: 4 * time.Second, Err: errors.New("cut")}))
		}},
		{"not there", func(t *testing.T, m Model) Model {
			m.links[0].opened = false // the scene owns this model
			return happens(t, m, onLink(m, client.Event{Kind: client.KindReconnecting, Attempt: 2, Wait: time.Second, Err: errors.New("refused")}))
		}},
		{"gap", func(t *testing.T, m Model) Model {
			m = traffic(t, m)
			m = happens(t, m, onLink(m, client.Event{Kind: client.KindGap, Since: moment(), Text: "messages published while disconnected are missed"}))
			return says(t, m, "chat", "back again")
		}},
		{"refused", func(t *testing.T, m Model) Model {
			return happens(t, m, onLink(m, client.Event{Kind: client.KindRefused, Err: errors.New("no")}))
		}},
		{"asks before sending again", func(t *testing.T, m Model) Model {
			m.o.Protected = true
			return press(t, traffic(t, m), "g", "R")
		}},
	}
}

// TestScreens compares each state at each size with a golden screen, with colour
// and without.
func TestScreens(t *testing.T) {
	for _, size := range [][2]int{{100, 30}, {80, 24}, {40, 8}, {200, 60}} {
		for _, color := range []bool{false, true} {
			name := fmt.Sprintf("%dx%d", size[0], size[1])
			if color {
				name += "_color"
			}
			t.Run(name, func(t *testing.T) {
				var all strings.Builder
				for _, s := range scenes() {
					m := open(t, size[0], size[1], func(o *Options) { o.Color = color }, "chat", "orders")
					m = s.make(t, m)
					text := screen(m)
					checkScreen(t, s.name, text, size[0], size[1], color)
					fmt.Fprintf(&all, "== %s\n%s\n", s.name, tidy(text))
				}
				golden(t, name+".txt", all.String())
			})
		}
	}
}

func TestScreensInASCII(t *testing.T) {
	for _, s := range scenes() {
		m := open(t, 80, 24, func(o *Options) { o.Glyphs = false }, "chat", "orders")
		text := strings.NewReplacer("漢字", "", "e\u0301", "", "👨", "", "👩", "").Replace(screen(s.make(t, m)))
		if !isASCII(strings.ReplaceAll(text, "\n", "")) {
			t.Errorf("%s is not ASCII:\n%s", s.name, text)
		}
	}
}

// checkScreen holds a screen to its size, and to escapes that are only colours.
func checkScreen(t *testing.T, name, text string, w, h int, color bool) {
	t.Helper()
	lines := strings.Split(text, "\n")
	if len(lines) != h {
		t.Errorf("%s: %d lines, want %d", name, len(lines), h)
	}
	for i, l := range lines {
		if n := ansi.StringWidthWc(l); n > w {
			t.Errorf("%s: line %d has %d columns: %q", name, i+1, n, l)
		}
		if n := ansi.StringWidth(l); n > w {
			t.Errorf("%s: line %d has %d columns on a terminal that counts graphemes: %q", name, i+1, n, l)
		}
		plain := l
		if color {
			plain = regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(l, "")
		}
		if strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
			t.Errorf("%s: line %d has control characters: %q", name, i+1, l)
		}
	}
}

// tidy makes a screen fit for a file: no spaces at the ends, escapes visible.
func tidy(s string) string {
	s = strings.ReplaceAll(s, "\x1b", "␛")
	return regexp.MustCompile(`(?m) +$`).ReplaceAllString(s, "")
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "golden", "tail", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, expected := strings.Split(text, "\n"), strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"), "\n")
	for i := range max(len(got), len(expected)) {
		if i >= len(got) || i >= len(expected) || got[i] != expected[i] {
			t.Fatalf("%s differs from line %d on; -update rewrites it. Now:\n%s", name, i+1, strings.Join(got[min(i, len(got)):min(i+10, len(got))], "\n"))
		}
	}
}

// FuzzScreen shows any payload and topic, in all views and small and large: the
// screen keeps its size, and nothing but text is on it.
func FuzzScreen(f *testing.F) {
	for _, p := range []string{order, "\x1b]0;x\x07\x9b31m", "\u200d\ufe0f\u0301\u0301\u0301\u0301", "漢字🇩🇪👍🏽", "\xff\xfe\x00", "[[[[[[[[", `{"a":{"b":[1,{"c":"\u001b[2J"}]}}`, strings.Repeat("x", 5000), "ก็็็็็็", "\u1160\u3164", "हिन्दी", "\r\n\t"} {
		f.Add(p, "chat")
		f.Add("x", p)
	}
	f.Fuzz(func(t *testing.T, payload, topic string) {
		for _, size := range [][2]int{{40, 8}, {160, 24}} {
			m := open(t, size[0], size[1], nil, pubsub.Topic(topic), "other")
			m = says(t, m, pubsub.Topic(topic), "before", payload)
			m = press(t, m, "enter")
			for _, view := range []string{"1", "[", "2", "3", "4", "s", "esc", "tab"} {
				m = press(t, m, view)
				checkScreen(t, fmt.Sprintf("%v %s", size, view), screen(m), size[0], size[1], false)
			}
		}
	})
}

// TestEverySizeHolds draws each state at sizes nobody would choose.
func TestEverySizeHolds(t *testing.T) {
	for _, s := range scenes() {
		m := s.make(t, open(t, 80, 24, nil, "chat", "orders"))
		for _, w := range []int{1, 2, 3, 5, 8, 13, 21, 34, 55, 70, 149, 150, 300} {
			for _, h := range []int{1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 100} {
				m = m.resize(w, h)
				checkScreen(t, fmt.Sprintf("%s at %dx%d", s.name, w, h), screen(m), w, h, false)
			}
		}
	}
}
