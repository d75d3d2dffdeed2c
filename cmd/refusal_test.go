package cmd

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

func TestNetworkAdvice(t *testing.T) {
	dns := &net.DNSError{Err: "no such host", Name: "nope.test", Server: "192.0.2.1:53", IsNotFound: true}
	for _, c := range []struct {
		name, url, reason string
		err               error
		why, next         string
	}{
		{"a name that is not known, without the resolver's address", "https://nope.test", "dns", &net.OpError{Op: "dial", Err: dns},
			"the name nope.test cannot be resolved: no such host", "pubsubctl context show --resolved"},
		{"no TLS there", "https://localhost:81", "tls", tls.RecordHeaderError{Msg: "not TLS"}, "tls: not TLS", "pubsubctl publish --url http://localhost:81 test"},
		{"the usual place", "http://127.0.0.1:7999", "refused", net.ErrClosed, net.ErrClosed.Error(), "pubsubctl relay"},
		{"another port", "http://localhost:81/", "refused", net.ErrClosed, net.ErrClosed.Error(), "pubsubctl relay --listen localhost:81"},
		{"a relay with TLS needs more than an address", "https://localhost:81", "refused", net.ErrClosed, net.ErrClosed.Error(), "pubsubctl relay"},
	} {
		a := asked{verb: "publish", topics: []string{"test"}, conn: connection{url: c.url}}
		_, why, next := a.explainNetwork(&client.Error{Op: "publish", Category: client.CategoryNetwork, Reason: c.reason, Err: c.err})
		if why != c.why || next != c.next {
			t.Errorf("%s: why %q, next %q; want %q, %q", c.name, why, next, c.why, c.next)
		}
	}
}

func TestTLSOnlyService(t *testing.T) {
	a := asked{verb: "subscribe", topics: []string{"a b"}, conn: connection{url: "http://localhost:81"}}
	e := &client.Error{Op: "subscribe", Category: client.CategoryAPI, Reason: "platform", Status: 400, Text: "Client sent an HTTP request to an HTTPS server."}
	text, why, next := a.explainService(e)
	if text != "the service at http://localhost:81 speaks TLS only" || why != "status 400: "+e.Text ||
		next != "pubsubctl subscribe --url https://localhost:81 'a b'" {
		t.Errorf("text %q, why %q, next %q", text, why, next)
	}
}
