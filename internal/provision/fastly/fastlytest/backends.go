package fastlytest

import (
	"maps"
	"net"
	"net/url"
	"strconv"
)

// member is one member of a backend: what it holds when nobody says otherwise,
// and how a form's text becomes its value.
type member struct {
	name   string
	absent any
	read   func(string) (any, error)
}

func readText(s string) (any, error) { return s, nil }

// readNullable reads the empty string back as null.
func readNullable(s string) (any, error) { return textOrNil(s), nil }

func readNumber(s string) (any, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, badRequest("'" + s + "' is not a number")
	}
	return n, nil
}

func readBool(s string) (any, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return nil, badRequest("'" + s + "' is not a boolean")
	}
	return b, nil
}

// members are those of a service's backends. Compute services have more.
func members(kind string) []member {
	all := []member{
		{"name", "", readText}, {"address", "", readText}, {"comment", "", readText}, {"request_condition", "", readText},
		{"port", 80, readNumber}, {"weight", 100, readNumber}, {"max_conn", 200, readNumber}, {"error_threshold", 0, readNumber},
		{"connect_timeout", 1000, readNumber}, {"first_byte_timeout", 15000, readNumber}, {"between_bytes_timeout", 10000, readNumber},
		{"keepalive_time", nil, readNumber},
		{"use_ssl", false, readBool}, {"ssl_check_cert", true, readBool}, {"auto_loadbalance", false, readBool},
	}
	for _, name := range []string{
		"client_cert", "healthcheck", "max_tls_version", "min_tls_version", "override_host", "share_key", "shield", "ssl_ca_cert",
		"ssl_cert_hostname", "ssl_ciphers", "ssl_client_cert", "ssl_client_key", "ssl_hostname", "ssl_sni_hostname",
	} {
		all = append(all, member{name, nil, readNullable})
	}
	if kind == Wasm {
		all = append(all, member{"prefer_ipv6", true, readBool}, member{"tcp_keepalive_enable", nil, readBool})
		for _, name := range []string{"tcp_keepalive_interval", "tcp_keepalive_probes", "tcp_keepalive_time", "max_lifetime", "max_use"} {
			all = append(all, member{name, nil, readNumber})
		}
	}
	return all
}

// read takes what the form gives and derives what follows from the address.
func (b *Backend) read(kind string, form url.Values) error {
	for _, m := range members(kind) {
		if _, has := b.Fields[m.name]; !has {
			b.Fields[m.name] = m.absent
		}
		if !form.Has(m.name) {
			continue
		}
		v, err := m.read(form.Get(m.name))
		if err != nil {
			return err
		}
		b.Fields[m.name] = v
	}
	b.Fields["hostname"], b.Fields["ipv4"], b.Fields["ipv6"] = nil, nil, nil
	switch ip := net.ParseIP(b.Text("address")); {
	case ip == nil:
		b.Fields["hostname"] = b.Text("address")
	case ip.To4() != nil:
		b.Fields["ipv4"] = b.Text("address")
	default:
		b.Fields["ipv6"] = b.Text("address")
	}
	return nil
}

func showBackend(s *Service, v *Version, b *Backend) object {
	o := maps.Clone(b.Fields)
	o["service_id"], o["version"], o["deleted_at"] = s.ID, v.Number, nil
	o["created_at"], o["updated_at"] = stamp(b.Created), stamp(b.Updated)
	return o
}

func (c *call) listBackends() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, b := range v.Backends {
		all = append(all, showBackend(s, v, b))
	}
	return all, nil
}

func (c *call) createBackend() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	b := &Backend{Fields: object{}, Created: c.at, Updated: c.at}
	if err := b.read(s.Type, c.form); err != nil {
		return nil, err
	}
	switch {
	case b.Name() == "" || b.Text("address") == "":
		return nil, badRequest("Name and address can't be blank")
	case v.Backend(b.Name()) != nil:
		return nil, duplicate("backend", b.Name())
	}
	if err := room("backends", len(v.Backends)); err != nil {
		return nil, err
	}
	v.Backends = append(v.Backends, b)
	return showBackend(s, v, b), nil
}

func (c *call) pickBackend(s *Service, v *Version) (*Backend, error) {
	if b := v.Backend(c.path("name")); b != nil {
		return b, nil
	}
	return nil, notFound("Backend", "name", c.path("name"), "service", s.ID, "version", itoa(v.Number))
}

func (c *call) getBackend() (any, error) {
	s, v, err := c.onVersion()
	if err != nil {
		return nil, err
	}
	b, err := c.pickBackend(s, v)
	if err != nil {
		return nil, err
	}
	return showBackend(s, v, b), nil
}

func (c *call) updateBackend() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	b, err := c.pickBackend(s, v)
	if err != nil {
		return nil, err
	}
	if name := c.form.Get("name"); name != "" && name != b.Name() && v.Backend(name) != nil {
		return nil, duplicate("backend", name)
	}
	changed := Backend{Fields: maps.Clone(b.Fields), Created: b.Created, Updated: c.at}
	if err := changed.read(s.Type, c.form); err != nil {
		return nil, err
	}
	*b = changed
	return showBackend(s, v, b), nil
}

func (c *call) deleteBackend() (any, error) {
	s, v, err := c.onDraft()
	if err != nil {
		return nil, err
	}
	b, err := c.pickBackend(s, v)
	if err != nil {
		return nil, err
	}
	v.Backends = without(v.Backends, b)
	return done(), nil
}
