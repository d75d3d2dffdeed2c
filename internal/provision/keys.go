package provision

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// What can be in the way of a key.
var (
	ErrKeyExists = errors.New("there is a key of this id")
	ErrNoKey     = errors.New("there is no key of this id")
	// ErrKeyGiven is a key that a relay was started with.
	ErrKeyGiven = errors.New("the relay was started with this key")
	// ErrNoKeyStore is a service without a store linked as keys, or a relay without
	// a place for keys.
	ErrNoKeyStore = errors.New("there is no store of keys")
	// ErrAdminOff is a service whose /admin/keys is switched off.
	ErrAdminOff = errors.New("the service has /admin/keys switched off")
	// ErrAdminRefused is a Fastly-Key that was not accepted.
	ErrAdminRefused = errors.New("the Fastly-Key is not accepted")
)

// Key is a signing key. Value is set for one just made.
type Key struct {
	ID    string
	Value config.Secret
	// Given says that it belongs to a running relay and cannot be changed.
	Given bool
}

// KeyStore is where a service has its signing keys. It never tells a value.
type KeyStore interface {
	List(ctx context.Context) ([]Key, error)
	// Put stores a key; with fresh there must be none of its id, else ErrKeyExists.
	Put(ctx context.Context, k Key, fresh bool) error
	// Delete removes a key; ErrNoKey if it is not there.
	Delete(ctx context.Context, id string) error
}

// NewKey makes a key as the app does.
func NewKey() (Key, error) {
	id, value, err := token.NewKey(rand.Reader)
	return Key{ID: id, Value: config.NewSecret(value)}, err
}

// PlatformKeys are the keys in the KV store that a service's active version
// links, or, without an active version, its newest.
func PlatformKeys(ctx context.Context, api fastly.API, service string) (KeyStore, error) {
	s, err := api.Service(ctx, service)
	if err != nil {
		return nil, err
	}
	v := s.Active
	if v == 0 {
		v = s.Latest().Number
	}
	links, err := api.Links(ctx, service, v)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Name == LinkKeys && l.Kind == fastly.KVStore {
			return platformKeys{api, l.StoreID}, nil
		}
	}
	return nil, ErrNoKeyStore
}

type platformKeys struct {
	api   fastly.API
	store string
}

// List implements KeyStore.
func (p platformKeys) List(ctx context.Context) ([]Key, error) {
	ids, err := p.api.KVKeys(ctx, p.store)
	keys := make([]Key, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, Key{ID: id})
	}
	return keys, err
}

// Put implements KeyStore.
func (p platformKeys) Put(ctx context.Context, k Key, fresh bool) error {
	err := p.api.PutKVItem(ctx, p.store, k.ID, []byte(k.Value.Reveal()), fresh)
	if fresh && fastly.Exists(err) {
		return ErrKeyExists
	}
	return err
}

// Delete implements KeyStore.
func (p platformKeys) Delete(ctx context.Context, id string) error {
	err := p.api.DeleteKVItem(ctx, p.store, id, false)
	if fastly.NotFound(err) {
		return ErrNoKey
	}
	return err
}

// Admin is a way to the administration of a service or a relay.
type Admin struct {
	// URL is the app's address, or for RelayKeys the relay's control plane, without
	// a slash at its end.
	URL string
	// FastlyKey is the credential.
	FastlyKey config.Secret
	HTTP      http.RoundTripper
	UserAgent string
	Timeout   time.Duration
}

// do sends one request and follows no redirect, because the credential is for
// this address only.
func (a Admin) do(ctx context.Context, method, path string, body string, header http.Header) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, a.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", a.UserAgent)
	r.Header.Set("Fastly-Key", a.FastlyKey.Reveal())
	resp, err := a.HTTP.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyList))
	return resp.StatusCode, string(b), err
}

// maxKeyList bounds the list of a relay's keys, in bytes.
const maxKeyList = 16 << 20

// AnswerError is an answer of the app or the relay that is neither success nor
// one of the known refusals.
type AnswerError struct {
	Status int
	Text   string
}

// Error quotes the answer.
func (e *AnswerError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Text) }

