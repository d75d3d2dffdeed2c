package app_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// FuzzRequest sends any query and header values: there is an answer or an
// error, never a panic; whatever the app itself answers has CORS; only an open
// stream is held, with names that can be looked up again; a refused publish
// publishes nothing.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "topic=test&durable=true&lastEventId=test:1-1", "Bearer "+apptest.TokenRW, "test:1-1", "")
	f.Add("GET", "topic=a%3Bb%2C+c&topic=%22&durable=true", "", "x", good)
	f.Add("POST", "topic=test&retain=true&ttl=+5", "Bearer "+apptest.TokenRW, "", "")
	f.Add("POST", "topic=%\x00é&ttl=42949672960x", "Basic", "\x80", good)
	f.Fuzz(func(t *testing.T, method, query, auth, last, key string) {
		b := newBench(t)
		resp, err := b.Request(t.Context(), request(method, "/events?"+query, "x",
			"Authorization", auth, "Last-Event-ID", last, "Fastly-Key", key))
		if err != nil {
			return
		}
		if (resp.Header.Get("Access-Control-Allow-Origin") != "*") != (string(resp.Body) == "Internal Server Error\n") {
			t.Errorf("got %d %v %q", resp.Status, resp.Header, resp.Body)
		}
		if resp.Instruct != nil {
			checkHeld(t, b, resp)
		}
		if len(b.fanout.items) > 0 && string(resp.Body) != "Published\n" {
			t.Errorf("a publish answered by %q was delivered", resp.Body)
		}
	})
}

func checkHeld(t *testing.T, b *bench, resp *fanout.Response) {
	t.Helper()
	if !strings.HasPrefix(string(resp.Body), opened) || len(resp.Instruct.Channels) > grip.MaxChannels {
		t.Errorf("got %q held on %q", resp.Body, resp.Instruct.Channels)
	}
	r := &fanout.Request{Method: "GET", Path: "/events", RawQuery: "durable=true", Body: http.NoBody, FollowUp: true}
	seen := map[string]bool{}
	for _, c := range resp.Instruct.Channels {
		if seen[c.Name] {
			t.Errorf("channel %q is there twice", c.Name)
		}
		seen[c.Name] = true
		if c.PrevID != "" {
			r.Last = append(r.Last, grip.Last{Channel: c.Name, ID: c.PrevID})
		}
	}
	if resp.Instruct.Next.URI == "" {
		return
	}
	if again, err := b.Request(t.Context(), r); err == nil && again.Instruct != nil && len(again.Body) > 0 {
		t.Errorf("a follow-up with nothing new says %q", again.Body)
	}
}

// Requests and changes of the configuration come from any goroutine.
func TestConcurrentRequests(t *testing.T) {
	b := newBench(t, func(o *app.Options) { o.Log = quietLog() })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				for _, r := range []*fanout.Request{
					request("POST", "/events?topic=test&retain=true", "x", "Authorization", "Bearer "+apptest.TokenRW),
					request("GET", "/events?topic=test&durable=true", "", asAdmin, good),
				} {
					if resp, err := b.Request(t.Context(), r); err != nil || resp.Status != 200 {
						t.Errorf("%s: %+v, %v", r.Method, resp, err)
					}
				}
				b.SetConfig(map[string]string{"admin": "false"})
			}
		})
	}
	wg.Wait()
	if n := len(b.fanout.items); n != 8*200 {
		t.Errorf("%d items were published, want %d", n, 8*200)
	}
}
