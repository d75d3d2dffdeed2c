package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// fanoutFake takes items and has as many subscribers as it is told.
type fanoutFake struct {
	mu        sync.Mutex // guards items
	items     []*grip.Item
	listeners map[string]int
	err       error
}

func (f *fanoutFake) Publish(_ context.Context, items ...*grip.Item) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items = append(f.items, items...)
	n := 0
	for _, it := range items {
		n += f.listeners[it.Channel]
	}
	return n, nil
}

func (f *fanoutFake) Subscribers(channel string) int { return f.listeners[channel] }

// shelf is a store whose messages and failures a test sets.
type shelf struct {
	store.Store
	slots          map[pubsub.Topic]store.Slot
	getErr, putErr error
	keys           store.KeyStore
	puts           atomic.Int64
}

func (s *shelf) Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (store.Slot, error) {
	slot, ok := s.slots[t]
	switch {
	case s.getErr != nil:
		return store.Slot{}, s.getErr
	case !ok:
		return s.Store.Get(ctx, t, after)
	case after.Covers(slot.Version):
		return store.Slot{}, store.ErrNotNewer
	}
	return slot, nil
}

func (s *shelf) Put(ctx context.Context, t pubsub.Topic, e store.Entry) (pubsub.Version, error) {
	s.puts.Add(1)
	if s.putErr != nil {
		return pubsub.Version{}, s.putErr
	}
	return s.Store.Put(ctx, t, e)
}

func (s *shelf) Keys() store.KeyStore {
	if s.keys != nil {
		return s.keys
	}
	return s.Store.Keys()
}

func slot(generation, seq uint64, data string) store.Slot {
	return store.Slot{Version: pubsub.Version{Generation: generation, Seq: seq}, Entry: &store.Entry{Data: []byte(data)}}
}

// bench is an App with everything around it.
type bench struct {
	*app.App
	fanout *fanoutFake
	shelf  *shelf
	log    *strings.Builder
}

func newMemory(tb testing.TB) store.Store {
	tb.Helper()
	st := store.NewMemory(store.Options{})
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := st.Keys().Put(context.Background(), store.Key{ID: "test", Secret: []byte("notasecret")}); err != nil {
		tb.Fatal(err)
	}
	return st
}

func newBench(tb testing.TB, change ...func(*app.Options)) *bench {
	tb.Helper()
	b := &bench{
		fanout: &fanoutFake{listeners: map[string]int{}},
		shelf:  &shelf{Store: newMemory(tb), slots: map[pubsub.Topic]store.Slot{}},
		log:    new(strings.Builder),
	}
	o := app.Options{
		Store: b.shelf, Publisher: b.fanout, FastlyKeys: []string{apptest.FastlyKey},
		PublishToken: true, MessagesStore: true,
		Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	}
	for _, c := range change {
		c(&o)
	}
	b.App = app.New(o)
	return b
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// logs returns the lines written since the last call.
func (b *bench) logs() string {
	defer b.log.Reset()
	return b.log.String()
}

// ask sends a request; header is names and values in turn.
func (b *bench) ask(tb testing.TB, method, target, body string, header ...string) *fanout.Response {
	tb.Helper()
	resp, err := b.Request(tb.Context(), request(method, target, body, header...))
	if err != nil {
		tb.Fatalf("%s %s: %v", method, target, err)
	}
	return resp
}

func request(method, target, body string, header ...string) *fanout.Request {
	path, query, _ := strings.Cut(target, "?")
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &fanout.Request{
		Method: method, Path: path, RawQuery: query, Header: h, Remote: "127.0.0.1:1", Conn: 7,
		Body: strings.NewReader(body), ContentLength: int64(len(body)),
	}
}

// followUp asks what is new for a stream with these channels and ids, in turn.
func (b *bench) followUp(tb testing.TB, last ...string) *fanout.Response {
	tb.Helper()
	r := &fanout.Request{Method: "GET", Path: "/events", RawQuery: "durable=true", Body: http.NoBody, FollowUp: true}
	for i := 0; i < len(last); i += 2 {
		r.Last = append(r.Last, grip.Last{Channel: last[i], ID: last[i+1]})
	}
	resp, err := b.Request(tb.Context(), r)
	if err != nil {
		tb.Fatal(err)
	}
	return resp
}

const (
	asAdmin = "Fastly-Key"
	good    = apptest.FastlyKey
	opened  = "event: stream-open\ndata: \n\n"
)

func wantBody(t *testing.T, resp *fanout.Response, status int, body string) {
	t.Helper()
	if resp.Status != status || string(resp.Body) != body {
		t.Errorf("got %d %q, want %d %q", resp.Status, resp.Body, status, body)
	}
}

func wantStreamError(t *testing.T, resp *fanout.Response, condition, text string) {
	t.Helper()
	wantBody(t, resp, 200, `event: stream-error`+"\n"+`data: {"condition":"`+condition+`","text":"`+text+`"}`+"\n\n")
	if resp.Instruct != nil {
		t.Error("a refused stream is held")
	}
}

// wantChannels compares names and prev-ids, in turn.
func wantChannels(t *testing.T, resp *fanout.Response, want ...string) {
	t.Helper()
	if resp.Instruct == nil {
		t.Fatal("the response is not held")
	}
	var got []string
	for _, c := range resp.Instruct.Channels {
		got = append(got, c.Name, c.PrevID)
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("channels are %q, want %q", got, want)
	}
}

var errBroken = errors.New("broken")

// mint makes a token that may read and write the topic test until exp.
func mint(exp time.Time) string {
	return apptest.Claims(fmt.Sprintf(`{"exp":%d,"x-fastly-read":["test"],"x-fastly-write":["test"]}`, exp.Unix()))
}
