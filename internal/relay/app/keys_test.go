package app_test

import (
	"context"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// lost is a key store that fails in one way.
type lost struct {
	store.KeyStore
	err error
}

func (l lost) Put(context.Context, store.Key) error { return l.err }

func TestKeyStoreFailures(t *testing.T) {
	for text, err := range map[string]error{
		"Storage access process failed\n":  store.ErrMissing,
		"Storage writing process failed\n": errBroken,
	} {
		b := newBench(t, func(o *app.Options) {
			s := o.Store.(*shelf)
			s.keys = lost{s.Store.Keys(), err}
		})
		wantBody(t, b.ask(t, "POST", "/admin/keys", "", asAdmin, good), 500, text)
	}
}

// Section 3.6: with no value configured no Fastly-Key is valid, not even an
// empty one.
func TestFastlyKeyNotConfigured(t *testing.T) {
	for name, keys := range map[string][]string{"none": nil, "empty": {""}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(o *app.Options) { o.FastlyKeys = keys })
			for _, value := range []string{"", good} {
				wantBody(t, b.ask(t, "POST", "/admin/keys", "", asAdmin, value), 401, "Fastly-Key header invalid or not specified\n")
			}
		})
	}
	b := newBench(t, func(o *app.Options) { o.FastlyKeys = []string{"first", "second"} })
	for _, value := range []string{"first", "second"} {
		if resp := b.ask(t, "POST", "/admin/keys", "", asAdmin, value); resp.Status != 200 {
			t.Errorf("Fastly-Key %s: status %d", value, resp.Status)
		}
	}
}
