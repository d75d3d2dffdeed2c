package fastlytest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

func showDomain(s *Service, v *Version, d *Domain) object {
	return object{
		"name": d.Name, "comment": d.Comment, "service_id": s.ID, "version": v.Number,
		"created_at": stamp(d.Created), "updated_at": stamp(d.Updated), "deleted_at": nil,
	}
}

// freeDomain says why a name cannot be put into a version, if it cannot.
func (c *call) freeDomain(s *Service, v *Version, name string) error {
	switch {
	case name == "" || !strings.Contains(name, "."):
		return badRequest("Domain name is invalid")
	case c.traits.domainsTaken > 0:
		c.traits.domainsTaken--
		return badRequest("Domain '" + name + "' is already taken by another customer")
	case slices.Contains(c.opt.TakenDomains, name):
		return badRequest("Domain '" + name + "' is already taken by another customer")
	case c.traits.noClassicDomains && !strings.HasSuffix(name, ".edgecompute.app"):
		return badRequest("Creating domains with the classic domains APIs is deprecated for this account")
	case v.Domain(name) != nil:
		return duplicate("domain", name)
	}
	if other := c.account.ownerOf(name); other != nil && other != s {
		return badRequest("Domain '" + name + "' is already taken by service '" + other.ID + "'")
	}
	return nil
}

// ownerOf is the service that has a domain in any version.
func (a *Account) ownerOf(domain string) *Service {
	return find(a.Services, func(s *Service) bool {
		return slices.ContainsFunc(s.Versions, func(v *Version) bool { return v.Domain(domain) != nil })
	})
}

func (c *call) listDomains() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, d := range v.Domains {
		all = append(all, showDomain(s, v, d))
	}
	return all, nil
}

func (c *call) createDomain() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	d := &Domain{Name: strings.ToLower(c.form.Get("name")), Comment: c.form.Get("comment"), Created: c.at, Updated: c.at}
	if err := cmp.Or(room("domains", len(v.Domains)), c.freeDomain(s, v, d.Name)); err != nil {
		return nil, err
	}
	v.Domains = append(v.Domains, d)
	return showDomain(s, v, d), nil
}

func (c *call) pickDomain(s *Service, v *Version) (*Domain, error) {
	if d := v.Domain(c.path("name")); d != nil {
		return d, nil
	}
	return nil, notFound("Domain", "name", c.path("name"), "service", s.ID, "version", itoa(v.Number))
}

func (c *call) getDomain() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	d, err := c.pickDomain(s, v)
	if err != nil {
		return nil, err
	}
	return showDomain(s, v, d), nil
}

func (c *call) updateDomain() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	d, err := c.pickDomain(s, v)
	if err != nil {
		return nil, err
	}
	if name := c.form.Get("name"); name != "" && name != d.Name {
		if err := c.freeDomain(s, v, name); err != nil {
			return nil, err
		}
		d.Name = name
	}
	if c.form.Has("comment") {
		d.Comment = c.form.Get("comment")
	}
	d.Updated = c.at
	return showDomain(s, v, d), nil
}

func (c *call) deleteDomain() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	d, err := c.pickDomain(s, v)
	if err != nil {
		return nil, err
	}
	v.Domains = without(v.Domains, d)
	return done(), nil
}

// checkDomain answers for a name without a CNAME: there is no DNS here.
func (c *call) checkDomain() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	d, err := c.pickDomain(s, v)
	if err != nil {
		return nil, err
	}
	return checked(s, v, d), nil
}

func checked(s *Service, v *Version, d *Domain) []any { return []any{showDomain(s, v, d), nil, false} }

func (c *call) checkDomains() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	all := [][]any{}
	for _, d := range v.Domains {
		all = append(all, checked(s, v, d))
	}
	return all, nil
}

// The versionless API.

// showCustomDomain is a domain as the old path shows it, or with what only the
// new one knows.
func showCustomDomain(d *CustomDomain, whole bool) object {
	o := object{
		"id": d.ID, "fqdn": d.Name, "service_id": textOrNil(d.ServiceID),
		"created_at": milliStamp(d.Created), "updated_at": milliStamp(d.Updated),
	}
	if whole {
		o["activated"], o["verified"], o["description"] = false, false, d.Description
	}
	return o
}

func (c *call) listCustomDomains(show func(*CustomDomain) object) (any, error) {
	limit := c.number("limit", 20)
	all := []object{}
	for _, d := range c.account.CustomDomains {
		fqdn, service := c.query().Get("fqdn"), c.query().Get("service_id")
		if (fqdn == "" || fqdn == d.Name) && (service == "" || service == d.ServiceID) && c.sees(d) {
			all = append(all, show(d))
		}
	}
	meta := object{"total": len(all), "limit": limit}
	return object{"data": all[:min(len(all), limit)], "meta": meta}, nil
}

func (c *call) sees(d *CustomDomain) bool {
	return len(c.token.Services) == 0 || d.ServiceID != "" && c.token.covers(d.ServiceID)
}

func (c *call) createCustomDomain(show func(*CustomDomain) object) (any, error) {
	name := strings.ToLower(c.text("fqdn"))
	taken := c.account.ownerOf(name) != nil || slices.Contains(c.opt.TakenDomains, name) ||
		find(c.account.CustomDomains, func(d *CustomDomain) bool { return d.Name == name }) != nil
	switch {
	case name == "":
		return nil, listed(http.StatusBadRequest, "Invalid value for fqdn", "fqdn can't be blank")
	case taken:
		return nil, listed(http.StatusBadRequest, "Invalid value for fqdn", "fqdn has already been taken")
	}
	d := &CustomDomain{ID: c.mint.id(), Name: name, Created: c.at}
	if err := cmp.Or(room("custom domains", len(c.account.CustomDomains)), c.fill(d)); err != nil {
		return nil, err
	}
	c.account.CustomDomains = append(c.account.CustomDomains, d)
	return show(d), nil
}

// fill takes the members that may change from the body.
func (c *call) fill(d *CustomDomain) error {
	if id := c.text("service_id"); id != "" {
		if c.account.service(id) == nil || !c.token.covers(id) {
			return listed(http.StatusBadRequest, "Invalid value for service_id", "service not found")
		}
		d.ServiceID = id
	} else if _, given := c.json["service_id"]; given {
		d.ServiceID = ""
	}
	if text, ok := c.json["description"].(string); ok {
		d.Description = &text
	}
	d.Updated = c.at
	return nil
}

func (c *call) pickCustomDomain() (*CustomDomain, error) {
	if d := c.account.customDomain(c.path("domain")); d != nil && c.sees(d) {
		return d, nil
	}
	return nil, listed(http.StatusNotFound, "Not found", "The domain you requested was not found")
}

func (c *call) getCustomDomain(show func(*CustomDomain) object) (any, error) {
	d, err := c.pickCustomDomain()
	if err != nil {
		return nil, err
	}
	return show(d), nil
}

func (c *call) updateCustomDomain(show func(*CustomDomain) object) (any, error) {
	d, err := c.pickCustomDomain()
	if err != nil {
		return nil, err
	}
	if err := c.fill(d); err != nil {
		return nil, err
	}
	return show(d), nil
}

func (c *call) deleteCustomDomain() (any, error) {
	d, err := c.pickCustomDomain()
	if err != nil {
		return nil, err
	}
	c.account.CustomDomains = without(c.account.CustomDomains, d)
	return nil, nil
}
