package provision

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// done is a rig after one whole run, with the requests forgotten.
func done(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.must()
	r.fake.ForgetRequests()
	r.restart()
	return r
}

// change lets f change the active version of the service.
func (r *rig) change(f func(a *fastlytest.Account, v *fastlytest.Version)) {
	r.fake.Change(func(a *fastlytest.Account) { f(a, a.Services[0].Active()) })
}

// fails runs setup, which has to end with an error of this type.
func fails[E error](r *rig) (found E) {
	r.t.Helper()
	_, _, err := r.setup()
	found, ok := errors.AsType[E](err)
	if !ok {
		r.t.Fatalf("%T: %v; want %T\n%s", err, err, found, r.story())
	}
	return found
}

func TestS6SelfAndS7API(t *testing.T) {
	r := done(t)
	v := r.active()
	domain := v.Domains[0].Name
	for name, host := range map[string]string{"self": domain, "api": "api.fastly.com"} {
		b := v.Backend(name)
		for _, member := range []string{"address", "override_host", "ssl_sni_hostname", "ssl_cert_hostname"} {
			if b.Text(member) != host {
				t.Errorf("%s of %s is %q, want %q", member, name, b.Text(member), host)
			}
		}
		if b.Fields["use_ssl"] != true || b.Fields["ssl_check_cert"] != true || b.Text("shield") != "" || asJSON(t, b.Fields["port"]) != "443" {
			t.Errorf("%s is %v", name, b.Fields)
		}
	}
}

func TestS8VersionOneIsEdited(t *testing.T) {
	r := newRig(t)
	r.must()
	if r.sent("PUT", "/clone") > 0 || r.active().Number != 1 || r.fake.Snapshot().Services[0].Type != fastlytest.Wasm {
		t.Errorf("%s", r.story())
	}
	if c := r.active().Comment; !isMarked(fastly.Version{Number: 1, Comment: c}) || !strings.HasSuffix(c, " v=1") { // S13
		t.Errorf("comment %q", c)
	}
}

func TestS9OneCloneOneActivation(t *testing.T) {
	r := done(t)
	r.spec.Package = appPackage(t, "2")
	r.must()
	r.whole()
	v := r.active()
	if r.sent("PUT", "/clone") != 1 || r.sent("PUT", "/activate") != 1 || r.sent("PUT", "/package") != 1 || v.Number != 2 {
		t.Errorf("%s", r.story())
	}
	if !strings.HasSuffix(v.Comment, " v=2") {
		t.Errorf("comment %q", v.Comment)
	}
}

func TestS10SecretNeedsNoVersion(t *testing.T) {
	r := done(t)
	r.fake.AddToken(fastlytest.Token{ID: "p2", Value: "another", Scope: "purge_select", Automation: true})
	r.spec.PublishToken = config.NewSecret("another")
	r.must()
	if len(r.fake.Snapshot().Services[0].Versions) != 1 || r.sent("PUT", "/secrets") != 1 {
		t.Errorf("%s", r.story())
	}
}

func TestS11OnlyALinkIsMissing(t *testing.T) {
	r := done(t)
	r.change(func(_ *fastlytest.Account, v *fastlytest.Version) {
		v.Links = slices.DeleteFunc(v.Links, func(l *fastlytest.Link) bool { return l.Name == "messages" })
	})
	r.must()
	r.whole()
	if r.sent("PUT", "/clone") != 1 || r.sent("POST", "/resource") != 1 || r.sent("PUT", "/activate") != 1 || r.sent("POST", "/stores/kv") != 0 {
		t.Errorf("%s", r.story())
	}
}

func TestS12FanoutComesFirst(t *testing.T) {
	r := newRig(t)
	r.must()
	all := r.writes()
	fanout := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, "/fanout/") })
	for _, s := range all[:fanout] {
		if s != "POST /service" {
			t.Errorf("%s comes before Fanout", s)
		}
	}
}

func TestS14PackageIsComparedByItsFiles(t *testing.T) {
	r := done(t)
	r.spec.Package = appPackage(t, "1")
	if _, plan := r.must(); !plan.Empty() {
		t.Errorf("the same files: %v", plan.Lines())
	}
	r.spec.Package = appPackage(t, "1.")
	if _, plan := r.must(); !plan.Has(StepPackage) {
		t.Errorf("other files: %v", plan.Lines())
	}
}

func TestS16PlanWritesNothing(t *testing.T) {
	r := newRig(t)
	plan, err := Prepare(t.Context(), r.env, r.spec)
	if err != nil || plan.Empty() || len(r.writes()) > 0 || r.ledgerText() != "" {
		t.Errorf("%v, %v\n%s", plan, err, r.story())
	}
}

