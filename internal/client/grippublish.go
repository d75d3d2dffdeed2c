package client

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// GripPublisher publishes items to a GRIP endpoint: a relay, Pushpin, or a hosted
// service. The zero value with a Target works; fields may not change after the
// first call.
type GripPublisher struct {
	// Target is where to. Required.
	Target *GripTarget
	// HTTP carries the requests; nil means http.DefaultTransport. Redirects are
	// never followed.
	HTTP http.RoundTripper
	// UserAgent names the program; empty means pubsubctl.
	UserAgent string
	// Timeout bounds a request; zero means 30 s.
	Timeout time.Duration
	// Log gets one debug line per request; nil logs nothing.
	Log *slog.Logger
}

// Publish sends all items in one request, which is taken as a whole or not at
// all. A nil error means that they were taken, not that anybody listens. It
// never repeats a request: an item without an id would be delivered twice.
func (p *GripPublisher) Publish(ctx context.Context, items ...GripItem) (Published, error) {
	wire := make([]*grip.Item, 0, len(items))
	for _, i := range items {
		wire = append(wire, i.item())
	}
	c := Client{Timeout: p.Timeout, UserAgent: p.UserAgent, HTTP: p.HTTP, Log: p.Log}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout(), errTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Target.url, bytes.NewReader(grip.MarshalItems(wire)))
	if err != nil {
		return Published{}, &Error{Op: opPublish, Category: CategoryConfig, Reason: "bad_url", Err: errNotGripURL}
	}
	r.Header.Set("User-Agent", c.agent())
	r.Header.Set("Content-Type", "application/json")
	if auth := p.Target.authorize; auth != nil {
		if err := auth(r.Header, time.Now()); err != nil {
			return Published{}, &Error{Op: opPublish, Category: CategoryInternal, Reason: "request", Err: err}
		}
	}
	began := time.Now()
	resp, err := c.do(r)
	if err != nil {
		return Published{}, broken(ctx, opPublish, err)
	}
	defer resp.Body.Close()
	text, err := readText(resp.Body)
	switch {
	case resp.StatusCode != http.StatusOK:
		return Published{}, itemsRefused(resp.StatusCode, text)
	case err != nil:
		return Published{}, broken(ctx, opPublish, err)
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		// Some web server that is pleased with any request.
		return Published{}, &Error{Op: opPublish, Category: CategoryAPI, Reason: "platform", Status: resp.StatusCode, Sent: true}
	}
	return Published{Took: time.Since(began), began: began}, nil
}

// itemsRefused makes the error for an answer that is not a success.
func itemsRefused(status int, text string) *Error {
	v := verdict{CategoryAPI, "bad_request", false}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		v = verdict{CategoryAuth, "refused", false}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		v = verdict{CategoryNotFound, "no_route", false}
	case status == http.StatusRequestEntityTooLarge, strings.HasPrefix(text, "Request body too large"):
		v = verdict{CategoryAPI, "too_large", false}
	case status >= 500, status == http.StatusTooManyRequests:
		v = verdict{CategoryAPI, "server_error", true}
	}
	return &Error{Op: opPublish, Category: v.category, Reason: v.reason, Status: status, Text: text, Sent: true, Retryable: v.retryable}
}
