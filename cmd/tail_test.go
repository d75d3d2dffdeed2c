package cmd

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func TestTailPrintsLinesWhereThereIsNoScreen(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	mustPublish(t, url, "weather", "rain \x1b[31m", "--retain")
	terminal := func(io *ui.Streams) { io.InTTY, io.OutTTY = true, true }
	for _, c := range []struct {
		rule   string
		adjust func(*ui.Streams)
		args   []string
		prints string
	}{
		{"a pipe", nil, nil, "^rain \x1b\\[31m\n$"},
		{"--plain on a terminal", terminal, []string{"--plain"}, `^\d\d:\d\d:\d\d\.\d{3}  weather  rain \\x1b\[31m\n$`},
		{"--json on a terminal", terminal, []string{"--json"}, `^\{"v":1,"type":"message",.*"topic":"weather".*\}\n$`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := begin(t, "", c.adjust, append([]string{"tail", "weather", "--durable", "--url", url}, c.args...)...)
			s.out.await(t, "rain")
			s.stop(signalled{os.Interrupt})
			_, out, errs := s.end(t)
			if !regexp.MustCompile(c.prints).MatchString(out) {
				t.Errorf("printed %q", out)
			}
			if len(c.args) == 0 && !regexp.MustCompile(`^listening on weather \(sse, `).MatchString(errs) {
				t.Errorf("said %q", errs)
			}
		})
	}
}

func TestScopeIsSaidBeforeItIsTried(t *testing.T) {
	mint := func(o token.MintOptions) func() (string, error) {
		o.KeyID, o.Secret = "test", []byte("notasecret")
		return func() (string, error) { return token.Mint(o) }
	}
	now := time.Now()
	for _, c := range []struct {
		rule    string
		conn    connection
		says    string
		granted bool
	}{
		{"signed here", connection{minted: true, keyID: "test"}, "^token: signed here with key test, for writing chat only$", true},
		{"granted", connection{token: mint(token.MintOptions{Write: []string{"chat"}, Expires: now.Add(time.Hour)})}, "^token: grants write to chat, until 20", true},
		{"another topic", connection{token: mint(token.MintOptions{Write: []string{"news"}, Expires: now.Add(time.Hour)})}, `^token: grants write to news, not to "chat"$`, false},
		{"no topic", connection{token: mint(token.MintOptions{Read: []string{"chat"}, Expires: now.Add(time.Hour)})}, `^token: grants write to nothing, not to "chat"$`, false},
		{"expired", connection{token: mint(token.MintOptions{Write: []string{"chat"}, Expires: now.Add(-time.Hour)})}, "^token: not accepted: exp ", false},
		{"no token", connection{token: func() (string, error) { return "x", nil }}, "^token: cannot be read$", false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := &liveService{d: deps{now: time.Now}, conn: c.conn}
			if text, granted := s.Scope("chat"); granted != c.granted || !regexp.MustCompile(c.says).MatchString(text) {
				t.Errorf("%q, %v", text, granted)
			}
		})
	}
}
