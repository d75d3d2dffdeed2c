package fastlytest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fastly/go-fastly/v9/fastly"
	"github.com/fastly/go-fastly/v9/fastly/products/fanout"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

func libraryFor(t *testing.T, h http.Handler) *fastly.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := fastly.NewClientForEndpoint(fastlytest.DefaultToken, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.DebugMode = false
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLifeByLibrary sets a service up and tears it down with the library that the
// product uses.
func TestLifeByLibrary(t *testing.T) {
	fake := fastlytest.New(fastlytest.Options{})
	c := libraryFor(t, fake.Handler())
	if self := must[*fastly.Token](t)(c.GetTokenSelf()); *self.Scope != fastly.GlobalScope {
		t.Errorf("scope %s", *self.Scope)
	}
	if user := must[*fastly.User](t)(c.GetCurrentUser()); *user.Role != "superuser" {
		t.Errorf("role %s", *user.Role)
	}
	s := must[*fastly.Service](t)(c.CreateService(&fastly.CreateServiceInput{Name: fastly.ToPointer("chat"), Type: fastly.ToPointer("wasm")}))
	id := *s.ServiceID
	if len(s.Versions) != 1 || *s.Type != "wasm" {
		t.Errorf("the new service is %+v", s)
	}
	must[fanout.EnableOutput](t)(fanout.Enable(c, id))
	must[fanout.EnableOutput](t)(fanout.Get(c, id))
	stores := makeStores(t, c)
	fill(t, c, id, stores)
	putToken(t, c, fake, id, stores["secrets"])
	if ok, msg, err := c.ValidateVersion(&fastly.ValidateVersionInput{ServiceID: id, ServiceVersion: 1}); !ok || err != nil {
		t.Fatalf("not valid: %s %v", msg, err)
	}
	v := must[*fastly.Version](t)(c.ActivateVersion(&fastly.ActivateVersionInput{ServiceID: id, ServiceVersion: 1}))
	if !*v.Active || !*v.Locked {
		t.Errorf("activated: %+v", v)
	}
	d := must[*fastly.ServiceDetail](t)(c.GetServiceDetails(&fastly.GetServiceInput{ServiceID: id}))
	if d.ActiveVersion == nil || *d.ActiveVersion.Number != 1 {
		t.Errorf("details: %+v", d)
	}
	if got := fake.Deployed(); got.Service != id || got.KeyStore != stores["keys"] || got.PublishToken == "" {
		t.Errorf("deployed: %+v", got)
	}
	takeDown(t, c, id, stores)
	if left := fake.Snapshot(); len(left.Services)+len(left.ConfigStores)+len(left.KVStores)+len(left.SecretStores) != 0 {
		t.Errorf("left over: %+v", left)
	}
}

func makeStores(t *testing.T, c *fastly.Client) map[string]string {
	t.Helper()
	kv := func(name string) string {
		s := must[*fastly.KVStore](t)(c.CreateKVStore(&fastly.CreateKVStoreInput{Name: name}))
		return s.StoreID
	}
	config := must[*fastly.ConfigStore](t)(c.CreateConfigStore(&fastly.CreateConfigStoreInput{Name: "p_config"}))
	secrets := must[*fastly.SecretStore](t)(c.CreateSecretStore(&fastly.CreateSecretStoreInput{Name: "p_secrets"}))
	keys := kv("p_keys")
	_, err := c.CreateKVStore(&fastly.CreateKVStoreInput{Name: "p_keys"})
	var refused *fastly.HTTPError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusConflict || refused.Errors[0].Detail == "" {
		t.Errorf("a second store of one name: %v", err)
	}
	list := must[*fastly.ListKVStoresResponse](t)(c.ListKVStores(&fastly.ListKVStoresInput{}))
	if len(list.Data) != 1 || list.Data[0].CreatedAt == nil || list.Data[0].StoreID != keys {
		t.Fatalf("KV stores: %+v", list)
	}
	return map[string]string{"config": config.StoreID, "secrets": secrets.StoreID, "keys": keys, "messages": kv("p_messages")}
}

// fill puts domain, backend, links and package into version 1.
func fill(t *testing.T, c *fastly.Client, id string, stores map[string]string) {
	t.Helper()
	const domain = "chat.edgecompute.app"
	must[*fastly.Domain](t)(c.CreateDomain(&fastly.CreateDomainInput{ServiceID: id, ServiceVersion: 1, Name: fastly.ToPointer(domain)}))
	must[*fastly.Backend](t)(c.CreateBackend(&fastly.CreateBackendInput{
		ServiceID: id, ServiceVersion: 1, Name: fastly.ToPointer("self"), Address: fastly.ToPointer(domain), Port: fastly.ToPointer(443),
		UseSSL: fastly.ToPointer(fastly.Compatibool(true)), OverrideHost: fastly.ToPointer(domain),
	}))
	all := must[[]*fastly.Backend](t)(c.ListBackends(&fastly.ListBackendsInput{ServiceID: id, ServiceVersion: 1}))
	if b := all[0]; !*b.UseSSL || *b.Port != 443 || *b.OverrideHost != domain || b.SSLSNIHostname != nil {
		t.Errorf("backend: %+v", b)
	}
	for name, store := range stores {
		l := must[*fastly.Resource](t)(c.CreateResource(&fastly.CreateResourceInput{
			ServiceID: id, ServiceVersion: 1, Name: fastly.ToPointer(name), ResourceID: fastly.ToPointer(store),
		}))
		if *l.ResourceID != store || *l.ResourceType == "" {
			t.Errorf("link: %+v", l)
		}
	}
	p := must[*fastly.Package](t)(c.UpdatePackage(&fastly.UpdatePackageInput{ServiceID: id, ServiceVersion: 1, PackageContent: archive()}))
	if *p.Metadata.Name != "Pub/Sub" || len(*p.Metadata.FilesHash) != 128 {
		t.Errorf("package: %+v", p.Metadata)
	}
}

func archive() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{{"p/fastly.toml", "name = \"Pub/Sub\"\nlanguage = \"rust\"\n"}, {"p/bin/main.wasm", "\x00asm\x01\x00\x00\x00"}} {
		_ = w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(f[1]))
	}
	_ = w.Close()
	_ = z.Close()
	return b.Bytes()
}

