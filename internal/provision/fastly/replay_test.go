package fastly

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gofastly "github.com/fastly/go-fastly/v9/fastly"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// recorded is what a recording's path and body name.
type recorded struct {
	service, store, last string
	version              int
	form                 url.Values
}

func read(r fastlytest.Recording) recorded {
	parts := strings.Split(strings.Trim(r.Request.Path, "/"), "/")
	p := recorded{}
	p.last, _ = url.PathUnescape(parts[len(parts)-1])
	p.form, _ = url.ParseQuery(string(fastlytest.Bytes(r.Request.Body)))
	for i, part := range parts[:len(parts)-1] {
		switch part {
		case "service", "services":
			p.service = parts[i+1]
		case "version":
			p.version, _ = strconv.Atoi(parts[i+1])
		case "config", "kv", "secret":
			p.store = parts[i+1]
		}
	}
	return p
}

// call is one call of the API, made about what a recording is about.
type call func(ctx context.Context, c *Client, r recorded) (any, error)

// just makes a call of one that gives nothing but an error.
func just(f func(ctx context.Context, c *Client, r recorded) error) call {
	return func(ctx context.Context, c *Client, r recorded) (any, error) { return nil, f(ctx, c, r) }
}

// of makes a call of one that gives something.
func of[T any](f func(ctx context.Context, c *Client, r recorded) (T, error)) call {
	return func(ctx context.Context, c *Client, r recorded) (any, error) { return f(ctx, c, r) }
}

func serviceCalls() map[string]call {
	return map[string]call{
		"service/list-page-3-last": of(func(ctx context.Context, c *Client, _ recorded) ([]Service, error) { return c.Services(ctx) }),
		"service/details":          of(func(ctx context.Context, c *Client, r recorded) (Service, error) { return c.Service(ctx, r.service) }),
		"service/create-wasm": of(func(ctx context.Context, c *Client, r recorded) (Service, error) {
			return c.CreateService(ctx, r.form.Get("name"), "")
		}),
		"service/delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.DeleteService(ctx, r.last) }),
		"service/search": of(func(ctx context.Context, c *Client, _ recorded) (Service, error) {
			s, found, err := c.ServiceNamed(ctx, "test-service")
			if err == nil && !found {
				err = errors.New("not found")
			}
			return s, err
		}),
		"product-fanout/get-enabled":                  of(func(ctx context.Context, c *Client, r recorded) (bool, error) { return c.Fanout(ctx, r.last) }),
		"product-fanout/enable":                       just(func(ctx context.Context, c *Client, r recorded) error { return c.EnableFanout(ctx, r.last) }),
		"product-fanout/disable":                      just(func(ctx context.Context, c *Client, r recorded) error { return c.DisableFanout(ctx, r.last) }),
		"product-fanout/disable-when-not-enabled":     just(func(ctx context.Context, c *Client, r recorded) error { return c.DisableFanout(ctx, r.last) }),
		"errors/401-product-disable-not-enabled":      just(func(ctx context.Context, c *Client, r recorded) error { return c.DisableFanout(ctx, r.last) }),
		"errors-constructed/400-product-not-entitled": just(func(ctx context.Context, c *Client, r recorded) error { return c.EnableFanout(ctx, r.last) }),
		"domain-versionless/current-path-list":        of(func(ctx context.Context, c *Client, _ recorded) ([]CustomDomain, error) { return c.CustomDomains(ctx) }),
		"domain-versionless/current-path-create": of(func(ctx context.Context, c *Client, r recorded) (CustomDomain, error) {
			return c.CreateCustomDomain(ctx, "s", "x.example.com")
		}),
		"domain-versionless/current-path-delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.DeleteCustomDomain(ctx, r.last) }),
	}
}

