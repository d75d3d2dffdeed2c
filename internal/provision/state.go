package provision

import (
	"strconv"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// State is what was observed. Its zero value is an account without the service.
type State struct {
	// Token is the one in use, and Role that of its user, if known.
	Token fastly.Token
	Role  string
	// Service is nil if there is none yet.
	Service *fastly.Service
	// Version is the one whose content was looked at: the active one, or, if none
	// is, the one to go on from. 0 if there is no service.
	Version  int
	Domains  []fastly.Domain
	Custom   []fastly.CustomDomain // of this service
	Backends []fastly.Backend
	Links    []fastly.Link
	Package  fastly.Package
	Fanout   bool
	// Stores are those behind the four links, by link name. A link to a store that
	// is gone has none.
	Stores map[string]fastly.Store
	// Loose are the stores that are linked under other names, LooseItems what is in
	// the config stores among them, by their id.
	Loose      []fastly.Store
	LooseItems map[string]map[string]string
	// Items are those of the config store.
	Items map[string]string
	// Secret is the publish token's entry; nil if there is none.
	Secret *fastly.Secret
	// Keys are the ids of the signing keys.
	Keys []string
	// Foreign are newer versions that somebody else edits.
	Foreign []int
	Budget  fastly.Budget
}

// Active reports whether the version looked at is the active one.
func (s *State) Active() bool {
	return s.Service != nil && s.Service.Active != 0 && s.Service.Active == s.Version
}

// locked reports whether the version looked at cannot be changed any more.
func (s *State) locked() bool {
	if s.Service == nil {
		return false
	}
	v, ok := s.Service.Version(s.Version)
	return ok && (v.Locked || v.Active)
}

// hasName reports whether a name leads to the service.
func (s *State) hasName(name string) bool {
	for _, d := range s.Custom {
		if d.Name == name {
			return true
		}
	}
	return hasDomain(s.Domains, name)
}

// ServiceID is the id of the service, empty if there is none.
func (s *State) ServiceID() string {
	if s.Service == nil {
		return ""
	}
	return s.Service.ID
}

// Backend gives the backend of a name.
func (s *State) Backend(name string) (fastly.Backend, bool) { return backendNamed(s.Backends, name) }

// Link gives the link of a name.
func (s *State) Link(name string) (fastly.Link, bool) { return linkNamed(s.Links, name) }

func backendNamed(all []fastly.Backend, name string) (fastly.Backend, bool) {
	for _, b := range all {
		if b.Name == name {
			return b, true
		}
	}
	return fastly.Backend{}, false
}

func linkNamed(all []fastly.Link, name string) (fastly.Link, bool) {
	for _, l := range all {
		if l.Name == name {
			return l, true
		}
	}
	return fastly.Link{}, false
}

func hasDomain(all []fastly.Domain, name string) bool {
	for _, d := range all {
		if d.Name == name {
			return true
		}
	}
	return false
}

func itoa(n int) string      { return strconv.Itoa(n) }
func btoa(b bool) string     { return strconv.FormatBool(b) }
func quoted(s string) string { return strconv.Quote(s) }
