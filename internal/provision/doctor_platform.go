package provision

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// PlatformSight is what the platform's API tells of a service. What could not be
// read has an error beside it.
type PlatformSight struct {
	// API is its address; ReachErr why it did not answer at all. Door is its answer
	// to a request without a credential, which tells the platform's time.
	API      string
	ReachErr error
	Door     Answer

	// Token is the one in use, from TokenFrom; TokenErr is why it is of no use.
	Token     fastly.Token
	TokenFrom string
	TokenErr  error

	// ServiceID is the service's id, as it was given; ServiceErr is why it cannot be
	// seen.
	ServiceID  string
	Service    fastly.Service
	ServiceErr error

	// Fanout tells whether the product is on.
	Fanout    bool
	FanoutErr error

	// Domains, Backends and Links are those of the active version, by name.
	VersionErr error
	LinksErr   error
	Domains    []string
	Backends   map[string]fastly.Backend
	Links      map[string]LinkSight
	// NoMessages says that setup left the store for retained messages out on purpose.
	NoMessages bool

	// Package is the active version's program; empty for none. PackageHash is its
	// hash, LedgerHash that of the one setup uploaded.
	Package, PackageHash, LedgerHash string
	PackageErr                       error

	// Items are the config store's.
	Items    map[string]string
	ItemsErr error

	// HasSecret tells whether there is a publish token; Digest is its mark, and
	// LedgerDigest that of the one setup stored.
	HasSecret            bool
	Digest, LedgerDigest string
	SecretErr            error
	// TokenID is the publish token's, if setup knows it; Expires when it ends,
	// zero for never or unknown; Revoked that the account does not have it any more.
	TokenID string
	Expires time.Time
	Revoked bool

	// KeyStore is the linked store of keys, Keys the ids in it.
	KeyStore string
	Keys     []string
	KeysErr  error
}

// LinkSight is a link and what it leads to.
type LinkSight struct {
	fastly.Link
	// Gone says that the store does not exist; Err is why that is not known.
	Gone bool
	Err  error
}

// platformChecks are about what the platform's API tells.
func platformChecks() []check {
	version := []string{"service", "activate"}
	link := func(step, name string, kind fastly.Kind) check {
		return check{name: step, id: "D06", needs: version, platform: true, judge: func(s *Sighting) Finding {
			return judgeLink(s.Platform, step, name, kind)
		}}
	}
	return []check{
		{name: "api", id: "D01", platform: true, judge: judgeAPI},
		{name: "api-token", id: "D02", needs: []string{"api"}, platform: true, judge: judgeToken},
		{name: "service", id: "D03", needs: []string{"api-token"}, platform: true, judge: judgeService},
		{name: "activate", id: "D03b", needs: []string{"service"}, platform: true, judge: judgeActive},
		{name: "drafts", id: "D04", needs: version, platform: true, judge: judgeDrafts},
		{name: "fanout", id: "D05", needs: []string{"service"}, platform: true, judge: judgeFanout},
		link("config-store", LinkConfig, fastly.ConfigStore),
		link("secret-store", LinkSecrets, fastly.SecretStore),
		link("kv-keys", LinkKeys, fastly.KVStore),
		link("kv-messages", LinkMessages, fastly.KVStore),
		{name: "domain", id: "D08", needs: version, platform: true, judge: judgeDomain},
		{name: "backend-self", id: "D07", needs: append(version, "domain"), platform: true, judge: judgeSelf},
		{name: "backend-api", id: "D07b", needs: version, platform: true, judge: judgeBackendAPI},
		{name: "package", id: "D09", needs: version, platform: true, judge: judgePackage},
		{name: "config-items", id: "D10", needs: []string{"config-store"}, platform: true, judge: judgeItems},
		{name: "publish-token", id: "D11", needs: []string{"secret-store"}, platform: true, judge: judgeSecret},
		{name: "token-expiry", id: "D19", needs: []string{"publish-token"}, platform: true, judge: judgeExpiry},
	}
}

func judgeAPI(s *Sighting) Finding {
	p := s.Platform
	err := p.ReachErr
	if err == nil {
		err = p.Door.Err
	}
	if err == nil {
		return ok(p.API + " answers")
	}
	return failed(p.API+": "+innermost(err), "the platform's API cannot be reached: a proxy, a firewall, or no network", fixAddress)
}

func judgeToken(s *Sighting) Finding {
	p := s.Platform
	switch {
	case fastly.Expired(p.TokenErr):
		return failed(p.TokenFrom+": "+innermost(p.TokenErr), "the API token has expired", fixAddress)
	case p.TokenErr != nil:
		return failed(p.TokenFrom+": "+innermost(p.TokenErr), "the API token is revoked, cut short, or not one of Fastly's", fixAddress)
	case !p.Token.Can("global"):
		return warned("scope "+strings.Join(p.Token.Scopes, " "), "it can look at less than doctor would, and change nothing", fixAddress)
	case !p.Token.Expires.IsZero() && p.Token.Expires.Sub(s.Now) < 24*time.Hour:
		return warned("expires "+p.Token.Expires.UTC().Format(time.RFC3339), "setup will need a new one", fixAddress)
	}
	return ok("from " + p.TokenFrom + ", scope " + strings.Join(p.Token.Scopes, " "))
}

