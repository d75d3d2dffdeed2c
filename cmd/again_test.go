package cmd

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestWhatIsNextConcernsTheSameService: a command that is told to be run next has
// the flags that chose the service, and those that spare something. chat is not the
// current context.
func TestWhatIsNextConcernsTheSameService(t *testing.T) {
	api := func(h *hostedService) string { return h.relay.Ready().FastlyAPI }
	for _, c := range []struct {
		args, protected, says string
		code                  int
	}{
		{args: "teardown -c chat --keep-stores", code: 2, says: "next: pubsubctl teardown --context chat --keep-stores --yes"},
		{args: "teardown -c chat --keep-stores --json", code: 2, says: `"hint":"pubsubctl teardown --context chat --keep-stores --yes"`},
		{args: "teardown -c chat --keep-stores --yes", protected: "protected = true\n", code: 2,
			says: "next: pubsubctl teardown --context chat --keep-stores --yes --confirm chat"},
		{args: "teardown -c chat --yes --confirm other", protected: "protected = true\n", code: 2, says: "next: pubsubctl teardown --context chat --yes --confirm chat"},
		{args: "key delete k1 -c chat", code: 2, says: "next: pubsubctl key delete k1 --context chat --yes"},
		{args: "key delete nope -c chat --yes", code: 5, says: "next: pubsubctl key list -c chat"},
		{args: "key delete k1 -c chat --yes", says: "still signs with it; pubsubctl key create --save -c chat makes another"},
		{args: "key rotate --revoke k2 -c chat", code: 2, says: "next: pubsubctl key rotate --context chat --revoke k2 --yes"},
		{args: "key rotate --revoke k1 -c chat", code: 2, says: "next: pubsubctl key rotate -c chat"},
		{args: "key rotate -c chat", says: "given out: pubsubctl key rotate --revoke k1 -c chat"},
		{args: "key import k1 -c chat --value env:PUBLISH_TOKEN", code: 1, says: "next: pubsubctl key import k1 --context chat --value env:PUBLISH_TOKEN --replace"},
		{args: "key import k3 -c chat --value literal", code: 3, says: "next: pubsubctl key import k3 --context chat --value file:PATH"},
		{args: "status -c chat --service-id gone", code: 5, says: "next: pubsubctl doctor -c chat --service-id gone"},
		{args: "teardown -c chat --service-id gone", code: 5, says: "next: pubsubctl status -c chat --service-id gone"},
		{args: "key list -c chat --api-url http://127.0.0.1:1", code: 6, says: "next: pubsubctl doctor api -c chat --api-url http://127.0.0.1:1"},
		{args: "key list -c chat --url http://127.0.0.1:1 --api-url http://127.0.0.1:1", code: 6,
			says: "next: pubsubctl doctor api -c chat --url http://127.0.0.1:1 --api-url http://127.0.0.1:1"},
		{args: "teardown -c chat --api-url API", code: 2, says: "next: pubsubctl teardown --api-url API --context chat --yes"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			h := newHosted(t)
			h.note(t)
			h.writeContext(t, c.protected)
			h.fake.Change(func(a *fastlytest.Account) {
				a.KVStore(a.Services[0].Versions[0].Link("keys").StoreID).Items["k2"] = &fastlytest.KVItem{Value: []byte("other")}
			})
			h.setenv("PUBSUBCTL_YES", "")
			if code, _, errs := h.run(t, "context", "use", "local"); code != 0 {
				t.Fatal(errs)
			}
			code, _, errs := h.run(t, strings.Fields(strings.ReplaceAll(c.args, "API", api(h)))...)
			if says := strings.ReplaceAll(c.says, "API", api(h)); code != c.code || !strings.Contains(errs, says) {
				t.Errorf("exit %d, want %d and %q\n%s", code, c.code, says, errs)
			}
		})
	}
}

// TestAnotherServiceOfTheNameIsProtected: whoever protected a context did not mean
// one service only.
func TestAnotherServiceOfTheNameIsProtected(t *testing.T) {
	h := ready(t, fastlytest.Options{})
	for _, args := range [][]string{h.setupArgs(), {"context", "add", "chat", "--protected"}, {"teardown", "--yes", "--confirm", "chat"}, h.setupArgs()} {
		if code, _, errs := h.run(t, args...); code != 0 {
			t.Fatalf("%q: exit %d\n%s", args, code, errs)
		}
	}
	if code, _, errs := h.run(t, "teardown", "--yes"); code != 2 || !strings.Contains(errs, `context "chat" is protected`) {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestHintToSetATokenCanBePasted: the place of a token is not taken for one.
func TestHintToSetATokenCanBePasted(t *testing.T) {
	h := newHosted(t)
	h.setenv("FASTLY_API_TOKEN", "")
	if code, _, errs := h.run(t, "key", "list"); code != 3 || !strings.Contains(errs, "next: export FASTLY_API_TOKEN=VALUE\n") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestRefusalsConcernTheSameContext: a token minted for another context would be
// refused again.
func TestRefusalsConcernTheSameContext(t *testing.T) {
	h := newHosted(t)
	if code, _, errs := h.run(t, "context", "use", "local"); code != 0 {
		t.Fatal(errs)
	}
	_, other, _ := h.run(t, "token", "mint", "--read", "other", "-c", "chat")
	h.setenv("OTHER", strings.TrimSpace(other))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"subscribe", "news", "-c", "chat", "--token", "env:OTHER"}, "next: pubsubctl token mint --read news -c chat\n"},
		{[]string{"publish", "news", "x", "-c", "chat", "--token", "env:OTHER"}, "next: pubsubctl token mint --write news -c chat\n"},
	} {
		if code, _, errs := h.run(t, c.args...); code != 4 || !strings.Contains(errs, c.says) {
			t.Errorf("%q: exit %d, want %q\n%s", c.args, code, c.says, errs)
		}
	}
}

// TestDamagedLedgerConcernsItsServiceOnly: what is noted of the others is still good,
// and the hint gets it out of the way.
func TestDamagedLedgerConcernsItsServiceOnly(t *testing.T) {
	h := newHosted(t)
	h.note(t)
	other := filepath.Join(filepath.Dir(h.ledgerFile()), "Aother.json")
	h.write(t, other, `{"schema":1,`)
	if code, out, errs := h.run(t, "status"); code != 0 || strings.Contains(out, "0 things noted") || strings.Contains(out, "damaged") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, out, errs := h.run(t, "teardown", "--dry-run"); code != 0 || !strings.Contains(out, "- delete     service") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	h.write(t, h.ledgerFile(), `{"schema":1,`)
	if code, out, errs := h.run(t, "status"); code != 0 || !strings.Contains(out, "it is damaged") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, args := range [][]string{{"teardown", "--yes"}, {"setup", "--yes"}} {
		if code, _, errs := h.run(t, args...); code != 3 || !strings.Contains(errs, "next: mv ") {
			t.Errorf("%q: exit %d\n%s", args, code, errs)
		}
	}
}

// TestAnotherDomainKeepsTheAddressOfARehearsal: a relay that stands in for the
// service is not reached by its domain.
func TestAnotherDomainKeepsTheAddressOfARehearsal(t *testing.T) {
	h := ready(t, fastlytest.Options{})
	for _, args := range [][]string{h.setupArgs(), {"setup", "--name", "chat", "--domain", "events.example.com"}} {
		if code, _, errs := h.run(t, args...); code != 0 {
			t.Fatalf("%q: exit %d\n%s", args, code, errs)
		}
	}
}