func draftCalls() map[string]call {
	return map[string]call{
		"version/clone": of(func(ctx context.Context, c *Client, r recorded) (Version, error) {
			return c.Clone(ctx, r.service, r.version)
		}),
		"version/clone-compute": of(func(ctx context.Context, c *Client, r recorded) (Version, error) {
			return c.Clone(ctx, r.service, r.version)
		}),
		"version/update-comment": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.SetComment(ctx, r.service, r.version, r.form.Get("comment"))
		}),
		"version/activate":              just(func(ctx context.Context, c *Client, r recorded) error { return c.Activate(ctx, r.service, r.version) }),
		"version/activate-with-warning": just(func(ctx context.Context, c *Client, r recorded) error { return c.Activate(ctx, r.service, r.version) }),
		"domain/list": of(func(ctx context.Context, c *Client, r recorded) ([]Domain, error) {
			return c.Domains(ctx, r.service, r.version)
		}),
		"domain/create": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.CreateDomain(ctx, r.service, r.version, r.form.Get("name"), "")
		}),
		"domain/delete": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.DeleteDomain(ctx, r.service, r.version, r.last)
		}),
		"backend/list": of(func(ctx context.Context, c *Client, r recorded) ([]Backend, error) {
			return c.Backends(ctx, r.service, r.version)
		}),
		"backend/list-compute": of(func(ctx context.Context, c *Client, r recorded) ([]Backend, error) {
			return c.Backends(ctx, r.service, r.version)
		}),
		"backend/create": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.CreateBackend(ctx, r.service, r.version, Backend{Name: r.form.Get("name"), Address: "h"})
		}),
		"backend/update": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.UpdateBackend(ctx, r.service, r.version, Backend{Name: r.last, Address: "h"})
		}),
		"backend/delete": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.DeleteBackend(ctx, r.service, r.version, r.last)
		}),
		"errors-constructed/409-duplicate-backend": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.CreateBackend(ctx, r.service, r.version, Backend{Name: "self", Address: "h"})
		}),
		"resource-link/list": of(func(ctx context.Context, c *Client, r recorded) ([]Link, error) {
			return c.Links(ctx, r.service, r.version)
		}),
		"resource-link/create": of(func(ctx context.Context, c *Client, r recorded) (Link, error) {
			return c.CreateLink(ctx, r.service, r.version, r.form.Get("name"), r.form.Get("resource_id"))
		}),
		"resource-link/delete": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.DeleteLink(ctx, r.service, r.version, r.last)
		}),
		"package/get": of(func(ctx context.Context, c *Client, r recorded) (Package, error) {
			return c.Package(ctx, r.service, r.version)
		}),
		"package/update": of(func(ctx context.Context, c *Client, r recorded) (Package, error) {
			return c.Upload(ctx, r.service, r.version, []byte("x"))
		}),
		"errors/400-package-invalid": of(func(ctx context.Context, c *Client, r recorded) (Package, error) {
			return c.Upload(ctx, r.service, r.version, []byte("x"))
		}),
	}
}

