package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

const (
	exampleDomain = "chat.edgecompute.app"
	publisherKey  = "may-purge"
)

// exampleAccount has one service, set up as it should be and active.
func exampleAccount(a *fastlytest.Account) {
	backend := func(name, address string) *fastlytest.Backend {
		return &fastlytest.Backend{Fields: map[string]any{"name": name, "address": address}}
	}
	a.Tokens = append(a.Tokens, &fastlytest.Token{ID: "t", Value: publisherKey, Scope: "purge_select", Services: []string{"svc"}})
	a.ConfigStores = []*fastlytest.ConfigStore{{ID: "c"}}
	a.KVStores = []*fastlytest.KVStore{{ID: "k", Items: map[string]*fastlytest.KVItem{}}, {ID: "m", Items: map[string]*fastlytest.KVItem{}}}
	a.SecretStores = []*fastlytest.SecretStore{{ID: "s", Secrets: []*fastlytest.Secret{{Name: "publish-token", Value: []byte(publisherKey)}}}}
	a.Services = []*fastlytest.Service{{
		ID: "svc", Name: "chat", Type: fastlytest.Wasm, Fanout: true,
		Versions: []*fastlytest.Version{{
			Number: 1, Active: true, Locked: true, Domains: []*fastlytest.Domain{{Name: exampleDomain}},
			Backends: []*fastlytest.Backend{backend("self", exampleDomain), backend("api", "api.fastly.com")},
			Links: []*fastlytest.Link{
				{ID: "1", Name: "config", StoreID: "c"}, {ID: "2", Name: "keys", StoreID: "k"},
				{ID: "3", Name: "messages", StoreID: "m"}, {ID: "4", Name: "secrets", StoreID: "s"},
			},
		}},
	}}
}

// asPlatform turns options into the account of a platform.
func asPlatform(o *Options, t *testing.T) {
	fake := fastlytest.New(fastlytest.Options{})
	fake.Change(func(a *fastlytest.Account) {
		exampleAccount(a)
		for _, k := range o.Keys {
			a.KVStores[0].Items[k.ID] = &fastlytest.KVItem{Value: k.Secret}
		}
		for _, key := range o.FastlyKeys {
			a.Tokens = append(a.Tokens, &fastlytest.Token{ID: key, Value: key, Scope: "global"})
		}
		for name, value := range o.Config {
			a.ConfigStores[0].Items = append(a.ConfigStores[0].Items, &fastlytest.ConfigItem{Key: name, Value: value})
		}
		v := a.Services[0].Active()
		if o.NoMessagesStore {
			v.Link("messages").Name = "other"
		}
		if o.NoPublishToken {
			v.Link("secrets").Name = "other"
		}
	})
	o.Platform = fake
	if prepare := o.prepare; prepare != nil {
		o.prepare = func(s store.Store) error { return errors.Join(prepare(s), mirror(t, s, fake)) }
	}
	o.Keys, o.FastlyKeys, o.Config, o.NoMessagesStore, o.NoPublishToken = nil, nil, nil, false, false
}

// mirror makes an item of every message.
func mirror(t *testing.T, s store.Store, fake *fastlytest.Server) error {
	records, err := s.(store.Archive).Records(t.Context())
	for _, r := range records {
		err = errors.Join(err, fake.PutKVItem("m", itemOf(r.Topic), nil, time.Time{}))
	}
	return err
}

// platformT starts a relay beside a platform.
func platformT(t *testing.T) (*Server, *fastlytest.Server) {
	t.Helper()
	fake := fastlytest.New(fastlytest.Options{})
	o := testOptions()
	o.Keys, o.FastlyKeys, o.Platform = nil, nil, fake
	return startT(t, o), fake
}

