package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

func TestPublishWritesTheQueryRaw(t *testing.T) {
	for _, tc := range []struct {
		name  string
		topic pubsub.Topic
		o     PublishOptions
		want  string
	}{
		{"slash and colon stay", "a/b:c@d", PublishOptions{}, "topic=a/b:c@d"},
		{"ttl alone means nothing", "t", PublishOptions{TTL: time.Minute}, "topic=t"},
		{"retained", "t", PublishOptions{Retain: true}, "topic=t&retain=true"},
		{"retained for a while", "t", PublishOptions{Retain: true, TTL: time.Minute}, "topic=t&retain=true&ttl=60"},
		{"cleared", "t", PublishOptions{Retain: true, Clear: true}, "topic=t&retain=true&ttl=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, s := newService(t, text(200, "Published\n"))
			if _, err := c.Publish(t.Context(), tc.topic, []byte("hi"), tc.o); err != nil {
				t.Fatal(err)
			}
			r := s.requests()[0]
			if r.URL.RawQuery != tc.want || r.Method != http.MethodPost || r.URL.Path != "/events" {
				t.Errorf("request = %s %s, want query %s", r.Method, r.URL, tc.want)
			}
		})
	}
}

func TestPublishRefusesBeforeAsking(t *testing.T) {
	for _, tc := range []struct {
		name  string
		topic pubsub.Topic
		body  string
		o     PublishOptions
		code  string
	}{
		{"topic with a space", "a b", "", PublishOptions{}, "usage.topic_not_plain"},
		{"topic with a percent sign", "a%2Fb", "", PublishOptions{}, "usage.topic_not_plain"},
		{"payload over the limit", "t", strings.Repeat("x", pubsub.MaxPayload+1), PublishOptions{}, "usage.too_large"},
		{"ttl below a second", "t", "", PublishOptions{Retain: true, TTL: time.Millisecond}, "usage.ttl"},
		{"ttl past 32 bits", "t", "", PublishOptions{Retain: true, TTL: time.Second << 32}, "usage.ttl"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, s := newService(t)
			_, err := c.Publish(t.Context(), tc.topic, []byte(tc.body), tc.o)
			var e *Error
			if !errors.As(err, &e) || e.Code() != tc.code || len(s.requests()) != 0 {
				t.Errorf("err = %v after %d requests, want %s and none", err, len(s.requests()), tc.code)
			}
		})
	}
}

func TestPublishNamesTheFailure(t *testing.T) {
	foreign := func(status int, body string) step {
		st := text(status, body)
		st.foreign = true
		return st
	}
	for _, tc := range []struct {
		name      string
		step      step
		code      string
		retryable bool
		sent      bool
	}{
		{"topic not granted", text(403, "Cannot publish to topic: t\n"), "auth.topic_not_granted", false, true},
		{"token invalid", text(403, "Invalid token\n"), "auth.invalid_token", false, true},
		{"no token", text(400, "Missing 'Authorization' header\n"), "auth.missing", false, true},
		{"unknown key", text(500, "Auth process failed\n"), "auth.unknown_key", true, true},
		{"publish token missing", text(500, "Publish process failed\n"), "api.publish_failed", true, true},
		{"store missing", text(500, "Failed to write message to storage\n"), "api.store_write", true, true},
		{"configuration", text(500, "Configuration process failed.\n"), "api.configuration", true, true},
		{"bad ttl", text(400, "Invalid 'ttl' param: invalid digit found in string\n"), "api.bad_request", false, true},
		{"publishing switched off", text(405, "Method Not Allowed\n"), "api.switched_off", false, true},
		{"wrong path", text(404, "Not Found\n"), "not_found.no_route", false, true},
		{"platform failure", foreign(503, "backend"), "api.platform", true, true},
		{"success of another server", foreign(200, "Published\n"), "api.platform", false, true},
		{"redirect", foreign(302, ""), "api.platform", false, true},
		{"success in other words", text(200, "OK\n"), "api.platform", false, true},
		{"connection refused", step{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, "network.refused", true, false},
		{"connection lost", step{err: io.ErrUnexpectedEOF}, "network.closed", true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := newService(t, tc.step)
			_, err := c.Publish(t.Context(), "t", nil, PublishOptions{})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("err = %v, want an *Error", err)
			}
			if e.Code() != tc.code || e.Retryable != tc.retryable || e.Sent != tc.sent {
				t.Errorf("got %s retryable %t sent %t", e.Code(), e.Retryable, e.Sent)
			}
		})
	}
}

func TestPublishTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{URL: "http://service.test", Timeout: 3 * time.Second, HTTP: hanging{}}
		began := time.Now()
		_, err := c.Publish(t.Context(), "t", nil, PublishOptions{})
		var e *Error
		if !errors.As(err, &e) || e.Code() != "timeout.request" || time.Since(began) != 3*time.Second {
			t.Errorf("err = %v after %v", err, time.Since(began))
		}
	})
}

// hanging never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestPublishReturnsTheCallersCause(t *testing.T) {
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	c := &Client{URL: "http://service.test", HTTP: hanging{}}
	if _, err := c.Publish(ctx, "t", nil, PublishOptions{}); !errors.Is(err, cause) {
		t.Errorf("err = %v, want the caller's cause", err)
	}
}

func TestBadURLIsAConfigErrorThatKeepsSecrets(t *testing.T) {
	for _, u := range []string{"", "service.test", "ftp://service.test", "http://", "http://h/?auth=SECRET", "http://me:SECRET@h/", "http://h:SECRET/"} {
		c := &Client{URL: u}
		_, err := c.Publish(t.Context(), "t", nil, PublishOptions{})
		var e *Error
		if !errors.As(err, &e) || e.Code() != "config.bad_url" || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("URL %q: err = %v", u, err)
		}
	}
}

func TestTokenUnfitForAHeaderIsNotSentNorShown(t *testing.T) {
	c, s := newService(t)
	c.Token = func(context.Context) (string, error) { return "SECRET\n", nil }
	_, err := c.Publish(t.Context(), "t", nil, PublishOptions{})
	var e *Error
	if !errors.As(err, &e) || e.Code() != "auth.invalid_token" || strings.Contains(err.Error(), "SECRET") || len(s.requests()) != 0 {
		t.Errorf("err = %v", err)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	dials := 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Max-Age", "3600")
		io.WriteString(w, "Published\n")
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dials++
		}
	}
	srv.Start()
	rt := NewHTTP(4)
	c := &Client{URL: srv.URL + "/", HTTP: rt}
	for range 20 {
		if _, err := c.Publish(t.Context(), "t", []byte("x"), PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	rt.CloseIdleConnections()
	srv.Close() // waits for the server's goroutines, so dials may be read
	if dials != 1 {
		t.Errorf("%d connections for 20 messages in a row, want 1", dials)
	}
}