func judgeService(s *Sighting) Finding {
	p := s.Platform
	switch {
	case p.ServiceID == "":
		return failed("no service id is known", "the context names no service", "pubsubctl setup")
	case p.ServiceErr != nil && !p.Token.Covers(p.ServiceID):
		return failed("the API token is limited to "+strings.Join(p.Token.Services, ", "), "it cannot see service "+p.ServiceID, fixAddress)
	case p.ServiceErr != nil:
		return failed(p.ServiceID+": "+innermost(p.ServiceErr), "the service does not exist, or belongs to another account", fixAddress)
	case p.Service.Type != fastly.Compute:
		return failed(p.Service.Name+" is of type "+p.Service.Type, "the Pub/Sub app runs on Compute services only", "pubsubctl setup --name NAME")
	}
	return ok(p.Service.Name + " (" + p.ServiceID + ")")
}

func judgeActive(s *Sighting) Finding {
	p := s.Platform
	if p.Service.Active == 0 {
		return failed("no version is active", "the service answers nobody", "pubsubctl setup --only activate")
	}
	return ok(fmt.Sprintf("version %d is active", p.Service.Active))
}

func judgeDrafts(s *Sighting) Finding {
	p := s.Platform
	var drafts []string
	for _, v := range p.Service.Versions {
		if v.Number > p.Service.Active && !v.Locked {
			drafts = append(drafts, strconv.Itoa(v.Number))
		}
	}
	if len(drafts) == 0 {
		return ok("nothing waits to be activated")
	}
	return warned("version "+strings.Join(drafts, ", ")+" is newer than the active one",
		"somebody changed something and did not activate it, or an earlier setup was given up", "pubsubctl setup --dry-run")
}

func judgeFanout(s *Sighting) Finding {
	p := s.Platform
	switch {
	case p.FanoutErr != nil:
		return failed(innermost(p.FanoutErr), "whether Fanout is on cannot be read", "pubsubctl status")
	case !p.Fanout:
		return failed("Fanout is off for the service", "nothing holds connections and nothing can be published", "pubsubctl setup --only fanout")
	}
	return ok("on")
}

// leftOut reports whether there is no store for retained messages on purpose.
func (p *PlatformSight) leftOut() bool {
	_, linked := p.Links[LinkMessages]
	return p.NoMessages && !linked
}

// judgeLink is about one store and the name under which the app opens it.
func judgeLink(p *PlatformSight, step, name string, kind fastly.Kind) Finding {
	fix := "pubsubctl setup --only " + step
	if name == LinkSecrets { // a new store has no token in it
		fix += " --publish-token env:PUBLISH_TOKEN"
	}
	l, found := p.Links[name]
	lacks := map[string]string{
		LinkConfig: "the app runs with its defaults", LinkSecrets: "the app has no publish token",
		LinkKeys: "no token is valid", LinkMessages: "nothing is retained, and durable streams start empty",
	}[name]
	switch {
	case p.LinksErr != nil:
		return failed(innermost(p.LinksErr), "the links of the active version cannot be read", "pubsubctl status")
	case name == LinkMessages && p.leftOut():
		return skipped("left out by setup --no-messages; " + lacks)
	case !found:
		return failed("no store is linked as "+name, lacks, fix)
	case l.Err != nil:
		return failed("link "+name+": "+innermost(l.Err), "what it leads to cannot be read", fix)
	case l.Gone:
		return failed("link "+name+" leads to store "+l.StoreID+", which does not exist", lacks, fix)
	case l.Kind != kind:
		return failed("link "+name+" leads to a "+string(l.Kind)+" store", "the app opens a "+string(kind)+" store of this name", fix)
	}
	return ok("store " + l.StoreID)
}

func judgeDomain(s *Sighting) Finding {
	p := s.Platform
	if p.VersionErr != nil {
		return failed(innermost(p.VersionErr), "the domains of the active version cannot be read", "pubsubctl status")
	}
	if len(p.Domains) == 0 {
		return failed("the active version has no domain", "no address leads to the service", "pubsubctl setup --only domain")
	}
	if s.Domain != "" && !slices.Contains(p.Domains, s.Domain) {
		return failed(s.Domain+" is not one of "+strings.Join(p.Domains, ", "), "the context's address leads elsewhere", fixAddress)
	}
	return ok(strings.Join(p.Domains, ", "))
}

func judgeSelf(s *Sighting) Finding {
	p := s.Platform
	const fix = "pubsubctl setup --only backend-self"
	b, found := p.Backends[BackendSelf]
	if !found {
		return failed("there is no backend self", "Fanout cannot ask the service about a connection", fix)
	}
	if !slices.Contains(p.Domains, host(b.Address)) {
		return failed("self leads to "+b.Address+", not to "+p.Domains[0], "Fanout asks somebody else about each connection", fix)
	}
	return judgeBackend(b, SelfBackend(host(b.Address)), fix)
}