// ask sends one request to the data plane.
func ask(t *testing.T, s *Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, s.Ready().Hub+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		line := make([]byte, 20)
		n, err := io.ReadFull(resp.Body, line)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		return resp.StatusCode, string(line[:n])
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// createKey has the app make a signing key and returns a token for topic a.
func createKey(t *testing.T, s *Server, fastlyKey string) string {
	t.Helper()
	status, body := ask(t, s, "POST", "/admin/keys", "", "Fastly-Key", fastlyKey)
	var key struct{ ID, Value string }
	if err := json.Unmarshal([]byte(body), &key); err != nil || status != 200 {
		t.Fatalf("create key: %d %s", status, body)
	}
	tok, err := token.Mint(token.MintOptions{
		KeyID: key.ID, Secret: []byte(key.Value), Read: []string{"a"}, Write: []string{"a"}, Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestEdgeLife: nothing before a version is active; then keys, publishing by the
// app and by the API, and what becomes of them.
func TestEdgeLife(t *testing.T) {
	s, fake := platformT(t)
	if status, body := ask(t, s, "GET", "/", ""); status != 500 || !strings.Contains(body, "unknown domain") {
		t.Fatalf("before activation: %d %s", status, body)
	}
	fake.Change(exampleAccount)
	if status, body := ask(t, s, "GET", "/", ""); status != 200 || !strings.Contains(body, "Hello from Fastly Pub/Sub!") {
		t.Fatalf("after activation: %d %s", status, body)
	}
	for _, key := range []string{"", "unknown"} {
		if status, _ := ask(t, s, "POST", "/admin/keys", "", "Fastly-Key", key); status != 401 {
			t.Errorf("/admin/keys with %q: %d", key, status)
		}
	}
	tok := createKey(t, s, publisherKey)
	if n := len(fake.Snapshot().KVStore("k").Items); n != 1 {
		t.Errorf("%d keys in the store, want 1", n)
	}
	c, r := dial(t, s, "GET /events?topic=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+tok+"\r\n\r\n")
	defer c.Close()
	readUntil(t, r, "stream-open")
	if status, body := ask(t, s, "POST", "/events?topic=a", "by the app", "Authorization", "Bearer "+tok); status != 200 {
		t.Errorf("publish: %d %s", status, body)
	}
	readUntil(t, r, "by the app")
	publishByAPI(t, s, "svc", "by the API")
	readUntil(t, r, "by the API")
	if status, _ := ask(t, s, "POST", "/events?topic=a&retain=true", "kept", "Authorization", "Bearer "+tok); status != 200 {
		t.Errorf("retain: %d", status)
	}
	if !fake.HasKVItem("m", "r:a") {
		t.Error("the message is no item of the KV store")
	}
	if status, body := ask(t, s, "GET", "/events?topic=a&durable=true", "", "Authorization", "Bearer "+tok); status != 200 || !strings.Contains(body, "stream-open") {
		t.Errorf("durable: %d %s", status, body)
	}
	fake.Change(func(a *fastlytest.Account) { clear(a.KVStores[0].Items) })
	if status, body := ask(t, s, "POST", "/events?topic=a", "x", "Authorization", "Bearer "+tok); status != 500 || body != "Auth process failed\n" {
		t.Errorf("with a deleted key: %d %s", status, body)
	}
}

// publishByAPI uses the endpoint that the real app publishes to.
func publishByAPI(t *testing.T, s *Server, service, text string) {
	t.Helper()
	body := fmt.Sprintf(`{"items":[{"channel":"s:a","formats":{"http-stream":{"content":"data: %s\n\n"}}}]}`, text)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.Ready().FastlyAPI+"/service/"+service+"/publish/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+publisherKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Errorf("publish by the API: %d %s", resp.StatusCode, b)
	}
}

// TestEdgeFaults: each mistake in a service shows as it does in production.
func TestEdgeFaults(t *testing.T) {
	type change func(a *fastlytest.Account, v *fastlytest.Version)
	link := func(name string) change {
		return func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link(name).Name = "other" }
	}
	self := func(address string) change {
		return func(_ *fastlytest.Account, v *fastlytest.Version) { v.Backend("self").Fields["address"] = address }
	}
	item := func(name, value string) change {
		return func(a *fastlytest.Account, _ *fastlytest.Version) {
			a.ConfigStores[0].Items = append(a.ConfigStores[0].Items, &fastlytest.ConfigItem{Key: name, Value: value})
		}
	}
	const subscribe, publish, retain, keys = "GET /events?topic=a", "POST /events?topic=a", "POST /events?topic=a&retain=true", "POST /admin/keys"
	cases := []struct {
		name    string
		change  change
		request string
		status  int
		text    string
	}{
		{"nothing is wrong", func(*fastlytest.Account, *fastlytest.Version) {}, subscribe, 200, "event: stream-open"},
		{"nothing is wrong", func(*fastlytest.Account, *fastlytest.Version) {}, publish, 200, "Published"},
		{"no active version", func(_ *fastlytest.Account, v *fastlytest.Version) { v.Active = false }, subscribe, 500, "unknown domain"},
		{"Fanout off", func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Fanout = false }, subscribe, 500, ""},
		{"Fanout off", func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Fanout = false }, publish, 500, "Publish process failed"},
		{"no self", func(_ *fastlytest.Account, v *fastlytest.Version) { v.Backends = v.Backends[1:] }, subscribe, 500, ""},
		{"no self", func(_ *fastlytest.Account, v *fastlytest.Version) { v.Backends = v.Backends[1:] }, publish, 200, "Published"},
		{"self elsewhere", self("www.example.com"), subscribe, 200, "another site"},
		{"self at another service", func(a *fastlytest.Account, v *fastlytest.Version) {
			self("other.edgecompute.app")(a, v)
			a.CustomDomains = []*fastlytest.CustomDomain{{Name: "other.edgecompute.app", ServiceID: "other"}}
		}, subscribe, 500, "Failed to authorize Fanout proxy."},
		{"no api", func(_ *fastlytest.Account, v *fastlytest.Version) { v.Backends = v.Backends[:1] }, publish, 500, "Publish process failed"},
		{"no secret", func(a *fastlytest.Account, _ *fastlytest.Version) { a.SecretStores[0].Secrets = nil }, publish, 500, "Publish process failed"},
		{"token revoked", func(a *fastlytest.Account, _ *fastlytest.Version) { a.Tokens = a.Tokens[:1] }, publish, 500, "Publish process failed"},
		{"link secrets", link("secrets"), publish, 500, "Publish process failed"},
		{"link messages", link("messages"), retain, 500, "Failed to write message to storage"},
		{"link messages", link("messages"), publish, 200, "Published"},
		{"link keys", link("keys"), keys, 500, "Storage access process failed"},
		{"link keys", link("keys"), publish, 500, "Auth process failed"},
		{"bad item", item("sse", "True"), "GET /", 500, "Configuration process failed."},
		{"bad item", item("sse", "True"), subscribe, 500, "Configuration process failed."},
		{"sse off", item("sse", "false"), subscribe, 405, ""},
		{"admin off", item("admin", "false"), keys, 404, "Not Found"},
	}
	s, fake := platformT(t)
	for _, c := range cases {
		t.Run(c.name+" "+c.request, func(t *testing.T) {
			fake.Change(func(a *fastlytest.Account) { a.Tokens = a.Tokens[:1]; exampleAccount(a) })
			tok := createKey(t, s, publisherKey)
			fake.Change(func(a *fastlytest.Account) { c.change(a, a.Services[0].Versions[0]) })
			method, path, _ := strings.Cut(c.request, " ")
			status, body := ask(t, s, method, path, "x", "Authorization", "Bearer "+tok, "Fastly-Key", map[bool]string{true: fastlytest.DefaultToken}[c.request == keys])
			if status != c.status || !strings.Contains(body, c.text) {
				t.Errorf("%d %q, want %d with %q", status, body, c.status, c.text)
			}
		})
	}
}

func TestPlatformPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := testOptions()
	o.Platform, o.FastlyAPI = fastlytest.New(fastlytest.Options{}), l.Addr().String()
	_, err = Start(t.Context(), o)
	var busy *ListenError
	if !errors.As(err, &busy) || busy.Plane != "fastly-api" {
		t.Errorf("got %v", err)
	}
}

