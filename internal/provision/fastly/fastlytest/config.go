package fastlytest

import (
	"cmp"
	"net/http"
	"slices"
)

func showConfigStore(s *ConfigStore) object {
	return object{
		"id": s.ID, "name": s.Name, "created_at": stamp(s.Created), "updated_at": stamp(s.Updated), "deleted_at": nil,
	}
}

func showConfigItem(s *ConfigStore, i *ConfigItem) object {
	return object{
		"store_id": s.ID, "item_key": i.Key, "item_value": i.Value,
		"created_at": stamp(i.Created), "updated_at": stamp(i.Updated), "deleted_at": nil,
	}
}

// The bounds of a config store's items.
const (
	maxConfigKey   = 255
	maxConfigValue = 8000
)

func (c *call) listConfigStores() (any, error) {
	all := []object{}
	for _, s := range c.account.ConfigStores {
		if name := c.query().Get("name"); name == "" || name == s.Name {
			all = append(all, showConfigStore(s))
		}
	}
	return all, nil
}

func (c *call) configStoreNamed(name string) *ConfigStore {
	return find(c.account.ConfigStores, func(s *ConfigStore) bool { return s.Name == name })
}

// createConfigStore takes an empty name, as the API may; a client has to check.
func (c *call) createConfigStore() (any, error) {
	name := c.form.Get("name")
	if c.configStoreNamed(name) != nil {
		return nil, duplicate("config_store", name)
	}
	if err := room("config stores", len(c.account.ConfigStores)); err != nil {
		return nil, err
	}
	s := &ConfigStore{ID: c.mint.id(), Name: name, Created: c.at, Updated: c.at}
	c.account.ConfigStores = append(c.account.ConfigStores, s)
	return showConfigStore(s), nil
}

func (c *call) onConfigStore() (*ConfigStore, error) {
	if s := c.account.configStore(c.path("store")); s != nil {
		return s, nil
	}
	return nil, refuse(http.StatusNotFound, object{"msg": "Record not found"})
}

func (c *call) getConfigStore() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	return showConfigStore(s), nil
}

func (c *call) renameConfigStore() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	name := cmp.Or(c.form.Get("name"), s.Name)
	if other := c.configStoreNamed(name); other != nil && other != s {
		return nil, duplicate("config_store", name)
	}
	s.Name, s.Updated = name, c.at
	return showConfigStore(s), nil
}

// deleteConfigStore takes the items along, but not out of a service that uses it.
func (c *call) deleteConfigStore() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	if len(c.users(s.ID)) > 0 {
		return nil, refuse(http.StatusConflict, object{"msg": "Conflict", "detail": "store is linked to the active version of a service"})
	}
	c.account.ConfigStores = without(c.account.ConfigStores, s)
	return done(), nil
}

// users are the services whose active version links a store.
func (c *call) users(store string) []*Service {
	var all []*Service
	for _, s := range c.account.Services {
		v := s.Active()
		if v != nil && slices.ContainsFunc(v.Links, func(l *Link) bool { return l.StoreID == store }) {
			all = append(all, s)
		}
	}
	return all
}

func (c *call) configStoreInfo() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	return object{"item_count": len(s.Items)}, nil
}

func (c *call) configStoreServices() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, user := range c.users(s.ID) {
		all = append(all, c.showService(user, "publish_key", "paused"))
	}
	return all, nil
}

func (c *call) listConfigItems() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, i := range s.Items {
		all = append(all, showConfigItem(s, i))
	}
	return all, nil
}

// putConfigItem stores an item under a key.
func (c *call) putConfigItem(s *ConfigStore, key, value string) (any, error) {
	if key == "" || len(key) > maxConfigKey || len(value) > maxConfigValue {
		return nil, badRequest("Key or value has an invalid length")
	}
	i := s.Item(key)
	if i == nil {
		if err := room("config store items", len(s.Items)); err != nil {
			return nil, err
		}
		i = &ConfigItem{Key: key, Created: c.at}
		s.Items = append(s.Items, i)
	}
	i.Value, i.Updated = value, c.at
	return showConfigItem(s, i), nil
}

func (c *call) createConfigItem() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	key := c.form.Get("item_key")
	if s.Item(key) != nil {
		return nil, duplicate("config_store_item", key)
	}
	return c.putConfigItem(s, key, c.form.Get("item_value"))
}

func (c *call) upsertConfigItem() (any, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, err
	}
	return c.putConfigItem(s, c.path("key"), c.form.Get("item_value"))
}

func (c *call) pickConfigItem() (*ConfigStore, *ConfigItem, error) {
	s, err := c.onConfigStore()
	if err != nil {
		return nil, nil, err
	}
	if i := s.Item(c.path("key")); i != nil {
		return s, i, nil
	}
	return nil, nil, refuse(http.StatusNotFound, object{"msg": "Record not found"})
}

func (c *call) updateConfigItem() (any, error) {
	s, i, err := c.pickConfigItem()
	if err != nil {
		return nil, err
	}
	return c.putConfigItem(s, i.Key, c.form.Get("item_value"))
}

func (c *call) getConfigItem() (any, error) {
	s, i, err := c.pickConfigItem()
	if err != nil {
		return nil, err
	}
	return showConfigItem(s, i), nil
}

func (c *call) deleteConfigItem() (any, error) {
	s, i, err := c.pickConfigItem()
	if err != nil {
		return nil, err
	}
	s.Items = without(s.Items, i)
	return done(), nil
}
