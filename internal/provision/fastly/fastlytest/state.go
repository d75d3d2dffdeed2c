package fastlytest

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Kinds of services.
const (
	Wasm = "wasm"
	VCL  = "vcl"
)

// Service is a service with all its versions.
type Service struct {
	ID, Name, Type, Comment string
	Created, Updated        time.Time
	// Fanout tells whether the product is on.
	Fanout bool
	// Versions are in ascending order, without gaps.
	Versions []*Version
}

// Version is one configuration of a service. Nothing is shared between versions.
type Version struct {
	Number           int
	Active, Locked   bool
	Comment          string
	Created, Updated time.Time
	Domains          []*Domain
	Backends         []*Backend
	Links            []*Link
	Package          *Package // nil for none
	// Warning is what activating it warns of.
	Warning string
}

// Domain is a name in one version of a service.
type Domain struct {
	Name, Comment    string
	Created, Updated time.Time
}

// Backend is a backend in one version of a service: its members as the API
// shows them, without service, version and times.
type Backend struct {
	Fields           map[string]any
	Created, Updated time.Time
}

// Name is the backend's name.
func (b *Backend) Name() string { return b.Text("name") }

// Text is a member as text; empty when it is null.
func (b *Backend) Text(member string) string {
	s, _ := b.Fields[member].(string)
	return s
}

// Link makes a store available to one version of a service, under a name.
type Link struct {
	ID, Name, StoreID string
	Created, Updated  time.Time
}

// Package is the program of one version of a service.
type Package struct {
	ID                          string
	Name, Description, Language string
	Authors                     []string
	Size                        int64
	Hash, FilesHash, ClonedFrom string
	WasmMetadata                json.RawMessage
	Created, Updated            time.Time
}

// ConfigStore is a config store with its items.
type ConfigStore struct {
	ID, Name         string
	Created, Updated time.Time
	Items            []*ConfigItem // in the order of their creation
}

// ConfigItem is one item of a config store.
type ConfigItem struct {
	Key, Value       string
	Created, Updated time.Time
}

// KVStore is a KV store with its items.
type KVStore struct {
	ID, Name, Location string
	Created            time.Time
	Items              map[string]*KVItem
}

// KVItem is one item of a KV store.
type KVItem struct {
	Value      []byte
	Metadata   string
	Generation uint64
	Expires    time.Time // zero for never
}

// SecretStore is a secret store with its secrets.
type SecretStore struct {
	ID, Name string
	Created  time.Time
	Secrets  []*Secret
}

// Secret is one secret, decrypted. The API never shows Value.
type Secret struct {
	Name    string
	Value   []byte
	Digest  []byte // salted
	Created time.Time
	// Encrypted tells whether it arrived encrypted to a client key.
	Encrypted bool
}

// Token is an API token. Value is what a client sends.
type Token struct {
	ID, Name, Value string
	// Scope holds scopes separated by blanks; empty stands for global.
	Scope string
	// Services limits the token to some services; empty stands for all.
	Services []string
	// Role is superuser, engineer, user or billing; empty stands for superuser.
	Role string
	// Automation tells an automation token from a user's.
	Automation bool
	// Expires is zero for a token that does not.
	Expires time.Time
	Created time.Time
	// Used is when it was last used, from where, and with what program; zero
	// if never.
	Used          time.Time
	IP, UserAgent string
	// Sudo is until when the token may create tokens.
	Sudo time.Time
	// TLSAccess is kept for automation tokens.
	TLSAccess bool
}

// CustomDomain is a domain of the versionless API.
type CustomDomain struct {
	ID, Name    string
	ServiceID   string // empty for none
	Description *string
	Created     time.Time
	Updated     time.Time
}

// Account is everything the platform knows of one customer.
type Account struct {
	Services      []*Service
	ConfigStores  []*ConfigStore
	KVStores      []*KVStore
	SecretStores  []*SecretStore
	Tokens        []*Token
	CustomDomains []*CustomDomain
}

func (a *Account) service(id string) *Service {
	return find(a.Services, func(s *Service) bool { return s.ID == id })
}

func (a *Account) configStore(id string) *ConfigStore {
	return find(a.ConfigStores, func(s *ConfigStore) bool { return s.ID == id })
}

func (a *Account) kvStore(id string) *KVStore {
	return find(a.KVStores, func(s *KVStore) bool { return s.ID == id })
}

