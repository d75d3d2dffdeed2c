package provision

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// shown are the Fastly-Keys that the app was shown.
func (r *rig) shown(answer http.RoundTripper) *[]string {
	var keys []string
	r.env.Look.HTTP = roundTripper(func(q *http.Request) (*http.Response, error) {
		if k := q.Header.Get("Fastly-Key"); k != "" {
			keys = append(keys, q.URL.Host+" "+k)
		}
		return answer.RoundTrip(q)
	})
	return &keys
}

// TestOperatorTokenOfTheRealPlatform: the token of an account at Fastly is not shown
// to whatever answers on this machine; that of a rehearsal may be.
func TestOperatorTokenOfTheRealPlatform(t *testing.T) {
	r := done(t)
	r.change(func(a *fastlytest.Account, v *fastlytest.Version) { clear(a.KVStore(v.Link("keys").StoreID).Items) })
	r.spec.Only = StepSigningKey
	r.env.Endpoint = "https://api.fastly.com"
	keys := r.shown(r.http)
	if _, _, err := r.setup(); !errors.Is(err, ErrAdminRefused) || len(*keys) > 0 {
		t.Errorf("%v; shown: %v", err, *keys)
	}
	r.restart()
	r.must()
}

// TestNoTokenInTheClear: no credential travels to another machine without TLS.
func TestNoTokenInTheClear(t *testing.T) {
	r := newRig(t)
	relay := strings.TrimPrefix(r.spec.AppURL, "http://")
	r.spec.AppURL = "http://app.example.com"
	r.env.Clock = fastly.Clock{Sleep: func(context.Context, time.Duration) error { return nil }}
	keys := r.shown(roundTripper(func(q *http.Request) (*http.Response, error) {
		q = q.Clone(q.Context())
		q.URL.Host = relay
		return r.http.RoundTrip(q)
	}))
	if _, _, err := r.setup(); !errors.Is(err, ErrPlainURL) || len(*keys) > 0 {
		t.Errorf("%v; shown: %v", err, *keys)
	}
}

// clone is what somebody else makes of the active version.
func (r *rig) clone(edit func(v *fastlytest.Version)) {
	r.fake.Change(func(a *fastlytest.Account) {
		s := a.Services[0]
		v := *s.Active()
		v.Number, v.Active, v.Locked = len(s.Versions)+1, false, false
		v.Backends, v.Links, v.Domains = slices.Clone(v.Backends), slices.Clone(v.Links), slices.Clone(v.Domains)
		edit(&v)
		s.Versions = append(s.Versions, &v)
	})
}

// addOrigin is an edit that somebody else makes.
func addOrigin(v *fastlytest.Version) {
	b := *v.Backends[0]
	b.Fields = map[string]any{}
	for k, value := range v.Backends[0].Fields {
		b.Fields[k] = value
	}
	b.Fields["name"] = "origin"
	v.Backends = append(v.Backends, &b)
}

// TestS35CloneOfOurVersion: a draft of somebody else's has our comment if it is a
// clone of our version. It is not ours for that: it stays out, and is spoken of.
func TestS35CloneOfOurVersion(t *testing.T) {
	r := done(t)
	r.clone(addOrigin)
	r.spec.Package = appPackage(t, "2")
	_, plan := r.must()
	if v := r.active(); v.Number != 3 || v.Backend("origin") != nil {
		t.Errorf("version %d is active, with %d backends", v.Number, len(v.Backends))
	}
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "version 2") {
		t.Errorf("%q", plan.Warnings)
	}
}

// TestCloneThatIsNotTheLostOne: after a run that died before it could clone, a
// version that somebody has made and changed meanwhile is not taken for the clone.
func TestCloneThatIsNotTheLostOne(t *testing.T) {
	r := done(t)
	r.spec.Package = appPackage(t, "2")
	n := 0
	for i, method := range r.calls(t) {
		if method == http.MethodPut {
			n = i + 1
			break
		}
	}
	r.die(n, false)
	led, err := r.env.Book.Of(r.fake.Snapshot().Services[0].ID)
	if err != nil || !led.intends(ObjectVersion, "clone of version 1") {
		t.Fatalf("%+v, %v", led, err)
	}
	r.clone(addOrigin)
	r.restart()
	r.must()
	if v := r.active(); v.Number != 3 || v.Backend("origin") != nil {
		t.Errorf("version %d is active, with %d backends", v.Number, len(v.Backends))
	}
}

