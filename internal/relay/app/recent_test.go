package app_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
)

// Quirk Q12: the log says once in a while, and not with each request, that a token
// never expires.
func TestQ12TokenWithoutExpiryIsMentionedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		post := func() {
			b.ask(t, http.MethodPost, "/events?topic=test", "x", "Authorization", "Bearer "+apptest.TokenNoExp)
		}
		for range 10 {
			post()
		}
		time.Sleep(time.Minute)
		post()
		logs := b.logs()
		if n := strings.Count(logs, "never expires"); n != 2 {
			t.Errorf("%d lines for eleven requests in two minutes, want 2:\n%s", n, logs)
		}
	})
}

// Only Fanout may send WebSocket events; it answers others itself (grip.md, 1.7).
func TestClientMayNotSendWebSocketEvents(t *testing.T) {
	b := newBench(t)
	for contentType, want := range map[string]int{
		"application/websocket-events": 403, "application/websocket-events; charset=utf-8": 406, "": 406,
	} {
		resp := b.ask(t, http.MethodPost, "/mqtt", "OPEN\r\n", "Content-Type", contentType)
		if resp.Status != want {
			t.Errorf("%q: status %d, want %d", contentType, resp.Status, want)
		}
	}
}
