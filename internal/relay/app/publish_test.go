package app_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
)

// Item 2, and the first row of the delivery matrix.
func TestItem02LivePublish(t *testing.T) {
	b := newBench(t)
	wantBody(t, b.ask(t, "POST", "/events?topic=test", "hello", "Authorization", "Bearer "+apptest.TokenRW), 200, "Published\n")
	it := onlyItem(t, b)
	if it.Channel != "s:test" || it.ID != "" || it.PrevID != "" || it.Meta != nil || it.HTTPResponse != nil {
		t.Errorf("item is %+v", it)
	}
	if s := it.HTTPStream; s == nil || s.Action != grip.Send || string(s.Content) != "event: message\ndata: hello\n\n" {
		t.Errorf("http-stream is %+v", s)
	}
	if w := it.WSMessage; w == nil || w.Action != grip.Send || w.Type != grip.Binary || string(w.Content) != "\x30\x0c\x00\x04test\x00hello" {
		t.Errorf("ws-message is %+v", w)
	}
}

func onlyItem(t *testing.T, b *bench) *grip.Item {
	t.Helper()
	if len(b.fanout.items) != 1 {
		t.Fatalf("%d items were published, want 1", len(b.fanout.items))
	}
	return b.fanout.items[0]
}

// Items 7 and 8: what was stored is only a signal, and only on the durable channel.
func TestItem07StoredPublish(t *testing.T) {
	b := newBench(t)
	wantBody(t, b.ask(t, "POST", "/events?topic=test&retain=true&ttl=60", "hello", asAdmin, good), 200, "Published\n")
	it := onlyItem(t, b)
	if it.Channel != "d:test" || it.HTTPStream.Action != grip.Hint || it.HTTPStream.Content != nil {
		t.Errorf("item is %+v with %+v", it, it.HTTPStream)
	}
	if it.WSMessage == nil || it.WSMessage.Action != grip.Refresh {
		t.Errorf("ws-message is %+v", it.WSMessage)
	}
	slot, err := b.shelf.Get(t.Context(), "test", pubsub.Version{})
	if err != nil || slot.Version.Seq != 1 || string(slot.Entry.Data) != "hello" {
		t.Errorf("stored %+v, %v", slot, err)
	}
}

// A ttl of zero stores what nobody receives, and tells everybody.
func TestItem68Quirk21ClearTellsReaders(t *testing.T) {
	b := newBench(t)
	b.ask(t, "POST", "/events?topic=test&retain=true", "one", asAdmin, good)
	b.ask(t, "POST", "/events?topic=test&retain=true&ttl=0", "two", asAdmin, good)
	if n := len(b.fanout.items); n != 2 || b.fanout.items[1].Channel != "d:test" {
		t.Fatalf("%d items were published", n)
	}
	resp := b.followUp(t, "d:test", "none")
	wantBody(t, resp, 200, "")
	if id := resp.Instruct.Channels[1].PrevID; !strings.HasSuffix(id, "-2") {
		t.Errorf("after the clearing message the reader is at %s", id)
	}
}

// Items 69 and 70: what a half-configured service does, and in which order.
func TestItem69StoreFails(t *testing.T) {
	b := newBench(t)
	b.shelf.putErr = errBroken
	wantBody(t, b.ask(t, "POST", "/events?topic=test&retain=true", "x", asAdmin, good), 500, "Failed to write message to storage\n")
	if len(b.fanout.items) != 0 {
		t.Error("a message that was not stored was announced")
	}
	if log := b.logs(); !strings.Contains(log, `cause="500: the message could not be stored" err=broken`) {
		t.Errorf("log is %q", log)
	}
}

func TestItem70PublishFails(t *testing.T) {
	b := newBench(t)
	b.fanout.err = errBroken
	wantBody(t, b.ask(t, "POST", "/events?topic=test&retain=true", "x", asAdmin, good), 500, "Publish process failed\n")
	if slot, err := b.shelf.Get(t.Context(), "test", pubsub.Version{}); err != nil || string(slot.Entry.Data) != "x" {
		t.Errorf("stored %+v, %v", slot, err)
	}
	b = newBench(t, func(o *app.Options) { o.PublishToken = false })
	wantBody(t, b.ask(t, "POST", "/events?topic=test", "x", asAdmin, good), 500, "Publish process failed\n")
	if len(b.fanout.items) != 0 {
		t.Error("a message was published without a publish token")
	}
}

