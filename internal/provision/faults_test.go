package provision

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestS31LostAnswers: of every write in turn the answer is lost. The run, or the
// one after it, is whole, and there is nothing twice (30, 31, 36).
func TestS31LostAnswers(t *testing.T) {
	r := newRig(t)
	r.must()
	for i, write := range r.writes() {
		if strings.Contains(write, "/publish/") {
			continue // not setup's
		}
		for _, kind := range []fastlytest.Kind{fastlytest.AfterEffect, fastlytest.Reset, fastlytest.Truncate} {
			t.Run(fmt.Sprintf("%s %s", kind, write), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				if err := r.fake.Fault(fastlytest.Fault{Kind: kind, Match: fastlytest.Match{Method: "write", Nth: i + 1}}); err != nil {
					t.Fatal(err)
				}
				if _, _, err := r.setup(); err != nil {
					r.restart()
					r.must()
				}
				r.whole()
			})
		}
	}
}

// TestLostClone: a clone whose answer is lost is found, and a run that died behind
// it goes on with it.
func TestLostClone(t *testing.T) {
	r := done(t)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.AfterEffect, Match: fastlytest.Match{Path: "/clone"}}); err != nil {
		t.Fatal(err)
	}
	r.spec.Package = appPackage(t, "2")
	r.must()
	r.whole()
	if n := len(r.fake.Snapshot().Services[0].Versions); n != 2 {
		t.Errorf("%d versions", n)
	}
}

func TestS29BudgetIsSpent(t *testing.T) {
	r := newRig(t)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.RateLimit, Delay: 3 * time.Second, Match: fastlytest.Match{Method: "write", Nth: 4}}); err != nil {
		t.Fatal(err)
	}
	r.must()
	r.whole()
	r = newRig(t)
	if err := r.fake.Preset("429-until=40m"); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.setup()
	if reset, limited := fastly.RateLimited(err); !limited || time.Until(reset) < 30*time.Minute {
		t.Errorf("%v, until %v", err, reset)
	}
}

func TestS37PageInsteadOfAnAnswer(t *testing.T) {
	r := newRig(t)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.HTML503, Match: fastlytest.Match{Path: "/package$", Method: "PUT", Times: 2}}); err != nil {
		t.Fatal(err)
	}
	r.must()
	r.whole()
	if n := r.sent("PUT", "/package"); n != 3 {
		t.Errorf("%d uploads", n)
	}
	r = newRig(t)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.HTML503, Match: fastlytest.Match{Path: "/package$", Method: "PUT", Times: -1}}); err != nil {
		t.Fatal(err)
	}
	e := fails[*StepError](r)
	if e.Step != StepPackage || !e.Wrote || strings.Contains(e.Error(), "<") {
		t.Errorf("%v", e)
	}
}

// TestS32OrphanToken: a token whose making got no answer is revoked, and so is one
// that a run made and never stored.
func TestS32OrphanToken(t *testing.T) {
	login := fastly.Login{User: fastlytest.DefaultLogin, Password: config.NewSecret(fastlytest.DefaultPassword)}
	asked := func(r *rig) {
		r.spec.PublishToken = config.Secret{}
		r.env.PublishToken = func(context.Context, fastly.Service) (TokenAnswer, error) { return TokenAnswer{Login: login}, nil }
	}
	r := newRig(t)
	asked(r)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.AfterEffect, Match: fastlytest.Match{Path: "/automation-tokens", Method: "POST"}}); err != nil {
		t.Fatal(err)
	}
	r.must()
	r.oneToken()
	r = newRig(t)
	asked(r)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.Status, Status: 400, Match: fastlytest.Match{Path: "/secrets", Method: "PUT"}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.setup(); err == nil {
		t.Fatal("the secret was stored")
	}
	r.restart()
	asked(r)
	r.must()
	r.oneToken()
}

// oneToken fails the test unless setup has left exactly one token, which is the
// one that is stored.
func (r *rig) oneToken() {
	r.t.Helper()
	a := r.fake.Snapshot()
	var values []string
	for _, tok := range a.Tokens {
		if strings.HasPrefix(tok.Name, "pubsubctl publish-token") {
			values = append(values, tok.Value)
		}
	}
	if len(values) != 1 || values[0] != string(a.SecretStores[0].Secrets[0].Value) {
		r.t.Errorf("%d tokens\n%s", len(values), r.story())
	}
}

