package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// givenKeys is a store whose key store also has the keys the relay was started
// with. They are never written down: a key that is given no longer is gone.
type givenKeys struct {
	store.Store
	keys overlay
}

func (s givenKeys) Keys() store.KeyStore { return s.keys }

type overlay struct {
	store.KeyStore
	given map[string][]byte // static
}

// errGiven says that a key was given at the start and cannot be changed.
var errGiven = errors.New("key was given when the relay was started")

func withKeys(s store.Store, keys []store.Key) (store.Store, error) {
	given := make(map[string][]byte, len(keys))
	for _, k := range keys {
		if err := store.CheckKey(k); err != nil {
			return nil, fmt.Errorf("key %q: %w", k.ID, err)
		}
		if _, ok := given[k.ID]; ok {
			return nil, fmt.Errorf("key %q is given twice", k.ID)
		}
		given[k.ID] = k.Secret
	}
	return givenKeys{s, overlay{s.Keys(), given}}, nil
}

// Get implements store.KeyStore.
func (o overlay) Get(ctx context.Context, id string) ([]byte, error) {
	if secret, ok := o.given[id]; ok {
		return slices.Clone(secret), nil
	}
	return o.KeyStore.Get(ctx, id)
}

// Put implements store.KeyStore.
func (o overlay) Put(ctx context.Context, k store.Key) error {
	if _, ok := o.given[k.ID]; ok {
		return fmt.Errorf("put key %q: %w", k.ID, errGiven)
	}
	return o.KeyStore.Put(ctx, k)
}

// Delete implements store.KeyStore.
func (o overlay) Delete(ctx context.Context, id string) error {
	if _, ok := o.given[id]; ok {
		return fmt.Errorf("delete key %q: %w", id, errGiven)
	}
	return o.KeyStore.Delete(ctx, id)
}

// List implements store.KeyStore.
func (o overlay) List(ctx context.Context) ([]store.Key, error) {
	stored, err := o.KeyStore.List(ctx)
	all := make([]store.Key, 0, len(o.given)+len(stored))
	for id, secret := range o.given {
		all = append(all, store.Key{ID: id, Secret: slices.Clone(secret)})
	}
	for _, k := range stored {
		if _, ok := o.given[k.ID]; !ok {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b store.Key) int { return strings.Compare(a.ID, b.ID) })
	return all, err
}
