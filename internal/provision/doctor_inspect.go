package provision

import (
	"context"
	"errors"
	"sync"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Inspection says what to look at through the platform's API.
type Inspection struct {
	// Endpoint is the API's address, TokenFrom where its token came from; both are
	// only shown.
	Endpoint, TokenFrom string
	// Service is the id of the service.
	Service string
	// Ledger is what setup has noted of it, to tell what it made from what somebody
	// else put in its place; nil if it noted nothing.
	Ledger *Ledger
}

// Inspect reads a service through the platform's API. It changes nothing. What
// cannot be read is noted as such; Inspect itself does not fail.
func Inspect(ctx context.Context, api fastly.API, in Inspection) *PlatformSight {
	p := &PlatformSight{API: in.Endpoint, TokenFrom: in.TokenFrom, ServiceID: in.Service}
	if l := in.Ledger; l != nil {
		p.LedgerHash, p.LedgerDigest, p.TokenID, p.NoMessages = l.FilesHash, l.Secret, l.TokenID, l.NoMessages
	}
	p.Token, p.TokenErr = api.Self(ctx)
	if _, unanswered := errors.AsType[*fastly.UnansweredError](p.TokenErr); unanswered {
		p.ReachErr = p.TokenErr
	}
	if p.TokenErr != nil || in.Service == "" {
		return p
	}
	if p.Service, p.ServiceErr = api.Service(ctx, in.Service); p.ServiceErr != nil {
		return p
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.Fanout, p.FanoutErr = api.Fanout(ctx, in.Service) })
	if p.Service.Active > 0 {
		reading.Go(func() { p.readVersion(ctx, api) })
		reading.Go(func() { p.readLinks(ctx, api) })
	}
	reading.Wait() // each goroutine writes members of its own
	p.readStores(ctx, api)
	return p
}

// readVersion reads what the active version says, except its links.
func (p *PlatformSight) readVersion(ctx context.Context, api fastly.API) {
	id, v := p.ServiceID, p.Service.Active
	domains, err := api.Domains(ctx, id, v)
	for _, d := range domains {
		p.Domains = append(p.Domains, host(d.Name))
	}
	backends, err2 := api.Backends(ctx, id, v)
	p.Backends = map[string]fastly.Backend{}
	for _, b := range backends {
		p.Backends[b.Name] = b
	}
	p.VersionErr = errors.Join(err, err2)
	var pkg fastly.Package
	pkg, p.PackageErr = api.Package(ctx, id, v)
	p.Package, p.PackageHash = pkg.Name, pkg.FilesHash
	// A domain of the versionless API belongs to no version. An account without that
	// API has none.
	custom, err := api.CustomDomains(ctx)
	for _, d := range custom {
		if err == nil && d.ServiceID == id {
			p.Domains = append(p.Domains, host(d.Name))
		}
	}
}

// readLinks reads the links and whether what they lead to is there.
func (p *PlatformSight) readLinks(ctx context.Context, api fastly.API) {
	links, err := api.Links(ctx, p.ServiceID, p.Service.Active)
	p.LinksErr = err
	p.Links = map[string]LinkSight{}
	for _, l := range links {
		sight := LinkSight{Link: l}
		_, err := api.Store(ctx, l.Kind, l.StoreID)
		if sight.Gone = fastly.NotFound(err); !sight.Gone {
			sight.Err = err
		}
		p.Links[l.Name] = sight
	}
}

// store is the id of the store behind a link, if it is one to be read.
func (p *PlatformSight) store(link string, kind fastly.Kind) string {
	l, found := p.Links[link]
	if !found || l.Gone || l.Err != nil || l.Kind != kind {
		return ""
	}
	return l.StoreID
}

// readStores reads what is in the stores that the app opens.
func (p *PlatformSight) readStores(ctx context.Context, api fastly.API) {
	var reading sync.WaitGroup
	if id := p.store(LinkConfig, fastly.ConfigStore); id != "" {
		reading.Go(func() { p.Items, p.ItemsErr = api.ConfigItems(ctx, id) })
	}
	if id := p.store(LinkSecrets, fastly.SecretStore); id != "" {
		reading.Go(func() { p.readSecret(ctx, api, id) })
	}
	if p.KeyStore = p.store(LinkKeys, fastly.KVStore); p.KeyStore != "" {
		reading.Go(func() { p.Keys, p.KeysErr = api.KVKeys(ctx, p.KeyStore) })
	}
	if p.TokenID != "" {
		reading.Go(func() { p.readPublishToken(ctx, api) })
	}
	reading.Wait() // each goroutine writes members of its own
}

func (p *PlatformSight) readSecret(ctx context.Context, api fastly.API, store string) {
	s, err := api.Secret(ctx, store, SecretPublishToken)
	switch {
	case err == nil:
		p.HasSecret, p.Digest = true, s.Digest
	case !fastly.NotFound(err):
		p.SecretErr = err
	}
}

// readPublishToken finds the publish token that setup made, if the account shows
// its tokens.
func (p *PlatformSight) readPublishToken(ctx context.Context, api fastly.API) {
	tokens, err := api.AllTokens(ctx)
	if err != nil {
		p.TokenID = ""
		return
	}
	for _, t := range tokens {
		if t.ID == p.TokenID {
			p.Expires = t.Expires
			return
		}
	}
	p.Revoked = true
}
