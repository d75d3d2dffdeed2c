package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// What an origin may take and send.
const (
	connectTimeout = 10 * time.Second // for TCP, and again for TLS
	answerTimeout  = 60 * time.Second // until the response's head
	idleTimeout    = 4 * time.Second  // before 5 s, when the servers of Node close theirs
	maxIdle        = 512              // connections for each target, as many as the engine asks at once
	maxOpening     = 512              // handshakes with each target under way at once; others wait
	maxHead        = 128 << 10        // bytes of a response's head
)

// upstreamKey tells upstreams apart: what makes two connections exchangeable.
type upstreamKey struct {
	address, name string
	ssl, insecure bool
}

// keyOf names the certificate's host: that of host=, or of the address if there is
// none or the route says so.
func keyOf(t target) upstreamKey {
	k := upstreamKey{address: t.address, ssl: t.ssl, insecure: t.insecure}
	if t.ssl {
		k.name = domainOf(t.address)
		if t.host != "" && !t.trustConnectHost {
			k.name = domainOf(t.host)
		}
	}
	return k
}

// upstream is a pool of connections to one target; the one without an address
// goes to any host.
type upstream struct {
	upstreamKey
	tls       *tls.Config
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	transport *http.Transport
	// opening has a place for each handshake under way. Ten thousand clients that
	// come back at once must not be as many connections to one origin.
	opening chan struct{}
}

// startOpening waits for a place; the caller gives it back.
func (u *upstream) startOpening(ctx context.Context) error {
	select {
	case u.opening <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// server is a target with its upstream.
type server struct {
	target
	*upstream
}

func newUpstream(key upstreamKey, roots *x509.CertPool) *upstream {
	u := &upstream{upstreamKey: key, dial: dial, opening: make(chan struct{}, maxOpening)}
	u.tls = &tls.Config{
		RootCAs: roots, ServerName: key.name, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: key.insecure, //nolint:gosec // the route says so
	}
	u.transport = &http.Transport{
		DialContext:            u.dial,
		DialTLSContext:         u.dialTLS,
		DisableCompression:     true, // nothing is compressed or decompressed on the way
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  answerTimeout,
		MaxResponseHeaderBytes: maxHead,
	}
	return u
}

// connectError says that a target could not be connected to, so that the next one
// may be tried: it has seen nothing of the request.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

func isConnectError(err error) bool {
	var c *connectError
	return errors.As(err, &c)
}

// dial tries every address of the host. Those of localhost need no resolver, which
// may know only one of them, or name first the one where nobody listens.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var d net.Dialer
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &connectError{err}
	}
	if host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, &connectError{err}
		}
		return conn, nil
	}
	var faults []error
	for _, ip := range [...]string{"127.0.0.1", "::1"} {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip, port))
		if err == nil {
			return conn, nil
		}
		faults = append(faults, err)
	}
	return nil, &connectError{errors.Join(faults...)}
}

func (u *upstream) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	plain, err := u.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := u.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = domainOf(address)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, &connectError{fmt.Errorf("tls to %s: %w", address, err)}
	}
	return conn, nil
}

// connect opens a connection outside of the pool.
func (u *upstream) connect(ctx context.Context) (net.Conn, error) {
	if u.ssl {
		return u.dialTLS(ctx, "tcp", u.address)
	}
	return u.dial(ctx, "tcp", u.address)
}

func (u *upstream) scheme() string {
	if u.ssl {
		return "https"
	}
	return "http"
}
