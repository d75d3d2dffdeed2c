package fastlytest_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/fastly/go-fastly/v9/fastly"
	domains "github.com/fastly/go-fastly/v9/fastly/domains/v1"
	"github.com/fastly/go-fastly/v9/fastly/products/fanout"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// place is what a recorded path names.
type place struct {
	service, store, last string
	version              int
	form                 url.Values // the recorded form, if there is one
}

func placeOf(r fastlytest.Recording) place {
	parts := strings.Split(strings.Trim(r.Request.Path, "/"), "/")
	p := place{last: parts[len(parts)-1]}
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

func (p place) text(member string) *string {
	if !p.form.Has(member) {
		return nil
	}
	return fastly.ToPointer(p.form.Get(member))
}

// got drops the value of a call.
func got[T any](_ T, err error) error { return err }

// TestReplayByLibrary: everything the product calls sends what was recorded and
// parses what came back, byte for byte; errors keep their status.
func TestReplayByLibrary(t *testing.T) {
	all, err := fastlytest.Recordings(os.DirFS("../../../../testdata/fastly-api"))
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(*fastly.Client, place) error{}
	for _, table := range []map[string]func(*fastly.Client, place) error{serviceCalls(), versionCalls(), storeCalls(), secretCalls(), otherCalls()} {
		for name, call := range table {
			calls[name] = call
		}
	}
	for _, r := range all {
		call := calls[r.Name]
		if call == nil {
			continue
		}
		delete(calls, r.Name)
		t.Run(r.Name, func(t *testing.T) {
			err := call(libraryFor(t, fastlytest.Replay(r, t.Errorf)), placeOf(r))
			var refused *fastly.HTTPError
			switch {
			case r.Response.Status < 300 && err != nil:
				t.Error(err)
			case r.Response.Status >= 300 && (!errors.As(err, &refused) || refused.StatusCode != r.Response.Status):
				t.Errorf("got %v, want status %d", err, r.Response.Status)
			}
		})
	}
	for name := range calls {
		t.Errorf("%s is not recorded", name)
	}
}

func serviceCalls() map[string]func(*fastly.Client, place) error {
	list := func(page int) func(*fastly.Client, place) error {
		return func(c *fastly.Client, _ place) error {
			p := c.GetServices(&fastly.GetServicesInput{Direction: fastly.ToPointer("descend"), PerPage: fastly.ToPointer(100), Page: fastly.ToPointer(page), Sort: fastly.ToPointer("created")})
			return got(p.GetNext())
		}
	}
	return map[string]func(*fastly.Client, place) error{
		"service/create-wasm": func(c *fastly.Client, p place) error {
			return got(c.CreateService(&fastly.CreateServiceInput{Name: p.text("name"), Comment: p.text("comment"), Type: p.text("type")}))
		},
		"service/get": func(c *fastly.Client, p place) error {
			return got(c.GetService(&fastly.GetServiceInput{ServiceID: p.last}))
		},
		"service/details": func(c *fastly.Client, p place) error {
			return got(c.GetServiceDetails(&fastly.GetServiceInput{ServiceID: p.service}))
		},
		"service/search": func(c *fastly.Client, _ place) error {
			return got(c.SearchService(&fastly.SearchServiceInput{Name: "test-service"}))
		},
		"service/update": func(c *fastly.Client, p place) error {
			return got(c.UpdateService(&fastly.UpdateServiceInput{ServiceID: p.last, Name: p.text("name")}))
		},
		"service/delete": func(c *fastly.Client, p place) error {
			return c.DeleteService(&fastly.DeleteServiceInput{ServiceID: p.last})
		},
		"service/list-page-1": list(1),
		"product-fanout/get-enabled": func(c *fastly.Client, p place) error {
			return got(fanout.Get(c, p.last))
		},
		"product-fanout/get-not-enabled":          func(c *fastly.Client, p place) error { return got(fanout.Get(c, p.last)) },
		"product-fanout/enable":                   func(c *fastly.Client, p place) error { return got(fanout.Enable(c, p.last)) },
		"product-fanout/disable":                  func(c *fastly.Client, p place) error { return fanout.Disable(c, p.last) },
		"product-fanout/disable-when-not-enabled": func(c *fastly.Client, p place) error { return fanout.Disable(c, p.last) },
	}
}

func versionCalls() map[string]func(*fastly.Client, place) error {
	deleteBackend := func(c *fastly.Client, p place) error {
		return c.DeleteBackend(&fastly.DeleteBackendInput{ServiceID: p.service, ServiceVersion: p.version, Name: p.last})
	}
	listBackends := func(c *fastly.Client, p place) error {
		return got(c.ListBackends(&fastly.ListBackendsInput{ServiceID: p.service, ServiceVersion: p.version}))
	}
	clone := func(c *fastly.Client, p place) error {
		return got(c.CloneVersion(&fastly.CloneVersionInput{ServiceID: p.service, ServiceVersion: p.version}))
	}
	activate := func(c *fastly.Client, p place) error {
		return got(c.ActivateVersion(&fastly.ActivateVersionInput{ServiceID: p.service, ServiceVersion: p.version}))
	}
	return map[string]func(*fastly.Client, place) error{
		"version/list": func(c *fastly.Client, p place) error {
			return got(c.ListVersions(&fastly.ListVersionsInput{ServiceID: p.service}))
		},
		"version/get": func(c *fastly.Client, p place) error {
			return got(c.GetVersion(&fastly.GetVersionInput{ServiceID: p.service, ServiceVersion: p.version}))
		},
		"version/update-comment": func(c *fastly.Client, p place) error {
			return got(c.UpdateVersion(&fastly.UpdateVersionInput{ServiceID: p.service, ServiceVersion: p.version, Comment: p.text("comment")}))
		},
		"version/clone": clone, "version/clone-compute": clone, "version/activate": activate, "version/activate-with-warning": activate,
		"domain/list": func(c *fastly.Client, p place) error {
			return got(c.ListDomains(&fastly.ListDomainsInput{ServiceID: p.service, ServiceVersion: p.version}))
		},
		"domain/create": func(c *fastly.Client, p place) error {
			return got(c.CreateDomain(&fastly.CreateDomainInput{ServiceID: p.service, ServiceVersion: p.version, Name: p.text("name"), Comment: p.text("comment")}))
		},
		"domain/delete": func(c *fastly.Client, p place) error {
			return c.DeleteDomain(&fastly.DeleteDomainInput{ServiceID: p.service, ServiceVersion: p.version, Name: p.last})
		},
		"domain/check": func(c *fastly.Client, p place) error {
			return got(c.ValidateDomain(&fastly.ValidateDomainInput{ServiceID: p.service, ServiceVersion: p.version, Name: "integ-test-20221104.go-fastly-3.com"}))
		},
		"backend/list": listBackends, "backend/list-compute": listBackends, "backend/delete": deleteBackend,
		"errors/404-backend": deleteBackend, "errors/422-version-locked": deleteBackend,
		"backend/get": func(c *fastly.Client, p place) error {
			return got(c.GetBackend(&fastly.GetBackendInput{ServiceID: p.service, ServiceVersion: p.version, Name: p.last}))
		},
		"backend/create": func(c *fastly.Client, p place) error {
			timeout, _ := strconv.Atoi(p.form.Get("connect_timeout"))
			return got(c.CreateBackend(&fastly.CreateBackendInput{
				ServiceID: p.service, ServiceVersion: p.version, Name: p.text("name"), Address: p.text("address"), ConnectTimeout: &timeout,
				OverrideHost: p.text("override_host"), SSLCheckCert: fastly.ToPointer(fastly.Compatibool(false)),
				SSLCiphers: p.text("ssl_ciphers"), SSLSNIHostname: p.text("ssl_sni_hostname"),
			}))
		},
		"backend/update-clear-override-host": func(c *fastly.Client, p place) error {
			return got(c.UpdateBackend(&fastly.UpdateBackendInput{ServiceID: p.service, ServiceVersion: p.version, Name: p.last, OverrideHost: fastly.ToPointer(""), Port: fastly.ToPointer(0)}))
		},
		"resource-link/list": func(c *fastly.Client, p place) error {
			return got(c.ListResources(&fastly.ListResourcesInput{ServiceID: p.service, ServiceVersion: p.version}))
		},
		"resource-link/create": func(c *fastly.Client, p place) error {
			return got(c.CreateResource(&fastly.CreateResourceInput{ServiceID: p.service, ServiceVersion: p.version, Name: p.text("name"), ResourceID: p.text("resource_id")}))
		},
		"resource-link/update": func(c *fastly.Client, p place) error {
			return got(c.UpdateResource(&fastly.UpdateResourceInput{ServiceID: p.service, ServiceVersion: p.version, ResourceID: p.last, Name: p.text("name")}))
		},
		"resource-link/delete": func(c *fastly.Client, p place) error {
			return c.DeleteResource(&fastly.DeleteResourceInput{ServiceID: p.service, ServiceVersion: p.version, ResourceID: p.last})
		},
		"package/get": func(c *fastly.Client, p place) error {
			return got(c.GetPackage(&fastly.GetPackageInput{ServiceID: p.service, ServiceVersion: p.version}))
		},
		"package/update": func(c *fastly.Client, p place) error {
			return got(c.UpdatePackage(&fastly.UpdatePackageInput{ServiceID: p.service, ServiceVersion: p.version, PackageContent: archive()}))
		},
		"errors/400-package-invalid": func(c *fastly.Client, p place) error {
			return got(c.UpdatePackage(&fastly.UpdatePackageInput{ServiceID: p.service, ServiceVersion: p.version, PackageContent: []byte("none")}))
		},
	}
}

func storeCalls() map[string]func(*fastly.Client, place) error {
	keys := func(in fastly.ListKVStoreKeysInput) func(*fastly.Client, place) error {
		return func(c *fastly.Client, p place) error {
			in.StoreID = p.store
			return got(c.ListKVStoreKeys(&in))
		}
	}
	return map[string]func(*fastly.Client, place) error{
		"config-store/list": func(c *fastly.Client, _ place) error { return got(c.ListConfigStores(&fastly.ListConfigStoresInput{})) },
		"config-store/create": func(c *fastly.Client, p place) error {
			return got(c.CreateConfigStore(&fastly.CreateConfigStoreInput{Name: p.form.Get("name")}))
		},
		"config-store/get": func(c *fastly.Client, p place) error {
			return got(c.GetConfigStore(&fastly.GetConfigStoreInput{StoreID: p.last}))
		},
		"config-store/delete": func(c *fastly.Client, p place) error {
			return c.DeleteConfigStore(&fastly.DeleteConfigStoreInput{StoreID: p.last})
		},
		"config-store/services": func(c *fastly.Client, p place) error {
			return got(c.ListConfigStoreServices(&fastly.ListConfigStoreServicesInput{StoreID: p.store}))
		},
		"config-store-item/list-items": func(c *fastly.Client, p place) error {
			return got(c.ListConfigStoreItems(&fastly.ListConfigStoreItemsInput{StoreID: p.store}))
		},
		"config-store-item/upsert-item": func(c *fastly.Client, p place) error {
			return got(c.UpdateConfigStoreItem(&fastly.UpdateConfigStoreItemInput{StoreID: p.store, Key: p.last, Value: p.form.Get("item_value"), Upsert: true}))
		},
		"kv-store/list": func(c *fastly.Client, _ place) error { return got(c.ListKVStores(&fastly.ListKVStoresInput{})) },
		"kv-store/create": func(c *fastly.Client, _ place) error {
			return got(c.CreateKVStore(&fastly.CreateKVStoreInput{Name: "kv-store-test-store"}))
		},
		"kv-store/get": func(c *fastly.Client, p place) error {
			return got(c.GetKVStore(&fastly.GetKVStoreInput{StoreID: p.last}))
		},
		"kv-store/delete": func(c *fastly.Client, p place) error {
			return c.DeleteKVStore(&fastly.DeleteKVStoreInput{StoreID: p.last})
		},
		"kv-item/list-page-1":      keys(fastly.ListKVStoreKeysInput{Limit: 4, Consistency: fastly.ConsistencyStrong}),
		"kv-item/list-page-2-last": keys(fastly.ListKVStoreKeysInput{Limit: 4, Consistency: fastly.ConsistencyStrong, Cursor: "CgdiYXRjaC0y"}),
		"kv-item/list-eventual":    keys(fastly.ListKVStoreKeysInput{Consistency: fastly.ConsistencyEventual}),
		"kv-item/get": func(c *fastly.Client, p place) error {
			return got(c.GetKVStoreKey(&fastly.GetKVStoreKeyInput{StoreID: p.store, Key: p.last}))
		},
		"kv-item/insert": func(c *fastly.Client, p place) error {
			return c.InsertKVStoreKey(&fastly.InsertKVStoreKeyInput{StoreID: p.store, Key: p.last, Value: "apple0"})
		},
		"errors/412-kv-add-exists": func(c *fastly.Client, p place) error {
			return c.InsertKVStoreKey(&fastly.InsertKVStoreKeyInput{StoreID: p.store, Key: p.last, Value: "v", Add: true})
		},
		"kv-item/delete": func(c *fastly.Client, p place) error {
			return c.DeleteKVStoreKey(&fastly.DeleteKVStoreKeyInput{StoreID: p.store, Key: p.last})
		},
		"kv-item/delete-force-missing": func(c *fastly.Client, p place) error {
			return c.DeleteKVStoreKey(&fastly.DeleteKVStoreKeyInput{StoreID: p.store, Key: p.last, Force: true})
		},
	}
}

func secretCalls() map[string]func(*fastly.Client, place) error {
	put := func(name, method string) func(*fastly.Client, place) error {
		return func(c *fastly.Client, p place) error {
			return got(c.CreateSecret(&fastly.CreateSecretInput{StoreID: p.store, Name: name, Secret: []byte("secretum servare"), Method: method}))
		}
	}
	return map[string]func(*fastly.Client, place) error{
		"secret-store/list": func(c *fastly.Client, _ place) error { return got(c.ListSecretStores(&fastly.ListSecretStoresInput{})) },
		"secret-store/create": func(c *fastly.Client, _ place) error {
			return got(c.CreateSecretStore(&fastly.CreateSecretStoreInput{Name: "TestClient_CreateSecretStore"}))
		},
		"secret-store/get": func(c *fastly.Client, p place) error {
			return got(c.GetSecretStore(&fastly.GetSecretStoreInput{StoreID: p.last}))
		},
		"secret-store/delete": func(c *fastly.Client, p place) error {
			return c.DeleteSecretStore(&fastly.DeleteSecretStoreInput{StoreID: p.last})
		},
		"secret-store/client-key":  func(c *fastly.Client, _ place) error { return got(c.CreateClientKey()) },
		"secret-store/signing-key": func(c *fastly.Client, _ place) error { return got(c.GetSigningKey()) },
		"secret/list": func(c *fastly.Client, p place) error {
			return got(c.ListSecrets(&fastly.ListSecretsInput{StoreID: p.store}))
		},
		"secret/get": func(c *fastly.Client, p place) error {
			return got(c.GetSecret(&fastly.GetSecretInput{StoreID: p.store, Name: p.last}))
		},
		"secret/delete": func(c *fastly.Client, p place) error {
			return c.DeleteSecret(&fastly.DeleteSecretInput{StoreID: p.store, Name: p.last})
		},
		"secret/create":                 put("TestClient_CreateSecret", ""),
		"secret/create-or-recreate-put": put("TestClient_CreateOrRecreateSecret", http.MethodPut),
		"secret/recreate-patch":         put("TestClient_RecreateSecret", http.MethodPatch),
	}
}

func otherCalls() map[string]func(*fastly.Client, place) error {
	domain := "fastly-sdk-gofastly-testing.com"
	create := func(c *fastly.Client, _ place) error {
		return got(domains.Create(c, &domains.CreateInput{FQDN: &domain}))
	}
	return map[string]func(*fastly.Client, place) error{
		"token/self":   func(c *fastly.Client, _ place) error { return got(c.GetTokenSelf()) },
		"token/list":   func(c *fastly.Client, _ place) error { return got(c.ListTokens(&fastly.ListTokensInput{})) },
		"token/delete": func(c *fastly.Client, p place) error { return c.DeleteToken(&fastly.DeleteTokenInput{TokenID: p.last}) },
		"automation-token/get": func(c *fastly.Client, p place) error {
			return got(c.GetAutomationToken(&fastly.GetAutomationTokenInput{TokenID: p.last}))
		},
		"automation-token/delete": func(c *fastly.Client, p place) error {
			return c.DeleteAutomationToken(&fastly.DeleteAutomationTokenInput{TokenID: p.last})
		},
		"automation-token/create": func(c *fastly.Client, _ place) error {
			// What comes behind POST /sudo, which has a recording of its own.
			return got(c.PostJSON("/automation-tokens", map[string]any{
				"name": "my-test-token", "role": "engineer", "scope": "global", "services": []string{"SCRUBBEDxxxxxxxxxxxxxx"}, "tls_access": false,
			}, nil))
		},
		"domain-versionless/create": create,
		"errors/400-fqdn-taken":     create,
		"domain-versionless/get": func(c *fastly.Client, p place) error {
			return got(domains.Get(c, &domains.GetInput{DomainID: &p.last}))
		},
		"domain-versionless/delete": func(c *fastly.Client, p place) error {
			return domains.Delete(c, &domains.DeleteInput{DomainID: &p.last})
		},
	}
}
