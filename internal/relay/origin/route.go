package origin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// Route is one line of a routes file (grip.md, 1.1): which requests it is for and
// which targets answer them. It is static once parsed.
type Route struct {
	// Domain is the host the route is for, "*" for any other, or empty if the
	// route is found by its ID only.
	Domain string
	ID     string
	// Warnings are what of the line has no effect here.
	Warnings []string

	pathBeg   string
	pathRem   int    // bytes cut from the front of the path
	pathAdd   string // put in their place
	asHost    string
	proto     string // "http", "ws" or empty
	ssl       string // "yes", "no" or empty
	prefix    string
	sigIssuer string
	sigKey    grip.Key
	headers   []setHeader
	targets   []target

	debug, cors, noGrip, origHeaders bool
}

// setHeader is a header= property; an empty value removes the header.
type setHeader struct{ name, value string }

// target is where a route's requests go.
type target struct {
	address string // host:port, or testTarget
	host    string // for the Host header and the certificate, if not empty
	subs    []string

	overHTTP, ssl, insecure, oneEvent, trustConnectHost bool
}

// testTarget is the address of the built-in test origin.
const testTarget = "test"

// ParseRoute reads one line in Pushpin's syntax:
//
//	condition[,property[=value]...] host:port[,property[=value]...] [target...]
//
// A sig_key of the form file:PATH is read now. Errors do not quote keys.
func ParseRoute(line string) (*Route, error) {
	sections, err := splitLine(line)
	if err != nil {
		return nil, err
	}
	if len(sections) < 2 {
		return nil, errors.New("route needs a condition and a target, such as '* localhost:8000,over_http'")
	}
	r := new(Route)
	if err := r.readCondition(sections[0]); err != nil {
		return nil, err
	}
	for _, s := range sections[1:] {
		t, err := r.readTarget(s)
		if err != nil {
			return nil, err
		}
		r.targets = append(r.targets, t)
	}
	return r, nil
}

// Fault is a line of a routes file that is no route.
type Fault struct {
	Line int    // from 1
	Text string // without keys
	Err  error
}

// Error implements error.
func (f Fault) Error() string { return fmt.Sprintf("line %d: %v: %s", f.Line, f.Err, f.Text) }

// Unwrap returns the cause.
func (f Fault) Unwrap() error { return f.Err }

// ParseRoutes reads a routes file. Lines that are no routes are left out and told.
func ParseRoutes(text []byte) (routes []*Route, faults []Fault) {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := ParseRoute(line)
		if err != nil {
			faults = append(faults, Fault{n, hideKey(line), err})
			continue
		}
		routes = append(routes, r)
	}
	return routes, faults
}

// hideKey makes a line fit for logs.
func hideKey(line string) string {
	const key = "sig_key="
	at := strings.Index(line, key)
	if at < 0 {
		return line
	}
	rest := line[at+len(key):]
	end := strings.IndexAny(rest, ", ")
	if strings.ContainsRune(line, '"') || end < 0 {
		end = len(rest) // a quoted key may hold separators
	}
	return line[:at+len(key)] + "[key]" + rest[end:]
}

// property is one part of a section, quotes removed.
type property struct {
	name, value string
	valued      bool
}

func newProperty(text string) property {
	name, value, valued := strings.Cut(text, "=")
	return property{name, value, valued}
}

// splitLine cuts a line at spaces into sections and at commas into their parts.
// Quotes hide both, and the number sign that starts a comment.
func splitLine(line string) (sections [][]string, err error) {
	var section []string
	var part strings.Builder
	inPart, quoted := false, false
	endSection := func() {
		if inPart || len(section) > 0 {
			sections = append(sections, append(section, part.String()))
		}
		section, inPart = nil, false
		part.Reset()
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted, inPart = !quoted, true
		case quoted && c == '\\' && i+1 < len(line):
			i++
			part.WriteByte(line[i])
		case !quoted && c == '#':
			endSection()
			return sections, nil
		case !quoted && (c == ' ' || c == '\t'):
			endSection()
		case !quoted && c == ',':
			section = append(section, part.String())
			part.Reset()
			inPart = true
		default:
			part.WriteByte(c)
			inPart = true
		}
	}
	if quoted {
		return nil, errors.New("quote does not end")
	}
	endSection()
	return sections, nil
}

