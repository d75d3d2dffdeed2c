package fastlytest

import (
	"net/http"
	"time"
)

func showVersion(s *Service, v *Version) object {
	return object{
		"number": v.Number, "service_id": s.ID, "active": v.Active, "locked": v.Locked, "comment": v.Comment,
		"testing": false, "staging": false, "deployed": false,
		"created_at": stamp(v.Created), "updated_at": stamp(v.Updated), "deleted_at": nil,
	}
}

// showActed is a version as clone, activate and deactivate show it: for Compute
// services with the environments it is in.
func showActed(s *Service, v *Version) object {
	o := showVersion(s, v)
	if s.Type == Wasm {
		o["environments"] = []object{}
	}
	return o
}

func (c *call) listVersions() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, v := range s.Versions {
		all = append(all, showVersion(s, v))
	}
	return all, nil
}

func (c *call) getVersion() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	return showVersion(s, v), nil
}

// createVersion makes an empty version; its answer has three members only.
func (c *call) createVersion() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	if err := room("versions", len(s.Versions)); err != nil {
		return nil, err
	}
	v := s.add(&Version{Comment: c.form.Get("comment")}, c.at)
	o := object{"service_id": s.ID, "number": v.Number}
	if c.form.Has("comment") {
		o["comment"] = v.Comment
	}
	return o, nil
}

// add makes v the latest version.
func (s *Service) add(v *Version, at time.Time) *Version {
	v.Number, v.Created, v.Updated = s.Latest().Number+1, at, at
	s.Versions = append(s.Versions, v)
	return v
}

func (c *call) updateVersion() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	if c.form.Has("comment") {
		v.Comment = c.form.Get("comment")
	}
	return showVersion(s, v), nil
}

// cloneVersion makes a new version each time; it has its parent's comment.
func (c *call) cloneVersion() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	if err := room("versions", len(s.Versions)); err != nil {
		return nil, err
	}
	return showActed(s, s.copyVersion(v, c.at)), nil
}

func (s *Service) copyVersion(v *Version, at time.Time) *Version {
	copied := v.clone()
	copied.Active, copied.Locked = false, false
	return s.add(&copied, at)
}

// lacks is what keeps the version from being activated; empty for nothing.
func (v *Version) lacks(s *Service) string {
	switch {
	case s.Type == Wasm && v.Package == nil:
		return "Version has no associated package"
	case len(v.Backends) == 0:
		return "Version has no associated backend"
	}
	return ""
}

func (c *call) validate() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	if lack := v.lacks(s); lack != "" {
		return object{"status": "error", "msg": lack}, nil
	}
	return object{"status": "ok", "msg": nil}, nil
}

// activate locks the version and takes the place of the one that is active.
// Versions that are locked already can be activated again.
func (c *call) activate() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	if lack := v.lacks(s); lack != "" {
		return nil, badRequest(lack)
	}
	s.activate(v, c.at)
	o := showActed(s, v)
	if v.Warning != "" {
		o["msg"] = v.Warning
	}
	return o, nil
}

func (s *Service) activate(v *Version, at time.Time) {
	if old := s.Active(); old != nil {
		old.Active = false
	}
	v.Active, v.Locked, v.Updated, s.Updated = true, true, at, at
}

func (c *call) deactivate() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	if !v.Active {
		return nil, badRequest("Version is not active")
	}
	v.Active, v.Updated = false, c.at
	return showActed(s, v), nil
}

func (c *call) lock() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	v.Locked, v.Updated = true, c.at
	return showVersion(s, v), nil
}

// Links.

func (c *call) showLink(s *Service, v *Version, l *Link) object {
	return object{
		"id": l.ID, "name": l.Name, "resource_id": l.StoreID, "resource_type": c.account.kindOf(l.StoreID),
		"service_id": s.ID, "version": v.Number, "href": nil,
		"created_at": stamp(l.Created), "updated_at": stamp(l.Updated), "deleted_at": nil,
	}
}

// kindOf is the resource_type of a store; a store that is gone has that of a KV store.
func (a *Account) kindOf(store string) string {
	switch {
	case a.configStore(store) != nil:
		return "config"
	case a.secretStore(store) != nil:
		return "secret-store"
	}
	return "object-store"
}

func (a *Account) hasStore(id string) bool {
	return a.configStore(id) != nil || a.secretStore(id) != nil || a.kvStore(id) != nil
}

func (c *call) listLinks() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, l := range v.Links {
		all = append(all, c.showLink(s, v, l))
	}
	return all, nil
}

func (c *call) createLink() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	name, store := c.form.Get("name"), c.form.Get("resource_id")
	switch {
	case name == "":
		return nil, badRequest("Name can't be blank")
	case !c.account.hasStore(store):
		return nil, notFound("Resource", "id", store)
	case v.Link(name) != nil:
		return nil, duplicate("resource", name)
	}
	if err := room("resources", len(v.Links)); err != nil {
		return nil, err
	}
	l := &Link{ID: c.mint.id(), Name: name, StoreID: store, Created: c.at, Updated: c.at}
	v.Links = append(v.Links, l)
	return c.showLink(s, v, l), nil
}

// pickLink finds the link the path names by its id.
func (c *call) pickLink(s *Service, v *Version) (*Link, error) {
	id := c.path("link")
	if l := find(v.Links, func(l *Link) bool { return l.ID == id }); l != nil {
		return l, nil
	}
	return nil, notFound("Link", "id", id, "service", s.ID, "version", itoa(v.Number))
}

func (c *call) getLink() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	l, err := c.pickLink(s, v)
	if err != nil {
		return nil, err
	}
	return c.showLink(s, v, l), nil
}

// updateLink can only rename.
func (c *call) updateLink() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	l, err := c.pickLink(s, v)
	if err != nil {
		return nil, err
	}
	if name := c.form.Get("name"); name != "" && name != l.Name {
		if v.Link(name) != nil {
			return nil, duplicate("resource", name)
		}
		l.Name, l.Updated = name, c.at
	}
	return c.showLink(s, v, l), nil
}

func (c *call) deleteLink() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	l, err := c.pickLink(s, v)
	if err != nil {
		return nil, err
	}
	v.Links = without(v.Links, l)
	return done(), nil
}

// The Fanout product.

func fanoutBody(under, service string) object {
	return object{
		"product": object{"id": "fanout", "object": "product"},
		"service": object{"id": service, "object": "service"},
		"_links":  object{"self": under + "/services/" + service},
	}
}

// getFanout answers 400 for "off", as recorded.
func (c *call) getFanout(body func(*call) object) (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	if !s.Fanout {
		return nil, productRefusal(http.StatusBadRequest, "no product on service")
	}
	return body(c), nil
}

func (c *call) enableFanout(body func(*call) object) (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	if s.Type != Wasm {
		return nil, productRefusal(http.StatusBadRequest, "product is only available for Compute services")
	}
	if c.traits.noEntitlement {
		return nil, productRefusal(http.StatusBadRequest, "not entitled to enable")
	}
	s.Fanout = true
	return body(c), nil
}

// disableFanout answers 401 when there is nothing to disable, as recorded.
func (c *call) disableFanout() (any, error) {
	s, err := c.onService()
	if err != nil {
		return nil, err
	}
	if !s.Fanout {
		return nil, productRefusal(http.StatusUnauthorized, "You are not authorized to perform this action")
	}
	if c.traits.noEntitlement {
		return nil, productRefusal(http.StatusBadRequest, "not entitled to disable")
	}
	s.Fanout = false
	a := jsonAnswer(http.StatusNoContent, nil)
	a.header.Set("Content-Type", jsonType)
	return a, nil
}
