package fastly

import (
	"context"
	"net/http"
	"slices"

	gofastly "github.com/fastly/go-fastly/v9/fastly"
)

// versions makes versions of the library's, whose members may be nil, in
// ascending order.
func versions(all []*gofastly.Version) []Version {
	var out []Version
	for _, v := range all {
		out = append(out, version(v))
	}
	slices.SortFunc(out, func(a, b Version) int { return a.Number - b.Number })
	return out
}

func version(v *gofastly.Version) Version {
	out := Version{
		Number: gofastly.ToValue(v.Number), Active: gofastly.ToValue(v.Active), Locked: gofastly.ToValue(v.Locked), Comment: text(v.Comment),
	}
	if v.CreatedAt != nil {
		out.Created = *v.CreatedAt
	}
	return out
}

// Clone implements API.
func (c *Client) Clone(ctx context.Context, service string, n int) (Version, error) {
	v, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Version, error) {
		return lib.CloneVersion(&gofastly.CloneVersionInput{ServiceID: service, ServiceVersion: n})
	})
	if err != nil {
		return Version{}, err
	}
	return version(v), nil
}

// SetComment implements API.
func (c *Client) SetComment(ctx context.Context, service string, n int, comment string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.UpdateVersion(&gofastly.UpdateVersionInput{ServiceID: service, ServiceVersion: n, Comment: &comment})
		return err
	})
}

// Validate implements API.
func (c *Client) Validate(ctx context.Context, service string, n int) (ok bool, reason string, err error) {
	err = c.do(ctx, func(lib *gofastly.Client) error {
		ok, reason, err = lib.ValidateVersion(&gofastly.ValidateVersionInput{ServiceID: service, ServiceVersion: n})
		return err
	})
	return ok, short(reason), err
}

// Activate implements API.
func (c *Client) Activate(ctx context.Context, service string, n int) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.ActivateVersion(&gofastly.ActivateVersionInput{ServiceID: service, ServiceVersion: n})
		return err
	})
}

// Deactivate implements API.
func (c *Client) Deactivate(ctx context.Context, service string, n int) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.DeactivateVersion(&gofastly.DeactivateVersionInput{ServiceID: service, ServiceVersion: n})
		return err
	})
}

// Domains implements API.
func (c *Client) Domains(ctx context.Context, service string, n int) ([]Domain, error) {
	all, err := get(ctx, c, func(lib *gofastly.Client) ([]*gofastly.Domain, error) {
		return lib.ListDomains(&gofastly.ListDomainsInput{ServiceID: service, ServiceVersion: n})
	})
	var out []Domain
	for _, d := range all {
		out = append(out, Domain{Name: hostname(text(d.Name)), Comment: text(d.Comment)})
	}
	return out, err
}

// CreateDomain implements API.
func (c *Client) CreateDomain(ctx context.Context, service string, n int, name, comment string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.CreateDomain(&gofastly.CreateDomainInput{ServiceID: service, ServiceVersion: n, Name: &name, Comment: &comment})
		return err
	})
}

// DeleteDomain implements API.
func (c *Client) DeleteDomain(ctx context.Context, service string, n int, name string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteDomain(&gofastly.DeleteDomainInput{ServiceID: service, ServiceVersion: n, Name: name})
	})
}

// Backends implements API.
func (c *Client) Backends(ctx context.Context, service string, n int) ([]Backend, error) {
	all, err := get(ctx, c, func(lib *gofastly.Client) ([]*gofastly.Backend, error) {
		return lib.ListBackends(&gofastly.ListBackendsInput{ServiceID: service, ServiceVersion: n})
	})
	var out []Backend
	for _, b := range all {
		out = append(out, Backend{
			Name: text(b.Name), Address: hostname(text(b.Address)), Comment: text(b.Comment), Port: gofastly.ToValue(b.Port),
			TLS: gofastly.ToValue(b.UseSSL), CheckCert: gofastly.ToValue(b.SSLCheckCert), OverrideHost: hostname(text(b.OverrideHost)),
			SNIHostname: hostname(text(b.SSLSNIHostname)), CertHostname: hostname(text(b.SSLCertHostname)), Shield: text(b.Shield),
		})
	}
	return out, err
}

