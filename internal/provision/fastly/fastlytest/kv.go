package fastlytest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// showKVStore writes times without a zone, or as the rest of the API does: both
// forms have been seen.
func (c *call) showKVStore(s *KVStore) object {
	at := plainStamp(s.Created)
	if c.traits.kvZones {
		at = stamp(s.Created)
	}
	return object{"id": s.ID, "name": s.Name, "created_at": at, "updated_at": at}
}

// cursor is where a list goes on: behind a name. It looks like the recorded ones.
func cursor(name string) string {
	return base64.StdEncoding.EncodeToString(append([]byte{10, byte(len(name))}, name...))
}

func fromCursor(s string) string {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) < 2 {
		return ""
	}
	return string(raw[2:])
}

// window cuts a sorted list to one page; next is the cursor of the rest, or empty.
func window(names []string, after string, limit int) (page []string, next string) {
	from, found := slices.BinarySearch(names, after)
	if found {
		from++
	}
	page = names[from:]
	if len(page) > limit {
		page = page[:limit]
		next = cursor(page[limit-1])
	}
	return page, next
}

// kvPage is how many entries a list has unless the request says otherwise.
const kvPage = 1000

func (c *call) listKVStores() (any, error) {
	byName := map[string]*KVStore{}
	for _, s := range c.account.KVStores {
		byName[s.Name] = s
	}
	limit := c.number("limit", kvPage)
	names, next := window(slices.Sorted(maps.Keys(byName)), fromCursor(c.query().Get("cursor")), limit)
	data := []object{}
	for _, name := range names {
		data = append(data, c.showKVStore(byName[name]))
	}
	meta := object{"limit": limit, "total": len(byName)}
	if next != "" {
		meta["next_cursor"] = next
	}
	return object{"data": data, "meta": meta}, nil
}

func (c *call) createKVStore() (any, error) {
	name := c.text("name")
	switch {
	case name == "":
		return nil, titled(http.StatusBadRequest, "Bad Request", "name is required")
	case c.traits.kvQuota:
		return nil, titled(http.StatusForbidden, "Forbidden", "the account has reached its limit of KV stores")
	case find(c.account.KVStores, func(s *KVStore) bool { return s.Name == name }) != nil:
		return nil, titled(http.StatusConflict, "Conflict", "store with name '"+name+"' already exists")
	}
	if err := room("KV stores", len(c.account.KVStores)); err != nil {
		return nil, err
	}
	s := &KVStore{ID: c.mint.kvID(), Name: name, Location: c.query().Get("location"), Created: c.at, Items: map[string]*KVItem{}}
	c.account.KVStores = append(c.account.KVStores, s)
	return c.showKVStore(s), nil
}

func (c *call) onKVStore() (*KVStore, error) {
	if s := c.account.kvStore(c.path("store")); s != nil {
		return s, nil
	}
	return nil, titled(http.StatusNotFound, "Not Found", "kv store not found")
}

func (c *call) getKVStore() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	return c.showKVStore(s), nil
}

// deleteKVStore refuses a store with items.
func (c *call) deleteKVStore() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	if len(s.keys(c.at)) > 0 {
		return nil, titled(http.StatusConflict, "Conflict", "store is not empty")
	}
	c.account.KVStores = without(c.account.KVStores, s)
	return nil, nil
}

// keys are the names of what has not expired, sorted.
func (s *KVStore) keys(at time.Time) []string {
	var names []string
	for name, item := range s.Items {
		if item.lives(at) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (i *KVItem) lives(at time.Time) bool { return i.Expires.IsZero() || i.Expires.After(at) }

func (c *call) listKVKeys() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	limit, prefix := c.number("limit", kvPage), c.query().Get("prefix")
	names := slices.DeleteFunc(s.keys(c.at), func(name string) bool { return !strings.HasPrefix(name, prefix) })
	page, next := window(names, fromCursor(c.query().Get("cursor")), limit)
	meta := object{"limit": limit}
	if next != "" {
		meta["next_cursor"] = next
	}
	if prefix != "" {
		meta["prefix"] = prefix
	}
	if c.query().Get("consistency") == "eventual" {
		meta["consistency"] = "eventual"
	}
	return object{"data": append([]string{}, page...), "meta": meta}, nil
}

// badKVName matches what cannot be the name of an item.
var badKVName = regexp.MustCompile(`^\.{0,2}$|^\.well-known/acme-challenge/|[#;?^|\r\n]`)

// maxKVName is how long the name of an item may be, in bytes.
const maxKVName = 1024

func (c *call) getKVItem() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	item := s.Items[c.path("key")]
	if item == nil || !item.lives(c.at) {
		return nil, titled(http.StatusNotFound, "Not Found", "key not found")
	}
	a := answer{status: http.StatusOK, header: http.Header{}, body: item.Value}
	a.header.Set("Content-Type", "application/octet-stream")
	a.header.Set("Generation", strconv.FormatUint(item.Generation, 10))
	a.header.Set("Metadata", item.Metadata)
	return a, nil
}

