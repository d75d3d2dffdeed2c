package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// takeActivate puts the draft into effect, or the version that somebody took out
// of it, and waits until the app answers.
func (r *run) takeActivate(ctx context.Context) (string, error) {
	version := r.plan.Base
	if r.draft != nil {
		version = r.draft.number
	}
	if err := r.unmoved(ctx); err != nil {
		return "", err
	}
	if r.draft != nil {
		ok, reason, err := r.env.API.Validate(ctx, r.service.ID, version)
		if err != nil {
			return "", err
		}
		if !ok {
			return "", &InvalidError{version, reason}
		}
	}
	if err := r.did(r.env.API.Activate(ctx, r.service.ID, version)); err != nil {
		return "", err
	}
	r.report.Version = version
	took, err := r.awaitApp(ctx)
	return fmt.Sprintf("version %d, the app answers after %v", version, took.Round(time.Millisecond)), err
}

// unmoved reports whether somebody else activated or deactivated a version since
// the plan was made: what they did must not be undone unseen.
func (r *run) unmoved(ctx context.Context) error {
	now, err := r.env.API.Service(ctx, r.service.ID)
	if err != nil {
		return err
	}
	if now.Active != r.service.Active {
		return &MovedError{r.service.Active, now.Active}
	}
	return nil
}

// How long an app may take to answer, how often it is asked, and how often in a row
// it has to answer: a change reaches the places of the network one after the other.
const (
	readyWithin = 120 * time.Second
	readyEvery  = time.Second
	readyHits   = 3
)

// awaitApp waits until the app answers at its address.
func (r *run) awaitApp(ctx context.Context) (took time.Duration, err error) {
	l := r.env.Look
	l.URL = r.report.URL
	began, hits := r.env.now(), 0
	for {
		last := l.ask(ctx, http.MethodGet, "/")
		took = r.env.now().Sub(began)
		if hits++; last.Err != nil || !greets(last) {
			hits = 0
		}
		switch {
		case hits == readyHits || hits > 0 && config.OnLoopback(l.URL): // there is but one place
			r.ready = true
			return took, nil
		case ctx.Err() != nil:
			return took, context.Cause(ctx)
		case took >= readyWithin:
			return took, &NotReadyError{l.URL, last, unready(last)}
		}
		if err := r.env.Clock.Wait(ctx, readyEvery); err != nil {
			return took, err
		}
	}
}

// unready says what an answer means that is not the app's greeting.
func unready(a Answer) string {
	dns, isDNS := errors.AsType[*net.DNSError](a.Err)
	switch {
	case isDNS && dns.IsNotFound:
		return "the name does not exist"
	case a.Err != nil:
		return innermost(a.Err)
	case a.Status == http.StatusOK:
		return "another program answers there"
	case a.Status == http.StatusInternalServerError && strings.Contains(a.Body, "unknown domain"):
		return "no active version of any service has this domain"
	}
	return fmt.Sprintf("status %d: %s", a.Status, clip(a.Body))
}

// takeKey makes a signing key, keeps it, and waits until the app knows it.
func (r *run) takeKey(ctx context.Context) (string, error) {
	if !r.ready {
		if _, err := r.awaitApp(ctx); err != nil {
			return "", err
		}
	}
	store, ok := r.is.Stores[LinkKeys]
	if !ok {
		return "", ErrNoKeyStore
	}
	k, err := r.newKey(ctx, store.ID)
	if err != nil {
		return "", err
	}
	if err := r.env.KeepKey(ctx, &r.report, k); err != nil {
		return "", err
	}
	r.led.KeyID, r.report.KeyID, r.led.Context = k.ID, k.ID, r.report.Context
	if !slices.Contains(r.led.Keys, k.ID) {
		r.led.Keys = append(r.led.Keys, k.ID)
	}
	if err := r.led.done(store.ID, Object{Kind: ObjectKey, ID: k.ID, Name: k.ID}); err != nil {
		return "", err
	}
	l := r.env.Look
	l.URL = r.report.URL
	return k.ID, AwaitKey(ctx, l, k, r.env.now())
}

