package provision

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// gather runs functions side by side and gives the first error, after all have
// ended.
func gather(ctx context.Context, all ...func(context.Context) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() { errs[i] = f(ctx) }) // owned by this call, which waits for it
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// into makes a function for gather that keeps what f returns.
func into[T any](to *T, f func(context.Context) (T, error)) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		*to, err = f(ctx)
		return err
	}
}

// Observe looks at everything about a service that matters, by reads alone. An
// empty id is an account without the service.
func Observe(ctx context.Context, api fastly.API, serviceID string) (*State, error) {
	s := &State{Stores: map[string]fastly.Store{}, LooseItems: map[string]map[string]string{}}
	err := gather(ctx, into(&s.Token, api.Self), into(&s.Role, api.Role))
	if err != nil || serviceID == "" {
		s.Budget = api.Budget()
		return s, err
	}
	service, err := api.Service(ctx, serviceID)
	if err != nil {
		return s, err
	}
	s.Service, s.Version = &service, baseOf(service).Number
	s.Foreign = foreign(service)
	if err := s.content(ctx, api); err != nil {
		return s, err
	}
	err = s.behindLinks(ctx, api)
	s.Budget = api.Budget()
	return s, err
}

// content reads what is in the version, and the product.
func (s *State) content(ctx context.Context, api fastly.API) error {
	id, n := s.Service.ID, s.Version
	jobs := []func(context.Context) error{
		into(&s.Fanout, func(ctx context.Context) (bool, error) { return api.Fanout(ctx, id) }),
		into(&s.Custom, func(ctx context.Context) ([]fastly.CustomDomain, error) { return customOf(ctx, api, id) }),
	}
	if n > 0 {
		jobs = append(jobs,
			into(&s.Domains, func(ctx context.Context) ([]fastly.Domain, error) { return api.Domains(ctx, id, n) }),
			into(&s.Backends, func(ctx context.Context) ([]fastly.Backend, error) { return api.Backends(ctx, id, n) }),
			into(&s.Links, func(ctx context.Context) ([]fastly.Link, error) { return api.Links(ctx, id, n) }),
			into(&s.Package, func(ctx context.Context) (fastly.Package, error) { return api.Package(ctx, id, n) }))
	}
	return gather(ctx, jobs...)
}

// customOf are a service's domains of the versionless API. Not every account has
// that, and a service needs none, so a refusal counts as no domain. No answer does
// not: a name that the service has would be made up again.
func customOf(ctx context.Context, api fastly.API, service string) ([]fastly.CustomDomain, error) {
	all, err := api.CustomDomains(ctx)
	if fastly.Refused(err) {
		return nil, nil
	}
	return slices.DeleteFunc(all, func(d fastly.CustomDomain) bool { return d.ServiceID != service }), err
}

// behindLinks looks at the stores behind the four links, and into two of them.
func (s *State) behindLinks(ctx context.Context, api fastly.API) error {
	var mu sync.Mutex
	var jobs []func(context.Context) error
	for _, step := range storeSteps() {
		name, kind := storeOf(step)
		l, ok := s.Link(name)
		if !ok || l.Kind != kind {
			continue
		}
		jobs = append(jobs, func(ctx context.Context) error {
			store, err := api.Store(ctx, kind, l.StoreID)
			if fastly.NotFound(err) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			s.Stores[name] = store
			return err
		})
	}
	jobs = append(jobs, func(ctx context.Context) error { return s.readLoose(ctx, api) })
	if err := gather(ctx, jobs...); err != nil {
		return err
	}
	return gather(ctx,
		func(ctx context.Context) error { return s.readItems(ctx, api) },
		func(ctx context.Context) error { return s.readSecret(ctx, api, s.Stores[LinkSecrets]) },
		func(ctx context.Context) error { return s.readKeys(ctx, api, s.Stores[LinkKeys]) })
}

// lookIntoLoose looks into the stores that their links do not lead to and will: what
// is in them already is not to be asked for or made again.
func (s *State) lookIntoLoose(ctx context.Context, api fastly.API, led *Ledger) error {
	if _, linked := s.Stores[LinkSecrets]; !linked {
		store, _ := findStore(s, led, LinkSecrets, fastly.SecretStore)
		if err := s.readSecret(ctx, api, store); err != nil {
			return err
		}
	}
	if _, linked := s.Stores[LinkKeys]; !linked {
		store, _ := findStore(s, led, LinkKeys, fastly.KVStore)
		return s.readKeys(ctx, api, store)
	}
	return nil
}

// readLoose names the stores that are linked under names the app does not look for.
func (s *State) readLoose(ctx context.Context, api fastly.API) error {
	for _, l := range s.Links {
		if slices.Contains(linkNames(), l.Name) {
			continue
		}
		store, err := api.Store(ctx, l.Kind, l.StoreID)
		switch {
		case fastly.NotFound(err):
			continue
		case err != nil:
			return err
		}
		s.Loose = append(s.Loose, store)
		if store.Kind != fastly.ConfigStore {
			continue
		}
		if s.LooseItems[store.ID], err = api.ConfigItems(ctx, store.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) readItems(ctx context.Context, api fastly.API) error {
	store, ok := s.Stores[LinkConfig]
	if !ok {
		return nil
	}
	var err error
	s.Items, err = api.ConfigItems(ctx, store.ID)
	return err
}

func (s *State) readSecret(ctx context.Context, api fastly.API, store fastly.Store) error {
	if store.ID == "" {
		return nil
	}
	secret, err := api.Secret(ctx, store.ID, SecretPublishToken)
	switch {
	case fastly.NotFound(err):
		return nil
	case err != nil:
		return err
	}
	s.Secret = &secret
	return nil
}

func (s *State) readKeys(ctx context.Context, api fastly.API, store fastly.Store) error {
	if store.ID == "" {
		return nil
	}
	keys, err := api.KVKeys(ctx, store.ID)
	if fastly.NotFound(err) { // it went meanwhile, or somebody else removed it
		return nil
	}
	s.Keys = keys
	return err
}

// baseOf is the version that a service goes on from: the active one. If there is
// none, it is the newest that was in effect once or that is a draft of ours, because
// somebody else's draft may not be ready; and if all are drafts of others, the newest.
func baseOf(s fastly.Service) fastly.Version {
	if v, ok := s.Version(s.Active); ok {
		return v
	}
	var base fastly.Version
	for _, v := range s.Versions {
		if v.Number > base.Number && (v.Locked || isMarked(v)) {
			base = v
		}
	}
	if base.Number == 0 {
		return s.Latest()
	}
	return base
}

// foreign are the editable versions newer than the base that are not ours.
func foreign(s fastly.Service) []int {
	var all []int
	base := baseOf(s).Number
	for _, v := range s.Versions {
		if v.Number > base && !v.Locked && !isMarked(v) {
			all = append(all, v.Number)
		}
	}
	return all
}

// markerStart begins the comment of a version that this program edits.
const markerStart = "pubsubctl plan="

// marker is that comment. A clone inherits its parent's, so a marker counts only
// if it carries the number of the version it is on.
func marker(hash string, base, n int) string {
	return fmt.Sprintf("%s%s base=%d v=%d", markerStart, hash, base, n)
}