// Create has the app make a key: POST /admin/keys.
func (a Admin) Create(ctx context.Context) (Key, error) {
	status, text, err := a.do(ctx, http.MethodPost, "/admin/keys", "", nil)
	switch {
	case err != nil:
		return Key{}, err
	case status == http.StatusUnauthorized:
		return Key{}, ErrAdminRefused
	case status == http.StatusNotFound:
		return Key{}, ErrAdminOff
	case status == http.StatusInternalServerError && strings.HasPrefix(text, "Storage access process failed"):
		return Key{}, ErrNoKeyStore
	case status != http.StatusOK:
		return Key{}, &AnswerError{status, clip(text)}
	}
	var made struct{ ID, Value string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.ID == "" || made.Value == "" {
		// The answer itself is not shown: it may hold a key.
		return Key{}, &AnswerError{status, "not the answer of the Pub/Sub app"}
	}
	return Key{ID: made.ID, Value: config.NewSecret(made.Value)}, nil
}

// RelayKeys are the keys of a relay, by way of its control plane.
func RelayKeys(a Admin) KeyStore { return relayKeys{a} }

type relayKeys struct{ admin Admin }

// change sends one request about a key.
func (r relayKeys) change(ctx context.Context, method, id, body string, header http.Header) error {
	status, text, err := r.admin.do(ctx, method, "/keys/"+url.PathEscape(id), body, header)
	if err != nil {
		return err
	}
	return keyRefusal(status, text)
}

// keyRefusal is the error of a status of the control plane.
func keyRefusal(status int, text string) error {
	switch {
	case status/100 == 2:
		return nil
	case status == http.StatusUnauthorized:
		return ErrAdminRefused
	case status == http.StatusNotFound && strings.HasPrefix(text, "no such key"):
		return ErrNoKey
	case status == http.StatusNotFound:
		return ErrNoKeyStore
	case status == http.StatusConflict:
		return ErrKeyGiven
	case status == http.StatusPreconditionFailed:
		return ErrKeyExists
	}
	return &AnswerError{status, clip(text)}
}

// List implements KeyStore.
func (r relayKeys) List(ctx context.Context) ([]Key, error) {
	status, text, err := r.admin.do(ctx, http.MethodGet, "/keys", "", nil)
	if err == nil {
		err = keyRefusal(status, text)
	}
	if err != nil {
		return nil, err
	}
	var list struct{ Keys []Key }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, &AnswerError{status, "not a list of keys"}
	}
	return list.Keys, nil
}

// Put implements KeyStore.
func (r relayKeys) Put(ctx context.Context, k Key, fresh bool) error {
	header := http.Header{}
	if fresh {
		header.Set("If-None-Match", "*")
	}
	return r.change(ctx, http.MethodPut, k.ID, k.Value.Reveal(), header)
}

// Delete implements KeyStore.
func (r relayKeys) Delete(ctx context.Context, id string) error {
	return r.change(ctx, http.MethodDelete, id, "", nil)
}

// How long a new key may take to be known everywhere, and how often is asked.
const (
	knownWithin = 30 * time.Second
	knownEvery  = time.Second
)

// AwaitKey waits until the app knows a key, at most 30 s: KV stores take a while to
// tell all of the world. It sends a message that the app refuses, because the
// token allows nothing, and so learns whether the app could check the token.
func AwaitKey(ctx context.Context, l Look, k Key, now time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, knownWithin, errUnknownKey)
	defer cancel()
	signed, err := token.Mint(token.MintOptions{KeyID: k.ID, Secret: []byte(k.Value.Reveal()), Read: []string{"__pubsubctl_probe"}, Expires: now.Add(time.Hour)})
	if err != nil {
		return err
	}
	l.Sign = func(string) (string, error) { return signed, nil }
	tick := time.NewTicker(knownEvery)
	defer tick.Stop()
	for {
		topic := probeTopic()
		_, err := l.client(topic, false).Publish(ctx, topic, nil, client.PublishOptions{})
		switch {
		case isReason(err, "topic_not_granted"):
			return nil
		case ctx.Err() == nil && !isReason(err, "unknown_key"):
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errUnknownKey = fmt.Errorf("the service does not know the key after %v", knownWithin)

// ReadKey reads a key back from the store of a service, for a machine that has
// lost it.
func ReadKey(ctx context.Context, api fastly.API, service, id string) (Key, error) {
	store, err := PlatformKeys(ctx, api, service)
	if err != nil {
		return Key{}, err
	}
	value, err := api.KVItem(ctx, store.(platformKeys).store, id)
	if fastly.NotFound(err) {
		err = ErrNoKey
	}
	return Key{ID: id, Value: config.NewSecret(string(value))}, err
}