// CreateBackend implements API.
func (c *Client) CreateBackend(ctx context.Context, service string, n int, b Backend) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.CreateBackend(&gofastly.CreateBackendInput{
			ServiceID: service, ServiceVersion: n, Name: &b.Name, Address: &b.Address, Comment: &b.Comment, Port: &b.Port,
			UseSSL: compat(b.TLS), SSLCheckCert: compat(b.CheckCert), OverrideHost: &b.OverrideHost,
			SSLSNIHostname: &b.SNIHostname, SSLCertHostname: &b.CertHostname,
		})
		return err
	})
}

// UpdateBackend implements API. An empty text clears a member; a pointer to it is
// sent, and only nil would be left out.
func (c *Client) UpdateBackend(ctx context.Context, service string, n int, b Backend) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		_, err := lib.UpdateBackend(&gofastly.UpdateBackendInput{
			ServiceID: service, ServiceVersion: n, Name: b.Name, Address: &b.Address, Port: &b.Port,
			UseSSL: compat(b.TLS), SSLCheckCert: compat(b.CheckCert), OverrideHost: &b.OverrideHost,
			SSLSNIHostname: &b.SNIHostname, SSLCertHostname: &b.CertHostname, Shield: &b.Shield,
		})
		return err
	})
}

func compat(b bool) *gofastly.Compatibool { return gofastly.ToPointer(gofastly.Compatibool(b)) }

// DeleteBackend implements API.
func (c *Client) DeleteBackend(ctx context.Context, service string, n int, name string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteBackend(&gofastly.DeleteBackendInput{ServiceID: service, ServiceVersion: n, Name: name})
	})
}

// Links implements API.
func (c *Client) Links(ctx context.Context, service string, n int) ([]Link, error) {
	all, err := get(ctx, c, func(lib *gofastly.Client) ([]*gofastly.Resource, error) {
		return lib.ListResources(&gofastly.ListResourcesInput{ServiceID: service, ServiceVersion: n})
	})
	var out []Link
	for _, r := range all {
		out = append(out, link(r))
	}
	return out, err
}

// link makes a Link. In the library's Resource ResourceID is the store; in the
// input of a delete it is the link.
func link(r *gofastly.Resource) Link {
	return Link{ID: text(r.LinkID), Name: text(r.Name), StoreID: text(r.ResourceID), Kind: linkKind(text(r.ResourceType))}
}

// linkKind reads the platform's word for a kind of store; that for KV stores has
// changed over time.
func linkKind(word string) Kind {
	switch word {
	case "object-store", "kv-store", "kv":
		return KVStore
	case "secret-store", "secret":
		return SecretStore
	case "config", "config-store":
		return ConfigStore
	}
	return Kind(word)
}

// CreateLink implements API.
func (c *Client) CreateLink(ctx context.Context, service string, n int, name, storeID string) (Link, error) {
	r, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Resource, error) {
		return lib.CreateResource(&gofastly.CreateResourceInput{ServiceID: service, ServiceVersion: n, Name: &name, ResourceID: &storeID})
	})
	if err != nil {
		return Link{}, err
	}
	return link(r), nil
}

// DeleteLink implements API.
func (c *Client) DeleteLink(ctx context.Context, service string, n int, linkID string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteResource(&gofastly.DeleteResourceInput{ServiceID: service, ServiceVersion: n, ResourceID: linkID})
	})
}

// Package implements API. The platform answers 404 for a version without one.
func (c *Client) Package(ctx context.Context, service string, n int) (Package, error) {
	p, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Package, error) {
		return lib.GetPackage(&gofastly.GetPackageInput{ServiceID: service, ServiceVersion: n})
	})
	if asAPI(err).Status == http.StatusNotFound {
		return Package{}, nil
	}
	return pkg(p), err
}

func pkg(p *gofastly.Package) Package {
	if p == nil || p.Metadata == nil {
		return Package{}
	}
	m := p.Metadata
	return Package{Name: text(m.Name), Language: text(m.Language), Size: gofastly.ToValue(m.Size), FilesHash: text(m.FilesHash)}
}

// Upload implements API.
func (c *Client) Upload(ctx context.Context, service string, n int, archive []byte) (Package, error) {
	p, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Package, error) {
		return lib.UpdatePackage(&gofastly.UpdatePackageInput{ServiceID: service, ServiceVersion: n, PackageContent: archive})
	})
	return pkg(p), err
}
