package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// sink takes items at no cost.
type sink struct{}

func (sink) Publish(context.Context, ...*grip.Item) (int, error) { return 1, nil }
func (sink) Subscribers(string) int                              { return 1 }

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func quietApp(tb testing.TB) *app.App {
	return newBench(tb, func(o *app.Options) {
		o.Publisher, o.Log = sink{}, quietLog()
	}).App
}

// publishing returns a function that sends the same live message again.
func publishing(tb testing.TB, a *app.App) func() {
	data, body := bytes.Repeat([]byte("x"), 200), new(bytes.Reader)
	r := request("POST", "/events?topic=test", "", "Authorization", "Bearer "+apptest.TokenRW)
	r.Body, r.ContentLength = body, int64(len(data))
	return func() {
		body.Reset(data)
		mustAnswer(tb, a, r, 200)
	}
}

func mustAnswer(tb testing.TB, a *app.App, r *fanout.Request, status int) {
	resp, err := a.Request(context.Background(), r)
	if err != nil || resp.Status != status {
		tb.Fatal(resp, err)
	}
}

// A live publish with a known token makes the item with its parts, the content,
// the channel's name, and the answer with its body.
func TestPublishAllocations(t *testing.T) {
	send := publishing(t, quietApp(t))
	if n := testing.AllocsPerRun(1000, send); n > 5 {
		t.Errorf("a live publish makes %v allocations, want at most 5", n)
	}
}

func BenchmarkLivePublish(b *testing.B) {
	send := publishing(b, quietApp(b))
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}

func BenchmarkStoredPublish(b *testing.B) {
	a := quietApp(b)
	r := request("POST", "/events?topic=test&retain=true", "", "Authorization", "Bearer "+apptest.TokenRW)
	b.ReportAllocs()
	for b.Loop() {
		mustAnswer(b, a, r, 200)
	}
}

func BenchmarkOpenStream(b *testing.B) {
	a := quietApp(b)
	r := request("GET", "/events?topic=test", "", "Authorization", "Bearer "+apptest.TokenRW)
	b.ReportAllocs()
	for b.Loop() {
		mustAnswer(b, a, r, 200)
	}
}

func BenchmarkFollowUp(b *testing.B) {
	a := quietApp(b)
	r := &fanout.Request{
		Method: "GET", Path: "/events", RawQuery: "durable=true", FollowUp: true,
		Last: []grip.Last{{Channel: "d:test", ID: "d06fe8f6d007c421-1"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		mustAnswer(b, a, r, 200)
	}
}
