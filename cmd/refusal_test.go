package cmd

import (
	"net"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

func TestNetworkAdvice(t *testing.T) {
	dns := &net.DNSError{Err: "no such host", Name: "nope.test", Server: "192.0.2.1:53", IsNotFound: true}
	for _, c := range []struct {
		name, url string
		err       error
		why, next string
	}{
		{"a name that is not known, without the resolver's address", "https://nope.test", &net.OpError{Op: "dial", Err: dns},
			"the name nope.test cannot be resolved: no such host", "pubsubctl context show --resolved"},
		{"the usual place", "http://127.0.0.1:7999", net.ErrClosed, net.ErrClosed.Error(), "pubsubctl relay"},
		{"another port", "http://localhost:81/", net.ErrClosed, net.ErrClosed.Error(), "pubsubctl relay --listen localhost:81"},
		{"a relay with TLS needs more than an address", "https://localhost:81", net.ErrClosed, net.ErrClosed.Error(), "pubsubctl relay"},
	} {
		a := asked{verb: "publish", topics: []string{"test"}, conn: connection{url: c.url}}
		_, why, next := a.explainNetwork(&client.Error{Op: "publish", Category: client.CategoryNetwork, Reason: "failed", Err: c.err})
		if why != c.why || next != c.next {
			t.Errorf("%s: why %q, next %q; want %q, %q", c.name, why, next, c.why, c.next)
		}
	}
}