func (r *Route) readCondition(parts []string) error {
	if first := newProperty(parts[0]); !first.valued {
		r.Domain = domainOf(first.name)
		parts = parts[1:]
	}
	replaces := false
	for _, part := range parts {
		p := newProperty(part)
		if err := r.setProperty(p); err != nil {
			return err
		}
		replaces = replaces || p.name == "replace_beg"
	}
	if replaces {
		r.pathRem = len(r.pathBeg)
	}
	if r.Domain == "" && r.ID == "" {
		return errors.New("route has neither a domain nor an id, so nothing would reach it")
	}
	if (r.sigIssuer == "") != (r.sigKey.Alg() == "") && r.sigIssuer != "" {
		return errors.New("sig_iss without sig_key")
	}
	return nil
}

func (r *Route) setProperty(p property) (err error) {
	switch p.name {
	case "id":
		r.ID = p.value
	case "path_beg":
		r.pathBeg = p.value
	case "replace_beg":
		r.pathAdd = p.value
	case "path_rem":
		r.pathRem, err = strconv.Atoi(p.value)
		if err != nil || r.pathRem < 0 {
			return errors.New("path_rem is not a number of bytes")
		}
	case "as_host":
		r.asHost = p.value
	case "prefix":
		r.prefix = p.value
	case "sig_iss":
		r.sigIssuer = p.value
	case "sig_key":
		r.sigKey, err = grip.ParseKey(p.value, os.ReadFile)
		return err
	case "proto":
		r.proto, err = oneOf(p, "http", "ws")
	case "ssl":
		r.ssl, err = oneOf(p, "yes", "no")
	case "header":
		return r.addHeader(p.value)
	default:
		return r.setFlag(p)
	}
	return err
}

func (r *Route) setFlag(p property) error {
	switch p.name {
	case "":
	case "debug":
		r.debug = true
	case "aco":
		r.cors = true
		r.warn("aco adds CORS headers only: JSON-P is not offered")
	case "no_grip":
		r.noGrip = true
	case "orig_headers":
		r.origHeaders = true
	default:
		r.warn(fmt.Sprintf("property %q is not supported and has no effect", p.name))
	}
	return nil
}

func (r *Route) warn(text string) { r.Warnings = append(r.Warnings, text) }

func oneOf(p property, values ...string) (string, error) {
	for _, v := range values {
		if p.value == v {
			return v, nil
		}
	}
	return "", fmt.Errorf("%s is neither %s", p.name, strings.Join(values, " nor "))
}

func (r *Route) addHeader(text string) error {
	name, value, ok := strings.Cut(text, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || !isToken(name) || !isFieldValue(value) {
		return errors.New("header is not of the form Name:Value")
	}
	r.headers = append(r.headers, setHeader{http.CanonicalHeaderKey(name), value})
	return nil
}

func (r *Route) readTarget(parts []string) (t target, err error) {
	if t.address, err = readAddress(parts[0]); err != nil {
		return t, err
	}
	for _, part := range parts[1:] {
		switch p := newProperty(part); p.name {
		case "":
		case "over_http":
			t.overHTTP = true
		case "ssl":
			t.ssl = p.value != "no"
		case "host":
			t.host = p.value
		case "insecure":
			t.insecure = true
		case "trust_connect_host":
			t.trustConnectHost = true
		case "one_event":
			t.oneEvent = true
		case "sub":
			t.subs = append(t.subs, p.value)
		case "untrusted": // says that GRIP of the target is to be ignored where it is trusted; here no target is more trusted than another
			r.warn("target property \"untrusted\" has no effect")
		case "client_cert", "client_key":
			return t, errors.New("client certificates are not supported")
		default:
			r.warn(fmt.Sprintf("target property %q is not supported and has no effect", p.name))
		}
	}
	return t, nil
}

func readAddress(text string) (string, error) {
	if text == testTarget {
		return text, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", fmt.Errorf("target %q is not of the form host:port", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("target %q has no valid port", text)
	}
	return net.JoinHostPort(host, port), nil
}

// String names the route without its keys.
func (r *Route) String() string {
	var b strings.Builder
	b.WriteString(r.Domain)
	if r.ID != "" {
		b.WriteString(" id=" + r.ID)
	}
	if r.pathBeg != "" {
		b.WriteString(" path_beg=" + r.pathBeg)
	}
	b.WriteString(" ->")
	for _, t := range r.targets {
		b.WriteString(" " + t.address)
	}
	return strings.TrimSpace(b.String())
}

// rewrite turns the client's path into the one the target is asked for.
func (r *Route) rewrite(path string) string {
	path = r.pathAdd + path[min(r.pathRem, len(path)):]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

func (r *Route) overHTTP() bool {
	for _, t := range r.targets {
		if t.overHTTP {
			return true
		}
	}
	return false
}
