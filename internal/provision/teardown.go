package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Removal is one line of what a teardown does.
type Removal struct {
	// Verb is revoke, deactivate, disable, unlink or delete.
	Verb string `json:"action"`
	Object
	// Items is how many items a KV store takes along.
	Items int `json:"items,omitempty"`

	do func(ctx context.Context) error
	// proof is what of the ledger this removes; empty for a step on the way.
	proof string
}

// Spared is what a teardown leaves, and why.
type Spared struct {
	Object
	Why string `json:"why"`
}

// Teardown is what is to be removed, in order, and what is not.
type Teardown struct {
	ServiceID string    `json:"service_id"`
	Name      string    `json:"name"`
	Removals  []Removal `json:"removals"`
	Kept      []Spared  `json:"kept"`

	api    fastly.API
	ledger *Ledger
	// service is nil if it does not exist any more.
	service *fastly.Service
}

// TeardownOptions say how far a teardown goes.
type TeardownOptions struct {
	// KeepStores leaves all stores with what is in them.
	KeepStores bool
}

// PlanTeardown finds out what of the ledger is still there and may go. It changes
// nothing. Only what the ledger says was made is removed, and of that only what
// nobody else uses.
func PlanTeardown(ctx context.Context, api fastly.API, l *Ledger, o TeardownOptions) (*Teardown, error) {
	if err := findLost(ctx, api, l); err != nil {
		return nil, err
	}
	t := &Teardown{ServiceID: l.ServiceID, Name: l.ServiceName, Removals: []Removal{}, Kept: []Spared{}, api: api, ledger: l}
	if err := t.look(ctx); err != nil {
		return nil, err
	}
	t.planToken()
	if err := t.planService(ctx); err != nil {
		return nil, err
	}
	if err := t.planStores(ctx, o); err != nil {
		return nil, err
	}
	for _, a := range l.Adopted {
		t.keep(a, "it was there before setup")
	}
	return t, nil
}

// look reads the service, if there is one.
func (t *Teardown) look(ctx context.Context) error {
	if t.ServiceID == "" {
		return nil // it was never made
	}
	service, err := t.api.Service(ctx, t.ServiceID)
	if err != nil {
		return gone(err)
	}
	t.service, t.Name = &service, service.Name
	return nil
}

// Empty reports whether there is nothing to remove.
func (t *Teardown) Empty() bool { return len(t.Removals) == 0 }

// Items is how many stored messages would be lost.
func (t *Teardown) Items() int {
	n := 0
	for _, r := range t.Removals {
		if r.Verb == "delete" && strings.HasSuffix(r.Name, "_"+LinkMessages) {
			n += r.Items
		}
	}
	return n
}

// add appends a removal of something in the ledger.
func (t *Teardown) add(verb string, o Object, do func(context.Context) error) {
	t.Removals = append(t.Removals, Removal{Verb: verb, Object: o, do: do, proof: o.ID})
}

// pass appends a step on the way, which the ledger does not know.
func (t *Teardown) pass(verb string, o Object, do func(context.Context) error) {
	t.Removals = append(t.Removals, Removal{Verb: verb, Object: o, do: do})
}

func (t *Teardown) keep(o Object, why string) { t.Kept = append(t.Kept, Spared{o, why}) }

// made are the ledger's objects of a kind.
func (t *Teardown) made(kind string) []Object {
	var all []Object
	for _, o := range t.ledger.Created {
		if o.Kind == kind {
			all = append(all, o)
		}
	}
	return all
}

// planToken revokes the publish token first: from then on nobody can publish with
// a copy of it.
func (t *Teardown) planToken() {
	for _, o := range t.made(ObjectToken) {
		t.add("revoke", o, func(ctx context.Context) error { return t.api.RevokeToken(ctx, o.ID) })
	}
}

// planService takes the service out of use and away, or, if it was there before,
// takes our part out of it.
func (t *Teardown) planService(ctx context.Context) error {
	ours := t.made(ObjectService)
	if t.service != nil && len(ours) > 0 && !strings.Contains(t.service.Comment, t.ledger.Install) {
		t.keep(ours[0], "its comment does not carry the mark of the ledger, so it may be another one")
		ours = nil
	}
	if t.service != nil && len(ours) == 0 {
		if err := t.planAdopted(ctx); err != nil {
			return err
		}
	}
	for _, o := range ours {
		if t.service != nil && t.service.Active > 0 {
			v := t.service.Active
			t.pass("deactivate", Object{Kind: ObjectVersion, ID: itoa(v)}, func(ctx context.Context) error { return t.api.Deactivate(ctx, o.ID, v) })
		}
		t.planFanout()
		t.planDomains()
		t.add("delete", o, func(ctx context.Context) error { return t.api.DeleteService(ctx, o.ID) })
	}
	if len(ours) == 0 {
		t.planFanout()
		t.planDomains()
	}
	return nil
}