// TestS43NoSudo: an account with single sign-on lets nobody create tokens by the
// API; the run ends with what a person has to do, and goes on with a pasted token.
func TestS43NoSudo(t *testing.T) {
	r := newRig(t)
	given := r.spec.PublishToken
	r.spec.PublishToken = config.Secret{}
	e := fails[*NeedTokenError](r)
	if text := strings.Join(e.Steps(), "\n"); !strings.Contains(text, e.Service.ID) || !strings.Contains(text, "purge_select") {
		t.Errorf("%s", text)
	}
	if err := r.fake.Preset("sso-account"); err != nil {
		t.Fatal(err)
	}
	r.restart()
	tries := 0
	r.env.PublishToken = func(context.Context, fastly.Service) (TokenAnswer, error) {
		tries++
		return TokenAnswer{Login: fastly.Login{User: "u", Password: config.NewSecret("p")}}, nil
	}
	if _, _, err := r.setup(); err == nil || tries != 1 {
		t.Errorf("%v after %d questions", err, tries)
	}
	r.restart()
	r.env.PublishToken = func(context.Context, fastly.Service) (TokenAnswer, error) { return TokenAnswer{Token: given}, nil }
	r.must()
	r.whole()
}

// TestUserToken: who may not make an automation token makes one of their own.
func TestUserToken(t *testing.T) {
	r := newRig(t)
	if err := r.fake.Preset("no-superuser"); err != nil {
		t.Fatal(err)
	}
	r.spec.PublishToken = config.Secret{}
	r.env.PublishToken = func(context.Context, fastly.Service) (TokenAnswer, error) {
		return TokenAnswer{Login: fastly.Login{User: fastlytest.DefaultLogin, Password: config.NewSecret(fastlytest.DefaultPassword)}}, nil
	}
	r.must()
	r.oneToken()
	if len(r.warns) == 0 || !strings.Contains(r.warns[0], "superusers") {
		t.Errorf("%q", r.warns)
	}
}

// TestS39Interrupt: a run that is told to end says whether part is done, and
// leaves a ledger from which the next one goes on.
func TestS39Interrupt(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	plan, err := Prepare(ctx, r.env, r.spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.Slow, Delay: time.Hour, Match: fastlytest.Match{Path: "/package$", Method: "PUT"}}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for r.http.sent("PUT") < 3 { // Fanout, the comment, the package
			runtime.Gosched()
		}
		cancel(stop)
	}()
	_, err = Apply(ctx, r.env, r.spec, plan)
	e, ok := errors.AsType[*StepError](err)
	if !ok || !errors.Is(err, stop) || !e.Wrote || e.Step != StepPackage {
		t.Errorf("%v", err)
	}
	r.fake.ClearFaults()
	r.restart()
	r.must()
	r.whole()
}

// sent counts the requests with a method.
func (g *gate) sent(method string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, m := range g.calls {
		if m == method {
			n++
		}
	}
	return n
}