// calls are the methods of the requests that the same setup takes elsewhere.
func (r *rig) calls(t *testing.T) []string {
	other := done(t)
	other.spec.Package = r.spec.Package
	other.must()
	return other.http.calls
}

// TestDomainThatWasThere: a domain of the versionless API that the service turns out
// to have is used, and stays when all else is removed.
func TestDomainThatWasThere(t *testing.T) {
	r := done(t)
	if err := r.fake.Preset("no-classic-domains"); err != nil {
		t.Fatal(err)
	}
	r.spec.Domain = "events.example.com"
	plan, err := Prepare(t.Context(), r.env, r.spec)
	if err != nil {
		t.Fatal(err)
	}
	r.fake.Change(func(a *fastlytest.Account) {
		a.CustomDomains = append(a.CustomDomains, &fastlytest.CustomDomain{ID: "theirs", Name: r.spec.Domain, ServiceID: a.Services[0].ID})
	})
	if _, err := Apply(t.Context(), r.env, r.spec, plan); err != nil {
		t.Fatal(err)
	}
	r.tearDown()
	if left := things(r.fake.Snapshot()); !slices.Equal(left, []string{"domain events.example.com"}) {
		t.Errorf("left: %v", left)
	}
}

// TestDomainsCannotBeRead: not to know a service's domains is not to have none.
func TestDomainsCannotBeRead(t *testing.T) {
	r := done(t)
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.HTML503, Match: fastlytest.Match{Path: "domain-management", Method: "GET", Times: -1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(t.Context(), r.env, r.spec); err == nil {
		t.Error("there is a plan")
	}
}

// TestOnlySelfOfNoDomain: a backend is not made to lead to a name that the service
// does not have.
func TestOnlySelfOfNoDomain(t *testing.T) {
	r := done(t)
	r.spec.Only, r.spec.Domain = StepBackendSelf, "another.edgecompute.app"
	_, plan := r.must()
	if v := r.active(); v.Domain("another.edgecompute.app") == nil || v.Backend("self").Text("address") != "another.edgecompute.app" {
		t.Errorf("%v", plan.Lines())
	}
}

// TestAdoptedNameInTheLedger: the ledger of an adopted service has the service's
// name, whichever step was taken of it, and not that of a service still to be made.
func TestAdoptedNameInTheLedger(t *testing.T) {
	r := newRig(t)
	bare(r)
	id := r.fake.Snapshot().Services[0].ID
	r.spec.ServiceID, r.spec.Adopt, r.spec.Only, r.spec.Name = id, true, StepConfigStore, "other"
	r.must()
	if led, err := r.env.Book.Of(id); err != nil || led == nil || led.ServiceName != "chat" {
		t.Errorf("%+v, %v", led, err)
	}
}

// TestLedgerFromBeforeTheID: of two ledgers of one installation the one that knows
// the service's id counts.
func TestLedgerFromBeforeTheID(t *testing.T) {
	r := done(t)
	all, err := r.env.Book.All()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	old := &Ledger{Schema: schema, Install: all[0].Install, ServiceName: "chat", Prefix: all[0].Prefix, book: r.env.Book}
	if err := old.save(); err != nil {
		t.Fatal(err)
	}
	if all, err = r.env.Book.All(); err != nil || len(all) != 1 || all[0].ServiceID == "" {
		t.Errorf("%d ledgers, %v", len(all), err)
	}
	if names, _ := filepath.Glob(filepath.Join(r.env.Book.Dir, "new-*")); len(names) != 1 {
		t.Errorf("%v", names)
	}
}

// TestServiceOfAKilledRunByItsID: whoever looks the service up and names its id goes
// on with the ledger of the run that never heard of it.
func TestServiceOfAKilledRunByItsID(t *testing.T) {
	r := newRig(t)
	r.die(slices.Index(r.firstCalls(t), http.MethodPost)+1, true)
	r.restart()
	r.spec.ServiceID = r.fake.Snapshot().Services[0].ID
	r.must()
	r.whole()
	if all, err := r.env.Book.All(); err != nil || len(all) != 1 {
		t.Errorf("%d ledgers, %v", len(all), err)
	}
}

// firstCalls are the methods of the requests of a setup of an empty account.
func (r *rig) firstCalls(t *testing.T) []string {
	other := newRig(t)
	other.must()
	return other.http.calls
}

// TestTeardownOfAnEditedService: a service whose comment somebody has changed stays,
// and does not keep links to stores that go.
func TestTeardownOfAnEditedService(t *testing.T) {
	r := done(t)
	r.change(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Comment = "mine" })
	led, err := r.env.Book.Of(r.fake.Snapshot().Services[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := PlanTeardown(t.Context(), r.env.API, led, TeardownOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), func(Removal) {}); err != nil {
		t.Fatal(err)
	}
	if v := r.active(); len(v.Links) > 0 {
		t.Errorf("links %v", v.Links)
	}
}

// TestLostKeyCountsAsWritten: a request for a key that got no answer may have made
// one, so part is done.
func TestLostKeyCountsAsWritten(t *testing.T) {
	r := done(t)
	r.change(func(a *fastlytest.Account, v *fastlytest.Version) { clear(a.KVStore(v.Link("keys").StoreID).Items) })
	r.spec.Only = StepSigningKey
	r.env.Look.HTTP = roundTripper(func(q *http.Request) (*http.Response, error) {
		if q.URL.Path == "/admin/keys" {
			return nil, errors.New("cut")
		}
		return r.http.RoundTrip(q)
	})
	if e := fails[*StepError](r); !e.Wrote {
		t.Errorf("%v", e)
	}
}

// TestTokenGivenAfterLogin: a token that a run has created and never stored is ended
// when another one is given instead; one of that name that it has not made is not.
func TestTokenGivenAfterLogin(t *testing.T) {
	r := newRig(t)
	given := r.spec.PublishToken
	if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.Status, Status: 400, Match: fastlytest.Match{Path: "/secrets", Method: "PUT"}}); err != nil {
		t.Fatal(err)
	}
	login(r)
	fails[*StepError](r)
	id := r.fake.Snapshot().Services[0].ID
	r.fake.AddToken(fastlytest.Token{ID: "elsewhere", Name: tokenName(id), Value: "elsewhere", Scope: "purge_select"})
	r.restart()
	r.spec.PublishToken = given
	r.must()
	var ids []string
	for _, tok := range r.fake.Snapshot().Tokens {
		if tok.Name == tokenName(id) {
			ids = append(ids, tok.ID)
		}
	}
	if !slices.Equal(ids, []string{"elsewhere"}) {
		t.Errorf("tokens %v\n%s", ids, r.story())
	}
}

