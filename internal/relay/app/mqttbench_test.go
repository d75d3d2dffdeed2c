package app_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// calling returns a function that gives the same frame to a connection again;
// the connection has subscribed to the topic test.
func calling(tb testing.TB, frame []byte) func() {
	a := quietApp(tb)
	s := &fanout.Socket{Handshake: request("GET", "/mqtt", ""), Conn: 7}
	call := func(in ...grip.Event) {
		if reply, err := a.Events(context.Background(), s, in); err != nil || reply.Refuse != nil {
			tb.Fatal(reply, err)
		}
	}
	call(grip.Event{Type: grip.EventOpen})
	call(grip.Event{Type: grip.EventBinary, Content: connect("c1", apptest.TokenRW)})
	call(grip.Event{Type: grip.EventBinary, Content: subscribeTo("test")})
	in := []grip.Event{{Type: grip.EventBinary, Content: frame}}
	return func() {
		if !a.QuickEvents(s, in) {
			tb.Fatal("the call needs a worker")
		}
		call(in...)
	}
}

func publishOf(size int) []byte {
	body := "\x00\x04test\x00" + string(bytes.Repeat([]byte("x"), size))
	return append(head(0x30, len(body)), body...)
}

// A live PUBLISH with a known token makes the item with its parts, and the
// content of both protocols in one piece of memory.
func TestMQTTPublishAllocations(t *testing.T) {
	if n := testing.AllocsPerRun(1000, calling(t, publishOf(200))); n > 2 {
		t.Errorf("a live PUBLISH makes %v allocations, want at most 2", n)
	}
}

func BenchmarkMQTTPublish(b *testing.B) {
	send := calling(b, publishOf(200))
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}

func BenchmarkMQTTPingreq(b *testing.B) {
	send := calling(b, []byte{0xC0, 0})
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}
