package origin

import (
	"net/http"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// features is the value of Grip-Feature: what this relay does, in Pushpin's order.
// Its "session" is not among them.
const features = "status, link:next, link:gone, filter:skip-self, filter:skip-users, " +
	"filter:require-sub, filter:build-id, filter:var-subst"

// origPrefix starts the copies that orig_headers makes.
const origPrefix = "Eb9bf0f5-"

const (
	routeHeader = "Pushpin-Route"
	eventsType  = "application/websocket-events"
)

// requestHeader is the client's header as the origin sees it (grip.md, 1.3), a map
// of its own whose values are shared with h. It is not signed yet.
func (b *backend) requestHeader(h http.Header, secure bool) http.Header {
	out := make(http.Header, len(h)+4)
	for name, values := range h {
		if !b.drops(name) {
			out[name] = values
		}
	}
	if b.route.origHeaders {
		for name, values := range h {
			if !strings.HasPrefix(name, origPrefix) {
				out[origPrefix+name] = values
			}
		}
	}
	b.applyHeaders(out)
	if v := out[forwardedForHeader]; len(v) > 1 {
		out[forwardedForHeader] = []string{strings.Join(v, ", ")}
	}
	b.forwardedProto(out, secure, "https")
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil // or net/http adds its own
	}
	return out
}

// drops reports whether a header of the client stays behind.
func (b *backend) drops(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Accept-Encoding", "Content-Encoding", "Transfer-Encoding", "Expect", "Content-Length":
		return true
	case routeHeader:
		return b.proxy.opt.RouteHeader
	case "X-Forwarded-Proto", "X-Forwarded-Protocol":
		return b.proxy.opt.ForwardedProto != ProtoPassed
	}
	return grip.IsHeader(name) || strings.HasPrefix(name, origPrefix)
}

func (b *backend) applyHeaders(out http.Header) {
	for _, h := range b.route.headers {
		if h.value == "" {
			delete(out, h.name)
		} else {
			out[h.name] = []string{h.value}
		}
	}
}

func (b *backend) forwardedProto(out http.Header, secure bool, value string) {
	if !secure || b.proxy.opt.ForwardedProto == ProtoPassed {
		return
	}
	out["X-Forwarded-Proto"] = []string{value}
	if b.proxy.opt.ForwardedProto == ProtoBoth {
		out["X-Forwarded-Protocol"] = []string{value}
	}
}

// internalHeader is the header of a request that the relay makes by itself: it has
// nothing of a client's (grip.md, 2.8).
func (b *backend) internalHeader() http.Header {
	out := http.Header{"User-Agent": nil}
	b.applyHeaders(out)
	return out
}

// sign adds Grip-Sig, Grip-Feature and what a held connection has seen last.
func (b *backend) sign(out http.Header, last []grip.Last) {
	if b.route.noGrip {
		return
	}
	if b.signer != nil {
		if v := b.signer.header(time.Now()); v != nil {
			out["Grip-Sig"] = v
		}
	}
	out["Grip-Feature"] = []string{features}
	for _, l := range last {
		out["Grip-Last"] = append(out["Grip-Last"], l.String())
	}
}

// host is what the client asked for, as far as the route lets the origin know.
func (b *backend) host(r *fanout.Request) string {
	switch {
	case b.route.asHost != "":
		return b.route.asHost
	case r.Host == "":
		return "localhost"
	}
	return r.Host
}

// socketHeader makes the header of every request of a socket from that of its
// handshake (grip.md, 5.3), in place: the handshake is the socket's own.
func (b *backend) socketHeader(h http.Header, secure bool) http.Header {
	for name := range h {
		switch {
		case isHandshakeOnly(name), strings.HasPrefix(name, "Meta-"):
			delete(h, name)
		}
	}
	out := b.requestHeader(h, false)
	b.forwardedProto(out, secure, "wss")
	clear(h)
	for name, values := range out {
		h[spelled(name)] = values
	}
	return h
}

func isHandshakeOnly(name string) bool {
	switch name {
	case "Upgrade", "Connection", "Accept", "Connection-Id", "Content-Length", "Sec-Websocket-Extensions":
		return true
	}
	return false
}

// spelled gives a WebSocket header the capitals that RFC 6455 gives it: there are
// origins that look for nothing else.
func spelled(name string) string {
	if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
		return "Sec-WebSocket-" + rest
	}
	return name
}

// responseHeader is what of an origin's header reaches the client (grip.md, 1.6).
// Unlike Pushpin, which decodes nothing and yet removes it, it leaves
// Content-Encoding where an origin compresses unasked.
func responseHeader(h http.Header) http.Header {
	for _, name := range [...]string{"Connection", "Keep-Alive", "Transfer-Encoding"} {
		delete(h, name)
	}
	if _, ok := h["Date"]; !ok {
		h["Date"] = nil // or net/http adds one
	}
	return h
}

func withoutGrip(h http.Header) http.Header {
	for name := range h {
		if grip.IsHeader(name) {
			delete(h, name)
		}
	}
	return h
}

// keepGrip passes on what a trusted proxy has said.
func keepGrip(out, h http.Header) {
	for name, values := range h {
		if grip.IsHeader(name) {
			out[name] = values
		}
	}
}

// expose leaves only the headers that Grip-Expose-Headers names.
func expose(h http.Header, names []string) http.Header {
	if len(names) == 0 {
		return h
	}
	out := http.Header{"Date": nil}
	for _, name := range names {
		name = http.CanonicalHeaderKey(name)
		if v, ok := h[name]; ok {
			out[name] = v
		}
	}
	return out
}

// forbids reports whether a client pretends to be a relay (grip.md, 1.7).
func (b *backend) forbids(h http.Header) bool {
	return b.route.overHTTP() && isMediaType(h.Get("Content-Type"), eventsType)
}

func isMediaType(value, want string) bool {
	t, _, _ := strings.Cut(value, ";")
	return strings.EqualFold(strings.TrimSpace(t), want)
}

// isToken reports whether s can be a field name (RFC 9110, 5.1).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
