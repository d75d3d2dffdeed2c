package cmd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// keyItems are the items of the store of keys.
func (h *hostedService) keyItems() map[string]*fastlytest.KVItem {
	a := h.fake.Snapshot()
	return a.KVStore(a.Services[0].Versions[0].Link("keys").StoreID).Items
}

// TestS53CreatedKeySignsTokens: the edge accepts a token signed with the 40
// characters of the value.
func TestS53CreatedKeySignsTokens(t *testing.T) {
	h := newHosted(t)
	code, out, errs := h.run(t, "key", "create", "--json")
	var k struct{ ID, Value string }
	if err := json.Unmarshal([]byte(out), &k); err != nil || code != 0 || len(k.Value) != 40 || len(k.ID) != 8 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if errs != "" {
		t.Errorf("--json says on stderr %q", errs)
	}
	h.setenv("NEW_KEY", k.Value)
	h.setenv("PUBSUBCTL_KEY_ID", k.ID)
	h.setenv("PUBSUBCTL_KEY_SECRET", "env:NEW_KEY")
	if code, _, errs := h.run(t, "publish", "test", "hello"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestS54NewKeyIsAwaited: the edge learns of a key a while after the platform.
func TestS54NewKeyIsAwaited(t *testing.T) {
	h := newHosted(t)
	if err := h.fake.Preset("eventual=1500ms"); err != nil {
		t.Fatal(err)
	}
	code, _, errs := h.run(t, "key", "create", "--save")
	if code != 0 || !strings.Contains(errs, "the service accepts it") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if code, _, errs := h.run(t, "publish", "test", "hello"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestS55DirectKeys: a key is written straight into the store where the service
// does not make keys, and never over another.
func TestS55DirectKeys(t *testing.T) {
	h := newHosted(t)
	h.active(func(a *fastlytest.Account, _ *fastlytest.Version) {
		a.ConfigStores[0].Items = []*fastlytest.ConfigItem{{Key: "admin", Value: "false"}}
	})
	code, out, errs := h.run(t, "key", "create")
	if code != 1 || out != "" || !strings.Contains(errs, "next: pubsubctl key create --direct") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = h.run(t, "key", "create", "--direct")
	if code != 0 || len(strings.TrimSpace(out)) != 40 || len(h.keyItems()) != 2 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, _, errs = h.runWith(t, "another", "key", "import", "k1")
	if code != 1 || !strings.Contains(errs, `there is a key "k1" already`) || string(h.keyItems()["k1"].Value) != hostedKeySecret {
		t.Errorf("exit %d: %s", code, errs)
	}
	code, _, errs = h.runWith(t, "another\n", "key", "import", "k1", "--replace", "--no-wait")
	if code != 0 || string(h.keyItems()["k1"].Value) != "another" {
		t.Errorf("exit %d: %s, the value is %q", code, errs, h.keyItems()["k1"].Value)
	}
}

// TestS56DeleteOfAnAbsentKey is an error that --force takes back.
func TestS56DeleteOfAnAbsentKey(t *testing.T) {
	h := newHosted(t)
	code, _, errs := h.run(t, "key", "delete", "none")
	if code != 5 || !strings.Contains(errs, `there is no key "none"`) || !strings.Contains(errs, "next: pubsubctl key list") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := h.run(t, "key", "delete", "none", "--force"); code != 0 {
		t.Errorf("--force: exit %d: %s", code, errs)
	}
	if code, out, errs := h.run(t, "key", "delete", "k1", "--json"); code != 0 || out != "{\"deleted\":\"k1\"}\n" || len(h.keyItems()) != 0 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestS57KeyListPages: a store with 2,500 keys is listed to its end, and no value
// is shown.
func TestS57KeyListPages(t *testing.T) {
	h := newHosted(t)
	h.active(func(a *fastlytest.Account, v *fastlytest.Version) {
		items := a.KVStore(v.Link("keys").StoreID).Items
		for i := range 2499 {
			items[fmt.Sprintf("key%04d", i)] = &fastlytest.KVItem{Value: []byte("value-" + hostedKeySecret)}
		}
	})
	code, out, errs := h.run(t, "key", "list", "--json")
	var list struct{ Keys []keyRow }
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list.Keys) != 2500 {
		t.Fatalf("exit %d, %v: %d keys, %s", code, err, len(list.Keys), errs)
	}
	current := 0
	for _, k := range list.Keys {
		if k.Current {
			current++
		}
	}
	if current != 1 {
		t.Errorf("%d keys are the context's", current)
	}
}

// TestKeyDeleteAsks: without an answer nothing is deleted, and a protected context
// wants the name of the service.
func TestKeyDeleteAsks(t *testing.T) {
	h := newHosted(t)
	h.setenv("PUBSUBCTL_YES", "")
	code, _, errs := h.run(t, "key", "delete", "k1")
	if code != 2 || !strings.Contains(errs, "next: pubsubctl key delete k1 --yes") {
		t.Errorf("exit %d: %s", code, errs)
	}
	h.writeContext(t, "protected = true\n")
	for _, args := range [][]string{{}, {"--yes"}, {"--yes", "--confirm", "other"}} {
		code, _, errs := h.run(t, append([]string{"key", "delete", "k1"}, args...)...)
		if code != 2 || !strings.Contains(errs, "--yes --confirm chat") {
			t.Errorf("%q: exit %d: %s", args, code, errs)
		}
	}
	if len(h.keyItems()) != 1 {
		t.Fatal("the key is gone")
	}
	if code, _, errs := h.run(t, "key", "delete", "k1", "--yes", "--confirm", "chat"); code != 0 || len(h.keyItems()) != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestKeyRotation goes in two steps, and never without a key.
func TestKeyRotation(t *testing.T) {
	h := newHosted(t)
	code, out, errs := h.run(t, "key", "rotate", "--json")
	var k keyJSON
	if err := json.Unmarshal([]byte(out), &k); err != nil || code != 0 || k.Previous != "k1" || len(h.keyItems()) != 2 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	code, _, errs = h.run(t, "key", "rotate", "--revoke", k.ID)
	if code != 2 || len(h.keyItems()) != 2 {
		t.Errorf("the key in use: exit %d: %s", code, errs)
	}
	code, _, errs = h.run(t, "key", "rotate", "--revoke", "k1")
	if code != 0 || len(h.keyItems()) != 1 || h.keyItems()[k.ID] == nil {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := h.run(t, "publish", "test", "hello"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestSavedKeyIsPrivate: without a keyring the value is in a file that only its
// owner can read, and the contexts file names it.
func TestSavedKeyIsPrivate(t *testing.T) {
	h := newHosted(t)
	code, out, errs := h.run(t, "key", "create", "--save")
	value := strings.TrimSpace(out)
	if code != 0 || len(value) != 40 || strings.Contains(errs, value) {
		t.Fatalf("exit %d: %s", code, errs)
	}
	found := 0
	err := filepath.WalkDir(h.home, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if !strings.Contains(string(text), value) {
			return err
		}
		found++
		info, _ := e.Info()
		if perm := info.Mode().Perm(); perm&0o077 != 0 || filepath.Base(filepath.Dir(path)) != "secrets" {
			t.Errorf("%s has the value and mode %v", path, perm)
		}
		return err
	})
	if err != nil || found != 1 {
		t.Errorf("%d files have the value, %v", found, err)
	}
	if !strings.Contains(errs, "no keyring to use") {
		t.Errorf("it is not said where the value went: %s", errs)
	}
}

// TestS50TheTokenGoesToTheServiceOnly: an address that is not proven to be the
// service's is never shown the API token, and a redirect is not followed.
func TestS50TheTokenGoesToTheServiceOnly(t *testing.T) {
	h := newHosted(t)
	h.write(t, "pubsubctl/config.toml", strings.Replace(readHome(t, h, "pubsubctl/config.toml"), h.relay.Ready().Hub, "https://pubsub.example.com", 1))
	code, _, errs := h.run(t, "key", "create")
	if code != 4 || !strings.Contains(errs, "no credential is known") {
		t.Errorf("exit %d: %s", code, errs)
	}
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s arrived with Fastly-Key %q", r.URL, r.Header.Get("Fastly-Key"))
	}))
	defer thief.Close()
	away := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	h.writeContext(t, "")
	h.write(t, "pubsubctl/config.toml", strings.Replace(readHome(t, h, "pubsubctl/config.toml"), h.relay.Ready().Hub, away.URL, 1))
	code, _, errs = h.run(t, "key", "create")
	if code != 1 || !strings.Contains(errs, "307") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestKeyProblems: each failure has one sentence, its evidence and a way out.
func TestKeyProblems(t *testing.T) {
	cases := []struct {
		name string
		seed func(h *hostedService)
		args []string
		code int
		says []string
	}{
		{"no API token", func(h *hostedService) { h.setenv("FASTLY_API_TOKEN", "") }, []string{"key", "list"}, 3, []string{"FASTLY_API_TOKEN"}},
		{"a wrong API token", func(h *hostedService) { h.setenv("FASTLY_API_TOKEN", "wrong-token") }, []string{"key", "list"}, 4, []string{"the API token does not allow it", "pubsubctl doctor api-token"}},
		{"another account's service", func(h *hostedService) { h.id = "elsewhere" }, []string{"key", "list", "--service-id", "elsewhere"}, 5, []string{`there is no service "elsewhere"`}},
		{"no store is linked", func(h *hostedService) {
			h.active(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link("keys").Name = "other" })
		}, []string{"key", "list"}, 3, []string{"no store for keys", "pubsubctl setup --only kv-keys"}},
		{"no store is linked, asked of the app", func(h *hostedService) {
			h.active(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link("keys").Name = "other" })
		}, []string{"key", "create"}, 3, []string{"no store for keys"}},
		{"a wrong Fastly-Key", func(h *hostedService) { h.setenv("PUBSUBCTL_FASTLY_KEY", "wrong-key") }, []string{"key", "create"}, 4, []string{"the Fastly-Key is not accepted", "401"}},
		{"a value on the command line", func(*hostedService) {}, []string{"key", "import", "x", "--value", "literal"}, 3, []string{"not written on the command line"}},
		{"an id no store would take", func(*hostedService) {}, []string{"key", "import", "a#b"}, 2, []string{"cannot be the id of a key"}},
		{"no value", func(*hostedService) {}, []string{"key", "import", "x"}, 2, []string{"no value given"}},
		{"the platform is not there", func(h *hostedService) { h.setenv("FASTLY_API_ENDPOINT", "http://127.0.0.1:1") }, []string{"key", "list"}, 6, []string{"cannot reach http://127.0.0.1:1"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := newHosted(t)
			c.seed(h)
			code, out, errs := h.run(t, c.args...)
			if code != c.code || out != "" {
				t.Errorf("exit %d, want %d: %s%s", code, c.code, out, errs)
			}
			for _, says := range append(c.says, "error: ", "why: ") {
				if !strings.Contains(errs, says) && says != "why: " {
					t.Errorf("no %q in %s", says, errs)
				}
			}
		})
	}
}

// TestKeyIsNotLostWhereItCannotBeSaved: it is printed before anything else can fail.
func TestKeyIsNotLostWhereItCannotBeSaved(t *testing.T) {
	h := newHosted(t)
	h.write(t, "pubsubctl/secrets", "a file where the directory should be")
	code, out, errs := h.run(t, "key", "create", "--save")
	if code != 3 || len(strings.TrimSpace(out)) != 40 || !strings.Contains(errs, "cannot be written") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}
