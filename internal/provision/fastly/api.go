package fastly

import (
	"context"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// API is an account on the platform. *Client is one.
type API interface {
	Identity
	Services
	Drafts
	Stores
	Secrets
	Tokens

	// Budget is what is known of the writes left in this hour.
	Budget() Budget
}

// Identity says who asks.
type Identity interface {
	// Self is the token in use, without its value.
	Self(ctx context.Context) (Token, error)
	// Role is superuser, engineer, user or billing; empty if the token belongs to
	// no user or will not say.
	Role(ctx context.Context) (string, error)
}

// Services are those of the account, and the product that makes one hold
// connections.
type Services interface {
	Services(ctx context.Context) ([]Service, error)
	// Service has its versions; absent and invisible are both NotFound.
	Service(ctx context.Context, id string) (Service, error)
	// ServiceNamed finds the service of exactly this name; found is false if there
	// is none that the token may see.
	ServiceNamed(ctx context.Context, name string) (s Service, found bool, err error)
	// CreateService makes a Compute service; it has an editable version 1.
	CreateService(ctx context.Context, name, comment string) (Service, error)
	DeleteService(ctx context.Context, id string) error

	// Fanout reports whether the product is on.
	Fanout(ctx context.Context, service string) (bool, error)
	// EnableFanout is to be called only when Fanout says off: some accounts have it
	// switched on for them and may not switch it themselves.
	EnableFanout(ctx context.Context, service string) error
	// DisableFanout is to be called only when Fanout says on: the platform answers
	// as to a bad token otherwise.
	DisableFanout(ctx context.Context, service string) error

	// CustomDomains are those of the versionless API, of the whole account.
	CustomDomains(ctx context.Context) ([]CustomDomain, error)
	CreateCustomDomain(ctx context.Context, service, name string) (CustomDomain, error)
	DeleteCustomDomain(ctx context.Context, id string) error
}

// Drafts are versions of a service and what is in them. Writes need a version
// that is not locked; otherwise the error is Locked.
type Drafts interface {
	Clone(ctx context.Context, service string, version int) (Version, error)
	SetComment(ctx context.Context, service string, version int, comment string) error
	// Validate gives the platform's reason if the version is not valid.
	Validate(ctx context.Context, service string, version int) (ok bool, reason string, err error)
	Activate(ctx context.Context, service string, version int) error
	Deactivate(ctx context.Context, service string, version int) error

	Domains(ctx context.Context, service string, version int) ([]Domain, error)
	CreateDomain(ctx context.Context, service string, version int, name, comment string) error
	DeleteDomain(ctx context.Context, service string, version int, name string) error

	Backends(ctx context.Context, service string, version int) ([]Backend, error)
	CreateBackend(ctx context.Context, service string, version int, b Backend) error
	// UpdateBackend sets every member of b on the backend of its name.
	UpdateBackend(ctx context.Context, service string, version int, b Backend) error
	DeleteBackend(ctx context.Context, service string, version int, name string) error

	Links(ctx context.Context, service string, version int) ([]Link, error)
	CreateLink(ctx context.Context, service string, version int, name, storeID string) (Link, error)
	DeleteLink(ctx context.Context, service string, version int, linkID string) error

	// Package is the zero Package if the version has none.
	Package(ctx context.Context, service string, version int) (Package, error)
	Upload(ctx context.Context, service string, version int, archive []byte) (Package, error)
}

// Stores are those of the account, of three kinds, and what the first two hold.
type Stores interface {
	Stores(ctx context.Context, kind Kind) ([]Store, error)
	Store(ctx context.Context, kind Kind, id string) (Store, error)
	CreateStore(ctx context.Context, kind Kind, name string) (Store, error)
	// DeleteStore expects a KV store to be empty; the others take along what they hold.
	DeleteStore(ctx context.Context, kind Kind, id string) error

	ConfigItems(ctx context.Context, store string) (map[string]string, error)
	PutConfigItem(ctx context.Context, store, key, value string) error
	DeleteConfigItem(ctx context.Context, store, key string) error

	// KVKeys are the names of all items, read consistently.
	KVKeys(ctx context.Context, store string) ([]string, error)
	KVItem(ctx context.Context, store, key string) ([]byte, error)
	// PutKVItem writes an item; with fresh it must not exist, and the error is
	// Exists if it does.
	PutKVItem(ctx context.Context, store, key string, value []byte, fresh bool) error
	// DeleteKVItem succeeds for an item that is not there if force is set.
	DeleteKVItem(ctx context.Context, store, key string, force bool) error
}

// Secrets are what secret stores hold. They can be written and never read.
type Secrets interface {
	// Secret is NotFound if there is none of this name.
	Secret(ctx context.Context, store, name string) (Secret, error)
	// PutSecret creates the secret or replaces it. The value leaves this process
	// encrypted; the error is *UntrustedKeyError if the platform's key for that
	// cannot be trusted, and then nothing was sent.
	PutSecret(ctx context.Context, store, name string, value config.Secret) (Secret, error)
	DeleteSecret(ctx context.Context, store, name string) error
}

// Tokens are the account's API tokens.
type Tokens interface {
	// AllTokens are those of the user and, as far as the token may see them, the
	// automation tokens.
	AllTokens(ctx context.Context) ([]Token, error)
	// Sudo lets the token in use create tokens for a few minutes.
	Sudo(ctx context.Context, l Login) error
	// CreateToken needs Sudo before. The new token's Value is set.
	CreateToken(ctx context.Context, t NewToken) (Token, error)
	RevokeToken(ctx context.Context, id string) error
}

// Kind is a kind of store.
type Kind string

// The kinds of stores.
const (
	ConfigStore Kind = "config"
	KVStore     Kind = "kv"
	SecretStore Kind = "secret"
)

// Service is a service as a whole.
type Service struct {
	ID, Name, Comment string
	// Type is Compute for what this program can use.
	Type string
	// Active is the number of the active version, 0 if none is.
	Active int
	// Versions are in ascending order; empty in lists.
	Versions []Version
}

// Compute is the type of services that run programs.
const Compute = "wasm"

// Version is one configuration of a service.
type Version struct {
	Number         int
	Active, Locked bool
	Comment        string
	Created        time.Time
}

// Version gives the version of a number.
func (s Service) Version(number int) (Version, bool) {
	for _, v := range s.Versions {
		if v.Number == number {
			return v, true
		}
	}
	return Version{}, false
}

// Latest is the version with the highest number; 0 if the service has none.
func (s Service) Latest() Version {
	var last Version
	for _, v := range s.Versions {
		if v.Number > last.Number {
			last = v
		}
	}
	return last
}

// Domain is a name in one version of a service.
type Domain struct{ Name, Comment string }

// CustomDomain is a domain of the versionless API.
type CustomDomain struct{ ID, Name, ServiceID string }

// Backend is a backend as far as it matters here. Text that is not set is empty.
type Backend struct {
	Name, Address, Comment    string
	Port                      int
	TLS, CheckCert            bool
	OverrideHost              string
	SNIHostname, CertHostname string
	Shield                    string
}

// Link makes a store available to one version of a service under a name.
type Link struct {
	ID, Name, StoreID string
	// Kind is the kind of store.
	Kind Kind
}

// Package is the program of one version.
type Package struct {
	Name, Language string
	Size           int64
	// FilesHash is over what is in the archive; see provision.HashPackage.
	FilesHash string
}

// Store is a store of any kind.
type Store struct {
	Kind     Kind
	ID, Name string
}

// Secret is what can be known of a secret.
type Secret struct {
	Name string
	// Digest is salted: it changes with every write, whatever the value.
	Digest   string
	Created  time.Time
	Replaced bool
}

// Token is an API token.
type Token struct {
	ID, Name string
	// Scopes are what it may do, such as global or purge_select.
	Scopes []string
	// Services limits it to some services; empty means all.
	Services []string
	// Expires is zero for a token that does not; Sudo is until when it may create
	// tokens.
	Expires, Sudo time.Time
	Automation    bool
	// Value is set for a token just created.
	Value config.Secret
}

// Can reports whether the token has a scope.
func (t Token) Can(scope string) bool {
	for _, s := range t.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// Covers reports whether the token is good for a service.
func (t Token) Covers(service string) bool {
	for _, s := range t.Services {
		if s == service {
			return true
		}
	}
	return len(t.Services) == 0
}

// Login is what Sudo asks for.
type Login struct {
	User          string
	Password, OTP config.Secret
}

// NewToken is a token to be created.
type NewToken struct {
	Name, Scope string
	Services    []string
	// Automation makes one that belongs to no user.
	Automation bool
}

// Budget is what the platform said last about the hourly budget of writes.
type Budget struct {
	// Known is false before the first write that was told.
	Known     bool
	Remaining int
	Reset     time.Time
}