func TestS19NoEntitlement(t *testing.T) {
	r := newRig(t)
	if err := r.fake.Preset("no-entitlement"); err != nil {
		t.Fatal(err)
	}
	e := fails[*EntitlementError](r)
	if !strings.Contains(e.Error(), fastlyWords(e)) || fastlyWords(e) == "" {
		t.Errorf("the platform's words %q are not in %q", fastlyWords(e), e)
	}
	if n := len(r.writes()); n != 2 {
		t.Errorf("%d writes:\n%s", n, r.story())
	}
	r.fake.ClearFaults()
	r.restart()
	r.must()
	r.whole()
}

func fastlyWords(err error) string {
	if refused, ok := errors.AsType[*fastly.APIError](err); ok {
		return refused.Text()
	}
	return ""
}

func TestS20FanoutThatIsOnStaysAsItIs(t *testing.T) {
	r := newRig(t)
	r.die(6, true)
	r.fake.Change(func(a *fastlytest.Account) { a.Services[0].Fanout = true })
	r.fake.ForgetRequests()
	r.restart()
	r.must() // S21: GET said 400 before, which is no failure
	if r.sent("PUT", "/fanout/") != 0 {
		t.Errorf("%s", r.story())
	}
}

func TestS22TokensThatCannot(t *testing.T) {
	for name, c := range map[string]struct {
		token fastlytest.Token
		says  string
	}{
		"S22 read only":  {fastlytest.Token{Value: "x", Scope: "global:read"}, "global:read"},
		"S23 limited":    {fastlytest.Token{Value: "x", Services: []string{"other"}}, "limited"},
		"a billing user": {fastlytest.Token{Value: "x", Role: "billing"}, "billing"},
		"expires soon":   {fastlytest.Token{Value: "x", Expires: time.Now().Add(time.Minute)}, "expires"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fake.AddToken(c.token)
			r.env.API, _ = r.api(config.NewSecret("x"))
			if e := fails[*TokenError](r); !e.Operator || !strings.Contains(e.Error(), c.says) || len(r.writes()) > 0 {
				t.Errorf("%v\n%s", e, r.story())
			}
		})
	}
}

func TestS24ExpiredIsNotUnknown(t *testing.T) {
	r := newRig(t)
	r.fake.AddToken(fastlytest.Token{Value: "old", Expires: time.Now().Add(-time.Hour)})
	r.env.API, _ = r.api(config.NewSecret("old"))
	if _, _, err := r.setup(); !fastly.Expired(err) {
		t.Errorf("expired: %v", err)
	}
	r.env.API, _ = r.api(config.NewSecret("nobody's"))
	if _, _, err := r.setup(); !fastly.Unauthorized(err) {
		t.Errorf("unknown: %v", err)
	}
}

func TestS25OtherServicesAreLeftAlone(t *testing.T) {
	r := newRig(t)
	r.fake.Change(func(a *fastlytest.Account) {
		a.Services = append(a.Services, &fastlytest.Service{ID: "v", Name: "chat", Type: fastlytest.VCL, Versions: []*fastlytest.Version{{Number: 1}}})
	})
	if e := fails[*ClashError](r); e.ID != "v" || e.Name != "chat" {
		t.Errorf("%+v", e)
	}
	r.spec.ServiceID = "v"
	fails[*ClashError](r)
	r.spec.Adopt = true
	fails[*KindError](r)
	if len(r.writes()) > 0 || r.ledgerText() != "" {
		t.Errorf("%s%s", r.story(), r.ledgerText())
	}
}

func TestS26MadeUpNameIsTaken(t *testing.T) {
	r := newRig(t)
	if err := r.fake.Preset("domain-taken=2"); err != nil {
		t.Fatal(err)
	}
	report, _ := r.must()
	r.whole()
	v := r.active()
	if r.sent("POST", "/domain") != 3 || v.Backend("self").Text("address") != v.Domains[0].Name || report.Domain != v.Domains[0].Name {
		t.Errorf("%+v\n%s", report, r.story())
	}
}

func TestS27GivenNameIsTaken(t *testing.T) {
	r := newRigWith(t, fastlytest.Options{TakenDomains: []string{"chat.edgecompute.app"}})
	r.spec.Domain = "chat.edgecompute.app"
	if e := fails[*DomainTakenError](r); e.Domain != "chat.edgecompute.app" || r.sent("POST", "/domain") != 1 {
		t.Errorf("%v\n%s", e, r.story())
	}
	r.spec.Domain = "chat-2.edgecompute.app"
	r.restart()
	r.must()
	r.whole()
}

func TestS28OwnNameWithoutClassicDomains(t *testing.T) {
	r := newRig(t)
	if err := r.fake.Preset("no-classic-domains"); err != nil {
		t.Fatal(err)
	}
	r.spec.Domain = "events.example.com"
	r.must()
	a, v := r.fake.Snapshot(), r.active()
	if len(a.CustomDomains) != 1 || a.CustomDomains[0].Name != "events.example.com" || len(v.Domains) != 1 {
		t.Errorf("domains %v and %v", a.CustomDomains, v.Domains)
	}
	if self := v.Backend("self").Text("address"); self != v.Domains[0].Name || !strings.HasSuffix(self, edgeSuffix) {
		t.Errorf("self leads to %s", self)
	}
	r.restart()
	if _, plan := r.must(); !plan.Empty() {
		t.Errorf("then: %v", plan.Lines())
	}
}

