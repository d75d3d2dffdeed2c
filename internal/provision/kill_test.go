package provision

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// killing is a setup that gets killed: what there is before it, what is asked of
// each of its runs, and what there has to be in the end.
type killing struct {
	before func(r *rig)
	asked  func(r *rig)
	check  func(r *rig)
}

// login has a run create its publish token by a person's login.
func login(r *rig) {
	r.spec.PublishToken = config.Secret{}
	r.env.PublishToken = func(context.Context, fastly.Service) (TokenAnswer, error) {
		return TokenAnswer{Login: fastly.Login{User: fastlytest.DefaultLogin, Password: config.NewSecret(fastlytest.DefaultPassword)}}, nil
	}
}

// bare is a service of somebody who has a backend, and nothing of ours.
func bare(r *rig) {
	r.must()
	r.change(func(a *fastlytest.Account, v *fastlytest.Version) {
		s := a.Services[0]
		s.Comment, s.Fanout, s.Versions = "theirs", false, []*fastlytest.Version{v}
		a.ConfigStores, a.SecretStores, a.KVStores, v.Links, v.Comment = nil, nil, nil, nil, ""
		v.Backends = v.Backends[:1]
		v.Backends[0].Fields["name"] = "origin"
	})
	if err := os.RemoveAll(r.env.Book.Dir); err != nil {
		r.t.Fatal(err)
	}
	r.kept = nil
	r.restart()
}

// killings are the setups that are killed at each request in turn.
func killings() map[string]killing {
	adopting := func(r *rig) { r.spec.ServiceID, r.spec.Adopt = r.fake.Snapshot().Services[0].ID, true }
	return map[string]killing{
		"login": {asked: login, check: (*rig).oneToken},
		"custom domain": {
			before: func(r *rig) {
				r.spec.Domain = "events.example.com"
				if err := r.fake.Preset("no-classic-domains"); err != nil {
					r.t.Fatal(err)
				}
			},
			check: func(r *rig) {
				r.whole()
				if a := r.fake.Snapshot(); len(a.CustomDomains) != 1 || a.CustomDomains[0].Name != "events.example.com" {
					r.t.Errorf("domains %+v", a.CustomDomains)
				}
			},
		},
		"adoption": {before: bare, asked: adopting, check: func(r *rig) {
			a := r.fake.Snapshot()
			if len(a.ConfigStores) != 1 || len(a.SecretStores) != 1 || len(a.KVStores) != 2 || len(a.Services[0].Versions) > 2 {
				r.t.Errorf("%d, %d, %d stores, %d versions", len(a.ConfigStores), len(a.SecretStores), len(a.KVStores), len(a.Services[0].Versions))
			}
			r.keyKept(a, r.active())
		}},
	}
}

// start is the killing before the first run.
func (s killing) start(t *testing.T) *rig {
	r := newRig(t)
	if s.before != nil {
		s.before(r)
	}
	s.again(r)
	return r
}

// again is a new process with the same command.
func (s killing) again(r *rig) {
	r.restart()
	if s.asked != nil {
		s.asked(r)
	}
}

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

// TestKilledTwice: every kind of setup, killed at any request, and the run after
// that killed too, is made whole by the third, and there is nothing twice.
func TestKilledTwice(t *testing.T) {
	for name, s := range killings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.start(t)
			r.must()
			s.check(r)
			for i, method := range r.http.calls {
				if method == http.MethodGet {
					continue
				}
				t.Run(fmt.Sprintf("%d %s", i+1, method), func(t *testing.T) {
					t.Parallel()
					r := s.start(t)
					r.die(i+1, true)
					s.again(r)
					r.die(8+i%17, true)
					s.again(r)
					r.must()
					s.check(r)
					s.again(r)
					if _, plan := r.must(); !plan.Empty() {
						t.Errorf("after it there is still to do: %v", plan.Lines())
					}
				})
			}
		})
	}
}

// TestTeardownOfWhatWasKilled: whatever a killed setup has made, a teardown removes
// it, and what was there before stays.
func TestTeardownOfWhatWasKilled(t *testing.T) {
	all := killings()
	all["plain"] = killing{}
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.start(t)
			before := things(r.fake.Snapshot())
			r.must()
			for i, method := range r.http.calls {
				if method == http.MethodGet {
					continue
				}
				t.Run(fmt.Sprintf("%d %s", i+1, method), func(t *testing.T) {
					t.Parallel()
					r := s.start(t)
					r.die(i+1, true)
					s.again(r)
					r.tearDown()
					if left := things(r.fake.Snapshot()); !slices.Equal(left, before) {
						t.Errorf("left: %v, before: %v\n%s", left, before, r.story())
					}
				})
			}
		})
	}
}

// tearDown removes what the ledgers say was made.
func (r *rig) tearDown() {
	r.t.Helper()
	all, err := r.env.Book.All()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range all {
		t, err := PlanTeardown(r.t.Context(), r.env.API, l, TeardownOptions{})
		if err != nil {
			r.t.Fatal(err)
		}
		if err := t.Apply(r.t.Context(), func(Removal) {}); err != nil {
			r.t.Fatal(err)
		}
	}
	if all, err = r.env.Book.All(); err != nil || len(all) > 0 {
		r.t.Errorf("%d ledgers are left, %v", len(all), err)
	}
}

// things names what there is in an account, as far as setup makes such things.
func things(a *fastlytest.Account) []string {
	all := []string{}
	for _, s := range a.Services {
		all = append(all, fmt.Sprintf("service %s, Fanout %t", s.Name, s.Fanout))
	}
	for _, s := range a.ConfigStores {
		all = append(all, "config store "+s.Name)
	}
	for _, s := range a.SecretStores {
		all = append(all, "secret store "+s.Name)
	}
	for _, s := range a.KVStores {
		all = append(all, "KV store "+s.Name)
	}
	for _, d := range a.CustomDomains {
		all = append(all, "domain "+d.Name)
	}
	for _, tok := range a.Tokens {
		if strings.HasPrefix(tok.Name, "pubsubctl") {
			all = append(all, "token "+tok.Name)
		}
	}
	return all
}