// planFanout switches the product off if it was switched on here. Asking to
// switch off what is off is answered like a bad token.
func (t *Teardown) planFanout() {
	for _, o := range t.made(ObjectFanout) {
		t.add("disable", o, func(ctx context.Context) error {
			on, err := t.api.Fanout(ctx, t.ServiceID)
			if err != nil || !on {
				return err
			}
			return t.api.DisableFanout(ctx, t.ServiceID)
		})
	}
}

func (t *Teardown) planDomains() {
	for _, o := range t.made(ObjectDomain) {
		t.add("delete", o, func(ctx context.Context) error { return t.api.DeleteCustomDomain(ctx, o.ID) })
	}
}

// planAdopted takes what is ours out of a service that was there before: links to
// stores that go, and backends that carry our comment.
func (t *Teardown) planAdopted(ctx context.Context) error {
	if t.service.Active == 0 {
		return nil
	}
	id, v := t.ServiceID, t.service.Active
	links, err := t.api.Links(ctx, id, v)
	if err != nil {
		return err
	}
	backends, err := t.api.Backends(ctx, id, v)
	if err != nil {
		return err
	}
	var out []func(ctx context.Context, draft int) error
	var names []string
	for _, l := range links {
		if slices.ContainsFunc(t.ledger.Created, func(o Object) bool { return o.ID == l.StoreID }) {
			names = append(names, "link "+l.Name)
			out = append(out, func(ctx context.Context, draft int) error { return t.unlink(ctx, draft, l.Name) })
		}
	}
	ours := func(b fastly.Backend) bool {
		return (b.Name == BackendSelf || b.Name == BackendAPI) && b.Comment == managed
	}
	alone := !slices.ContainsFunc(backends, func(b fastly.Backend) bool { return !ours(b) })
	for _, b := range backends {
		switch {
		case ours(b) && alone:
			t.keep(Object{Kind: "backend", ID: b.Name}, "a version without any backend cannot be activated")
		case ours(b):
			names = append(names, "backend "+b.Name)
			out = append(out, func(ctx context.Context, draft int) error { return t.api.DeleteBackend(ctx, id, draft, b.Name) })
		}
	}
	if len(out) > 0 {
		what := Object{Kind: ObjectVersion, ID: itoa(v), Name: strings.Join(names, ", ")}
		t.pass("unlink", what, func(ctx context.Context) error { return t.withdraw(ctx, v, out) })
	}
	return nil
}

// unlink removes the link of a name from a draft; a clone has new ids.
func (t *Teardown) unlink(ctx context.Context, draft int, name string) error {
	links, err := t.api.Links(ctx, t.ServiceID, draft)
	if err != nil {
		return err
	}
	l, found := linkNamed(links, name)
	if !found {
		return nil
	}
	return t.api.DeleteLink(ctx, t.ServiceID, draft, l.ID)
}

// withdraw activates a copy of a version without some of its parts, if the version
// is still the active one.
func (t *Teardown) withdraw(ctx context.Context, base int, out []func(context.Context, int) error) error {
	draft, err := t.api.Clone(ctx, t.ServiceID, base)
	if err != nil {
		return err
	}
	for _, take := range out {
		if err := take(ctx, draft.Number); err != nil && !fastly.NotFound(err) {
			return err
		}
	}
	now, err := t.api.Service(ctx, t.ServiceID)
	if err != nil {
		return err
	}
	if now.Active != base {
		return &MovedError{base, now.Active}
	}
	return t.api.Activate(ctx, t.ServiceID, draft.Number)
}