// TestPlanKeepsItsWord: in each of these a plan says how many writes it takes, and
// it takes so many.
func TestPlanKeepsItsWord(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"empty account": func(r *rig) {
			if err := os.RemoveAll(r.env.Book.Dir); err != nil {
				t.Fatal(err)
			}
			r.spec.Name = "second"
		},
		"package": func(r *rig) { r.spec.Package = appPackage(t, "2") },
		"token": func(r *rig) {
			r.fake.AddToken(fastlytest.Token{ID: "p2", Value: "another", Scope: "purge_select", Automation: true})
			r.spec.PublishToken = config.NewSecret("another")
		},
		"link": func(r *rig) {
			r.change(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Links = v.Links[1:] })
		},
		"wrong link": func(r *rig) {
			r.change(func(a *fastlytest.Account, v *fastlytest.Version) {
				v.Link("messages").StoreID = a.ConfigStores[0].ID
			})
		},
		"backends": func(r *rig) {
			r.change(func(_ *fastlytest.Account, v *fastlytest.Version) {
				v.Backend("self").Fields["shield"] = "iad-va-us"
				v.Backend("api").Fields["port"] = 80
			})
		},
		"deactivated": func(r *rig) { r.change(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Active = false }) },
		"domain":      func(r *rig) { r.spec.Domain = "another.edgecompute.app" },
		"items":       func(r *rig) { r.spec.ConfigItems = map[string]bool{"sse": false, "http-publish": true} },
	} {
		t.Run(name, func(t *testing.T) {
			r := done(t)
			prepare(r)
			_, plan := r.must()
			took := slices.DeleteFunc(r.writes(), func(s string) bool { return strings.Contains(s, "/publish/") })
			want := plan.Writes()
			if plan.Has(StepSigningKey) {
				want-- // asked of the app, not of the platform
			}
			if len(took) != want {
				t.Errorf("%d writes, planned %d:\n%s\n%s", len(took), want, strings.Join(plan.Lines(), "\n"), strings.Join(took, "\n"))
			}
		})
	}
}