// putToken makes a publish token and stores it encrypted.
func putToken(t *testing.T, c *fastly.Client, fake *fastlytest.Server, id, store string) {
	t.Helper()
	user, password := fastlytest.DefaultLogin, fastlytest.DefaultPassword
	scope := fastly.PurgeSelectScope
	tok := must[*fastly.AutomationToken](t)(c.CreateAutomationToken(&fastly.CreateAutomationTokenInput{
		Name: "publish", Role: fastly.EngineerRole, Scope: &scope, Services: []string{id}, Username: &user, Password: &password,
	}))
	key := must[*fastly.ClientKey](t)(c.CreateClientKey())
	if !key.VerifySignature(fake.SigningKey()) || key.ExpiresAt.Before(time.Now()) {
		t.Error("the client key is not signed by the test's key, or has expired")
	}
	sealed := must[[]byte](t)(key.Encrypt([]byte(*tok.AccessToken)))
	must[*fastly.Secret](t)(c.CreateSecret(&fastly.CreateSecretInput{
		StoreID: store, Name: "publish-token", Secret: sealed, ClientKey: key.PublicKey, Method: http.MethodPut,
	}))
	if got := fake.Snapshot().SecretStore(store).Secret("publish-token"); string(got.Value) != *tok.AccessToken {
		t.Error("the secret decrypts to something else")
	}
	for _, r := range fake.Requests() {
		if bytes.Contains(r.Body, []byte(*tok.AccessToken)) {
			t.Errorf("%s %s carries the token in the clear", r.Method, r.Path)
		}
	}
}

func takeDown(t *testing.T, c *fastly.Client, id string, stores map[string]string) {
	t.Helper()
	must[*fastly.Version](t)(c.DeactivateVersion(&fastly.DeactivateVersionInput{ServiceID: id, ServiceVersion: 1}))
	noError(t, fanout.Disable(c, id))
	var refused *fastly.HTTPError
	if _, err := fanout.Get(c, id); !errors.As(err, &refused) || refused.StatusCode != http.StatusBadRequest {
		t.Errorf("Fanout is still there: %v", err)
	}
	noError(t, c.DeleteService(&fastly.DeleteServiceInput{ServiceID: id}))
	noError(t, c.InsertKVStoreKey(&fastly.InsertKVStoreKeyInput{StoreID: stores["keys"], Key: "k1", Value: "v"}))
	for p := c.NewListKVStoreKeysPaginator(&fastly.ListKVStoreKeysInput{StoreID: stores["keys"]}); p.Next(); {
		for _, key := range p.Keys() {
			noError(t, c.DeleteKVStoreKey(&fastly.DeleteKVStoreKeyInput{StoreID: stores["keys"], Key: key}))
		}
	}
	noError(t, c.DeleteKVStore(&fastly.DeleteKVStoreInput{StoreID: stores["keys"]}))
	noError(t, c.DeleteKVStore(&fastly.DeleteKVStoreInput{StoreID: stores["messages"]}))
	noError(t, c.DeleteSecretStore(&fastly.DeleteSecretStoreInput{StoreID: stores["secrets"]}))
	noError(t, c.DeleteConfigStore(&fastly.DeleteConfigStoreInput{StoreID: stores["config"]}))
}
