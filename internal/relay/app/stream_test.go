package app_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// The generation of the captured transcripts.
const generation = 0xd06fe8f6d007c421

func TestPlainStreamInstructions(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events?topic=test", "", "Authorization", "Bearer "+apptest.TokenRW)
	wantBody(t, resp, 200, opened)
	wantChannels(t, resp, "s:test", "")
	if resp.Instruct.Hold != grip.Stream || resp.Instruct.Next.URI != "" {
		t.Errorf("instructions are %+v", resp.Instruct)
	}
	wantKeepAlive(t, resp.Instruct)
}

// wantKeepAlive is item 52 as far as the app has a part in it.
func wantKeepAlive(t *testing.T, in *grip.Instruct) {
	t.Helper()
	k := in.KeepAlive
	if string(k.Data) != "event: keep-alive\ndata: \n\n" || k.Timeout != 55*time.Second || k.Interval {
		t.Errorf("keep-alive is %+v", k)
	}
}

// The conversation of a captured durable stream: opened with one stored
// message, asked again with nothing new, and after the next one.
func TestDurableStreamInstructions(t *testing.T) {
	b := newBench(t)
	b.shelf.slots["test"] = slot(generation, 1, "one")
	resp := b.ask(t, "GET", "/events?topic=test&durable=true", "", "Authorization", "Bearer "+apptest.TokenRW)
	wantBody(t, resp, 200, opened+"event: message\nid: test:d06fe8f6d007c421-1\ndata: one\n\n")
	wantChannels(t, resp, "s:test", "", "d:test", "d06fe8f6d007c421-1")
	wantNext(t, resp.Instruct)

	resp = b.followUp(t, "d:test", "d06fe8f6d007c421-1")
	wantBody(t, resp, 200, "")
	wantChannels(t, resp, "s:test", "", "d:test", "d06fe8f6d007c421-1")
	wantNext(t, resp.Instruct)

	b.shelf.slots["test"] = slot(generation, 2, "two")
	resp = b.followUp(t, "d:test", "d06fe8f6d007c421-1")
	wantBody(t, resp, 200, "event: message\nid: test:d06fe8f6d007c421-2\ndata: two\n\n")
	wantChannels(t, resp, "s:test", "", "d:test", "d06fe8f6d007c421-2")
}

func wantNext(t *testing.T, in *grip.Instruct) {
	t.Helper()
	if in.Next.URI != "/events?durable=true" || in.Next.Timeout != 120*time.Second {
		t.Errorf("next link is %+v", in.Next)
	}
	wantKeepAlive(t, in)
}

func TestFollowUpWithoutVersions(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events?topic=idle1&durable=true", "", asAdmin, good)
	wantBody(t, resp, 200, opened)
	wantChannels(t, resp, "s:idle1", "", "d:idle1", "none")
	resp = b.followUp(t, "d:idle1", "none")
	wantBody(t, resp, 200, "")
	wantChannels(t, resp, "s:idle1", "", "d:idle1", "none")
}

// The engine reports its channels in any order; ids keep the order of topics.
func TestFollowUpOfTwoTopics(t *testing.T) {
	b := newBench(t)
	b.shelf.slots["a"] = slot(generation, 3, "A")
	b.shelf.slots["b"] = slot(0xabc, 2, "B")
	resp := b.followUp(t, "d:b", "abc-1", "d:a", "none")
	wantBody(t, resp, 200, "event: message\nid: a:d06fe8f6d007c421-3,b:             abc-1\ndata: A\n\n"+
		"event: message\nid: a:d06fe8f6d007c421-3,b:             abc-2\ndata: B\n\n")
	wantChannels(t, resp, "s:a", "", "d:a", "d06fe8f6d007c421-3", "s:b", "", "d:b", "abc-2")
}

// A stored message that cannot be read ends an open stream: no hold, one event.
func TestFollowUpFails(t *testing.T) {
	b := newBench(t)
	b.shelf.getErr = store.ErrUnreadable
	wantStreamError(t, b.followUp(t, "d:e", "none"), "internal-server-error", "Failed to read message from storage")
	if log := b.logs(); !strings.Contains(log, "internal-server-error: the stored message of topic") {
		t.Errorf("log is %q", log)
	}
	b.shelf.getErr = store.ErrMissing
	wantChannels(t, b.followUp(t, "d:e", "none"), "s:e", "", "d:e", "none")
}

// A follow-up sees the switches of its own time.
func TestFollowUpAfterSwitchingOff(t *testing.T) {
	b := newBench(t)
	b.SetConfig(map[string]string{"sse": "false"})
	wantBody(t, b.followUp(t, "d:e", "none"), 405, "Method Not Allowed\n")
	b.SetConfig(nil)
	wantBody(t, b.followUp(t, "d:e", "none"), 200, "")
}

