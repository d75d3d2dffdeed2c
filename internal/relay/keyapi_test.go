package relay

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// TestKeyAPI goes through the life of a key. The cases build on each other.
func TestKeyAPI(t *testing.T) {
	o := Options{FastlyKeys: []string{"local", "second"}, Keys: []store.Key{{ID: "given", Secret: []byte("s")}}}
	kept, err := withKeys(store.NewMemory(store.Options{}), o.Keys)
	if err != nil {
		t.Fatal(err)
	}
	a := newKeyAPI(o, kept)
	cases := []struct {
		name, method, path, key, body string
		fresh                         bool // If-None-Match: *
		status                        int
		text                          string
	}{
		{"without a Fastly-Key nothing is told", "GET", "/keys", "", "", false, 401, "Fastly-Key"},
		{"a wrong one opens nothing", "PUT", "/keys/a", "loca", "x", false, 401, "Fastly-Key"},
		{"the list tells which keys were given", "GET", "/keys", "local", "", false, 200, `{"keys":[{"id":"given","given":true}]}`},
		{"a key is imported", "PUT", "/keys/a%2Fb", "second", "secret", true, 204, ""},
		{"an import does not replace when asked not to", "PUT", "/keys/a%2Fb", "local", "other", true, 412, "there is a key"},
		{"it replaces otherwise", "PUT", "/keys/a%2Fb", "local", "other", false, 204, ""},
		{"the list never shows a secret", "GET", "/keys", "local", "", false, 200, `{"keys":[{"id":"a/b"},{"id":"given","given":true}]}`},
		{"an empty secret is none", "PUT", "/keys/c", "local", "", false, 400, "no secret"},
		{"a secret has a bound", "PUT", "/keys/c", "local", strings.Repeat("x", store.MaxSecret+1), false, 400, "too long"},
		{"what a KV store would not take is no id", "PUT", "/keys/a%0Ab", "local", "x", false, 400, "not the id"},
		{"a given key stays", "DELETE", "/keys/given", "local", "", false, 409, "given"},
		{"a given key is not replaced", "PUT", "/keys/given", "local", "x", false, 409, "given"},
		{"a key is deleted", "DELETE", "/keys/a%2Fb", "local", "", false, 204, ""},
		{"once", "DELETE", "/keys/a%2Fb", "local", "", false, 404, "no such key"},
		{"nothing else can be done", "POST", "/keys", "local", "", false, 405, "not allowed"},
		{"nor to a key", "GET", "/keys/given", "local", "", false, 405, "not allowed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Fastly-Key", c.key)
			if c.fresh {
				r.Header.Set("If-None-Match", "*")
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
				t.Errorf("%d %q, want %d with %q", w.Code, w.Body, c.status, c.text)
			}
		})
	}
	if secret, err := kept.Keys().Get(t.Context(), "given"); err != nil || string(secret) != "s" {
		t.Errorf("the given key is %q, %v", secret, err)
	}
}

// TestKeyAPIBelongsToTheApp: beside a platform the keys are those of its KV store,
// and without the app there are none.
func TestKeyAPIBelongsToTheApp(t *testing.T) {
	for name, want := range map[string]int{"app": http.StatusOK, "no app": http.StatusNotFound, "platform": http.StatusNotFound} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.FastlyKeys = []string{"local"}
			o.NoApp = name == "no app"
			if name == "platform" {
				asPlatform(&o, t)
			}
			s := startT(t, o)
			r, _ := http.NewRequestWithContext(t.Context(), "GET", s.Ready().Control+"/keys", nil)
			r.Header.Set("Fastly-Key", "local")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("status %d, want %d", resp.StatusCode, want)
			}
		})
	}
}
