package cmd

import (
	"os"
	"regexp"
	"testing"

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