// newKey has the app make a key. If an earlier run did and never got the answer,
// that key is read back: it is the only new one.
func (r *run) newKey(ctx context.Context, store string) (Key, error) {
	now, err := r.env.API.KVKeys(ctx, store)
	if err != nil {
		return Key{}, err
	}
	if r.led.intends(ObjectKey, store) {
		if k, err := r.lostKey(ctx, store, now); err != nil || k.ID != "" {
			return k, err
		}
	}
	if err := r.led.begin(Intent{Kind: ObjectKey, Name: store, Seen: now}); err != nil {
		return Key{}, err
	}
	k, err := r.askForKey(ctx)
	switch {
	case err == nil:
		r.wrote = true
		return k, nil
	case errors.Is(err, ErrAdminOff):
		return r.putKey(ctx, store)
	case errors.Is(err, ErrNoKeyStore), errors.Is(err, ErrAdminRefused), errors.Is(err, ErrPlainURL):
		return k, r.dropIntent(ObjectKey, store, err)
	}
	// Whatever came instead of an answer, the key may have been made.
	r.wrote = true
	if now, err = r.env.API.KVKeys(ctx, store); err != nil {
		return k, err
	}
	if k, lost := r.lostKey(ctx, store, now); lost != nil || k.ID != "" {
		return k, lost
	}
	return r.askForKey(ctx)
}

// lostKey is the one key that was not there before; none if there is not exactly
// one such, or if it is no key of the app's making.
func (r *run) lostKey(ctx context.Context, store string, now []string) (Key, error) {
	i, _ := r.led.intent(ObjectKey, store)
	fresh := slices.DeleteFunc(slices.Clone(now), func(id string) bool { return slices.Contains(i.Seen, id) })
	if len(fresh) != 1 {
		return Key{}, nil
	}
	value, err := r.env.API.KVItem(ctx, store, fresh[0])
	if err != nil || token.KeyID(string(value)) != fresh[0] {
		return Key{}, err
	}
	r.wrote = true
	return Key{ID: fresh[0], Value: config.NewSecret(string(value))}, nil
}

// putKey makes a key past the app, which has its administration switched off.
func (r *run) putKey(ctx context.Context, store string) (Key, error) {
	k, err := NewKey()
	if err != nil {
		return k, err
	}
	return k, r.did(r.env.API.PutKVItem(ctx, store, k.ID, []byte(k.Value.Reveal()), true))
}

// ErrPlainURL is an address of the app to which no credential is sent.
var ErrPlainURL = errors.New("the app's address is not https, and no credential is sent in the clear")

// askForKey shows the app the publish token, which can do least. The operator's own
// goes only to an address that is proven to be the service's.
func (r *run) askForKey(ctx context.Context) (Key, error) {
	if !strings.HasPrefix(r.report.URL, "https://") && !config.OnLoopback(r.report.URL) {
		return Key{}, ErrPlainURL
	}
	a := Admin{URL: r.report.URL, FastlyKey: r.token, HTTP: r.env.Look.HTTP, UserAgent: r.env.Look.UserAgent, Timeout: r.env.Look.Timeout}
	err := ErrAdminRefused
	if r.token.Reveal() != "" {
		var k Key
		if k, err = a.Create(ctx); !errors.Is(err, ErrAdminRefused) {
			return k, err
		}
	}
	if proven, look := r.proven(ctx); look != nil || !proven {
		return Key{}, errors.Join(err, look)
	}
	a.FastlyKey = r.env.Operator
	return a.Create(ctx)
}

// proven reports whether the app's address is the service's: a domain of the active
// version. This machine is as good in a rehearsal, where the platform is on it too.
func (r *run) proven(ctx context.Context) (bool, error) {
	switch {
	case config.OnLoopback(r.report.URL):
		return config.OnLoopback(r.env.Endpoint), nil
	case r.report.URL != "https://"+r.self:
		return false, nil
	}
	s, err := r.env.API.Service(ctx, r.service.ID)
	if err != nil || s.Active == 0 {
		return false, err
	}
	domains, err := r.env.API.Domains(ctx, s.ID, s.Active)
	return hasDomain(domains, r.self) || r.is.hasName(r.self) && !hasDomain(r.is.Domains, r.self), err
}

// takeTest sends a message through the service.
func (r *run) takeTest(ctx context.Context) (string, error) {
	if !r.ready {
		if _, err := r.awaitApp(ctx); err != nil {
			return "", err
		}
	}
	detail, err := r.env.SelfTest(ctx, &r.report)
	if err != nil {
		return "", err
	}
	r.led.Tested = r.led.fingerprint(r.report.Version)
	return detail, r.led.save()
}
