package app_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
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

// FuzzEvents sends any two frames in one call and a third in another: no panic;
// no more is kept than came; each event is one packet that clients can read, or
// the close that ends it all; what is called quick stores nothing.
func FuzzEvents(f *testing.F) {
	usual := connect("c1", apptest.TokenRW)
	f.Add(usual, subscribeTo("test"), publishOf(2))
	f.Add(append(usual, publishOf(2)...), []byte{0x31, 0x09, 0, 4, 't', 'e', 's', 't', 0, 'h', 'i'}, []byte{0xC0, 0})
	f.Add(usual, []byte{0xC0}, []byte{0, 0xE0, 2, 0, 0})
	f.Add([]byte{0x32, 0x0B, 0, 4, 't', 'e', 's', 't', 0, 1, 0, 'h', 'i'}, []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1}, []byte{})
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		k := openTalk(t, newBench(t))
		ended := false
		for _, in := range [][]grip.Event{
			{{Type: grip.EventBinary, Content: first}, {Type: grip.EventText, Content: second}},
			{{Type: grip.EventBinary, Content: third}},
		} {
			in = append(k.held, in...)
			before, quick := k.shelf.puts.Load(), k.QuickEvents(k.socket, in)
			reply, err := k.Events(t.Context(), k.socket, in)
			if err != nil {
				t.Fatal(err)
			}
			if quick && k.shelf.puts.Load() > before {
				t.Error("a quick call stored a message")
			}
			ended = checkReply(t, reply, ended)
			k.held = keep(in, reply.Rest)
		}
	})
}

// checkReply reports whether the connection has ended.
func checkReply(t *testing.T, reply *fanout.Reply, ended bool) bool {
	t.Helper()
	for _, e := range reply.Events {
		if ended {
			t.Error("an event behind the end")
		}
		if ended = e.Type == grip.EventClose; ended {
			continue
		}
		if _, n, err := mqtt.NextAnswer(e.Content, 1<<20); e.Type != grip.EventBinary || n != len(e.Content) || err != nil {
			t.Errorf("%v % X is no packet: %d, %v", e.Type, e.Content, n, err)
		}
	}
	if ended && reply.Rest > 0 {
		t.Error("something is kept of a connection that has ended")
	}
	return ended
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
