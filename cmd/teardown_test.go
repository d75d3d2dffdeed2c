package cmd

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// note writes the ledger of the service: everything was made, except what without
// names by kind.
func (h *hostedService) note(t *testing.T, without ...string) {
	t.Helper()
	a := h.fake.Snapshot()
	l := provision.Ledger{Schema: 1, Install: hostedInstall, ServiceID: h.id, ServiceName: "chat", Prefix: "pubsub_t", Domain: hostedDomain,
		Secret: "", TokenID: "pt", FilesHash: "hash", Context: "chat"}
	add := func(kind, id, name string) {
		for _, w := range without {
			if w == kind {
				l.Adopted = append(l.Adopted, provision.Object{Kind: kind, ID: id, Name: name})
				return
			}
		}
		l.Created = append(l.Created, provision.Object{Kind: kind, ID: id, Name: name})
	}
	add(provision.ObjectService, h.id, "chat")
	add(provision.ObjectFanout, h.id, "")
	add(provision.ObjectToken, "pt", "publish")
	for _, s := range a.ConfigStores {
		add("config-store", s.ID, s.Name)
	}
	for _, s := range a.SecretStores {
		add("secret-store", s.ID, s.Name)
	}
	for _, s := range a.KVStores {
		add("kv-store", s.ID, s.Name)
	}
	text, err := json.Marshal(&l)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, h.ledgerFile(), string(text))
}

// ledgerFile is where the ledger of the service is, below the home directory.
func (h *hostedService) ledgerFile() string {
	u, _ := url.Parse(h.relay.Ready().FastlyAPI)
	return filepath.Join("pubsubctl", strings.ReplaceAll(u.Host, ":", "_"), h.id+".json")
}

// foreignStores are stores and a service that were there before.
func (h *hostedService) foreignStores() {
	h.fake.Change(func(a *fastlytest.Account) {
		a.KVStores = append(a.KVStores, &fastlytest.KVStore{ID: "foreign", Name: "keys", Items: map[string]*fastlytest.KVItem{"x": {Value: []byte("y")}}})
		a.Services = append(a.Services, &fastlytest.Service{ID: "other", Name: "other", Type: fastlytest.Wasm,
			Versions: []*fastlytest.Version{{Number: 1, Active: true, Locked: true, Links: []*fastlytest.Link{{ID: "l", Name: "keys", StoreID: "foreign"}}}}})
	})
}

// TestS63TeardownRemovesWhatWasMade, and nothing else.
func TestS63TeardownRemovesWhatWasMade(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.foreignStores()
	if code, _, errs := h.run(t, "publish", "test", "kept", "--retain"); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := h.run(t, "teardown", "--dry-run")
	if code != 0 || !strings.Contains(out, "- delete     service "+h.id+" (chat)") || !strings.Contains(out, "with 1 item\n") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if a := h.fake.Snapshot(); len(a.Services) != 2 || len(a.KVStores) != 3 {
		t.Fatal("--dry-run removed something")
	}
	h.fake.ForgetRequests()
	code, out, errs = h.run(t, "teardown")
	if code != 0 || out != "" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	a := h.fake.Snapshot()
	if len(a.Services) != 1 || a.Services[0].ID != "other" || len(a.KVStores) != 1 || a.KVStores[0].ID != "foreign" || len(a.KVStores[0].Items) != 1 ||
		len(a.ConfigStores)+len(a.SecretStores) != 0 || len(a.Tokens) != 1 {
		t.Errorf("left: %+v", a)
	}
	var order []string
	for _, r := range h.fake.Requests() {
		if r.Write() && !strings.Contains(r.Path, "/keys/") {
			order = append(order, r.Method+" "+r.Path)
		}
	}
	want := []string{"DELETE /tokens/pt", "/deactivate", "DELETE /enabled-products/v1/fanout/services/" + h.id, "DELETE /service/" + h.id,
		"/resources/stores/kv/", "/resources/stores/kv/", "/resources/stores/secret/", "/resources/stores/config/"}
	if len(order) != len(want) {
		t.Fatalf("requests %q", order)
	}
	for i := range want {
		if !strings.Contains(order[i], want[i]) {
			t.Errorf("request %d is %s, want %s", i, order[i], want[i])
		}
	}
}

