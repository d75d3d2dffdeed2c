package provision

import (
	"context"
	"errors"
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
				if method == http.MethodGet || i%2 == 1 { // every second one, to bound the time
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
	for name, s := range killings() {
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

// removeAll removes what the ledgers say was made.
func (r *rig) removeAll() error {
	all, err := r.env.Book.All()
	if err != nil {
		return err
	}
	for _, l := range all {
		t, err := PlanTeardown(r.t.Context(), r.env.API, l, TeardownOptions{})
		if err != nil {
			return err
		}
		if err := t.Apply(r.t.Context(), func(Removal) {}); err != nil {
			return err
		}
	}
	return nil
}

// tearDown is removeAll, after which no ledger may be left.
func (r *rig) tearDown() {
	r.t.Helper()
	if err := r.removeAll(); err != nil {
		r.t.Fatal(err)
	}
	if all, err := r.env.Book.All(); err != nil || len(all) > 0 {
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

// TestOneStepAfterAKill: a run of a single step between a killed run and the next
// one does not lose what the killed one made.
func TestOneStepAfterAKill(t *testing.T) {
	r := newRig(t)
	r.must()
	for i, method := range r.http.calls {
		if method == http.MethodGet {
			continue
		}
		t.Run(fmt.Sprintf("%d %s", i+1, method), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.die(i+1, true)
			r.restart()
			r.spec.Only = []Step{StepKVKeys, StepConfigStore, StepSecretStore}[i%3]
			_, _, _ = r.setup() // may have too little to work with
			r.restart()
			r.spec.Only = ""
			r.must()
			r.whole()
		})
	}
}

// TestKilledTeardown: a teardown that is killed anywhere is ended by the next one.
func TestKilledTeardown(t *testing.T) {
	for name, s := range killings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.start(t)
			before := things(r.fake.Snapshot())
			r.must()
			r.restart()
			r.tearDown()
			for i, method := range r.http.calls {
				if method == http.MethodGet {
					continue
				}
				t.Run(fmt.Sprintf("%d %s", i+1, method), func(t *testing.T) {
					t.Parallel()
					r := s.start(t)
					r.must()
					r.restart()
					r.http.at, r.http.after = i+1, true
					ended := make(chan struct{})
					go func() { // ends itself, as the process would
						defer close(ended)
						_ = r.removeAll()
					}()
					<-ended
					r.restart()
					r.tearDown()
					if left := things(r.fake.Snapshot()); !slices.Equal(left, before) {
						t.Errorf("left: %v, before: %v\n%s", left, before, r.story())
					}
				})
			}
		})
	}
}

// TestInterruptedAnywhere: a run that is told to end, at a request, says so, says
// if anything was changed, and leaves what the next one needs.
func TestInterruptedAnywhere(t *testing.T) {
	r := newRig(t)
	r.must()
	for i, method := range r.http.calls {
		if method == http.MethodGet && i%3 > 0 {
			continue // one read is like another
		}
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			plan, err := Prepare(t.Context(), r.env, r.spec)
			if err != nil {
				t.Fatal(err)
			}
			stop := errors.New("interrupted")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			r.http.on(len(r.http.calls)+i+1, func() { cancel(stop) })
			_, err = Apply(ctx, r.env, r.spec, plan)
			if err == nil {
				return // it was over by then
			}
			e, ok := errors.AsType[*StepError](err)
			if !ok || !errors.Is(err, stop) || !e.Wrote && len(r.writes()) > 0 {
				t.Errorf("%v; %d writes", err, len(r.writes()))
			}
			r.restart()
			r.must()
			r.whole()
		})
	}
}
