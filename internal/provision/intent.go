package provision

import (
	"context"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// settleIntent finds out what came of the intent of a run that was ended before it
// knew, and counts it as made: what has the name that only this ledger gives is of
// this ledger. It changes nothing on the platform and writes no file.
func settleIntent(ctx context.Context, api fastly.API, l *Ledger) error {
	if l.Intent == nil || l.ServiceID == "" {
		return nil
	}
	found, err := l.Intent.outcome(ctx, api, l.ServiceID)
	if err != nil {
		return err
	}
	for _, id := range found {
		if !l.knows(l.Intent.Kind, id) {
			l.Created = append(l.Created, Object{Kind: l.Intent.Kind, ID: id, Name: l.Intent.Name, Time: l.book.Now().UTC()})
		}
	}
	l.Intent = nil
	return nil
}

// outcome are the ids of the objects that an intent has led to. Versions and keys
// go with their service and their store.
func (i *Intent) outcome(ctx context.Context, api fastly.API, service string) (ids []string, err error) {
	for _, kind := range []fastly.Kind{fastly.ConfigStore, fastly.KVStore, fastly.SecretStore} {
		if i.Kind == storeKind(kind) {
			all, err := api.Stores(ctx, kind)
			return matching(all, func(s fastly.Store) (string, bool) { return s.ID, s.Name == i.Name }), err
		}
	}
	switch i.Kind {
	case ObjectFanout:
		on, err := api.Fanout(ctx, service)
		if err == nil && on {
			ids = []string{service}
		}
		if fastly.NotFound(err) {
			err = nil
		}
		return ids, err
	case ObjectToken:
		all, err := api.AllTokens(ctx)
		return matching(all, func(t fastly.Token) (string, bool) { return t.ID, t.Name == i.Name }), err
	case ObjectDomain:
		all, err := api.CustomDomains(ctx)
		return matching(all, func(d fastly.CustomDomain) (string, bool) { return d.ID, d.Name == i.Name && d.ServiceID == service }), err
	}
	return nil, nil
}

// matching are the ids of those that are meant.
func matching[T any](all []T, is func(T) (id string, yes bool)) []string {
	var ids []string
	for _, x := range all {
		if id, yes := is(x); yes {
			ids = append(ids, id)
		}
	}
	return ids
}
