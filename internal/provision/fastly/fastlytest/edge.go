package fastlytest

import (
	"errors"
	"reflect"
	"slices"
	"time"
)

// The names under which the Pub/Sub app opens its stores.
const (
	linkConfig   = "config"
	linkSecrets  = "secrets"
	linkKeys     = "keys"
	linkMessages = "messages"
	publishToken = "publish-token"
)

// Deployment is what the edge knows of the service whose version was activated
// last. Its maps and slices must not be changed.
type Deployment struct {
	// Serial grows with every change of anything in it.
	Serial uint64
	// Service is its id; empty if no service has an active version, and then
	// nothing else is set.
	Service string
	Domains []string
	// Backends has the address of each backend.
	Backends map[string]string
	// Fanout tells whether the product is on.
	Fanout bool
	// Config has the items of the linked config store.
	Config map[string]string
	// PublishToken is what the linked secret store holds; empty for nothing.
	PublishToken string
	// KeyStore and MessageStore are the ids of the linked KV stores; empty if there
	// is no link.
	KeyStore, MessageStore string
	// Keys has the signing keys by id.
	Keys map[string][]byte
	// Elsewhere has the domains of the account's other services.
	Elsewhere []string
}

// sighting is a Deployment and when the edge learns of it.
type sighting struct {
	at time.Time
	Deployment
}

// maxSightings bounds what the edge has still to learn.
const maxSightings = 1000

// changed is called after every change. It notes what the edge will know once
// the lag has passed, unless that is what it knows already. The caller holds s.mu.
func (s *Server) changed() {
	d := s.account.deployment(s.now())
	if n := len(s.sightings); n > 0 {
		last := s.sightings[n-1].Deployment
		if d.Serial = last.Serial; reflect.DeepEqual(d, last) {
			return
		}
		d.Serial++
	}
	if len(s.sightings) == maxSightings {
		s.sightings = s.sightings[1:]
	}
	s.sightings = append(s.sightings, sighting{s.now().Add(s.traits.lag), d})
}

// Deployed is what the edge knows now: the latest, unless the preset eventual
// holds it back.
func (s *Server) Deployed() Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for len(s.sightings) > 1 && !s.sightings[1].at.After(now) {
		s.sightings = s.sightings[1:]
	}
	return s.sightings[0].Deployment
}

// deployment finds the service that was activated last and resolves its links.
func (a *Account) deployment(now time.Time) Deployment {
	var d Deployment
	var active *Version
	for _, s := range a.Services {
		if v := s.Active(); v != nil && (active == nil || !v.Updated.Before(active.Updated)) {
			d, active = Deployment{Service: s.ID, Fanout: s.Fanout}, v
		}
	}
	if active == nil {
		return d
	}
	d.Domains, d.Elsewhere = a.domains(d.Service)
	d.Backends = map[string]string{}
	for _, b := range active.Backends {
		d.Backends[b.Name()] = b.Text("address")
	}
	a.resolve(&d, active, now)
	return d
}

// domains are those of a service's active version and of the versionless API,
// and those of all others.
func (a *Account) domains(service string) (here, elsewhere []string) {
	put := func(owner, name string) {
		if owner == service {
			here = append(here, name)
		} else {
			elsewhere = append(elsewhere, name)
		}
	}
	for _, s := range a.Services {
		if v := s.Active(); v != nil {
			for _, domain := range v.Domains {
				put(s.ID, domain.Name)
			}
		}
	}
	for _, domain := range a.CustomDomains {
		put(domain.ServiceID, domain.Name)
	}
	return here, elsewhere
}

// resolve opens the stores behind the links. A link of the right name to a store
// of another kind, or to one that is gone, opens nothing.
func (a *Account) resolve(d *Deployment, v *Version, now time.Time) {
	target := func(name string) string {
		if l := v.Link(name); l != nil {
			return l.StoreID
		}
		return ""
	}
	d.Config, d.Keys = map[string]string{}, map[string][]byte{}
	if s := a.configStore(target(linkConfig)); s != nil {
		for _, i := range s.Items {
			d.Config[i.Key] = i.Value
		}
	}
	if s := a.secretStore(target(linkSecrets)); s != nil {
		if x := s.Secret(publishToken); x != nil {
			d.PublishToken = string(x.Value)
		}
	}
	if s := a.kvStore(target(linkKeys)); s != nil {
		d.KeyStore = s.ID
		for _, id := range s.keys(now) {
			d.Keys[id] = s.Items[id].Value
		}
	}
	if s := a.kvStore(target(linkMessages)); s != nil {
		d.MessageStore = s.ID
	}
}

// Purges reports whether a token may purge a service now, which is what
// publishing and the app's administration ask for.
func (s *Server) Purges(service, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := find(s.account.Tokens, func(t *Token) bool { return t.Value == token })
	return t != nil && token != "" && t.purges(service, s.now())
}

// Errors of the edge's writes.
var (
	errNoStore = errors.New("no such KV store")
	errKVName  = errors.New("not the name of a KV item")
	errKVFull  = errors.New("the KV store is full")
)

// PutKVItem writes an item the way a service at the edge does; expires is zero
// for an item that stays.
func (s *Server) PutKVItem(store, key string, value []byte, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kv := s.account.kvStore(store)
	if kv == nil {
		return errNoStore
	}
	if badKVName.MatchString(key) || len(key) > maxKVName {
		return errKVName
	}
	if kv.Items[key] == nil && room("items", len(kv.Items)) != nil {
		return errKVFull
	}
	kv.Items[key] = &KVItem{Value: slices.Clone(value), Generation: s.nextGeneration(), Expires: expires}
	s.changed()
	return nil
}

// HasKVItem reports whether a KV store has an item now.
func (s *Server) HasKVItem(store, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	kv := s.account.kvStore(store)
	if kv == nil {
		return false
	}
	item := kv.Items[key]
	return item != nil && item.lives(s.now())
}

// DeleteKVItem removes an item the way a service at the edge does; removing what
// is not there is not an error.
func (s *Server) DeleteKVItem(store, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kv := s.account.kvStore(store)
	if kv == nil {
		return errNoStore
	}
	delete(kv.Items, key)
	s.changed()
	return nil
}