// TestS64SharedStoreIsKept: a store that another service uses stays, with a reason.
func TestS64SharedStoreIsKept(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.foreignStores()
	h.fake.Change(func(a *fastlytest.Account) { a.Services[1].Versions[0].Links[0].StoreID = a.ConfigStores[0].ID })
	code, out, errs := h.run(t, "teardown", "--json")
	var done struct {
		Kept []struct{ Kind, Why string }
	}
	if err := json.Unmarshal([]byte(out), &done); err != nil || code != 0 || len(done.Kept) != 1 || done.Kept[0].Kind != "config-store" || done.Kept[0].Why != "service other uses it too" {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if len(h.fake.Snapshot().ConfigStores) != 1 {
		t.Error("the store is gone")
	}
}

// TestS65FanoutThatIsOffIsNotSwitchedOff: the platform would answer as to a bad token.
func TestS65FanoutThatIsOffIsNotSwitchedOff(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.active(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Fanout = false })
	if code, _, errs := h.run(t, "teardown"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, r := range h.fake.Requests() {
		if r.Method == "DELETE" && strings.Contains(r.Path, "enabled-products") {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
}

// TestS66SecondTeardownDoesNothing, and what somebody else removed counts as done.
func TestS66SecondTeardownDoesNothing(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.fake.Change(func(a *fastlytest.Account) { a.SecretStores = nil })
	if code, _, errs := h.run(t, "teardown"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	h.fake.ForgetRequests()
	code, _, errs := h.run(t, "teardown")
	if code != 0 || !strings.Contains(errs, "torn down already") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, r := range h.fake.Requests() {
		if r.Write() {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
}

// TestS67TeardownWithoutLedgerRefuses.
func TestS67TeardownWithoutLedgerRefuses(t *testing.T) {
	h := newHosted(t)
	h.fake.ForgetRequests()
	code, _, errs := h.run(t, "teardown")
	if code != 5 || !strings.Contains(errs, "nothing on this machine says that setup made service") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, r := range h.fake.Requests() {
		if r.Write() {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
}

// TestTeardownOfAnAdoptedService takes out what is ours and leaves the service.
func TestTeardownOfAnAdoptedService(t *testing.T) {
	h := newHosted(t)
	h.note(t, provision.ObjectService, provision.ObjectFanout)
	h.active(func(_ *fastlytest.Account, v *fastlytest.Version) {
		v.Backends = append(v.Backends, &fastlytest.Backend{Fields: map[string]any{"name": "theirs", "address": "www.example.com"}})
	})
	if code, _, errs := h.run(t, "teardown"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	a := h.fake.Snapshot()
	if len(a.Services) != 1 || !a.Services[0].Fanout {
		t.Fatalf("left: %+v", a.Services)
	}
	v := a.Services[0].Active()
	if v == nil || v.Number != 2 || len(v.Links) != 0 || len(v.Backends) != 1 || len(v.Domains) != 1 || v.Package == nil {
		t.Errorf("active is %+v", v)
	}
	if len(a.KVStores)+len(a.ConfigStores)+len(a.SecretStores) != 0 {
		t.Error("stores are left")
	}
}

// TestTeardownLeavesAnAdoptedServiceABackend: without one it could not be activated.
func TestTeardownLeavesAnAdoptedServiceABackend(t *testing.T) {
	h := newHosted(t)
	h.note(t, provision.ObjectService, provision.ObjectFanout)
	if code, _, errs := h.run(t, "teardown"); code != 0 || !strings.Contains(errs, "without any backend") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if v := h.fake.Snapshot().Services[0].Active(); len(v.Links) != 0 || len(v.Backends) != 2 {
		t.Errorf("active is %+v", v)
	}
}

// TestTeardownOfSomebodyElsesService: a service of the same id whose comment lacks
// the mark is left alone.
func TestTeardownOfSomebodyElsesService(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.active(func(a *fastlytest.Account, _ *fastlytest.Version) { a.Services[0].Comment = "mine" })
	code, out, _ := h.run(t, "teardown", "--dry-run")
	if code != 0 || strings.Contains(out, "delete     service") || !strings.Contains(out, "does not carry the mark") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// TestTeardownKeepsStores and can be asked for them later.
func TestTeardownKeepsStores(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	if code, _, errs := h.run(t, "teardown", "--keep-stores"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	a := h.fake.Snapshot()
	if len(a.Services) != 0 || len(a.KVStores) != 2 || len(a.KVStores[0].Items)+len(a.KVStores[1].Items) != 1 {
		t.Fatalf("left: %+v", a)
	}
	if code, _, errs := h.run(t, "teardown"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if a := h.fake.Snapshot(); len(a.KVStores)+len(a.ConfigStores)+len(a.SecretStores) != 0 {
		t.Errorf("left: %+v", a)
	}
}

// TestTeardownAsks: unasked and unanswered it removes nothing.
func TestTeardownAsks(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	h.setenv("PUBSUBCTL_YES", "")
	if code, _, errs := h.run(t, "teardown"); code != 2 || !strings.Contains(errs, "next: pubsubctl teardown --yes") {
		t.Errorf("exit %d: %s", code, errs)
	}
	h.writeContext(t, "protected = true\n")
	if code, _, errs := h.run(t, "teardown", "-y"); code != 2 || !strings.Contains(errs, "next: pubsubctl teardown --yes --confirm chat") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if len(h.fake.Snapshot().Services) != 1 {
		t.Fatal("the service is gone")
	}
	if code, _, errs := h.run(t, "teardown", "-y", "--confirm", "chat"); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestTeardownResumes: a run that is cut off after any change is finished by the next.
func TestTeardownResumes(t *testing.T) {
	for _, kind := range []fastlytest.Kind{"status", "after_effect"} {
		for nth := 1; nth <= 9; nth++ {
			h := newHosted(t)
			h.note(t)
			err := h.fake.Fault(fastlytest.Fault{Match: fastlytest.Match{Method: "DELETE", Nth: nth, Times: 1}, Kind: kind, Status: 403})
			if err != nil {
				t.Fatal(err)
			}
			code, _, errs := h.run(t, "teardown")
			if code != 0 && code != 9 && code != 4 {
				t.Errorf("%s of delete %d: exit %d: %s", kind, nth, code, errs)
			}
			h.fake.ClearFaults()
			if code, _, errs := h.run(t, "teardown"); code != 0 {
				t.Fatalf("%s of delete %d, then exit %d: %s", kind, nth, code, errs)
			}
			a := h.fake.Snapshot()
			if len(a.Services)+len(a.KVStores)+len(a.ConfigStores)+len(a.SecretStores) != 0 || len(a.Tokens) != 1 {
				t.Fatalf("%s of delete %d leaves %+v", kind, nth, a)
			}
		}
	}
}
