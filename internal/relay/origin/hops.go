package origin

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

const (
	forwardedForHeader = "X-Forwarded-For"
	loopHeader         = "Cdn-Loop"
)

// ForwardedFor is what becomes of X-Forwarded-For (grip.md, 1.3 item 8). The zero
// value leaves what the client has sent.
type ForwardedFor struct {
	// Truncate leaves the last Keep addresses of what the client has sent.
	Truncate bool
	Keep     int
	// Append adds the client's own address.
	Append bool
}

// apply gives the header's values for a client at remote.
func (f ForwardedFor) apply(values []string, remote string) []string {
	var chain []string
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			chain = append(chain, strings.TrimSpace(one))
		}
	}
	if f.Truncate {
		chain = chain[max(0, len(chain)-f.Keep):]
	}
	if f.Append {
		host, _, err := net.SplitHostPort(remote)
		if err != nil {
			host = remote
		}
		chain = append(chain, host)
	}
	if len(chain) == 0 {
		return nil
	}
	return []string{strings.Join(chain, ", ")}
}

// addHops notes in the header of a client's request the way it has come.
func (b *backend) addHops(out http.Header, remote string, trusted bool) {
	if name := b.proxy.opt.CDNLoop; name != "" {
		out[loopHeader] = []string{strings.Join(append(slices.Clone(out[loopHeader]), name), ", ")}
	}
	rule := b.proxy.opt.ForwardedFor
	if trusted {
		rule = b.proxy.opt.ForwardedForTrusted
	}
	if rule == (ForwardedFor{}) {
		return
	}
	if values := rule.apply(out[forwardedForHeader], remote); values != nil {
		out[forwardedForHeader] = values
	} else {
		delete(out, forwardedForHeader)
	}
}