func storeCalls() map[string]call {
	return map[string]call{
		"config-store/list": of(func(ctx context.Context, c *Client, _ recorded) ([]Store, error) { return c.Stores(ctx, ConfigStore) }),
		"config-store/get": of(func(ctx context.Context, c *Client, r recorded) (Store, error) {
			return c.Store(ctx, ConfigStore, r.last)
		}),
		"config-store/create": of(func(ctx context.Context, c *Client, r recorded) (Store, error) {
			return c.CreateStore(ctx, ConfigStore, r.form.Get("name"))
		}),
		"config-store/delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.DeleteStore(ctx, ConfigStore, r.last) }),
		"config-store-item/list-items": of(func(ctx context.Context, c *Client, r recorded) (map[string]string, error) {
			return c.ConfigItems(ctx, r.store)
		}),
		"config-store-item/upsert-item": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.PutConfigItem(ctx, r.store, r.last, r.form.Get("item_value"))
		}),
		"config-store-item/delete-item": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.DeleteConfigItem(ctx, r.store, r.last)
		}),
		"errors/404-config-store": of(func(ctx context.Context, c *Client, r recorded) (Store, error) {
			return c.Store(ctx, ConfigStore, r.last)
		}),
		"kv-store/list": of(func(ctx context.Context, c *Client, _ recorded) ([]Store, error) { return c.Stores(ctx, KVStore) }),
		"kv-store/get":  of(func(ctx context.Context, c *Client, r recorded) (Store, error) { return c.Store(ctx, KVStore, r.last) }),
		"kv-store/create": of(func(ctx context.Context, c *Client, _ recorded) (Store, error) {
			return c.CreateStore(ctx, KVStore, "x")
		}),
		"kv-store/delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.DeleteStore(ctx, KVStore, r.last) }),
		"kv-item/list":    of(func(ctx context.Context, c *Client, r recorded) ([]string, error) { return c.KVKeys(ctx, r.store) }),
		"kv-item/get": of(func(ctx context.Context, c *Client, r recorded) ([]byte, error) {
			return c.KVItem(ctx, r.store, r.last)
		}),
		"kv-item/insert": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.PutKVItem(ctx, r.store, r.last, []byte("v"), false)
		}),
		"kv-item/delete": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.DeleteKVItem(ctx, r.store, r.last, false)
		}),
		"kv-item/delete-force-missing": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.DeleteKVItem(ctx, r.store, r.last, true)
		}),
		"errors/412-kv-add-exists": just(func(ctx context.Context, c *Client, r recorded) error {
			return c.PutKVItem(ctx, r.store, r.last, []byte("v"), true)
		}),
		"errors-constructed/409-kv-store-name-exists": of(func(ctx context.Context, c *Client, _ recorded) (Store, error) {
			return c.CreateStore(ctx, KVStore, "keys")
		}),
		"secret-store/list": of(func(ctx context.Context, c *Client, _ recorded) ([]Store, error) { return c.Stores(ctx, SecretStore) }),
		"secret-store/get": of(func(ctx context.Context, c *Client, r recorded) (Store, error) {
			return c.Store(ctx, SecretStore, r.last)
		}),
		"secret-store/create": of(func(ctx context.Context, c *Client, _ recorded) (Store, error) {
			return c.CreateStore(ctx, SecretStore, "x")
		}),
		"secret-store/delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.DeleteStore(ctx, SecretStore, r.last) }),
		"secret/get": of(func(ctx context.Context, c *Client, r recorded) (Secret, error) {
			return c.Secret(ctx, r.store, r.last)
		}),
		"secret/delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.DeleteSecret(ctx, r.store, r.last) }),
		"secret/create-or-recreate-put": of(func(ctx context.Context, c *Client, r recorded) (Secret, error) {
			return c.PutSecret(ctx, r.store, "x", config.NewSecret("secret"))
		}),
	}
}

func tokenCalls() map[string]call {
	login := Login{User: "user@example.com", Password: config.NewSecret("SCRUBBED")}
	return map[string]call{
		"token/self": of(func(ctx context.Context, c *Client, _ recorded) (Token, error) { return c.Self(ctx) }),
		"token/list": of(func(ctx context.Context, c *Client, _ recorded) ([]Token, error) { return c.AllTokens(ctx) }),
		"token/sudo": just(func(ctx context.Context, c *Client, _ recorded) error { return c.Sudo(ctx, login) }),
		"token/create-limited-to-services": of(func(ctx context.Context, c *Client, r recorded) (Token, error) {
			return c.CreateToken(ctx, NewToken{Name: r.form.Get("name"), Scope: r.form.Get("scope"), Services: r.form["services[]"]})
		}),
		"token/delete": just(func(ctx context.Context, c *Client, r recorded) error { return c.RevokeToken(ctx, r.last) }),
		"automation-token/create": of(func(ctx context.Context, c *Client, _ recorded) (Token, error) {
			return c.CreateToken(ctx, NewToken{Name: "my-test-token", Scope: "global", Services: []string{"SCRUBBEDxxxxxxxxxxxxxx"}, Automation: true})
		}),
		"automation-token/delete":              just(func(ctx context.Context, c *Client, r recorded) error { return c.RevokeToken(ctx, r.last) }),
		"errors-constructed/401-expired-token": of(func(ctx context.Context, c *Client, _ recorded) (Token, error) { return c.Self(ctx) }),
		"errors-constructed/403-not-authorized": of(func(ctx context.Context, c *Client, _ recorded) (Service, error) {
			return c.CreateService(ctx, "x", "")
		}),
	}
}