func (a *Account) secretStore(id string) *SecretStore {
	return find(a.SecretStores, func(s *SecretStore) bool { return s.ID == id })
}

func (a *Account) token(id string) *Token {
	return find(a.Tokens, func(t *Token) bool { return t.ID == id })
}

func (a *Account) customDomain(id string) *CustomDomain {
	return find(a.CustomDomains, func(d *CustomDomain) bool { return d.ID == id })
}

// Service is the service of a name, nil if there is none.
func (a *Account) Service(name string) *Service {
	return find(a.Services, func(s *Service) bool { return s.Name == name })
}

// KVStore is the KV store of an id, nil if there is none; likewise the others.
func (a *Account) KVStore(id string) *KVStore { return a.kvStore(id) }

// ConfigStore is the config store of an id.
func (a *Account) ConfigStore(id string) *ConfigStore { return a.configStore(id) }

// SecretStore is the secret store of an id.
func (a *Account) SecretStore(id string) *SecretStore { return a.secretStore(id) }

// Version is the version of a number, nil if there is none.
func (s *Service) Version(number int) *Version {
	return find(s.Versions, func(v *Version) bool { return v.Number == number })
}

// Active is the active version, nil if there is none.
func (s *Service) Active() *Version {
	return find(s.Versions, func(v *Version) bool { return v.Active })
}

// Latest is the version with the highest number.
func (s *Service) Latest() *Version { return s.Versions[len(s.Versions)-1] }

// Domain is the domain of a name, nil if there is none; likewise the others.
func (v *Version) Domain(name string) *Domain {
	return find(v.Domains, func(d *Domain) bool { return d.Name == name })
}

// Backend is the backend of a name.
func (v *Version) Backend(name string) *Backend {
	return find(v.Backends, func(b *Backend) bool { return b.Name() == name })
}

// Link is the link of a name.
func (v *Version) Link(name string) *Link {
	return find(v.Links, func(l *Link) bool { return l.Name == name })
}

// Item is the item of a key, nil if there is none.
func (s *ConfigStore) Item(key string) *ConfigItem {
	return find(s.Items, func(i *ConfigItem) bool { return i.Key == key })
}

// Secret is the secret of a name, nil if there is none.
func (s *SecretStore) Secret(name string) *Secret {
	return find(s.Secrets, func(x *Secret) bool { return x.Name == name })
}

// find is the first element that ok accepts, or nil.
func find[T any](all []*T, ok func(*T) bool) *T {
	if i := slices.IndexFunc(all, ok); i >= 0 {
		return all[i]
	}
	return nil
}

// without is all without x.
func without[T any](all []*T, x *T) []*T {
	return slices.DeleteFunc(all, func(y *T) bool { return x == y })
}

// clone copies every element with copyOf.
func clone[T any](all []*T, copyOf func(T) T) []*T {
	out := make([]*T, len(all))
	for i, x := range all {
		y := copyOf(*x)
		out[i] = &y
	}
	return out
}

func same[T any](x T) T { return x }

func (v Version) clone() Version {
	v.Domains, v.Links = clone(v.Domains, same), clone(v.Links, same)
	v.Backends = clone(v.Backends, func(b Backend) Backend {
		b.Fields = maps.Clone(b.Fields)
		return b
	})
	if v.Package != nil {
		p := *v.Package
		v.Package = &p
	}
	return v
}

// clone is a copy that shares nothing that the API changes.
func (a *Account) clone() *Account {
	return &Account{
		Services: clone(a.Services, func(s Service) Service {
			s.Versions = clone(s.Versions, Version.clone)
			return s
		}),
		ConfigStores: clone(a.ConfigStores, func(s ConfigStore) ConfigStore {
			s.Items = clone(s.Items, same)
			return s
		}),
		KVStores: clone(a.KVStores, func(s KVStore) KVStore {
			items := make(map[string]*KVItem, len(s.Items))
			for k, item := range s.Items {
				c := *item
				items[k] = &c
			}
			s.Items = items
			return s
		}),
		SecretStores: clone(a.SecretStores, func(s SecretStore) SecretStore {
			s.Secrets = clone(s.Secrets, same)
			return s
		}),
		Tokens:        clone(a.Tokens, same),
		CustomDomains: clone(a.CustomDomains, same),
	}
}