// A message that has expired is passed over, and the reader's version advances.
func TestExpiredMessageAdvancesVersion(t *testing.T) {
	b := newBench(t)
	expired := slot(generation, 4, "")
	expired.Entry = nil
	b.shelf.slots["test"] = expired
	resp := b.ask(t, "GET", "/events?topic=test&durable=true", "", asAdmin, good)
	wantBody(t, resp, 200, opened)
	wantChannels(t, resp, "s:test", "", "d:test", "d06fe8f6d007c421-4")
}

func TestHeadersTheAppCannotRead(t *testing.T) {
	b := newBench(t)
	for name, h := range map[string][]string{
		"Last-Event-ID":         {"Last-Event-ID", "tést:1-1", asAdmin, good},
		"Authorization":         {"Authorization", "Bearer \x80"},
		"Last-Event-ID comes 1": {"Last-Event-ID", "\x7f", "Authorization", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCrash(t, b, "GET", "/events?topic=test", h...)
		})
	}
	wantCrash(t, b, "POST", "/events?topic=test", "Authorization", "Bearer \xff")
	resp := b.ask(t, "GET", "/events?topic=test&lastEventId=test:1-1", "", "Last-Event-ID", "\x80", asAdmin, good)
	wantBody(t, resp, 200, opened)
}

func wantCrash(t *testing.T, b *bench, method, target string, h ...string) {
	t.Helper()
	resp := b.ask(t, method, target, "", h...)
	if resp.Status != 500 || resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.Instruct != nil {
		t.Errorf("got %d %v %q", resp.Status, resp.Header, resp.Body)
	}
	if log := b.logs(); !strings.Contains(log, "msg=refused") || !strings.Contains(log, "500, the app crashes: ") {
		t.Errorf("log is %q", log)
	}
}

// What opened a stream is not judged again.
func TestItem30Quirk34StreamOutlivesItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		tok := mint(time.Now().Add(time.Hour))
		wantChannels(t, b.ask(t, "GET", "/events?topic=test&durable=true&auth="+tok, ""), "s:test", "", "d:test", "none")
		time.Sleep(time.Hour + 15*time.Minute + time.Second)
		wantStreamError(t, b.ask(t, "GET", "/events?topic=test&auth="+tok, ""), "forbidden", "Invalid token")
		if err := b.shelf.Keys().Delete(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		b.shelf.slots["test"] = slot(generation, 1, "one")
		wantBody(t, b.followUp(t, "d:test", "none"), 200, "event: message\nid: test:d06fe8f6d007c421-1\ndata: one\n\n")
	})
}

// Item 22, to the second, with a token that is already known.
func TestItem22TimeClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		tok := mint(time.Now().Add(-800 * time.Second))
		wantBody(t, b.ask(t, "GET", "/events?topic=test&auth="+tok, ""), 200, opened)
		time.Sleep(100 * time.Second)
		wantBody(t, b.ask(t, "GET", "/events?topic=test&auth="+tok, ""), 200, opened)
		time.Sleep(time.Second)
		wantStreamError(t, b.ask(t, "GET", "/events?topic=test&auth="+tok, ""), "forbidden", "Invalid token")
	})
}

// Item 56: a message is gone when its ttl is over, its sequence goes on.
func TestItem56Expiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		post := func(query string) {
			wantBody(t, b.ask(t, "POST", "/events?topic=test&retain=true"+query, "x", asAdmin, good), 200, "Published\n")
		}
		open := func() string {
			return string(b.ask(t, "GET", "/events?topic=test&durable=true", "", asAdmin, good).Body)
		}
		post("&ttl=2")
		time.Sleep(1999 * time.Millisecond)
		if body := open(); !strings.Contains(body, "-1\ndata: x\n\n") {
			t.Errorf("before its time the message is gone: %q", body)
		}
		time.Sleep(time.Millisecond)
		if body := open(); body != opened {
			t.Errorf("after its time the message is there: %q", body)
		}
		post("")
		if body := open(); !strings.Contains(body, "-2\ndata: x\n\n") {
			t.Errorf("the sequence did not go on: %q", body)
		}
	})
}

// A service without a message store reads nothing from one that is there.
func TestItem59NoMessageStore(t *testing.T) {
	b := newBench(t, func(o *app.Options) { o.MessagesStore = false })
	b.shelf.slots["test"] = slot(generation, 1, "one")
	resp := b.ask(t, "GET", "/events?topic=test&durable=true", "", asAdmin, good)
	wantBody(t, resp, 200, opened)
	wantChannels(t, resp, "s:test", "", "d:test", "none")
}