// replayer answers with a recording, and what else is asked on the way with the
// first other recording of that method and path.
func replayer(t *testing.T, r fastlytest.Recording, all []fastlytest.Recording) *Client {
	t.Helper()
	quiet := func(string, ...any) {}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		path := q.URL.EscapedPath()
		if q.Method == r.Request.Method && (path == r.Request.Path || q.URL.Path == r.Request.Path) {
			fastlytest.Replay(r, quiet).ServeHTTP(w, q)
			return
		}
		i := slices.IndexFunc(all, func(r fastlytest.Recording) bool {
			return q.Method == r.Request.Method && path == r.Request.Path && r.Response.Status < 300
		})
		if i < 0 {
			http.Error(w, `{"msg":"Not found"}`, http.StatusNotFound)
			return
		}
		fastlytest.Replay(all[i], quiet).ServeHTTP(w, q)
	}))
	t.Cleanup(s.Close)
	// The recorded client key is good for ten minutes of that day.
	recorded := func() time.Time { return time.Date(2023, 11, 27, 16, 0, 0, 0, time.UTC) }
	return client(t, Options{Endpoint: s.URL, Clock: Clock{Now: recorded}})
}

// client makes a Client that waits for nothing.
func client(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Token.Reveal() == "" {
		o.Token = config.NewSecret(fastlytest.DefaultToken)
	}
	if o.Clock.Sleep == nil {
		o.Clock.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func recordings(t *testing.T) []fastlytest.Recording {
	t.Helper()
	all, err := fastlytest.Recordings(os.DirFS("../../../testdata/fastly-api"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d recordings, %v", len(all), err)
	}
	return all
}

// TestEveryCallReadsWhatWasRecorded: byte for byte what the platform answered gives
// what was asked for, or an error with its status.
func TestEveryCallReadsWhatWasRecorded(t *testing.T) {
	all := recordings(t)
	for _, table := range []map[string]call{serviceCalls(), draftCalls(), storeCalls(), tokenCalls()} {
		for name, f := range table {
			t.Run(name, func(t *testing.T) {
				i := slices.IndexFunc(all, func(r fastlytest.Recording) bool { return r.Name == name })
				if i < 0 {
					t.Fatal("there is no such recording")
				}
				r := all[i]
				got, err := f(t.Context(), replayer(t, r, all), read(r))
				refused, _ := errors.AsType[*APIError](err)
				switch {
				case r.Response.Status < 300 && err != nil:
					t.Error(err)
				case r.Response.Status < 300 && got != nil && reflect.ValueOf(got).IsZero():
					t.Errorf("it gave nothing: %+v", got)
				case r.Response.Status >= 300 && (refused == nil || refused.Status != r.Response.Status || refused.Text() == ""):
					t.Errorf("%v, want status %d", err, r.Response.Status)
				}
			})
		}
	}
}

// TestS21FanoutOffIsNoError: the platform says so with 400.
func TestS21FanoutOffIsNoError(t *testing.T) {
	all := recordings(t)
	for _, r := range all {
		if r.Name == "product-fanout/get-not-enabled" || r.Name == "errors/400-no-product-on-service" {
			if on, err := replayer(t, r, all).Fanout(t.Context(), read(r).last); on || err != nil {
				t.Errorf("%s: %t, %v", r.Name, on, err)
			}
		}
	}
}

// TestClasses: what the recorded refusals count as.
func TestClasses(t *testing.T) {
	all := recordings(t)
	for name, is := range map[string]func(error) bool{
		"404-backend": NotFound, "404-domain": NotFound, "404-resource-link": NotFound, "404-problem-json": NotFound, "404-jsonapi": NotFound,
		"409-duplicate-record": Exists, "412-kv-add-exists": Exists, "422-version-locked": Locked, "400-fqdn-taken": Taken,
		"401-product-disable-not-enabled": Entitlement,
	} {
		i := slices.IndexFunc(all, func(r fastlytest.Recording) bool { return r.Name == "errors/"+name })
		if i < 0 {
			t.Errorf("there is no recording %s", name)
			continue
		}
		r := all[i]
		server := httptest.NewServer(fastlytest.Replay(r, func(string, ...any) {}))
		defer server.Close()
		err := client(t, Options{Endpoint: server.URL}).do(t.Context(), func(lib *gofastly.Client) error {
			return closing(lib.Post("/x", nil))
		})
		if !is(err) {
			t.Errorf("%s: %v is not counted as what it is", name, err)
		}
	}
}
