package fastly

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds on one exchange.
const (
	uploadTimeout = 5 * time.Minute
	maxAnswer     = 64 << 20
	readTries     = 5
	writeTries    = 3
	dialTries     = 3
	baseBackoff   = 500 * time.Millisecond
	maxBackoff    = 8 * time.Second
)

// errTooLong is an answer longer than any that the platform gives.
var errTooLong = errors.New("the answer is too long")

// transport is what a lane's requests go through: it gives them the call's
// context, names the program, repeats what may be repeated, notes what is left of
// the budget, and logs.
type transport struct {
	client *Client
	lane   *lane
}

// RoundTrip implements http.RoundTripper. The answer's body is in memory, so
// that one cut short counts as none and can be asked for again.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	o, ctx := t.client.opt, t.lane.ctx
	t.lane.last = exchange{method: req.Method, path: req.URL.Path}
	req = req.WithContext(ctx)
	req.Header.Set("User-Agent", o.UserAgent)
	if t.lane.otp != "" {
		req.Header.Set("Fastly-OTP", t.lane.otp)
	}
	again := repeatable(req)
	for try := 1; ; try++ {
		resp, err := t.attempt(req)
		if wait, ok := t.wait(again, try, resp, err); ok {
			o.Log.Debug("fastly again", "path", req.URL.Path, "took", wait)
			if err := o.Clock.Sleep(ctx, wait); err != nil {
				return nil, err
			}
			if req, err = rewound(req); err == nil {
				continue
			}
			return nil, err
		}
		if try > 1 && req.Method == http.MethodDelete && resp != nil && resp.StatusCode == http.StatusNotFound {
			resp.StatusCode = http.StatusNoContent // an earlier try did it and its answer was lost
		}
		return resp, err
	}
}

// tries is how often a request is made at most.
type tries int

// repeatable says how often a request may be made. A create is made once: the
// caller has to look first. So is a clone, although it is a PUT. A client key is
// nothing that stays.
func repeatable(req *http.Request) tries {
	switch {
	case req.Method == http.MethodGet, req.Method == http.MethodHead:
		return readTries + 1
	case req.Body != nil && req.Body != http.NoBody && req.GetBody == nil, strings.HasSuffix(req.URL.Path, "/clone"):
		return 1
	case req.URL.Query().Get("add") == "true": // again it would find what it made
		return 1
	case strings.HasSuffix(req.URL.Path, "/secrets"): // a client key is good for one secret
		return 1
	case req.Method == http.MethodPut, req.Method == http.MethodDelete, strings.HasSuffix(req.URL.Path, "/client-key"):
		return writeTries + 1
	}
	return 1
}

// wait says whether to try again, and after how long. A request over the budget
// was not looked at, so any request may be made again when there is a new one.
func (t *transport) wait(most tries, try int, resp *http.Response, err error) (time.Duration, bool) {
	switch {
	case t.lane.ctx.Err() != nil:
		return 0, false
	case err != nil && unreachable(err):
		return backoff(try), try < dialTries
	case err != nil:
		return backoff(try), try < int(most)
	case resp.StatusCode == http.StatusTooManyRequests:
		return t.untilReset(try, resp)
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented:
		return backoff(try), try < int(most)
	}
	return 0, false
}

// unreachable reports whether there was no connection at all: then the request was
// not made, and a person should not wait long to be told.
func unreachable(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

// untilReset is how long to wait for a new budget.
func (t *transport) untilReset(try int, resp *http.Response) (time.Duration, bool) {
	if try > writeTries {
		return 0, false
	}
	reset, ok := resetOf(resp.Header)
	if !ok {
		return backoff(try + 1), true // a limit on one item, not on the hour
	}
	wait := max(reset.Sub(t.client.opt.Clock.Now()), 0) + 100*time.Millisecond
	return wait, wait <= t.client.opt.MaxWait
}

func resetOf(h http.Header) (time.Time, bool) {
	seconds, err := strconv.ParseInt(h.Get("Fastly-RateLimit-Reset"), 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// backoff grows with each failure, with full jitter, so that many who failed
// together do not come back together.
func backoff(try int) time.Duration {
	most := min(baseBackoff<<min(try-1, 10), maxBackoff)
	return time.Duration(rand.Int64N(int64(most)) + 1) //nolint:gosec // spreading, not secrecy
}

// rewound is the request with its body from the start.
func rewound(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = body
	return req, nil
}

// attempt makes the request once and reads the whole answer.
func (t *transport) attempt(req *http.Request) (*http.Response, error) {
	timeout := t.client.opt.Timeout
	if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/package") {
		timeout = max(timeout, uploadTimeout)
	}
	ctx, cancel := context.WithTimeout(req.Context(), timeout)
	defer cancel()
	start := t.client.opt.Clock.Now()
	resp, err := t.client.opt.HTTP.RoundTrip(req.WithContext(ctx))
	if err == nil {
		err = hold(resp)
	}
	if err != nil {
		t.client.opt.Log.Debug("fastly", "method", req.Method, "path", req.URL.Path, "err", err)
		return nil, err
	}
	t.note(req, resp)
	t.client.opt.Log.Debug("fastly", "method", req.Method, "path", req.URL.Path, "code", resp.StatusCode,
		"took", t.client.opt.Clock.Now().Sub(start))
	return resp, nil
}

// hold reads the body into memory.
func hold(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close()
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return err
}

// note keeps what the answer says of the budget, refusals included.
func (t *transport) note(req *http.Request, resp *http.Response) {
	t.lane.last.requestID = resp.Header.Get("Fastly-Trace-Id")
	remaining, err := strconv.Atoi(resp.Header.Get("Fastly-RateLimit-Remaining"))
	if err != nil || req.Method == http.MethodGet {
		return
	}
	b := Budget{Known: true, Remaining: remaining}
	b.Reset, _ = resetOf(resp.Header)
	t.client.mu.Lock()
	defer t.client.mu.Unlock()
	t.client.budget = b
}
