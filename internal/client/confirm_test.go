package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// looped is a service with one subscriber: what is published comes back after
// a delay, behind what was stored before.
type looped struct {
	delay    time.Duration // negative: never
	replay   string        // events right behind stream-open
	echo     string        // the event that comes back
	answer   step          // to the publish
	endEarly bool          // the stream ends instead of echoing
	sent     chan struct{}
	durable  bool
}

func (l *looped) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		close(l.sent)
		return l.answer.answer(r), nil
	}
	l.durable = r.URL.Query().Get("durable") == "true"
	return step{status: 200, kind: "text/event-stream", body: func(ctx context.Context, w io.Writer) {
		io.WriteString(w, opened+l.replay)
		select {
		case <-l.sent:
		case <-ctx.Done():
			return
		}
		if l.endEarly {
			return
		}
		if l.delay >= 0 {
			time.Sleep(l.delay)
			io.WriteString(w, message("other")+l.echo)
		}
		<-ctx.Done()
	}}.answer(r), nil
}

func TestConfirm(t *testing.T) {
	ok := text(200, "Published\n")
	for _, tc := range []struct {
		name    string
		service *looped
		options PublishOptions
		echo    time.Duration
		want    func(error) bool
	}{
		{"the echo is timed", &looped{delay: 30 * time.Millisecond, echo: message("hi"), answer: ok}, PublishOptions{}, 30 * time.Millisecond,
			func(err error) bool { return err == nil }},
		{"a stored message of the same payload is no echo", &looped{delay: 90 * time.Millisecond, replay: stored("t:1-1", "hi"), echo: stored("t:1-2", "hi"), answer: ok},
			PublishOptions{Retain: true}, 90 * time.Millisecond, func(err error) bool { return err == nil }},
		{"no echo in time", &looped{delay: -1, answer: ok}, PublishOptions{}, 0, func(err error) bool { return errors.Is(err, ErrNoEcho) }},
		{"a refused publish", &looped{delay: -1, answer: text(403, "Invalid token\n")}, PublishOptions{}, 0,
			func(err error) bool { e, is := errors.AsType[*Error](err); return is && e.Reason == "invalid_token" }},
		{"a stream that ends first", &looped{endEarly: true, answer: ok}, PublishOptions{}, 0,
			func(err error) bool { e, is := errors.AsType[*Error](err); return is && e.Reason == "closed" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.service.sent = make(chan struct{})
				c := &Client{URL: "http://service.test", HTTP: tc.service}
				got, err := c.PublishConfirmed(t.Context(), "t", []byte("hi"), tc.options, 5*time.Second)
				if !tc.want(err) {
					t.Fatalf("err = %v", err)
				}
				if err == nil && got.Echo != tc.echo {
					t.Errorf("echo after %v, want %v", got.Echo, tc.echo)
				}
				if tc.service.durable != tc.options.Retain {
					t.Errorf("durable = %t, but only a durable stream sees retained messages, and only a plain one is needed else", tc.service.durable)
				}
			})
		})
	}
}

func TestConfirmReportsARefusedSubscription(t *testing.T) {
	c, s := newService(t, stream(streamErrorEvent("forbidden", "Cannot subscribe to topic: t")))
	_, err := c.PublishConfirmed(t.Context(), "t", nil, PublishOptions{}, time.Second)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "auth.topic_not_granted" || len(s.requests()) != 1 {
		t.Errorf("err = %v after %d requests, want no publish after the refusal", err, len(s.requests()))
	}
}

func TestRememberedTokenIsSignedAgainInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signed := 0
		fail := errors.New("no key")
		tok := Remember(func(context.Context) (string, error) {
			if signed++; signed == 2 {
				return "", fail
			}
			return "tok", nil
		}, time.Minute)
		get := func() error { _, err := tok(t.Context()); return err }
		get()
		time.Sleep(59 * time.Second)
		get()
		if signed != 1 {
			t.Errorf("signed %d times within the minute, want once", signed)
		}
		time.Sleep(time.Second)
		if err := get(); !errors.Is(err, fail) {
			t.Errorf("err = %v, want that of signing", err)
		}
		if err := get(); err != nil || signed != 3 {
			t.Errorf("err = %v after %d signings, want a failure to be tried again", err, signed)
		}
	})
}