// TestDeactivatedBesideADraft: the version that somebody took out of effect is put
// back, or cloned; not a draft of somebody else that is newer.
func TestDeactivatedBesideADraft(t *testing.T) {
	for _, what := range []string{"1", "2"} {
		r := done(t)
		r.clone(addOrigin)
		r.change(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Active = false })
		r.spec.Package = appPackage(t, what)
		_, plan := r.must()
		if v := r.active(); v.Number == 2 || v.Backend("origin") != nil {
			t.Errorf("package %s: version %d is active: %v", what, v.Number, plan.Lines())
		}
		if len(plan.Warnings) != 1 {
			t.Errorf("package %s: %q", what, plan.Warnings)
		}
		r.restart()
		if _, plan := r.must(); !plan.Empty() {
			t.Errorf("then: %v", plan.Lines())
		}
	}
}

// TestConfigStoreUnderAnotherName: what is in a store that only lacks its link counts
// from the first run on, and a plan says that the store is used, not made.
func TestConfigStoreUnderAnotherName(t *testing.T) {
	r := done(t)
	if err := os.RemoveAll(r.env.Book.Dir); err != nil {
		t.Fatal(err)
	}
	r.change(func(a *fastlytest.Account, v *fastlytest.Version) {
		v.Link("config").Name = "settings"
		a.ConfigStores[0].Items = []*fastlytest.ConfigItem{{Key: "sse", Value: "True"}}
	})
	r.spec.ServiceID, r.spec.Adopt = r.fake.Snapshot().Services[0].ID, true
	_, plan := r.must()
	for _, a := range plan.Actions {
		if a.Step == StepConfigStore && a.Object != "item sse" && a.Verb != Adopt {
			t.Errorf("%s", a.Text())
		}
	}
	r.restart()
	if _, plan := r.must(); !plan.Empty() {
		t.Errorf("then: %v", plan.Lines())
	}
}

// TestDraftOfAnEarlierRunCountsAsWritten: a run that changes nothing itself says
// that part is done if the one before it left a draft.
func TestDraftOfAnEarlierRunCountsAsWritten(t *testing.T) {
	r := done(t)
	r.spec.Package = appPackage(t, "2")
	refuse := func() *StepError {
		if err := r.fake.Fault(fastlytest.Fault{Kind: fastlytest.Status, Status: 400, Match: fastlytest.Match{Path: "/package$", Method: "PUT"}}); err != nil {
			t.Fatal(err)
		}
		return fails[*StepError](r)
	}
	if e := refuse(); !e.Wrote {
		t.Errorf("the first run: %v", e)
	}
	r.restart()
	r.fake.ForgetRequests()
	if e := refuse(); !e.Wrote || len(r.writes()) != 1 {
		t.Errorf("the second run: %v\n%s", e, r.story())
	}
}

// TestNoMessages: a service that was set up without retained messages stays so, and
// is not at fault for it, until they are asked for.
func TestNoMessages(t *testing.T) {
	r := newRig(t)
	r.spec.Messages = false
	r.must()
	r.restart()
	r.spec.Messages = true
	if _, plan := r.must(); !plan.Empty() {
		t.Errorf("the next run: %v", plan.Lines())
	}
	verdict := func() Status {
		t.Helper()
		led, err := r.env.Book.named("chat")
		if err != nil {
			t.Fatal(err)
		}
		p := Inspect(t.Context(), r.env.API, Inspection{Service: led.ServiceID, Ledger: led})
		return judgeLink(p, "kv-messages", LinkMessages, fastly.KVStore).Status
	}
	if v := verdict(); v != StatusSkip {
		t.Errorf("without the store: %s", v)
	}
	r.restart()
	r.spec.Only = StepKVMessages
	r.must()
	if v := verdict(); v != StatusOK {
		t.Errorf("with it: %s", v)
	}
	r.whole()
	r.change(func(_ *fastlytest.Account, v *fastlytest.Version) { v.Link(LinkMessages).Name = "x" })
	if v := verdict(); v != StatusFail {
		t.Errorf("once it is lost: %s", v)
	}
}
