package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

func TestSubscribeReportsOpenThenMessages(t *testing.T) {
	c, s := newService(t, held(opened, message("one"), "event: keep-alive\ndata: \n\n", "event: later-version\ndata: x\n\n",
		"event: message-base64\ndata: /wA=\n\n"))
	got, err := follow(t, c, SubscribeOptions{}, 2)
	if !errors.Is(err, errEnough) {
		t.Errorf("err = %v, want the function's own", err)
	}
	want := []string{"open", "message one", "message \xff\x00"}
	if !slices.Equal(got, want) {
		t.Errorf("events = %q, want %q", got, want)
	}
	r := s.requests()[0]
	if r.Header.Get("Authorization") != "Bearer tok" || r.URL.RawQuery != "topic=chat" || r.Header.Get("Last-Event-ID") != "" {
		t.Errorf("request %s with headers %v", r.URL, r.Header)
	}
}

func TestSubscribeFillsTheEvent(t *testing.T) {
	c, _ := newService(t, held(opened, stored("chat:00000000000000aa-3", "kept")))
	var got Event
	c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, SubscribeOptions{Durable: true}, func(e Event) error {
		if e.Kind != KindMessage {
			return nil
		}
		got = e
		return errEnough
	})
	m := got.Message
	if m.Topic != "chat" || m.ID != "chat:00000000000000aa-3" || !m.Retained || m.Name != "message" {
		t.Errorf("message = %+v", m)
	}
	if got.Transport != "sse" || got.Conn != 1 || got.Time.IsZero() {
		t.Errorf("event = %+v", got)
	}
}

func TestSeveralTopicsAreEncodedSortedAndUnnamed(t *testing.T) {
	c, s := newService(t, held(opened, message("x")))
	var topic pubsub.Topic = "unset"
	c.Subscribe(t.Context(), []pubsub.Topic{"b+ c", "a/b", "a/b"}, SubscribeOptions{Durable: true}, func(e Event) error {
		if e.Kind == KindMessage {
			topic = e.Message.Topic
			return errEnough
		}
		return nil
	})
	if q := s.requests()[0].URL.RawQuery; q != "durable=true&topic=a%2Fb&topic=b%2B+c" {
		t.Errorf("query = %s", q)
	}
	if topic != "" {
		t.Errorf("topic = %q, but an event of several topics does not name one", topic)
	}
}

func TestRefusalsEndTheSubscription(t *testing.T) {
	for _, tc := range []struct {
		name string
		step step
		code string
		kind string
	}{
		{"forbidden topic", stream(streamErrorEvent("forbidden", "Cannot subscribe to topic: chat")), "auth.topic_not_granted", "refused"},
		{"bad token", stream(streamErrorEvent("forbidden", "Invalid token")), "auth.invalid_token", "refused"},
		{"no credential", stream(streamErrorEvent("bad-request", "Missing 'Authorization' header or 'auth' parameter")), "auth.missing", "refused"},
		{"too many topics", stream(streamErrorEvent("bad-request", "Too many topics")), "api.bad_request", "refused"},
		{"refused in an open stream", stream(opened, streamErrorEvent("forbidden", "Invalid token")), "auth.invalid_token", "refused"},
		{"stream-error that is no JSON", stream("event: stream-error\ndata: oops\n\n"), "api.bad_request", "refused"},
		{"event streams switched off", text(405, "Method Not Allowed\n"), "api.switched_off", "refused"},
		{"no such route", text(404, "Not Found\n"), "not_found.no_route", "refused"},
		{"another site", step{status: 200, kind: "text/html", foreign: true, body: func(_ context.Context, w io.Writer) { io.WriteString(w, "<html>") }}, "api.platform", "refused"},
		{"not an event stream", text(200, "hello"), "api.protocol", "refused"},
		{"a message before stream-open", stream(message("x")), "api.protocol", "refused"},
		{"connection refused", step{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, "network.refused", "ended"},
		{"unknown host", step{err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "nope.test", IsNotFound: true}}}, "network.dns", "ended"},
		{"end before the first event", stream(), "network.closed", "ended"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, s := newService(t, tc.step)
			got, err := follow(t, c, SubscribeOptions{}, -1)
			var e *Error
			if !errors.As(err, &e) || e.Code() != tc.code {
				t.Fatalf("err = %v, want code %s", err, tc.code)
			}
			if last := got[len(got)-1]; last != tc.kind {
				t.Errorf("last event = %s, want %s", last, tc.kind)
			}
			if n := len(s.requests()); n != 1 {
				t.Errorf("%d requests, want no second one after a refusal", n)
			}
		})
	}
}