// planStores removes the stores that no other service uses: the KV stores first,
// which have to be emptied.
func (t *Teardown) planStores(ctx context.Context, o TeardownOptions) error {
	users := map[string]string{} // a store's id → another service
	if !o.KeepStores && slices.ContainsFunc([]fastly.Kind{fastly.KVStore, fastly.SecretStore, fastly.ConfigStore},
		func(k fastly.Kind) bool { return len(t.made(storeKind(k))) > 0 }) {
		var err error
		if users, err = otherUsers(ctx, t.api, t.ServiceID); err != nil {
			return err
		}
	}
	for _, kind := range []fastly.Kind{fastly.KVStore, fastly.SecretStore, fastly.ConfigStore} {
		for _, store := range t.made(storeKind(kind)) {
			switch user := users[store.ID]; {
			case o.KeepStores:
				t.keep(store, "--keep-stores")
			case user != "":
				t.keep(store, "service "+user+" uses it too")
			default:
				if err := t.planStore(ctx, kind, store); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// planStore removes one store.
func (t *Teardown) planStore(ctx context.Context, kind fastly.Kind, store Object) error {
	remove := func(ctx context.Context) error { return t.api.DeleteStore(ctx, kind, store.ID) }
	if kind != fastly.KVStore {
		t.add("delete", store, remove)
		return nil
	}
	keys, err := t.api.KVKeys(ctx, store.ID)
	if err != nil && !fastly.NotFound(err) {
		return err
	}
	t.Removals = append(t.Removals, Removal{Verb: "delete", Object: store, Items: len(keys), proof: store.ID,
		do: func(ctx context.Context) error {
			if err := emptyKV(ctx, t.api, store.ID); err != nil {
				return err
			}
			return remove(ctx)
		}})
	return nil
}

// emptyRounds bounds how often a store is listed that somebody goes on filling.
const emptyRounds = 5

// emptyKV deletes every item of a KV store, as often as there are new ones.
func emptyKV(ctx context.Context, api fastly.API, store string) error {
	for range emptyRounds {
		keys, err := api.KVKeys(ctx, store)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if err := api.DeleteKVItem(ctx, store, k, true); err != nil && !fastly.NotFound(err) {
				return err
			}
		}
	}
	return errors.New("the store is filled while it is emptied")
}

// otherUsers finds which stores the active versions of all other services link.
func otherUsers(ctx context.Context, api fastly.API, service string) (map[string]string, error) {
	all, err := api.Services(ctx)
	if err != nil {
		return nil, err
	}
	users := map[string]string{}
	var mu sync.Mutex // guards users
	var jobs []func(context.Context) error
	for _, s := range all {
		if s.ID == service {
			continue
		}
		jobs = append(jobs, func(ctx context.Context) error {
			links, err := activeLinks(ctx, api, s.ID)
			mu.Lock()
			defer mu.Unlock()
			for _, l := range links {
				users[l.StoreID] = s.Name
			}
			return err
		})
	}
	return users, gather(ctx, jobs...)
}

// activeLinks are the links of a service's active version.
func activeLinks(ctx context.Context, api fastly.API, service string) ([]fastly.Link, error) {
	s, err := api.Service(ctx, service)
	if fastly.NotFound(err) || err == nil && s.Active == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return api.Links(ctx, service, s.Active)
}

// TeardownError is a teardown that stopped half-way. What is done is not in the
// ledger any more, so the next run does the rest.
type TeardownError struct {
	Done   int
	Failed Removal
	Err    error
}

// Error says what could not be removed.
func (e *TeardownError) Error() string {
	return fmt.Sprintf("%s %s %s: %v", e.Failed.Verb, e.Failed.Kind, e.Failed.Object.label(), e.Err)
}

// Unwrap gives the cause.
func (e *TeardownError) Unwrap() error { return e.Err }

// label is an object's name, or its id where it has none.
func (o Object) label() string {
	if o.Name != "" {
		return o.Name
	}
	return o.ID
}

// Apply removes everything in order and calls done after each step. What is gone
// already counts as removed. When nothing that was made is left, the ledger is set
// aside.
func (t *Teardown) Apply(ctx context.Context, done func(Removal)) error {
	for i, r := range t.Removals {
		if err := context.Cause(ctx); err != nil {
			return &TeardownError{i, r, err}
		}
		if err := r.do(ctx); err != nil && !fastly.NotFound(err) {
			return &TeardownError{i, r, err}
		}
		if r.proof != "" {
			if err := t.ledger.Forget(r.Kind, r.proof); err != nil {
				return &TeardownError{i, r, err}
			}
		}
		done(r)
	}
	if slices.ContainsFunc(t.ledger.Created, func(o Object) bool { return o.Kind != ObjectVersion && o.Kind != ObjectKey }) {
		return nil // some is kept, and may be removed later
	}
	return t.ledger.Close()
}
