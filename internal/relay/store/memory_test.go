package store_test

import (
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/relay/store/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := store.NewMemory(store.Options{})
		t.Cleanup(func() { s.Close() })
		return s
	})
}