func TestPassingFaultsAreAskedThreeTimesBeforeTheFirstOpen(t *testing.T) {
	for _, tc := range []struct {
		name, code string
		step       step
	}{
		{"server error", "auth.unknown_key", stream(streamErrorEvent("internal-server-error", "Auth process failed"))},
		{"store", "api.store_read", stream(streamErrorEvent("internal-server-error", "Failed to read message from storage"))},
		{"unknown words", "api.server_error", stream(streamErrorEvent("internal-server-error", "Surprise"))},
		{"platform", "api.platform", step{status: 503, foreign: true, body: func(context.Context, io.Writer) {}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newService(t, tc.step, tc.step, tc.step)
				got, err := follow(t, c, SubscribeOptions{}, -1)
				var e *Error
				if !errors.As(err, &e) || e.Code() != tc.code {
					t.Errorf("err = %v, want %s", err, tc.code)
				}
				if want := []string{"reconnecting", "reconnecting", "ended"}; !slices.Equal(got, want) {
					t.Errorf("events = %q, want %q", got, want)
				}
				if n := len(s.requests()); n != 3 {
					t.Errorf("%d requests, want 3", n)
				}
			})
		})
	}
}

func TestPatientSubscriptionWaitsForAServiceThatIsNotThere(t *testing.T) {
	absent := step{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	synctest.Test(t, func(t *testing.T) {
		steps := []step{absent, absent, absent, absent, absent, absent, held(opened, message("one"))}
		c, _ := newService(t, steps...)
		got, _ := follow(t, c, SubscribeOptions{Patient: true}, 1)
		want := append(slices.Repeat([]string{"reconnecting"}, 6), "open", "message one") // nothing was missed yet: no gap
		if !slices.Equal(got, want) {
			t.Errorf("events = %q, want %q", got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, s := newService(t, absent, stream(streamErrorEvent("forbidden", "Invalid token")))
		got, _ := follow(t, c, SubscribeOptions{Patient: true}, -1)
		if want := []string{"reconnecting", "refused"}; !slices.Equal(got, want) || len(s.requests()) != 2 {
			t.Errorf("events = %q after %d requests, want %q and no third request", got, len(s.requests()), want)
		}
	})
}

func TestLostPlainStreamReconnectsAndReportsTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newService(t, stream(opened, message("one")),
			step{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}},
			held(opened, message("two")))
		got, _ := follow(t, c, SubscribeOptions{}, 2)
		want := []string{"open", "message one", "reconnecting", "reconnecting", "open",
			"gap messages published while disconnected may have been missed", "message two"}
		if !slices.Equal(got, want) {
			t.Errorf("events = %q, want %q", got, want)
		}
	})
}

func TestDurableStreamResumesWithTheCleanedID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newService(t, stream(opened, stored("chat:   123456789abcd-7", "one")), held(opened, message("two")))
		got, _ := follow(t, c, SubscribeOptions{Durable: true}, 2)
		if id := s.requests()[1].Header.Get("Last-Event-ID"); id != "chat:123456789abcd-7" {
			t.Errorf("resumed with %q", id)
		}
		if !slices.Contains(got, "gap live messages published while disconnected may have been missed; stored messages resume after the last id") {
			t.Errorf("events = %q, want a gap for live messages", got)
		}
	})
}

func TestRefusedResumeIDStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newService(t, stream(opened, stored("a:b:1-1", "one")),
			stream(streamErrorEvent("bad-request", `Last-Event-ID part not a valid version: [b:1-1]\n`)),
			held(opened, stored("a:b:1-1", "one")))
		got, _ := follow(t, c, SubscribeOptions{Durable: true}, 2, "a:b")
		want := []string{"open", "message one a:b:1-1", "reconnecting", "reconnecting", "open",
			"gap the service refused the last event id; the newest stored message of each topic follows, earlier ones and live messages may have been missed",
			"message one a:b:1-1"}
		if !slices.Equal(got, want) {
			t.Errorf("events = %q, want %q", got, want)
		}
		if r := s.requests(); r[1].Header.Get("Last-Event-ID") != "a:b:1-1" || r[2].Header["Last-Event-Id"] != nil {
			t.Errorf("resume headers %q then %q", r[1].Header["Last-Event-Id"], r[2].Header["Last-Event-Id"])
		}
	})
}

func TestResumeIDThatFitsNoHeaderStartsAfresh(t *testing.T) {
	c, s := newService(t, held(opened, message("x")))
	got, _ := follow(t, c, SubscribeOptions{Durable: true, LastEventID: "caf\u00e9:1-1"}, 1, "caf\u00e9")
	if h := s.requests()[0].Header["Last-Event-Id"]; h != nil {
		t.Errorf("sent %q", h)
	}
	if len(got) < 2 || !strings.HasPrefix(got[1], "gap the last event id cannot be sent") {
		t.Errorf("events = %q, want a gap that says so", got)
	}
}

func TestErrorInAnOpenStreamBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newService(t, stream(opened, streamErrorEvent("internal-server-error", "Failed to read message from storage")), held(opened, message("x")))
		got, _ := follow(t, c, SubscribeOptions{Durable: true}, 1)
		if len(got) < 3 || got[1] != "reconnecting" || got[2] != "open" {
			t.Errorf("events = %q", got)
		}
	})
}

func TestSilentStreamIsDeadAfterTwoMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet := step{status: 200, kind: "text/event-stream", body: func(ctx context.Context, w io.Writer) {
			io.WriteString(w, opened)
			time.Sleep(119 * time.Second)
			io.WriteString(w, ": any byte is a sign of life\n")
			<-ctx.Done()
		}}
		c, _ := newService(t, quiet, held(opened, message("x")))
		began := time.Now()
		var died time.Duration
		var why error
		c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, SubscribeOptions{}, func(e Event) error {
			switch e.Kind {
			case KindReconnecting:
				died, why = e.Time.Sub(began), e.Err
			case KindMessage:
				return errEnough
			}
			return nil
		})
		if died != 239*time.Second || !errors.Is(why, ErrSilent) {
			t.Errorf("taken for dead after %v because of %v, want 239s and ErrSilent", died, why)
		}
	})
}

func TestSlowReaderIsNotTakenForASilentService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newService(t, held(opened, message("one"), message("two")))
		n := 0
		err := c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, SubscribeOptions{}, func(e Event) error {
			if e.Kind != KindMessage {
				return nil
			}
			if n++; n == 2 {
				return errEnough
			}
			time.Sleep(10 * time.Minute)
			return nil
		})
		if !errors.Is(err, errEnough) || len(s.requests()) != 1 {
			t.Errorf("err = %v after %d requests, want both messages on one", err, len(s.requests()))
		}
	})
}

func TestStreamThatNeverOpensTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newService(t, held())
		c.Timeout = 5 * time.Second
		began := time.Now()
		_, err := follow(t, c, SubscribeOptions{}, -1)
		var e *Error
		if !errors.As(err, &e) || e.Code() != "timeout.request" || time.Since(began) != 5*time.Second {
			t.Errorf("err = %v after %v", err, time.Since(began))
		}
	})
}

func TestOpenStreamOutlivesTheRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := step{status: 200, kind: "text/event-stream", body: func(ctx context.Context, w io.Writer) {
			io.WriteString(w, opened)
			time.Sleep(time.Minute)
			io.WriteString(w, message("late"))
			<-ctx.Done()
		}}
		c, _ := newService(t, late)
		if got, _ := follow(t, c, SubscribeOptions{}, 1); !slices.Equal(got, []string{"open", "message late"}) {
			t.Errorf("events = %q", got)
		}
	})
}

func TestNoReconnectEndsWithTheFirstConnection(t *testing.T) {
	c, _ := newService(t, stream(opened, message("one")))
	got, err := follow(t, c, SubscribeOptions{NoReconnect: true}, -1)
	var e *Error
	if !errors.As(err, &e) || e.Code() != "network.closed" {
		t.Errorf("err = %v, want network.closed", err)
	}
	if want := []string{"open", "message one", "ended"}; !slices.Equal(got, want) {
		t.Errorf("events = %q, want %q", got, want)
	}
}

func TestCallerEndsASubscription(t *testing.T) {
	cause := errors.New("the user's reason")
	for name, steps := range map[string][]step{
		"while reading":         {held(opened)},
		"before stream-open":    {held()},
		"between the two tries": {stream(opened)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newService(t, steps...)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(cause) })
				o := SubscribeOptions{Backoff: Backoff{Base: time.Hour, Max: time.Hour, Random: func() float64 { return 0.5 }}}
				if err := c.Subscribe(ctx, []pubsub.Topic{"chat"}, o, func(Event) error { return nil }); !errors.Is(err, cause) {
					t.Errorf("err = %v, want the caller's cause", err)
				}
			})
		})
	}
}

func TestServiceThatAcceptsAndDropsIsNotAskedInATightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newService(t, slices.Repeat([]step{stream(opened)}, 6)...)
		var waits []time.Duration
		o := SubscribeOptions{Backoff: Backoff{Attempts: 5, Random: func() float64 { return 1 }}}
		c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, o, func(e Event) error {
			if e.Kind == KindReconnecting {
				waits = append(waits, e.Wait)
			}
			return nil
		})
		want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
		if !slices.Equal(waits, want) {
			t.Errorf("waits = %v, want %v", waits, want)
		}
	})
}

func TestConnectionThatHeldStartsTheBackoffAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := step{status: 200, kind: "text/event-stream", body: func(_ context.Context, w io.Writer) {
			io.WriteString(w, opened)
			time.Sleep(settled)
		}}
		c, _ := newService(t, stream(opened), stream(opened), long, held(opened, message("x")))
		var attempts []int
		c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, SubscribeOptions{}, func(e Event) error {
			switch e.Kind {
			case KindReconnecting:
				attempts = append(attempts, e.Attempt)
			case KindMessage:
				return errEnough
			}
			return nil
		})
		if want := []int{1, 2, 1}; !slices.Equal(attempts, want) {
			t.Errorf("attempts = %v, want %v", attempts, want)
		}
	})
}

func TestUndecodableMessageIsAGapNotAnEnd(t *testing.T) {
	c, _ := newService(t, held(opened, "event: message-base64\ndata: !!\n\n", message("next")))
	got, _ := follow(t, c, SubscribeOptions{}, 1)
	if len(got) != 3 || !strings.HasPrefix(got[1], "gap a message could not be decoded") || got[2] != "message next" {
		t.Errorf("events = %q", got)
	}
}

func TestOversizedEventEndsTheConnection(t *testing.T) {
	c, _ := newService(t, stream(opened, message(strings.Repeat("x", maxEvent+1))))
	_, err := follow(t, c, SubscribeOptions{NoReconnect: true}, -1)
	var e *Error
	if !errors.As(err, &e) || e.Code() != "api.protocol" || !e.Retryable {
		t.Errorf("err = %v, want api.protocol, retryable", err)
	}
}

func TestTenTopicsAreRefusedBeforeAsking(t *testing.T) {
	var topics []pubsub.Topic
	for i := range pubsub.MaxStreamTopics + 1 {
		topics = append(topics, pubsub.Topic(fmt.Sprint("t", i)))
	}
	c, s := newService(t)
	_, err := follow(t, c, SubscribeOptions{}, -1, topics...)
	var e *Error
	if !errors.As(err, &e) || e.Code() != "usage.too_many_topics" || len(s.requests()) != 0 {
		t.Errorf("err = %v after %d requests", err, len(s.requests()))
	}
}

func TestTokenIsAskedForEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newService(t, stream(opened), held(opened, message("x")))
		n := 0
		c.Token = func(context.Context) (string, error) { n++; return fmt.Sprint("tok", n), nil }
		follow(t, c, SubscribeOptions{}, 1)
		if got := s.requests()[1].Header.Get("Authorization"); got != "Bearer tok2" {
			t.Errorf("second connection sent %q", got)
		}
	})
}

func TestFastlyKeyAndUserAgentAreSent(t *testing.T) {
	c, s := newService(t, held(opened, message("x")))
	c.FastlyKey, c.Token, c.UserAgent = "local", nil, "pubsubctl/1.2"
	follow(t, c, SubscribeOptions{}, 1)
	want := http.Header{"Fastly-Key": {"local"}, "User-Agent": {"pubsubctl/1.2"}, "Accept": {"text/event-stream"}, "Cache-Control": {"no-cache"}}
	if got := s.requests()[0].Header; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("headers = %v, want %v", got, want)
	}
}

func TestBackoffIsJitteredAndBounded(t *testing.T) {
	b := Backoff{Random: func() float64 { return 0.999 }}
	for attempt := 1; attempt <= 2000; attempt++ {
		if w := b.wait(attempt); w < 0 || w > 30*time.Second {
			t.Fatalf("attempt %d waits %v", attempt, w)
		}
	}
	if w := (Backoff{Random: func() float64 { return 0 }}).wait(9); w != 0 {
		t.Errorf("full jitter reaches down to %v, want 0", w)
	}
}

func TestLogNamesRequestsAndEventsWithoutWhatTheyHold(t *testing.T) {
	var log bytes.Buffer
	c, _ := newService(t, held(opened, message("PAYLOAD")))
	c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Token = func(context.Context) (string, error) { return "CREDENTIAL", nil }
	c.FastlyKey = "CREDENTIAL"
	follow(t, c, SubscribeOptions{}, 1)
	for _, want := range []string{`msg="request answered" cause="GET /events" remote=service.test`, "cause=stream-open", "topic=chat cause=message bytes=7"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, log.String())
		}
	}
	for _, never := range []string{"CREDENTIAL", "PAYLOAD"} {
		if strings.Contains(log.String(), never) {
			t.Errorf("log holds %s:\n%s", never, log.String())
		}
	}
}
