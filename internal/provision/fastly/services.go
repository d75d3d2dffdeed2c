package fastly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gofastly "github.com/fastly/go-fastly/v9/fastly"
	"github.com/fastly/go-fastly/v9/fastly/products/fanout"
)

// maxPages bounds how far any list is followed.
const maxPages = 1000

// errEndless is a list that does not come to its end.
var errEndless = errors.New("the list of the platform does not end")

// Services implements API. The library's own loop loses the type of errors, so
// its pages are asked for one by one.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return get(ctx, c, func(lib *gofastly.Client) ([]Service, error) {
		var all []Service
		pages := lib.GetServices(&gofastly.GetServicesInput{})
		for n := 0; pages.HasNext(); n++ {
			if n == maxPages {
				return nil, errEndless
			}
			page, err := pages.GetNext()
			if err != nil {
				return nil, err
			}
			for _, s := range page {
				all = append(all, Service{ID: text(s.ServiceID), Name: text(s.Name), Comment: text(s.Comment), Type: text(s.Type)})
			}
		}
		return all, nil
	})
}

// Service implements API.
func (c *Client) Service(ctx context.Context, id string) (Service, error) {
	d, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.ServiceDetail, error) {
		return lib.GetServiceDetails(&gofastly.GetServiceInput{ServiceID: id})
	})
	if err != nil {
		return Service{}, err
	}
	s := Service{ID: text(d.ServiceID), Name: text(d.Name), Comment: text(d.Comment), Type: text(d.Type), Versions: versions(d.Versions)}
	if d.ActiveVersion != nil {
		s.Active = gofastly.ToValue(d.ActiveVersion.Number)
	}
	return s, nil
}

// ServiceNamed implements API.
func (c *Client) ServiceNamed(ctx context.Context, name string) (Service, bool, error) {
	found, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Service, error) {
		return lib.SearchService(&gofastly.SearchServiceInput{Name: name})
	})
	switch {
	case NotFound(err):
		return Service{}, false, nil
	case err != nil:
		return Service{}, false, err
	case text(found.Name) != name:
		return Service{}, false, nil
	}
	s, err := c.Service(ctx, text(found.ServiceID))
	return s, err == nil, err
}

// CreateService implements API.
func (c *Client) CreateService(ctx context.Context, name, comment string) (Service, error) {
	s, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Service, error) {
		return lib.CreateService(&gofastly.CreateServiceInput{Name: &name, Type: gofastly.ToPointer(Compute), Comment: &comment})
	})
	if err != nil {
		return Service{}, err
	}
	return Service{ID: text(s.ServiceID), Name: name, Comment: comment, Type: Compute, Versions: versions(s.Versions)}, nil
}

// DeleteService implements API.
func (c *Client) DeleteService(ctx context.Context, id string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteService(&gofastly.DeleteServiceInput{ServiceID: id})
	})
}

// Fanout implements API. The platform answers 400 for a product that is off.
func (c *Client) Fanout(ctx context.Context, service string) (bool, error) {
	_, err := get(ctx, c, func(lib *gofastly.Client) (fanout.EnableOutput, error) { return fanout.Get(lib, service) })
	if e := asAPI(err); e.Status == http.StatusBadRequest && e.says("no product") {
		return false, nil
	}
	return err == nil, err
}

// EnableFanout implements API.
func (c *Client) EnableFanout(ctx context.Context, service string) error {
	_, err := get(ctx, c, func(lib *gofastly.Client) (fanout.EnableOutput, error) { return fanout.Enable(lib, service) })
	return err
}

// DisableFanout implements API.
func (c *Client) DisableFanout(ctx context.Context, service string) error {
	return c.do(ctx, func(lib *gofastly.Client) error { return fanout.Disable(lib, service) })
}

// customPaths are where the versionless API is, the current path first. The
// library knows only the other.
func customPaths() []string { return []string{"/domain-management/v1/domains", "/domains/v1"} }

// customDomain is a domain of the versionless API on the wire.
type customDomain struct {
	ID      string  `json:"id"`
	FQDN    string  `json:"fqdn"`
	Service *string `json:"service_id"`
}

// custom makes a request at the current path, and at the old one if there is
// nothing at the current.
func (c *Client) custom(ctx context.Context, out any, request func(lib *gofastly.Client, path string) (*http.Response, error)) error {
	var err error
	for _, path := range customPaths() {
		err = c.do(ctx, func(lib *gofastly.Client) error {
			resp, err := request(lib, path)
			return decode(resp, err, out)
		})
		if !NotFound(err) {
			return err
		}
	}
	return err
}

// decode reads a JSON answer into out, if out is not nil.
func decode(resp *http.Response, err error, out any) error {
	if err != nil || out == nil {
		return closing(resp, err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// CustomDomains implements API.
func (c *Client) CustomDomains(ctx context.Context) ([]CustomDomain, error) {
	var all []CustomDomain
	cursor := ""
	for range maxPages {
		var page struct {
			Data []customDomain `json:"data"`
			Meta struct {
				Next string `json:"next_cursor"`
			} `json:"meta"`
		}
		err := c.custom(ctx, &page, func(lib *gofastly.Client, path string) (*http.Response, error) {
			params := map[string]string{"limit": "100"}
			if cursor != "" {
				params["cursor"] = cursor
			}
			return lib.GetJSON(path, &gofastly.RequestOptions{Params: params})
		})
		if err != nil {
			return nil, err
		}
		for _, d := range page.Data {
			all = append(all, CustomDomain{d.ID, d.FQDN, text(d.Service)})
		}
		if cursor = page.Meta.Next; cursor == "" {
			return all, nil
		}
	}
	return nil, errEndless
}

// CreateCustomDomain implements API.
func (c *Client) CreateCustomDomain(ctx context.Context, service, name string) (CustomDomain, error) {
	var made customDomain
	err := c.custom(ctx, &made, func(lib *gofastly.Client, path string) (*http.Response, error) {
		return lib.PostJSON(path, map[string]string{"fqdn": name, "service_id": service}, nil)
	})
	return CustomDomain{made.ID, made.FQDN, text(made.Service)}, err
}

// DeleteCustomDomain implements API.
func (c *Client) DeleteCustomDomain(ctx context.Context, id string) error {
	return c.custom(ctx, nil, func(lib *gofastly.Client, path string) (*http.Response, error) {
		return lib.Delete(path+"/"+id, nil)
	})
}

// text is what p points to, empty for nil.
func text(p *string) string { return gofastly.ToValue(p) }

// hostname is how names of hosts are compared.
func hostname(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }
