package fastly

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	gofastly "github.com/fastly/go-fastly/v9/fastly"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// DefaultEndpoint is Fastly's own.
const DefaultEndpoint = "https://api.fastly.com"

// Options say how to reach the platform.
type Options struct {
	// Token is the credential. Required.
	Token config.Secret
	// Endpoint is the address of the API; empty means DefaultEndpoint. Plain HTTP
	// is refused except on loopback.
	Endpoint string
	// HTTP carries the requests; nil means http.DefaultTransport.
	HTTP http.RoundTripper
	// Clock is the time and how to let it pass; its zero value is the real one.
	Clock Clock
	// UserAgent names the program; empty means pubsubctl.
	UserAgent string
	// Log gets one debug line for each request; nil logs nothing.
	Log *slog.Logger
	// Timeout bounds one attempt at a request; zero means 30 s. An upload has five
	// minutes in any case.
	Timeout time.Duration
	// MaxWait is how long a call waits for a spent budget; zero means 90 s.
	MaxWait time.Duration
	// SigningKey, if not nil, is trusted to sign client keys in place of Fastly's.
	SigningKey ed25519.PublicKey
	// TrustAPIKey trusts whatever signing key the API names.
	TrustAPIKey bool
}

// Clock is the time and how to let it pass.
type Clock struct {
	// Now is the time; nil means time.Now.
	Now func() time.Time
	// Sleep returns after d, or with the cause when ctx ends; nil uses a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Wait lets d pass, or returns with the cause when ctx ends.
func (c Clock) Wait(ctx context.Context, d time.Duration) error {
	return c.withDefaults().Sleep(ctx, d)
}

func (c Clock) withDefaults() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Client is an account reached over HTTP. Its methods may be called from any
// goroutine; up to eight requests are on their way at a time.
type Client struct {
	// Static after New.
	opt   Options
	lanes chan *lane // those that are free

	mu     sync.Mutex // guards the following
	budget Budget
}

// parallel is how many requests can be on their way.
const parallel = 8

// lane is one client of the library. The library takes no context, so a lane
// carries one call at a time and its transport uses that call's context.
type lane struct {
	lib *gofastly.Client

	// Owned by the call that holds the lane.
	ctx  context.Context
	last exchange
	otp  string
}

// exchange is what is remembered of the last request.
type exchange struct{ method, path, requestID string }

// New makes a Client. It fails for an endpoint that a token must not be sent to.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	if err := CheckEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	c := &Client{opt: o, lanes: make(chan *lane, parallel)}
	for range parallel {
		lib, err := gofastly.NewClientForEndpoint(o.Token.Reveal(), o.Endpoint)
		if err != nil {
			return nil, fmt.Errorf("address of the API: %w", err)
		}
		l := &lane{lib: lib}
		lib.DebugMode = false // a variable could set it, and it prints bodies with secrets
		lib.HTTPClient = &http.Client{
			Transport:     &transport{client: c, lane: l},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		c.lanes <- l
	}
	return c, nil
}

func (o Options) withDefaults() Options {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	o.Endpoint = strings.TrimRight(o.Endpoint, "/")
	if o.HTTP == nil {
		o.HTTP = http.DefaultTransport
	}
	if o.UserAgent == "" {
		o.UserAgent = "pubsubctl"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxWait == 0 {
		o.MaxWait = 90 * time.Second
	}
	o.Clock = o.Clock.withDefaults()
	return o
}

// CheckEndpoint reports why a token must not be sent to an address: it is no
// plain URL, or it is not encrypted and leads to another machine.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the address of the API must look like https://HOST")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("the address of the API must begin with https://")
	}
	if config.OnLoopback(endpoint) {
		return nil
	}
	return errors.New("the address of the API is not encrypted and leads to another machine")
}

// Budget implements API.
func (c *Client) Budget() Budget {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.budget
}

// do runs one call of the library in a lane of its own.
func (c *Client) do(ctx context.Context, call func(*gofastly.Client) error) error {
	return c.doLane(ctx, func(l *lane) error { return call(l.lib) })
}

func (c *Client) doLane(ctx context.Context, call func(*lane) error) error {
	var l *lane
	select {
	case l = <-c.lanes:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l.ctx, l.last, l.otp = ctx, exchange{}, ""
	defer func() {
		l.ctx = nil
		c.lanes <- l
	}()
	err := describe(call(l), l.last)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return err
}

// get is do for a call that returns something.
func get[T any](ctx context.Context, c *Client, call func(*gofastly.Client) (T, error)) (T, error) {
	var out T
	err := c.do(ctx, func(lib *gofastly.Client) error {
		var err error
		out, err = call(lib)
		return err
	})
	return out, err
}

// closing drops the body of a response nobody reads.
func closing(resp *http.Response, err error) error {
	if resp != nil && resp.Body != nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return err
}