// putKVItem writes under the conditions of query and header. A condition that
// does not hold is answered with 412 and no body.
func (c *call) putKVItem() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	key := c.path("key")
	if badKVName.MatchString(key) || len(key) > maxKVName {
		return nil, titled(http.StatusBadRequest, "Bad Request", "invalid key")
	}
	old := s.Items[key]
	if old != nil && !old.lives(c.at) {
		old = nil
	}
	if !c.allows(old) {
		return nil, &refusal{jsonAnswer(http.StatusPreconditionFailed, nil)}
	}
	item, err := c.newKVItem(old)
	if old == nil && err == nil {
		err = room("items", len(s.Items))
	}
	if err != nil {
		return nil, err
	}
	s.Items[key] = item
	return nil, nil
}

// allows judges add and If-Generation-Match.
func (c *call) allows(old *KVItem) bool {
	if c.query().Get("add") == "true" && old != nil {
		return false
	}
	want := c.req.Header.Get("If-Generation-Match")
	return want == "" || old != nil && want == strconv.FormatUint(old.Generation, 10)
}

func (c *call) newKVItem(old *KVItem) (*KVItem, error) {
	item := &KVItem{Value: c.raw, Metadata: c.req.Header.Get("Metadata"), Generation: c.nextGeneration()}
	if old != nil {
		switch {
		case c.query().Get("append") == "true":
			item.Value = slices.Concat(old.Value, c.raw)
		case c.query().Get("prepend") == "true":
			item.Value = slices.Concat(c.raw, old.Value)
		}
		if _, given := c.req.Header["Metadata"]; !given {
			item.Metadata = old.Metadata
		}
	}
	if text := c.req.Header.Get("Time_to_live_sec"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds <= 0 {
			return nil, titled(http.StatusBadRequest, "Bad Request", "invalid time_to_live_sec")
		}
		item.Expires = c.at.Add(time.Duration(seconds) * time.Second)
	}
	return item, nil
}

// nextGeneration is a number like the recorded ones, microseconds, that grows
// even if the clock does not.
func (s *Server) nextGeneration() uint64 {
	s.generation = max(s.generation+1, uint64(s.now().UnixMicro()))
	return s.generation
}

func (c *call) deleteKVItem() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	key := c.path("key")
	if s.Items[key] == nil && c.query().Get("force") != "true" {
		return nil, titled(http.StatusNotFound, "Not Found", "key not found")
	}
	delete(s.Items, key)
	return nil, nil
}

// putKVBatch takes one JSON object on each line.
func (c *call) putKVBatch() (any, error) {
	s, err := c.onKVStore()
	if err != nil {
		return nil, err
	}
	if err := room("items", len(s.Items)+bytes.Count(c.raw, []byte("\n"))); err != nil {
		return nil, err
	}
	failed := []object{}
	for i, line := range bytes.Split(bytes.TrimSpace(c.raw), []byte("\n")) {
		var entry struct {
			Key      string `json:"key"`
			Value    []byte `json:"value"`
			Metadata string `json:"metadata"`
			TTL      int    `json:"time_to_live_sec"`
		}
		if err := json.Unmarshal(line, &entry); err != nil || badKVName.MatchString(entry.Key) {
			failed = append(failed, object{"index": i, "key": entry.Key, "code": "bad_request", "reason": "invalid entry"})
			continue
		}
		item := &KVItem{Value: entry.Value, Metadata: entry.Metadata, Generation: c.nextGeneration()}
		if entry.TTL > 0 {
			item.Expires = c.at.Add(time.Duration(entry.TTL) * time.Second)
		}
		s.Items[entry.Key] = item
	}
	if len(failed) > 0 {
		return nil, refuse(http.StatusBadRequest, object{"type": "", "title": fmt.Sprintf("%d entries failed", len(failed)), "errors": failed})
	}
	return object{"type": "", "title": "success", "errors": failed}, nil
}
