package origin

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
)

// table finds the backend of a request. It is static once built.
type table struct {
	byID     map[string]*backend // nil for an id that several routes have
	byDomain map[string][]*backend
}

// asked is what selects a route.
type asked struct {
	host, path     string
	id             string // of the Pushpin-Route header
	byID           bool   // the header is there and counts
	socket, secure bool
}

// newTable sorts backends by how specific their routes are and leaves out those
// that could never be found.
func newTable(all []*backend, log *slog.Logger) *table {
	t := &table{map[string]*backend{}, map[string][]*backend{}}
	for _, b := range all {
		t.addID(b, log)
		if b.route.Domain == "" {
			continue
		}
		same := func(o *backend) bool { return o.sameCondition(b) }
		if slices.ContainsFunc(t.byDomain[b.route.Domain], same) {
			log.Warn("route skipped", "cause", "an earlier route has the same condition", "route", b.route.String())
			continue
		}
		t.byDomain[b.route.Domain] = append(t.byDomain[b.route.Domain], b)
	}
	for _, list := range t.byDomain {
		slices.SortStableFunc(list, moreSpecific)
	}
	return t
}

func (t *table) addID(b *backend, log *slog.Logger) {
	id := b.route.ID
	if id == "" {
		return
	}
	if _, taken := t.byID[id]; taken {
		log.Warn("route id unusable", "cause", "several routes have it", "id", id)
		t.byID[id] = nil
		return
	}
	t.byID[id] = b
}

func (b *backend) sameCondition(o *backend) bool {
	return b.route.proto == o.route.proto && b.route.ssl == o.route.ssl && b.route.pathBeg == o.route.pathBeg
}

// moreSpecific orders: proto set, then the longest path_beg, then ssl set.
func moreSpecific(a, b *backend) int {
	return cmp.Or(
		cmp.Compare(isSet(b.route.proto), isSet(a.route.proto)),
		cmp.Compare(len(b.route.pathBeg), len(a.route.pathBeg)),
		cmp.Compare(isSet(b.route.ssl), isSet(a.route.ssl)),
	)
}

func isSet(s string) int { return min(len(s), 1) }

// find returns nil if there is no route. An unknown id never falls back to the
// domain (grip.md, 1.2).
func (t *table) find(q asked) *backend {
	if q.byID {
		if b := t.byID[q.id]; b != nil && strings.HasPrefix(q.path, b.route.pathBeg) {
			return b
		}
		return nil
	}
	list, ok := t.byDomain[domainOf(q.host)]
	if !ok {
		list = t.byDomain["*"]
	}
	for _, b := range list {
		if b.route.matches(q) {
			return b
		}
	}
	return nil
}

func (r *Route) matches(q asked) bool {
	return strings.HasPrefix(q.path, r.pathBeg) &&
		(r.proto == "" || (r.proto == "ws") == q.socket) &&
		(r.ssl == "" || (r.ssl == "yes") == q.secure)
}

// domainOf is the host without its port, in lower case.
func domainOf(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		host, _, _ = strings.Cut(rest, "]")
	} else if at := strings.LastIndexByte(host, ':'); at >= 0 && strings.IndexByte(host, ':') == at {
		host = host[:at] // with more colons it is an IPv6 address
	}
	return strings.ToLower(host)
}
