package app_test

import (
	"context"
	"flag"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

var slow = flag.Bool("slow", false, "also run what takes minutes")

// TestConformance runs the wire suite against the app behind a real engine, on
// sockets that shards own and on those that stay with net/http.
func TestConformance(t *testing.T) {
	for name, portable := range map[string]bool{"descriptors": false, "portable": true} {
		t.Run(name, func(t *testing.T) {
			apptest.Run(t, apptest.Service{Slow: *slow, Start: func(t *testing.T, s apptest.Setup) string {
				return serve(t, fanout.Options{Portable: portable}, s)
			}})
		})
	}
}

// serve starts the app behind an engine until the test ends.
func serve(t *testing.T, o fanout.Options, s apptest.Setup) string {
	t.Helper()
	st := newMemory(t)
	restore(t, st, s.Messages)
	engine := fanout.New(o)
	a := app.New(app.Options{
		Store: st, Publisher: engine, FastlyKeys: []string{apptest.FastlyKey}, Config: s.Config,
		PublishToken: !s.NoPublishToken, MessagesStore: !s.NoMessagesStore, Log: slog.New(slog.DiscardHandler),
	})
	server := httptest.NewServer(engine.Serve(a))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := engine.Drain(ctx); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// restore fills the message store from the text of a sample file.
func restore(t *testing.T, st store.Store, messages string) {
	t.Helper()
	if messages == "" {
		return
	}
	records, err := store.ReadMessagesFile(strings.NewReader(messages))
	if err == nil {
		err = st.(store.Archive).Restore(t.Context(), records)
	}
	if err != nil {
		t.Fatal(err)
	}
}
