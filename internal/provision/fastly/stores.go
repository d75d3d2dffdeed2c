package fastly

import (
	"context"
	"errors"
	"fmt"

	gofastly "github.com/fastly/go-fastly/v9/fastly"
)

// errNoName is for a store without a name, which the library would send.
var errNoName = errors.New("a store needs a name")

// unknownKind is a mistake of the caller.
func unknownKind(k Kind) error { return fmt.Errorf("no kind of store is called %q", k) }

// Stores implements API.
func (c *Client) Stores(ctx context.Context, kind Kind) ([]Store, error) {
	switch kind {
	case ConfigStore:
		return get(ctx, c, configStores)
	case KVStore:
		return get(ctx, c, kvStores)
	case SecretStore:
		return get(ctx, c, secretStores)
	}
	return nil, unknownKind(kind)
}

func configStores(lib *gofastly.Client) ([]Store, error) {
	list, err := lib.ListConfigStores(&gofastly.ListConfigStoresInput{})
	var all []Store
	for _, s := range list {
		all = append(all, Store{ConfigStore, s.StoreID, s.Name})
	}
	return all, err
}

func kvStores(lib *gofastly.Client) ([]Store, error) {
	var all []Store
	for in := (&gofastly.ListKVStoresInput{}); ; {
		page, err := lib.ListKVStores(in)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Data {
			all = append(all, Store{KVStore, s.StoreID, s.Name})
		}
		next := page.Meta["next_cursor"]
		if next == "" || next == in.Cursor {
			return all, nil
		}
		in.Cursor = next
	}
}

func secretStores(lib *gofastly.Client) ([]Store, error) {
	var all []Store
	for in := (&gofastly.ListSecretStoresInput{}); ; {
		page, err := lib.ListSecretStores(in)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Data {
			all = append(all, Store{SecretStore, s.StoreID, s.Name})
		}
		next := page.Meta.NextCursor
		if next == "" || next == in.Cursor {
			return all, nil
		}
		in.Cursor = next
	}
}

// Store implements API.
func (c *Client) Store(ctx context.Context, kind Kind, id string) (Store, error) {
	return get(ctx, c, func(lib *gofastly.Client) (Store, error) { return findStore(lib, kind, id) })
}

func findStore(lib *gofastly.Client, kind Kind, id string) (Store, error) {
	switch kind {
	case ConfigStore:
		s, err := lib.GetConfigStore(&gofastly.GetConfigStoreInput{StoreID: id})
		if err != nil {
			return Store{}, err
		}
		return Store{kind, s.StoreID, s.Name}, nil
	case KVStore:
		s, err := lib.GetKVStore(&gofastly.GetKVStoreInput{StoreID: id})
		if err != nil {
			return Store{}, err
		}
		return Store{kind, s.StoreID, s.Name}, nil
	case SecretStore:
		s, err := lib.GetSecretStore(&gofastly.GetSecretStoreInput{StoreID: id})
		if err != nil {
			return Store{}, err
		}
		return Store{kind, s.StoreID, s.Name}, nil
	}
	return Store{}, unknownKind(kind)
}

// CreateStore implements API.
func (c *Client) CreateStore(ctx context.Context, kind Kind, name string) (Store, error) {
	if name == "" {
		return Store{}, errNoName
	}
	return get(ctx, c, func(lib *gofastly.Client) (Store, error) { return createStore(lib, kind, name) })
}

func createStore(lib *gofastly.Client, kind Kind, name string) (Store, error) {
	switch kind {
	case ConfigStore:
		s, err := lib.CreateConfigStore(&gofastly.CreateConfigStoreInput{Name: name})
		if err != nil {
			return Store{}, err
		}
		return Store{kind, s.StoreID, s.Name}, nil
	case KVStore:
		s, err := lib.CreateKVStore(&gofastly.CreateKVStoreInput{Name: name})
		if err != nil {
			return Store{}, err
		}
		return Store{kind, s.StoreID, s.Name}, nil
	case SecretStore:
		s, err := lib.CreateSecretStore(&gofastly.CreateSecretStoreInput{Name: name})
		if err != nil {
			return Store{}, err
		}
		return Store{kind, s.StoreID, s.Name}, nil
	}
	return Store{}, unknownKind(kind)
}

// DeleteStore implements API.
func (c *Client) DeleteStore(ctx context.Context, kind Kind, id string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		switch kind {
		case ConfigStore:
			return lib.DeleteConfigStore(&gofastly.DeleteConfigStoreInput{StoreID: id})
		case KVStore:
			return lib.DeleteKVStore(&gofastly.DeleteKVStoreInput{StoreID: id})
		case SecretStore:
			return lib.DeleteSecretStore(&gofastly.DeleteSecretStoreInput{StoreID: id})
		}
		return unknownKind(kind)
	})
}

// ConfigItems implements API.
func (c *Client) ConfigItems(ctx context.Context, store string) (map[string]string, error) {
	list, err := get(ctx, c, func(lib *gofastly.Client) ([]*gofastly.ConfigStoreItem, error) {
		return lib.ListConfigStoreItems(&gofastly.ListConfigStoreItemsInput{StoreID: store})
	})
	items := map[string]string{}
	for _, i := range list {
		items[i.Key] = i.Value
	}
	return items, err
}

// PutConfigItem implements API.
func (c *Client) PutConfigItem(ctx context.Context, store, key, value string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.UpdateConfigStoreItem(&gofastly.UpdateConfigStoreItemInput{StoreID: store, Key: key, Value: value, Upsert: true})
		return err
	})
}

// DeleteConfigItem implements API.
func (c *Client) DeleteConfigItem(ctx context.Context, store, key string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteConfigStoreItem(&gofastly.DeleteConfigStoreItemInput{StoreID: store, Key: key})
	})
}

// KVKeys implements API.
func (c *Client) KVKeys(ctx context.Context, store string) ([]string, error) {
	return get(ctx, c, func(lib *gofastly.Client) ([]string, error) {
		var all []string
		for in := (&gofastly.ListKVStoreKeysInput{StoreID: store}); ; {
			page, err := lib.ListKVStoreKeys(in)
			if err != nil {
				return nil, err
			}
			all = append(all, page.Data...)
			next := page.Meta["next_cursor"]
			if next == "" || next == in.Cursor {
				return all, nil
			}
			in.Cursor = next
		}
	})
}

// KVItem implements API.
func (c *Client) KVItem(ctx context.Context, store, key string) ([]byte, error) {
	return get(ctx, c, func(lib *gofastly.Client) ([]byte, error) {
		v, err := lib.GetKVStoreKey(&gofastly.GetKVStoreKeyInput{StoreID: store, Key: key})
		return []byte(v), err
	})
}

// PutKVItem implements API.
func (c *Client) PutKVItem(ctx context.Context, store, key string, value []byte, fresh bool) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.InsertKVStoreKey(&gofastly.InsertKVStoreKeyInput{StoreID: store, Key: key, Value: string(value), Add: fresh})
	})
}

// DeleteKVItem implements API.
func (c *Client) DeleteKVItem(ctx context.Context, store, key string, force bool) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteKVStoreKey(&gofastly.DeleteKVStoreKeyInput{StoreID: store, Key: key, Force: force})
	})
}
