package fastlytest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// customer is the id of the one customer there is, user that of the one user.
func (s *Server) customer() string { return fixedID(s.opt.Seed, "customer") }
func (s *Server) user() string     { return fixedID(s.opt.Seed, "user") }

func (c *call) createService() (any, error) {
	name := c.form.Get("name")
	switch {
	case name == "":
		return nil, badRequest("Name can't be blank")
	case len(c.token.Services) > 0:
		return nil, unauthorized()
	case c.account.Service(name) != nil:
		return nil, refuse(http.StatusConflict, object{"msg": "Duplicate record", "detail": "Name has already been taken"})
	}
	if err := room("services", len(c.account.Services)); err != nil {
		return nil, err
	}
	s := &Service{
		ID: c.mint.id(), Name: name, Type: cmp.Or(c.form.Get("type"), VCL), Comment: c.form.Get("comment"),
		Created: c.at, Updated: c.at,
	}
	if s.Type != VCL && s.Type != Wasm {
		return nil, badRequest("Type must be vcl or wasm")
	}
	s.Versions = []*Version{{Number: 1, Created: c.at, Updated: c.at}}
	c.account.Services = append(c.account.Services, s)
	return c.showService(s, "publish_key", "paused"), nil
}

func (c *call) getService() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	return c.showService(s, "publish_key", "paused"), nil
}

func (c *call) searchService() (any, error) {
	name := c.query().Get("name")
	s := c.account.Service(name)
	if s == nil || !c.token.covers(s.ID) {
		return nil, notFound("Service", "name", name)
	}
	return c.showService(s), nil
}

func (c *call) updateService() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	if c.form.Has("name") {
		s.Name = c.form.Get("name")
	}
	if c.form.Has("comment") {
		s.Comment = c.form.Get("comment")
	}
	s.Updated = c.at
	return c.showService(s, "publish_key", "paused"), nil
}

func (c *call) deleteService() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	if s.Active() != nil {
		return nil, badRequest("Cannot delete a service with an active version")
	}
	c.account.Services = without(c.account.Services, s)
	return done(), nil
}

// showService is a service as GET shows it; more names the members that not
// every endpoint sends.
func (c *call) showService(s *Service, more ...string) object {
	versions := make([]object, len(s.Versions))
	for i, v := range s.Versions {
		versions[i] = showVersion(s, v)
	}
	o := object{
		"id": s.ID, "name": s.Name, "type": s.Type, "comment": s.Comment, "customer_id": c.customer(),
		"created_at": stamp(s.Created), "updated_at": stamp(s.Updated), "deleted_at": nil, "versions": versions,
	}
	for _, name := range more {
		switch name {
		case "publish_key":
			o[name] = ""
		case "paused":
			o[name] = false
		case "version":
			o[name] = s.shown().Number
		}
	}
	return o
}

// shown is the version that stands for the service: the active or the latest.
func (s *Service) shown() *Version {
	if v := s.Active(); v != nil {
		return v
	}
	return s.Latest()
}

// serviceDetails is the service with whole versions.
func (c *call) serviceDetails() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	o := c.showService(s)
	o["version"], o["active_version"] = showWhole(s, s.shown()), nil
	if v := s.Active(); v != nil {
		o["active_version"] = showWhole(s, v)
	}
	return o, nil
}

// showWhole is a version with what it holds. Parts that a Compute service never
// has are there, empty.
func showWhole(s *Service, v *Version) object {
	o := showVersion(s, v)
	for _, empty := range []string{
		"acls", "cache_settings", "conditions", "dictionaries", "directors", "gzips", "headers", "healthchecks",
		"request_settings", "response_objects", "snippets", "vcls", "wordpress",
	} {
		o[empty] = []object{}
	}
	domains, backends := make([]object, len(v.Domains)), make([]object, len(v.Backends))
	for i, d := range v.Domains {
		domains[i] = showDomain(s, v, d)
	}
	for i, b := range v.Backends {
		backends[i] = showBackend(s, v, b)
	}
	o["domains"], o["backends"] = domains, backends
	o["settings"] = object{
		"general.default_ttl": 3600, "general.stale_if_error_ttl": 43200, "general.stale_if_error": false,
		"general.default_pci": 0, "general.default_host": "",
	}
	return o
}

// serviceDomains lists the domains of the version that stands for the service.
func (c *call) serviceDomains() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	domains := []object{}
	for _, d := range s.shown().Domains {
		domains = append(domains, showDomain(s, s.shown(), d))
	}
	return domains, nil
}

// listServices shows one page and links to the others.
func (c *call) listServices() (any, error) {
	var visible []*Service
	for _, s := range c.account.Services {
		if c.token.covers(s.ID) {
			visible = append(visible, s)
		}
	}
	slices.SortStableFunc(visible, func(a, b *Service) int { return a.Created.Compare(b.Created) })
	if strings.HasPrefix(c.query().Get("direction"), "desc") {
		slices.Reverse(visible)
	}
	per, page := min(c.number("per_page", 20), 100), c.number("page", 1)
	last := max((len(visible)+per-1)/per, 1)
	shown := []object{}
	for _, s := range paged(visible, page, per) {
		shown = append(shown, c.showService(s, "version", "paused"))
	}
	a := jsonAnswer(http.StatusOK, shown)
	if link := c.pageLinks(page, last); link != "" {
		a.header.Set("Link", link)
	}
	return a, nil
}

// paged is the page of a number, counted from 1.
func paged[T any](all []T, page, per int) []T {
	from := min((page-1)*per, len(all))
	return all[from:min(from+per, len(all))]
}

// pageLinks is the Link header: the last page names neither next nor last, the
// first neither prev nor first.
func (c *call) pageLinks(page, last int) string {
	var links []string
	link := func(to int, rel string) {
		q := c.query()
		q.Set("page", strconv.Itoa(to))
		u := url.URL{Scheme: "https", Host: "api.fastly.com", Path: c.req.URL.Path, RawQuery: q.Encode()}
		links = append(links, fmt.Sprintf("<%s>; rel=%q", u.String(), rel))
	}
	if page < last {
		link(last, "last")
		link(page+1, "next")
	}
	if page > 1 {
		link(page-1, "prev")
		link(1, "first")
	}
	return strings.Join(links, ", ")
}
