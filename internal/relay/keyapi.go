package relay

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// keysPath is where the control plane keeps signing keys. The hosted app has no
// such thing: there one goes to the KV store through the platform's API.
const keysPath = "/keys"

// keyAPI lists, imports and deletes the keys of the store for those who present
// an accepted Fastly-Key. It never shows a secret.
type keyAPI struct {
	keys   store.KeyStore
	given  map[string]bool
	admins []*gate
}

func newKeyAPI(o Options, s store.Store) *keyAPI {
	a := &keyAPI{keys: s.Keys(), given: map[string]bool{}}
	for _, k := range o.Keys {
		a.given[k.ID] = true
	}
	for _, key := range o.FastlyKeys {
		a.admins = append(a.admins, newGate(key))
	}
	return a
}

// serves reports whether a path is the API's.
func (a *keyAPI) serves(path string) bool {
	return a != nil && (path == keysPath || strings.HasPrefix(path, keysPath+"/"))
}

func (a *keyAPI) admits(r *http.Request) bool {
	ok := false
	for _, g := range a.admins {
		ok = g.matches(r.Header.Get("Fastly-Key")) || ok
	}
	return ok
}

// ServeHTTP implements http.Handler.
func (a *keyAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.admits(r) {
		text(w, http.StatusUnauthorized, "Fastly-Key header invalid or not specified\n")
		return
	}
	if r.URL.Path == keysPath {
		a.list(w, r)
		return
	}
	id, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), keysPath+"/"))
	switch {
	case err != nil || store.CheckKeyID(id) != nil:
		text(w, http.StatusBadRequest, "not the id of a key\n")
	case a.given[id] && (r.Method == http.MethodPut || r.Method == http.MethodDelete):
		text(w, http.StatusConflict, "the key was given when the relay was started\n")
	case r.Method == http.MethodPut:
		a.put(w, r, id)
	case r.Method == http.MethodDelete:
		answerKey(w, a.keys.Delete(r.Context(), id))
	default:
		w.Header().Set("Allow", "PUT, DELETE")
		text(w, http.StatusMethodNotAllowed, "method not allowed\n")
	}
}

// list names all keys.
func (a *keyAPI) list(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		text(w, http.StatusMethodNotAllowed, "method not allowed\n")
		return
	}
	all, err := a.keys.List(r.Context())
	if err != nil && !errors.Is(err, store.ErrUnreadable) { // a damaged one is named by the log
		answerKey(w, err)
		return
	}
	type row struct {
		ID    string `json:"id"`
		Given bool   `json:"given,omitempty"`
	}
	rows := []row{}
	for _, k := range all {
		rows = append(rows, row{k.ID, a.given[k.ID]})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": rows})
}

// put stores the body as the secret of a key. With If-None-Match: * it replaces none.
func (a *keyAPI) put(w http.ResponseWriter, r *http.Request, id string) {
	secret, err := io.ReadAll(http.MaxBytesReader(w, r.Body, store.MaxSecret))
	if err != nil || len(secret) == 0 {
		text(w, http.StatusBadRequest, "no secret, or one that is too long\n")
		return
	}
	if r.Header.Get("If-None-Match") == "*" {
		// Two imports of one id at the same time may both pass; the last one wins.
		if _, err := a.keys.Get(r.Context(), id); err == nil {
			text(w, http.StatusPreconditionFailed, "there is a key of this id\n")
			return
		}
	}
	answerKey(w, a.keys.Put(r.Context(), store.Key{ID: id, Secret: secret}))
}

// answerKey is what became of a change.
func answerKey(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, store.ErrNotFound):
		text(w, http.StatusNotFound, "no such key\n")
	default:
		text(w, http.StatusInternalServerError, "the key store failed\n")
	}
}
