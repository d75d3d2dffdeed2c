package app_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
)

func TestLogLines(t *testing.T) {
	b := newBench(t)
	b.fanout.listeners["s:test"] = 4
	bearer := []string{"Authorization", "Bearer " + apptest.TokenRW}
	b.ask(t, "POST", "/events?topic=test", "hello", bearer...)
	wantLog(t, b, "level=INFO msg=published conn=7 remote=127.0.0.1:1 topic=test bytes=5 delivered=4 of=4\n")
	b.ask(t, "GET", "/events?topic=test", "", bearer...)
	wantLog(t, b, "level=INFO msg=subscribed conn=7 remote=127.0.0.1:1 topic=test count=1\n")
	b.ask(t, "GET", "/events?topic=other", "", bearer...)
	wantLog(t, b, "level=WARN msg=refused conn=7 remote=127.0.0.1:1 topic=other cause=\"forbidden: topic \\\"other\\\" is not in x-fastly-read\"\n")
	b.ask(t, "POST", "/events?topic=other", "x", bearer...)
	wantLog(t, b, "level=WARN msg=refused conn=7 remote=127.0.0.1:1 topic=other cause=\"403: the topic is not in x-fastly-write\"\n")
}

func wantLog(t *testing.T, b *bench, want string) {
	t.Helper()
	if got := b.logs(); got != want {
		t.Errorf("log is\n%swant\n%s", got, want)
	}
}

// A follow-up is the engine's own doing and writes nothing.
func TestFollowUpIsNotLogged(t *testing.T) {
	b := newBench(t)
	b.followUp(t, "d:test", "none")
	wantLog(t, b, "")
}

// No line has any part of a credential or a payload, whatever went wrong.
func TestLogKeepsSecrets(t *testing.T) {
	b := newBench(t)
	secrets := []string{apptest.TokenRW, apptest.TokenExpired, apptest.TokenBadKid, "Fastly-Key-value", "the payload", "c2VjcmV0"}
	for _, h := range []string{
		"Bearer " + secrets[0], "Bearer " + secrets[1], "Bearer " + secrets[2], secrets[0] + " x", secrets[0],
		"Basic " + secrets[5], "Bearer  " + secrets[0], "Bearer " + secrets[0] + "\x80",
	} {
		for _, target := range []string{"/events?topic=test", "/events?topic=other", "/admin/keys"} {
			b.ask(t, "GET", target, "", "Authorization", h)
			b.ask(t, "POST", target, secrets[4], "Authorization", h, "Fastly-Key", secrets[3])
		}
	}
	created := b.ask(t, "POST", "/admin/keys", "", asAdmin, good)
	secrets = append(secrets, string(created.Body[len(`{"id":"12345678","value":"`):len(created.Body)-2]))
	log := b.logs()
	if !strings.Contains(log, "msg=refused") || !strings.Contains(log, "msg=\"signing key created\"") {
		t.Fatalf("log is %q", log)
	}
	for _, s := range append(secrets, good) {
		for part := range strings.SplitSeq(s, ".") {
			if strings.Contains(log, part) {
				t.Errorf("log has %q:\n%s", part, log)
			}
		}
	}
}

// quiet is a handler that wants nothing and must be given nothing.
type quiet struct {
	slog.Handler
	t *testing.T
}

func (quiet) Enabled(context.Context, slog.Level) bool { return false }

func (q quiet) Handle(context.Context, slog.Record) error {
	q.t.Error("a line was written to a log that is off")
	return nil
}

func TestLogOff(t *testing.T) {
	b := newBench(t, func(o *app.Options) { o.Log = slog.New(quiet{slog.DiscardHandler, t}) })
	b.ask(t, "POST", "/events?topic=a%25", "a\r", asAdmin, good)
	b.ask(t, "GET", "/events?topic=a%2C", "", asAdmin, good)
	b.ask(t, "GET", "/events?topic=a", "")
	b.ask(t, "POST", "/admin/keys", "", asAdmin, good)
}