func TestS40BadPackages(t *testing.T) {
	good := map[string][]byte{"fastly.toml": []byte("name = \"Pub/Sub\"\nlanguage = \"rust\"\nmanifest_version = 3\n"), "bin/main.wasm": []byte("\x00asm")}
	for name, c := range map[string]struct {
		make func() []byte
		says string
	}{
		"no gzip": {func() []byte { return []byte("hello") }, "gzip"},
		"no wasm": {func() []byte {
			return packed(t, "p", map[string][]byte{"fastly.toml": good["fastly.toml"], "bin/main.wasm": []byte("#!/bin/sh")})
		}, "WebAssembly"},
		"bad toml": {func() []byte {
			return packed(t, "p", map[string][]byte{"fastly.toml": []byte("name"), "bin/main.wasm": good["bin/main.wasm"]})
		}, "TOML"},
		"no name": {func() []byte {
			return packed(t, "p", map[string][]byte{"fastly.toml": []byte("language = \"rust\""), "bin/main.wasm": good["bin/main.wasm"]})
		}, "lacks name"},
		"path escape": {func() []byte { return packed(t, "p/../..", good) }, "path"},
		"cut off":     {func() []byte { b := packed(t, "p", good); return b[:len(b)/2] }, "tar"},
		"too large":   {func() []byte { return make([]byte, maxArchive+1) }, "100 MB"},
	} {
		if _, err := ReadArchive(c.make()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func packed(t *testing.T, top string, files map[string][]byte) []byte {
	t.Helper()
	b, err := pack(top, files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConfigItems: a switch that is neither true nor false is removed, one that is
// asked for is set, and another's is left.
func TestConfigItems(t *testing.T) {
	r := done(t)
	r.change(func(a *fastlytest.Account, _ *fastlytest.Version) {
		a.ConfigStores[0].Items = []*fastlytest.ConfigItem{{Key: "sse", Value: "True"}, {Key: "other", Value: "x"}, {Key: "admin", Value: "false"}}
	})
	r.spec.Only, r.spec.ConfigItems = StepConfigStore, map[string]bool{"http-publish": true}
	_, plan := r.must()
	var items []string
	for _, i := range r.fake.Snapshot().ConfigStores[0].Items {
		items = append(items, i.Key+"="+i.Value)
	}
	slices.Sort(items)
	if fmt.Sprint(items) != "[admin=false http-publish=true other=x]" || len(plan.Actions) != 2 {
		t.Errorf("%v\n%v", items, plan.Lines())
	}
}

// TestOnly: one step of a service that is otherwise as it should be, with what that
// makes necessary and nothing else.
func TestOnly(t *testing.T) {
	r := done(t)
	r.spec.Only = StepBackendSelf
	r.change(func(_ *fastlytest.Account, v *fastlytest.Version) {
		v.Backend("self").Fields["address"] = "www.example.com"
		v.Backend("api").Fields["address"] = "www.example.com"
	})
	_, plan := r.must()
	if v := r.active(); v.Number != 2 || v.Backend("self").Text("address") == "www.example.com" || v.Backend("api").Text("address") != "www.example.com" {
		t.Errorf("%v", plan.Lines())
	}
	r.restart()
	r.change(func(a *fastlytest.Account, _ *fastlytest.Version) { a.SecretStores = nil })
	r.spec.Only = StepSecretStore
	_, plan = r.must()
	if !plan.Has(StepPublishToken) || !plan.Has(StepActivate) || plan.Has(StepBackendAPI) {
		t.Errorf("a new secret store: %v", plan.Lines())
	}
	r.restart()
	r.change(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Active = false })
	r.spec.Only = StepActivate
	if _, plan = r.must(); len(plan.Actions) != 1 || r.active().Number != 3 {
		t.Errorf("deactivated: %v", plan.Lines())
	}
}

// TestAdopt: a service that somebody made by hand is used with what it has, and
// what it had is noted as not ours.
func TestAdopt(t *testing.T) {
	r := done(t)
	if err := os.RemoveAll(r.env.Book.Dir); err != nil {
		t.Fatal(err)
	}
	r.change(func(a *fastlytest.Account, v *fastlytest.Version) {
		a.Services[0].Comment = ""
		v.Link("keys").Name = "keyring"
	})
	fails[*ClashError](r)
	r.spec.ServiceID, r.spec.Adopt = r.fake.Snapshot().Services[0].ID, true
	_, plan := r.must()
	if !plan.Has(StepService) || !plan.Has(StepKVKeys) || !plan.Has(StepSigningKey) || plan.Has(StepFanout) {
		t.Errorf("%v", plan.Lines())
	}
	led, err := r.env.Book.Of(r.spec.ServiceID)
	if err != nil || len(led.Adopted) < 4 {
		t.Errorf("%+v, %v", led, err)
	}
	for _, o := range led.Created {
		if o.Kind != ObjectKey {
			t.Errorf("%+v counts as made here", o)
		}
	}
	if a := r.fake.Snapshot(); len(a.KVStores) != 2 || len(a.KVStore(r.active().Link("keys").StoreID).Items) != 2 {
		t.Errorf("the keys' store is not the one that was linked as keyring")
	}
	r.spec.Adopt = false
	r.restart()
	if _, plan := r.must(); !plan.Empty() {
		t.Errorf("then: %v", plan.Lines())
	}
}

// TestKeyWithoutAdmin: where the app makes no keys, setup puts one into the store.
func TestKeyWithoutAdmin(t *testing.T) {
	r := done(t)
	r.change(func(a *fastlytest.Account, v *fastlytest.Version) {
		a.ConfigStores[0].Items = []*fastlytest.ConfigItem{{Key: "admin", Value: "false"}}
		clear(a.KVStore(v.Link("keys").StoreID).Items)
	})
	r.spec.Only = StepSigningKey
	r.must()
	r.whole()
}

func TestTwoAtOnce(t *testing.T) {
	r := newRig(t)
	unlock, err := r.env.Book.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if e := fails[*BusyError](r); e.PID != os.Getpid() {
		t.Errorf("%v", e)
	}
	unlock()
	r.must()
}

func TestNoPlaceForTheLedger(t *testing.T) {
	r := newRig(t)
	plan, err := Prepare(t.Context(), r.env, r.spec)
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.env.Book.Dir = file + "/state"
	if _, err := Apply(t.Context(), r.env, r.spec, plan); err == nil || len(r.writes()) > 0 {
		t.Errorf("%v\n%s", err, r.story())
	}
}

func TestDamagedLedger(t *testing.T) {
	r := done(t)
	names, _ := os.ReadDir(r.env.Book.Dir)
	for _, n := range names {
		if err := os.WriteFile(r.env.Book.Dir+"/"+n.Name(), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails[*LedgerError](r)
	if len(r.writes()) > 0 {
		t.Errorf("%s", r.story())
	}
}

// TestS49NoSecretInTheLedger, and S51: only its owner reads it.
func TestS49NoSecretInTheLedger(t *testing.T) {
	r := newRig(t)
	report, plan := r.must()
	for _, text := range []string{r.ledgerText(), asJSON(t, report), asJSON(t, plan), strings.Join(plan.Lines(), "\n"), strings.Join(r.warns, "\n")} {
		for _, secret := range []string{plantedToken, r.kept[0].Value.Reveal()} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in\n%s", text)
			}
		}
	}
	if runtime.GOOS == "windows" {
		return // modes say nothing there
	}
	dir, err := os.Stat(r.env.Book.Dir)
	if err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", dir.Mode(), err)
	}
	names, _ := os.ReadDir(r.env.Book.Dir)
	for _, n := range names {
		if info, err := n.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", n.Name(), info.Mode(), err)
		}
	}
}

// TestAppDoesNotAnswer: after all is done the app has to be there; the next run
// goes on from that.
func TestAppDoesNotAnswer(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	r.env.Clock = fastly.Clock{Now: func() time.Time { return now }, Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }}
	url := r.spec.AppURL
	r.env.Look.HTTP = roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("cut") })
	e := fails[*NotReadyError](r)
	if e.URL != url || e.Why != "cut" {
		t.Errorf("%v", e)
	}
	r.restart()
	r.must()
	r.whole()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestLostSecret: a key to encrypt with is good for one secret, so a secret whose
// answer was lost is sent again under another key, in the same run.
func TestLostSecret(t *testing.T) {
	for _, kind := range []fastlytest.Kind{fastlytest.AfterEffect, fastlytest.Truncate, fastlytest.Reset} {
		r := newRig(t)
		if err := r.fake.Fault(fastlytest.Fault{Kind: kind, Match: fastlytest.Match{Method: "PUT", Path: "/secrets$"}}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.setup(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestUnansweredDomains: not to know the domains is not to have none, or a domain
// that is there would be made again.
func TestUnansweredDomains(t *testing.T) {
	r := done(t)
	f := fastlytest.Fault{Kind: fastlytest.Status, Status: 500, Match: fastlytest.Match{Method: "GET", Path: "^/domain-management/v1/domains$", Times: -1}}
	if err := r.fake.Fault(f); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.setup(); err == nil {
		t.Error("a plan was made without knowing the domains")
	}
}