func TestS33LockedDraft(t *testing.T) {
	r := done(t)
	if err := r.fake.Preset("locked-draft"); err != nil {
		t.Fatal(err)
	}
	r.spec.Package = appPackage(t, "2")
	r.must()
	r.whole()
	if r.sent("PUT", "/clone") != 2 {
		t.Errorf("%s", r.story())
	}
}

func TestS34ActiveVersionMoved(t *testing.T) {
	r := done(t)
	if err := r.fake.Preset("moved-active"); err != nil {
		t.Fatal(err)
	}
	r.spec.Package = appPackage(t, "2")
	fails[*MovedError](r)
	if r.sent("PUT", "/activate") != 0 {
		t.Errorf("%s", r.story())
	}
}

func TestS35ForeignDraft(t *testing.T) {
	r := done(t)
	r.fake.Change(func(a *fastlytest.Account) {
		a.Services[0].Versions = append(a.Services[0].Versions, &fastlytest.Version{Number: 2, Comment: "mine"})
	})
	if _, plan := r.must(); !plan.Empty() || len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "version 2") {
		t.Errorf("%v", plan.Lines())
	}
	r.spec.Package = appPackage(t, "2")
	r.must()
	if v := r.fake.Snapshot().Services[0].Versions[1]; v.Active || v.Package != nil || v.Comment != "mine" {
		t.Errorf("version 2 is %+v", v)
	}
	if r.active().Number != 3 {
		t.Errorf("version %d is active", r.active().Number)
	}
}

func TestS41TokenIsTrimmed(t *testing.T) {
	r := newRig(t)
	r.spec.PublishToken = config.NewSecret(plantedToken + "\n")
	r.must()
	r.whole()
}

func TestS42OperatorsTokenIsRefused(t *testing.T) {
	r := newRig(t)
	r.spec.PublishToken = r.env.Operator
	r.must()
	if len(r.warns) != 1 {
		t.Errorf("on this machine: %q", r.warns)
	}
	r = newRig(t)
	r.spec.PublishToken = r.env.Operator
	r.env.Endpoint = "https://api.fastly.com"
	if e := fails[*TokenError](r); e.Operator || r.sent("PUT", "/secrets") != 0 {
		t.Errorf("%v\n%s", e, r.story())
	}
}

func TestPublishTokensThatCannot(t *testing.T) {
	for name, c := range map[string]struct {
		token fastlytest.Token
		says  string
	}{
		"unknown":         {fastlytest.Token{Value: "else"}, "does not know it"},
		"expired":         {fastlytest.Token{Value: "bad", Scope: "purge_select", Expires: time.Now().Add(-time.Hour)}, "expired"},
		"another service": {fastlytest.Token{Value: "bad", Scope: "purge_select", Services: []string{"other"}}, "other services"},
		"read only":       {fastlytest.Token{Value: "bad", Scope: "global:read"}, "global:read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.fake.AddToken(c.token)
			r.spec.PublishToken = config.NewSecret("bad")
			if e := fails[*TokenError](r); e.Operator || !strings.Contains(e.Error(), c.says) || strings.Contains(e.Error(), "bad") {
				t.Errorf("%v", e)
			}
			r.spec.PublishToken = config.NewSecret(plantedToken)
			r.restart()
			r.must()
			r.whole()
		})
	}
}

// TestForeignCloneOfOurVersion: a version that somebody cloned from one of setup's
// has inherited its comment, and is theirs all the same.
func TestForeignCloneOfOurVersion(t *testing.T) {
	r := done(t)
	r.fake.Change(func(a *fastlytest.Account) {
		s := a.Services[0]
		s.Versions = append(s.Versions, &fastlytest.Version{Number: 2, Comment: s.Versions[0].Comment})
	})
	if _, plan := r.must(); len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "version 2") {
		t.Errorf("warnings %q", plan.Warnings)
	}
}

// TestRenamedLinkLosesNothing: the store behind a link of another name is linked
// again, and what is in it is neither asked for nor made anew.
func TestRenamedLinkLosesNothing(t *testing.T) {
	for _, link := range linkNames() {
		r := done(t)
		kept := len(r.kept)
		r.fake.Change(func(a *fastlytest.Account) { a.Services[0].Active().Link(link).Name = "my-" + link })
		r.spec.PublishToken = config.Secret{}
		r.must()
		a := r.fake.Snapshot()
		if len(a.KVStores) != 2 || len(a.SecretStores) != 1 || len(a.ConfigStores) != 1 || len(r.kept) != kept || r.active().Link(link) == nil {
			t.Errorf("%s: %d keys were kept\n%s", link, len(r.kept), r.story())
		}
	}
}
