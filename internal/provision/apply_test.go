package provision

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestS1SetupOfAnEmptyAccount: one run makes everything, and no more than about 22
// writes. The second one finds nothing to do and writes nothing (2).
func TestS1SetupOfAnEmptyAccount(t *testing.T) {
	r := newRig(t)
	report, plan := r.must()
	r.whole()
	if n := len(r.writes()); n > 22 || n < plan.Writes()-2 {
		t.Errorf("%d writes, planned %d:\n%s", n, plan.Writes(), r.story())
	}
	if report.URL != r.spec.AppURL || report.Version != 1 || report.KeyID != r.kept[0].ID || report.Context != "chat" {
		t.Errorf("report %+v", report)
	}
	r.fake.ForgetRequests()
	r.restart()
	_, plan = r.must()
	if !plan.Empty() || len(r.writes()) > 0 {
		t.Errorf("the second run: %v\n%s", plan.Lines(), r.story())
	}
	if n := len(r.fake.Snapshot().Services[0].Versions); n != 1 {
		t.Errorf("%d versions", n)
	}
}

func TestS3LinksAndS4StoreNames(t *testing.T) {
	r := newRig(t)
	r.fake.Change(func(a *fastlytest.Account) { // S5: a store of this name is somebody else's
		a.KVStores = append(a.KVStores, &fastlytest.KVStore{ID: "theirs", Name: "keys", Items: map[string]*fastlytest.KVItem{"k": {Value: []byte("v")}}})
	})
	r.must()
	v := r.active()
	for _, name := range linkNames() {
		if v.Link(name) == nil || v.Link(name).StoreID == "theirs" {
			t.Errorf("link %s: %+v", name, v.Link(name))
		}
	}
	if a := r.fake.Snapshot(); len(a.KVStore("theirs").Items) != 1 {
		t.Error("the store keys was touched")
	}
	first := r.fake.Snapshot().ConfigStores[0].Name
	r.spec.Name = "second"
	r.restart()
	r.must()
	if a := r.fake.Snapshot(); len(a.ConfigStores) != 2 || a.ConfigStores[1].Name == first || !strings.HasSuffix(first, "_config") {
		t.Errorf("stores %+v", a.ConfigStores)
	}
}

// TestS38KilledAnywhere: whichever request a run dies at, before it or behind it,
// the next run ends as if there had been one, and there is nothing twice.
func TestS38KilledAnywhere(t *testing.T) {
	r := newRig(t)
	r.must()
	for i, method := range r.http.calls {
		for _, after := range []bool{false, true} {
			if read := method == http.MethodGet; read && !after {
				continue // the same as behind the one before
			}
			t.Run(fmt.Sprintf("%d %s after=%t", i+1, method, after), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				r.die(i+1, after)
				r.restart()
				r.must()
				r.whole()
				r.fake.ForgetRequests()
				r.restart()
				if _, plan := r.must(); !plan.Empty() {
					t.Errorf("after it there is still to do: %v", plan.Lines())
				}
			})
		}
	}
}
