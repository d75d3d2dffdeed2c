package provision

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestKilledUpdate: a new package for a service that runs, killed anywhere.
func TestKilledUpdate(t *testing.T) {
	update := func(t *testing.T) *rig {
		r := done(t)
		r.spec.Package = appPackage(t, "2")
		return r
	}
	r := update(t)
	r.must()
	for i, method := range r.http.calls {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s after=%t", i+1, method, after), func(t *testing.T) {
				t.Parallel()
				r := update(t)
				r.die(i+1, after)
				r.restart()
				r.must()
				r.whole()
				if n := len(r.fake.Snapshot().Services[0].Versions); n != 2 {
					t.Errorf("%d versions\n%s", n, r.story())
				}
			})
		}
	}
}

// TestTeardownAfterAKill: of a run that died anywhere nothing is left once it is
// torn down, and what was somebody else's is.
func TestTeardownAfterAKill(t *testing.T) {
	login := func(r *rig) {
		r.spec.PublishToken = config.Secret{}
		r.env.PublishToken = func(context.Context, fastly.Service) (TokenAnswer, error) {
			return TokenAnswer{Login: fastly.Login{User: fastlytest.DefaultLogin, Password: config.NewSecret(fastlytest.DefaultPassword)}}, nil
		}
	}
	r := newRig(t)
	login(r)
	r.must()
	for i, method := range r.http.calls {
		if method == http.MethodGet {
			continue
		}
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s after=%t", i+1, method, after), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				login(r)
				r.fake.Change(func(a *fastlytest.Account) {
					a.KVStores = append(a.KVStores, &fastlytest.KVStore{ID: "theirs", Name: "keys", Items: map[string]*fastlytest.KVItem{}})
				})
				r.die(i+1, after)
				r.restart()
				r.tearDown()
			})
		}
	}
}

// tearDown removes what the ledger knows, and fails the test if more than a store
// of somebody else's is left. A service that no ledger names yet is one that the
// next setup finds.
func (r *rig) tearDown() {
	r.t.Helper()
	led, err := r.env.Book.named("chat")
	if err != nil || led == nil || led.ServiceID == "" {
		if a := r.fake.Snapshot(); err != nil || len(a.Services) > 1 || len(a.KVStores) != 1 {
			r.t.Errorf("%v, %+v", err, a)
		}
		return
	}
	plan, err := PlanTeardown(r.t.Context(), r.env.API, led, TeardownOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := plan.Apply(r.t.Context(), func(Removal) {}); err != nil {
		r.t.Fatal(err)
	}
	a := r.fake.Snapshot()
	if len(a.Services)+len(a.ConfigStores)+len(a.SecretStores)+len(a.CustomDomains) > 0 || len(a.KVStores) != 1 || a.KVStores[0].ID != "theirs" {
		r.t.Errorf("left: %d services, %d config, %d secret, %d KV stores\n%s", len(a.Services), len(a.ConfigStores), len(a.SecretStores), len(a.KVStores), r.story())
	}
	for _, tok := range a.Tokens {
		if strings.HasPrefix(tok.Name, "pubsubctl publish-token") {
			r.t.Errorf("a token is left\n%s", r.story())
		}
	}
	if !r.env.Book.Removed(led.ServiceID) {
		r.t.Error("the ledger is still there")
	}
}

// damaged is a service in use with a fault in nearly everything setup looks after.
func damaged(t *testing.T) *rig {
	r := done(t)
	r.fake.Change(func(a *fastlytest.Account) {
		v := a.Services[0].Active()
		clear(a.KVStore(v.Link(LinkKeys).StoreID).Items)
		v.Links = slices.DeleteFunc(v.Links, func(l *fastlytest.Link) bool { return l.Name == LinkMessages })
		v.Backend("self").Fields["override_host"] = nil
		a.ConfigStores, a.Services[0].Fanout = nil, false
	})
	r.spec.Package = appPackage(t, "2")
	return r
}

// ownName is a new account that makes domains without a version only.
func ownName(t *testing.T) *rig {
	r := newRig(t)
	r.spec.Domain = "chat.example.com"
	if err := r.fake.Preset("no-classic-domains"); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKilledElsewhere: a run that mends, and one with a domain of one's own, killed
// before and after each change.
func TestKilledElsewhere(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T) *rig{"mending": damaged, "a domain of one's own": ownName} {
		r := prepare(t)
		r.must()
		for i, method := range r.http.calls {
			if method == http.MethodGet {
				continue
			}
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d %s after=%t", name, i+1, method, after), func(t *testing.T) {
					t.Parallel()
					r := prepare(t)
					r.die(i+1, after)
					r.restart()
					r.must()
					r.whole()
					r.restart()
					r.fake.ForgetRequests()
					if _, plan := r.must(); !plan.Empty() || len(r.writes()) > 0 {
						t.Errorf("a run more writes %q\n%v", r.writes(), plan.Lines())
					}
					if n := len(r.fake.Snapshot().CustomDomains); n > 1 {
						t.Errorf("%d domains", n)
					}
				})
			}
		}
	}
}
