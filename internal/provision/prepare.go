package provision

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Prepare finds the service and its ledger, looks at what is there, and makes the
// plan. It changes nothing, on the platform or here. Its errors are *TokenError
// for a token that cannot do what is asked, *ClashError, *KindError and *GoneError for
// a service that is not to be touched or not there, *MissingError for something that only the
// caller can give, *LedgerError, and those of package fastly.
func Prepare(ctx context.Context, env Env, spec Spec) (*Plan, error) {
	self, err := env.API.Self(ctx)
	if err != nil {
		return nil, err
	}
	id, led, err := locate(ctx, env, spec)
	if err != nil {
		return nil, err
	}
	if err := mayProvision(self, id, env.now()); err != nil {
		return nil, err
	}
	is, err := Observe(ctx, env.API, id)
	switch {
	case fastly.NotFound(err) && is.Service == nil && led.file != "":
		return nil, &GoneError{id, led.ServiceName, err}
	case err != nil:
		return nil, err
	}
	if err := is.lookIntoLoose(ctx, env.API, led); err != nil {
		return nil, err
	}
	if is.Role == "billing" || is.Role == "user" {
		return nil, &TokenError{Reason: "its user has the role " + is.Role + ", and only engineers and superusers change services", Operator: true}
	}
	return Diff(spec, is, led)
}

func (e Env) now() time.Time {
	if e.Clock.Now == nil {
		return time.Now()
	}
	return e.Clock.Now()
}

// soon is what is left to a token that is not enough for a run.
const soon = 10 * time.Minute

// mayProvision reports why a token cannot do what setup does.
func mayProvision(t fastly.Token, service string, now time.Time) error {
	switch {
	case !t.Can("global"):
		return &TokenError{Reason: "its scope is " + strings.Join(t.Scopes, " ") + ", and setup needs global", Operator: true}
	case service == "" && len(t.Services) > 0:
		return &TokenError{Reason: "it is limited to some services, and so cannot make one", Operator: true}
	case !t.Covers(service):
		return &TokenError{Reason: "it is limited to other services", Operator: true}
	case !t.Expires.IsZero() && t.Expires.Before(now.Add(soon)):
		return &TokenError{Reason: "it expires at " + t.Expires.UTC().Format(time.RFC3339), Operator: true}
	}
	return nil
}

// locate finds the service that is meant, empty for one still to be made, and its
// ledger, a new one if there is none.
func locate(ctx context.Context, env Env, spec Spec) (id string, led *Ledger, err error) {
	if spec.ServiceID != "" {
		led, err = Owner(ctx, env.API, env.Book, spec.ServiceID)
		switch {
		case err != nil:
			return "", nil, err
		case led != nil:
			return spec.ServiceID, led, nil
		case !spec.Adopt:
			return "", nil, &ClashError{ID: spec.ServiceID}
		}
		led = env.Book.New(spec.Name)
		led.ServiceID = spec.ServiceID
		return spec.ServiceID, led, nil
	}
	led, err = env.Book.named(spec.Name)
	if err != nil {
		return "", nil, err
	}
	if led != nil && led.ServiceID != "" {
		return led.ServiceID, led, nil
	}
	s, found, err := env.API.ServiceNamed(ctx, spec.Name)
	switch {
	case err != nil:
		return "", nil, err
	case found && led != nil && strings.Contains(s.Comment, led.Install): // made by a run that never heard of it
		return s.ID, led, nil
	case found:
		return "", nil, &ClashError{ID: s.ID, Name: spec.Name}
	case led == nil:
		led = env.Book.New(spec.Name)
	}
	return "", led, nil
}

// Owner finds the ledger of a service; nil if there is none. A run that ended before
// it heard of the service it made has left one without an id, which the service's
// comment names.
func Owner(ctx context.Context, api fastly.API, b *Book, serviceID string) (*Ledger, error) {
	all, damaged := b.All()
	if i := slices.IndexFunc(all, func(l *Ledger) bool { return l.ServiceID == serviceID }); i >= 0 {
		return all[i], nil
	}
	if damaged != nil { // it may be the one
		return nil, damaged
	}
	all = slices.DeleteFunc(all, func(l *Ledger) bool { return l.ServiceID != "" })
	if len(all) == 0 {
		return nil, nil
	}
	s, err := api.Service(ctx, serviceID)
	if err != nil {
		return nil, gone(err)
	}
	i := slices.IndexFunc(all, func(l *Ledger) bool { return strings.Contains(s.Comment, l.Install) })
	if i < 0 {
		return nil, nil
	}
	all[i].ServiceID = serviceID
	return all[i], nil
}

// named finds the ledger of a service's name; nil if there is none.
func (b *Book) named(name string) (*Ledger, error) {
	all, err := b.All()
	if i := slices.IndexFunc(all, func(l *Ledger) bool { return l.ServiceName == name }); i >= 0 {
		return all[i], nil
	}
	return nil, err
}
