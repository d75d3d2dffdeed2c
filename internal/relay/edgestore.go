package relay

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// edgeStore is what a service stores. Messages are in the relay's store, which
// knows their versions; each also is an item of the linked KV store, where the
// API lists it, and is gone when it is deleted there.
type edgeStore struct {
	store.Store
	edge     *edge
	messages string // id of the linked KV store
	keys     edgeKeys
}

// itemOf is the KV item that holds a topic's message.
func itemOf(t pubsub.Topic) string { return "r:" + string(t) }

// Put implements store.Store.
func (s edgeStore) Put(ctx context.Context, t pubsub.Topic, e store.Entry) (pubsub.Version, error) {
	s.edge.writing.Lock()
	defer s.edge.writing.Unlock()
	if !s.edge.platform.HasKVItem(s.messages, itemOf(t)) {
		if err := s.Store.Delete(ctx, t); err != nil {
			return pubsub.Version{}, err
		}
	}
	v, err := s.Store.Put(ctx, t, e)
	if err != nil {
		return v, err
	}
	var forgotten time.Time
	if !e.Expires.IsZero() {
		forgotten = e.Expires.Add(pubsub.Linger)
	}
	return v, s.edge.platform.PutKVItem(s.messages, itemOf(t), e.Data, forgotten)
}

// Get implements store.Store.
func (s edgeStore) Get(ctx context.Context, t pubsub.Topic, after pubsub.Version) (store.Slot, error) {
	slot, err := s.Store.Get(ctx, t, after)
	if err == nil && !s.edge.platform.HasKVItem(s.messages, itemOf(t)) {
		return store.Slot{}, store.ErrNotFound
	}
	return slot, err
}

// Delete implements store.Store.
func (s edgeStore) Delete(ctx context.Context, t pubsub.Topic) error {
	s.edge.writing.Lock()
	defer s.edge.writing.Unlock()
	if err := s.Store.Delete(ctx, t); err != nil {
		return err
	}
	return s.edge.platform.DeleteKVItem(s.messages, itemOf(t))
}

// Keys implements store.Store.
func (s edgeStore) Keys() store.KeyStore { return s.keys }

// edgeKeys are the signing keys in the KV store that the service links, as they
// were at one time, and those the relay was given at the start.
type edgeKeys struct {
	given    store.KeyStore
	platform Platform
	d        fastlytest.Deployment
}

// Get implements store.KeyStore.
func (k edgeKeys) Get(ctx context.Context, id string) ([]byte, error) {
	if secret, err := k.given.Get(ctx, id); err == nil {
		return secret, nil
	}
	secret, ok := k.d.Keys[id]
	switch {
	case k.d.KeyStore == "":
		return nil, store.ErrMissing
	case !ok:
		return nil, store.ErrNotFound
	}
	return slices.Clone(secret), nil
}

// Put implements store.KeyStore. The key is there when the service is next asked
// for, because its change makes the app anew.
func (k edgeKeys) Put(_ context.Context, key store.Key) error {
	if k.d.KeyStore == "" {
		return store.ErrMissing
	}
	return k.platform.PutKVItem(k.d.KeyStore, key.ID, key.Secret, time.Time{})
}

// List implements store.KeyStore.
func (k edgeKeys) List(ctx context.Context) ([]store.Key, error) {
	all, err := k.given.List(ctx)
	for id, secret := range k.d.Keys {
		if !slices.ContainsFunc(all, func(k store.Key) bool { return k.ID == id }) {
			all = append(all, store.Key{ID: id, Secret: slices.Clone(secret)})
		}
	}
	slices.SortFunc(all, func(a, b store.Key) int { return strings.Compare(a.ID, b.ID) })
	return all, err
}

// Delete implements store.KeyStore.
func (k edgeKeys) Delete(_ context.Context, id string) error {
	if _, ok := k.d.Keys[id]; !ok {
		return store.ErrNotFound
	}
	return k.platform.DeleteKVItem(k.d.KeyStore, id)
}

// Generation implements store.KeyStore.
func (k edgeKeys) Generation() uint64 { return k.d.Serial }
