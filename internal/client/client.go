package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of one exchange with the service.
const (
	// defaultTimeout covers a request from dialling to the last byte of its
	// answer, and for a stream to its stream-open.
	defaultTimeout = 30 * time.Second
	// maxAnswer is how much of an answer is read: the texts of the app are far
	// shorter, and reading the rest is what lets a connection be used again.
	maxAnswer = 16 << 10
	// maxText is how much of an answer an Error quotes.
	maxText = 200
)

// Token gives the JWT for one request. It is asked for each request, so that
// a subscription that reconnects hours later gets a fresh one; a source that
// signs should remember its result. Empty sends no token.
type Token func(ctx context.Context) (string, error)

// Client is one service and the credentials for it. Its methods may be called
// from any goroutine; its fields may not change after the first call.
type Client struct {
	// URL is the service's address, such as https://chat-x7.edgecompute.app.
	// Required. A path is kept as a prefix, a query is refused.
	URL string
	// Token, if not nil, is sent as "Authorization: Bearer".
	Token Token
	// FastlyKey, if not empty, is sent as the Fastly-Key header; it grants
	// every topic.
	FastlyKey string
	// HTTP carries the requests; nil means http.DefaultTransport. Redirects
	// are never followed, so credentials go to URL's host only.
	HTTP http.RoundTripper
	// UserAgent names the program to the service; empty means pubsubctl.
	UserAgent string
	// Timeout bounds a publish and the opening of a stream; zero means 30 s.
	Timeout time.Duration
	// Log gets one debug line per request and per event; nil logs nothing.
	Log *slog.Logger
}

// NewHTTP returns a transport that keeps up to conns idle connections to the
// service, so that a loop of publishers does not dial for each message. Close
// it with CloseIdleConnections.
func NewHTTP(conns int) *http.Transport {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         d.DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        conns,
		MaxIdleConnsPerHost: conns,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		// Streams are small and must not wait for a compressor to flush.
		DisableCompression: true,
	}
}

// request builds a request to path; query must be ready for the wire. The
// result's URL is written by hand because the app reads part of its query raw.
func (c *Client) request(ctx context.Context, op, method, path, query string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://unset/", body)
	if err != nil {
		return nil, &Error{Op: op, Category: CategoryInternal, Reason: "request", Err: err}
	}
	if r.URL, err = c.endpoint(path, query); err != nil {
		return nil, &Error{Op: op, Category: CategoryConfig, Reason: "bad_url", Err: err}
	}
	r.Host = r.URL.Host
	r.Header.Set("User-Agent", c.agent())
	if c.FastlyKey != "" {
		r.Header.Set("Fastly-Key", c.FastlyKey)
	}
	return r, c.authorize(ctx, op, r)
}

// endpoint is the service's address with path and query added.
func (c *Client) endpoint(path, query string) (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil {
		// The address itself stays out: it may hold credentials.
		return nil, errors.New("the service's URL must be http(s)://HOST[:PORT][/PATH] without query or user")
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawPath, u.Fragment, u.RawQuery = "", "", query
	return u, nil
}

func (c *Client) agent() string {
	if c.UserAgent == "" {
		return "pubsubctl"
	}
	return c.UserAgent
}

func (c *Client) timeout() time.Duration {
	if c.Timeout <= 0 {
		return defaultTimeout
	}
	return c.Timeout
}

// authorize adds the token. A token with a byte outside visible ASCII is
// refused here: it would crash the request in the app, which tells the user
// nothing.
func (c *Client) authorize(ctx context.Context, op string, r *http.Request) error {
	if c.Token == nil {
		return nil
	}
	tok, err := c.Token(ctx)
	if err != nil {
		return fmt.Errorf("get token: %w", err)
	}
	if tok == "" {
		return nil
	}
	if !visible(tok) {
		return &Error{Op: op, Category: CategoryAuth, Reason: "invalid_token", Err: errors.New("the token holds a space or a byte outside visible ASCII")}
	}
	r.Header.Set("Authorization", "Bearer "+tok)
	return nil
}

// visible reports whether s holds visible ASCII only.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// do sends r and logs the exchange without its query and headers, which may
// name topics and hold credentials.
func (c *Client) do(r *http.Request) (*http.Response, error) {
	rt := c.HTTP
	if rt == nil {
		rt = http.DefaultTransport
	}
	if !c.debugs(r.Context()) {
		return rt.RoundTrip(r)
	}
	began := time.Now()
	resp, err := rt.RoundTrip(r)
	attrs := []slog.Attr{slog.String("cause", r.Method+" "+r.URL.Path), slog.String("remote", r.URL.Host), slog.Duration("took", time.Since(began))}
	if err != nil {
		c.Log.LogAttrs(r.Context(), slog.LevelDebug, "request failed", append(attrs, slog.Any("err", err))...)
		return nil, err
	}
	c.Log.LogAttrs(r.Context(), slog.LevelDebug, "request answered", append(attrs, slog.Int("count", resp.StatusCode))...)
	return resp, nil
}

// debugs reports whether requests and events are logged.
func (c *Client) debugs(ctx context.Context) bool {
	return c.Log != nil && c.Log.Enabled(ctx, slog.LevelDebug)
}

// fromApp reports whether the Pub/Sub app itself wrote the answer. It puts the
// same headers on everything it says; what lacks them comes from the platform
// or from another server.
func fromApp(h http.Header) bool {
	return h.Get("Access-Control-Allow-Origin") != "" && h.Get("Access-Control-Max-Age") != ""
}

// readText takes the start of an answer for quoting; what is beyond its bound
// does not belong to the app and is left.
func readText(body io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	return clip(strings.TrimRight(string(b), "\r\n")), err
}

// clip bounds text that came from the service.
func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
