package provision

import (
	"context"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// findLost counts to what was made what a setup was killed over, and so never heard
// of: for everything that the ledger was about to make it looks whether it is
// there. The ledger is changed in memory only; it is saved with the first removal.
func findLost(ctx context.Context, api fastly.API, l *Ledger) error {
	if err := findLostService(ctx, api, l); err != nil {
		return err
	}
	var found []Object
	for _, i := range l.Intents {
		objects, err := lost(ctx, api, l, i)
		if err != nil {
			return err
		}
		found = append(found, objects...)
	}
	for _, o := range found {
		if !l.knows(o.Kind, o.ID) {
			l.Created = append(l.Created, o)
		}
	}
	return nil
}

// findLostService finds the service by its mark, if it was made and no answer came.
func findLostService(ctx context.Context, api fastly.API, l *Ledger) error {
	if l.ServiceID != "" || !l.intends(ObjectService, l.ServiceName) {
		return nil
	}
	s, found, err := api.ServiceNamed(ctx, l.ServiceName)
	if err != nil || !found || !strings.Contains(s.Comment, l.Install) {
		return err
	}
	l.ServiceID = s.ID
	l.Created = append(l.Created, Object{Kind: ObjectService, ID: s.ID, Name: s.Name})
	return nil
}

// lost is what came of an intent. Of a draft and of a signing key there is nothing
// to find: they end with the service and with the store.
func lost(ctx context.Context, api fastly.API, l *Ledger, i Intent) ([]Object, error) {
	switch i.Kind {
	case ObjectFanout:
		on, err := api.Fanout(ctx, i.Name)
		if err != nil || !on {
			return nil, gone(err)
		}
		return []Object{{Kind: i.Kind, ID: i.Name, Name: "Fanout"}}, nil
	case ObjectToken:
		return lostTokens(ctx, api, i)
	case ObjectDomain:
		id, err := customDomain(ctx, api, l.ServiceID, i.Name)
		return object(i, id), err
	}
	for _, kind := range []fastly.Kind{fastly.ConfigStore, fastly.SecretStore, fastly.KVStore} {
		if storeKind(kind) == i.Kind {
			id, err := storeNamed(ctx, api, kind, i.Name)
			return object(i, id), err
		}
	}
	return nil, nil
}

// gone is an error that is not just the absence of what was asked for.
func gone(err error) error {
	if fastly.NotFound(err) {
		return nil
	}
	return err
}

func object(i Intent, id string) []Object {
	if id == "" {
		return nil
	}
	return []Object{{Kind: i.Kind, ID: id, Name: i.Name}}
}

// lostTokens are the tokens of an intent's name that were not there before it.
func lostTokens(ctx context.Context, api fastly.API, i Intent) ([]Object, error) {
	all, err := tokensNamed(ctx, api, i.Name)
	var found []Object
	for _, id := range all {
		if !i.saw(id) {
			found = append(found, object(i, id)...)
		}
	}
	return found, err
}

// tokensNamed are the ids of the account's tokens of a name.
func tokensNamed(ctx context.Context, api fastly.API, name string) ([]string, error) {
	all, err := api.AllTokens(ctx)
	var ids []string
	for _, t := range all {
		if t.Name == name {
			ids = append(ids, t.ID)
		}
	}
	return ids, err
}

// storeNamed is the id of the store of a name; empty if there is none.
func storeNamed(ctx context.Context, api fastly.API, kind fastly.Kind, name string) (string, error) {
	all, err := api.Stores(ctx, kind)
	for _, s := range all {
		if s.Name == name {
			return s.ID, nil
		}
	}
	return "", err
}

// customDomain is the id of a service's domain in the versionless API; empty if
// there is none.
func customDomain(ctx context.Context, api fastly.API, service, name string) (string, error) {
	all, err := api.CustomDomains(ctx)
	for _, d := range all {
		if d.Name == name && d.ServiceID == service {
			return d.ID, nil
		}
	}
	return "", err
}