// TestEdgeMessages: a message is an item of the KV store, and is gone with it; the
// next one then begins a new generation.
func TestEdgeMessages(t *testing.T) {
	fake := fastlytest.New(fastlytest.Options{})
	fake.Change(exampleAccount)
	s := edgeStore{Store: store.NewMemory(store.Options{}), edge: &edge{platform: fake}, messages: "m"}
	ctx := t.Context()
	put := func() pubsub.Version {
		v, err := s.Put(ctx, "a", store.Entry{Data: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first, second := put(), put()
	if second.Generation != first.Generation || second.Seq != first.Seq+1 {
		t.Errorf("versions %v and %v", first, second)
	}
	if err := fake.DeleteKVItem("m", "r:a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "a", pubsub.Version{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after deletion by the API: %v", err)
	}
	if third := put(); third.Generation == first.Generation {
		t.Errorf("version %v continues %v", third, second)
	}
	if err := s.Delete(ctx, "a"); err != nil || fake.HasKVItem("m", "r:a") {
		t.Errorf("deletion by the app: %v", err)
	}
}

// TestEdgeKeys: the store of keys that the app sees is the platform's, with the
// given ones.
func TestEdgeKeys(t *testing.T) {
	fake := fastlytest.New(fastlytest.Options{})
	fake.Change(exampleAccount)
	given, err := withKeys(store.NewMemory(store.Options{}), []store.Key{{ID: "given", Secret: []byte("a")}})
	if err != nil {
		t.Fatal(err)
	}
	now := func() edgeKeys { return edgeKeys{given.Keys(), fake, fake.Deployed()} }
	ctx := t.Context()
	before := now().Generation()
	if err := now().Put(ctx, store.Key{ID: "new", Secret: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if now().Generation() == before {
		t.Error("the generation did not change")
	}
	for id, want := range map[string]string{"given": "a", "new": "b"} {
		if got, err := now().Get(ctx, id); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", id, got, err)
		}
	}
	if all, err := now().List(ctx); err != nil || len(all) != 2 || all[0].ID != "given" {
		t.Errorf("list: %v %v", all, err)
	}
	if err := now().Delete(ctx, "new"); err != nil {
		t.Error(err)
	}
	if _, err := now().Get(ctx, "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after deletion: %v", err)
	}
	if err := now().Delete(ctx, "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("second deletion: %v", err)
	}
}