func judgeBackendAPI(s *Sighting) Finding {
	const fix = "pubsubctl setup --only backend-api"
	b, found := s.Platform.Backends["api"]
	if !found {
		return failed("there is no backend api", "the app cannot publish", fix)
	}
	return judgeBackend(b, APIBackend(), fix)
}

// judgeBackend compares all that counts with what it must be.
func judgeBackend(b, want fastly.Backend, fix string) Finding {
	b.Address, b.OverrideHost, b.SNIHostname, b.CertHostname = host(b.Address), host(b.OverrideHost), host(b.SNIHostname), host(b.CertHostname)
	diff := BackendDiff(b, want)
	if len(diff) == 0 {
		return ok(fmt.Sprintf("%s:%d", want.Address, want.Port))
	}
	d := diff[0]
	return failed(b.Name+": "+d.Field+" is "+d.Is, "it must be "+d.Want, fix)
}

// host is a host name as it is compared.
func host(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

func judgePackage(s *Sighting) Finding {
	p := s.Platform
	// The fix cannot name a package nobody has named to us.
	const fix = "pubsubctl setup --only package --package app.tar.gz"
	switch {
	case p.PackageErr != nil:
		return failed(innermost(p.PackageErr), "the package of the active version cannot be read", "pubsubctl status")
	case p.Package == "":
		return failed("the active version has no package", "there is no program to answer", fix)
	case p.Package != "Pub/Sub":
		return failed("the package is "+clip(p.Package), "another program answers in the Pub/Sub app's place", fix)
	case p.LedgerHash != "" && p.PackageHash != p.LedgerHash:
		return warned("the package is not the one setup uploaded", "somebody has deployed another build", "pubsubctl setup --dry-run")
	}
	return ok(p.Package)
}

// switchNames are the items the app reads.
func switchNames() []string { return []string{"sse", "http-publish", "admin"} }

func judgeItems(s *Sighting) Finding {
	p := s.Platform
	if p.ItemsErr != nil {
		return failed(innermost(p.ItemsErr), "the items of the config store cannot be read", "pubsubctl setup --only config-store")
	}
	var shown []string
	for _, name := range switchNames() {
		v, found := p.Items[name]
		if found && v != "true" && v != "false" {
			return failed(fmt.Sprintf("item %s is %q", name, clip(v)), "it must be exactly true or false; as it is every path answers 500",
				"pubsubctl setup --only config-store --config-item "+name+"=true")
		}
		if found {
			shown = append(shown, name+"="+v)
		}
	}
	if len(shown) == 0 {
		return ok("all switches have their default, which is on")
	}
	return ok(strings.Join(shown, ", "))
}

func judgeSecret(s *Sighting) Finding {
	p := s.Platform
	switch {
	case p.SecretErr != nil:
		return failed(innermost(p.SecretErr), "the secret store cannot be read", "pubsubctl status")
	case !p.HasSecret:
		return failed("the secret store has no publish-token", "nothing can be published", fixPublishToken)
	case p.Revoked:
		return failed("the account does not have the stored token any more", "it was revoked", fixPublishToken)
	case !s.App.publishes() && s.App.AsAdmin.Made && isReason(s.App.AsAdmin.Err, "publish_failed") && p.sends():
		return failed("the app cannot publish with it: "+said(s.App.AsAdmin.Err), replacedOr(p), fixPublishToken)
	case p.LedgerDigest != "" && p.Digest != p.LedgerDigest:
		return warned("it is not the token setup stored", "somebody has replaced it", fixPublishToken)
	}
	return ok("present")
}

// replacedOr is why a stored token does not work.
func replacedOr(p *PlatformSight) string {
	if p.LedgerDigest != "" && p.Digest != p.LedgerDigest {
		return "somebody has replaced the token setup stored"
	}
	return "it is expired, revoked, or may not purge this service"
}

// publishes reports whether a publish went through.
func (a AppSight) publishes() bool {
	return a.AsAdmin.Made && a.AsAdmin.Err == nil || a.Publish.Made && a.Publish.Err == nil
}

// sends reports whether nothing but the token stands between the app and its
// publishing.
func (p *PlatformSight) sends() bool {
	b, found := p.Backends[BackendAPI]
	return p.Fanout && found && judgeBackend(b, APIBackend(), "").Status == StatusOK
}

func judgeExpiry(s *Sighting) Finding {
	p := s.Platform
	switch left := p.Expires.Sub(s.Now); {
	case p.TokenID == "":
		return skipped("setup did not make the publish token and does not know its id")
	case p.Expires.IsZero():
		return ok("it never expires, as far as the account tells")
	case left <= 0:
		return failed("expired "+p.Expires.UTC().Format(time.RFC3339), "nothing can be published", fixPublishToken)
	case left < 14*24*time.Hour:
		return warned("expires "+p.Expires.UTC().Format(time.RFC3339), "from then on nothing can be published", fixPublishToken)
	}
	return ok("expires " + p.Expires.UTC().Format(time.RFC3339))
}