// Item 65: a body of unknown length has the same limit, and is not read past it.
func TestItem65BodyOfUnknownLength(t *testing.T) {
	b := newBench(t)
	for size, want := range map[int]int{0: 200, pubsub.MaxPayload: 200, pubsub.MaxPayload + 1: 400, 10 * pubsub.MaxPayload: 400} {
		body := bytes.NewReader(make([]byte, size))
		r := request("POST", "/events?topic=test", "", asAdmin, good)
		r.Body, r.ContentLength = iotest.HalfReader(body), -1
		resp, err := b.Request(t.Context(), r)
		if err != nil || resp.Status != want {
			t.Errorf("%d bytes: %v, %v, want status %d", size, resp, err, want)
		}
		if read := size - body.Len(); read > pubsub.MaxPayload+1 {
			t.Errorf("%d bytes were read", read)
		}
	}
}

// No part of a message is published: a body that breaks off is nobody's message.
func TestBrokenBody(t *testing.T) {
	for name, length := range map[string]int64{"known length": 10, "unknown length": -1} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := request("POST", "/events?topic=test&retain=true", "", asAdmin, good)
			r.Body, r.ContentLength = io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(io.ErrUnexpectedEOF)), length
			if resp, err := b.Request(t.Context(), r); err == nil {
				t.Errorf("got %+v", resp)
			}
			if len(b.fanout.items) != 0 {
				t.Error("part of a message was published")
			}
		})
	}
	b := newBench(t)
	r := request("POST", "/events?topic=test", "hello", asAdmin, good)
	r.ContentLength = 10
	if _, err := b.Request(t.Context(), r); err == nil {
		t.Error("a body shorter than announced was published")
	}
}

// Items 63 to 65 and the order of section 5: each row fails only where all rows
// before it pass.
func TestOrderOfPublishChecks(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("x", pubsub.MaxPayload+1)
	auth := func(value string) []string { return []string{"Authorization", value} }
	for _, c := range []struct {
		query  string
		header []string
		status int
		body   string
	}{
		{"ttl=x", nil, 400, "Missing 'topic' param\n"},
		{"topic=no&ttl=x", nil, 400, "Invalid 'ttl' param: invalid digit found in string\n"},
		{"topic=no", nil, 400, "Missing 'Authorization' header\n"},
		{"topic=no", auth("Bearer"), 400, "Invalid 'Authorization' header\n"},
		{"topic=no", auth(""), 400, "Invalid 'Authorization' header\n"},
		{"topic=no", auth("Basic x"), 400, "Unsupported authorization scheme: Basic\n"},
		{"topic=no", auth("Bearer x"), 403, "Invalid token\n"},
		{"topic=no", auth("Bearer " + apptest.TokenBadKid), 500, "Auth process failed\n"},
		{"topic=no", auth("Bearer " + apptest.TokenRW), 403, "Cannot publish to topic: no\n"},
		{"topic=test&retain=true", auth("Bearer " + apptest.TokenRW), 400, "Message size exceeds 32512 bytes maximum\n"},
	} {
		resp := b.ask(t, "POST", "/events?"+c.query, long, c.header...)
		wantBody(t, resp, c.status, c.body)
	}
	if len(b.fanout.items) != 0 {
		t.Error("a refused message was published")
	}
}

// The query is normalised before it is read, as a URL parser does.
func TestRawTopicIsNormalised(t *testing.T) {
	b := newBench(t)
	b.ask(t, "POST", `/events?topic=a"b`, "x", asAdmin, good)
	b.ask(t, "POST", "/events?topic=é", "x", asAdmin, good)
	if got := b.fanout.items[0].Channel + " " + b.fanout.items[1].Channel; got != "s:a%22b s:%C3%A9" {
		t.Errorf("channels are %q", got)
	}
}
