package provision

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// TestChecksReferBackwards: what a check needs, and what may explain it, is
// judged before it. A name that does not exist would explain nothing for ever.
func TestChecksReferBackwards(t *testing.T) {
	var before []string
	for _, c := range checks() {
		for _, name := range slices.Concat(c.needs, c.causes) {
			if !slices.Contains(before, name) {
				t.Errorf("%s refers to %s, which does not come before it", c.name, name)
			}
		}
		if slices.Contains(before, c.name) {
			t.Errorf("%s is there twice", c.name)
		}
		before = append(before, c.name)
	}
}

func TestChecksHaveTheirNumbers(t *testing.T) {
	for n, want := range map[string]string{"D01": "api", "d05": "fanout", "D11": "publish-token", "D16": "round-trip", "D19": "token-expiry", "fanout": "fanout"} {
		if got, found := CheckNamed(n); !found || got != want {
			t.Errorf("%s is %q", n, got)
		}
	}
	if _, found := CheckNamed("D99"); found {
		t.Error("D99 is found")
	}
}

func TestRequiredReachesTheRoots(t *testing.T) {
	got := Required([]string{"round-trip"})
	for _, want := range []string{"round-trip", "publish", "subscribe", "app", "fanout", "service", "api-token", "api"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not required: %q", want, got)
		}
	}
	if slices.Contains(got, "retained") {
		t.Error("retained is required")
	}
}

// good is a service with which nothing is wrong, seen from outside.
func good() Sighting {
	app := http.Header{"Access-Control-Allow-Origin": {"*"}, "Access-Control-Max-Age": {"3600"}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	hello := app.Clone()
	hello.Set("Date", now.Format(http.TimeFormat))
	allow := app.Clone()
	allow.Set("Allow", "OPTIONS, GET, POST")
	passed := Try{Made: true}
	return Sighting{Now: now, Domain: "chat.edgecompute.app", Blind: "no API token", App: AppSight{
		URL: "https://chat.edgecompute.app", KeyID: "k",
		Hello:     Answer{Status: 200, Header: hello, Body: "Hello from Fastly Pub/Sub!\n", At: now},
		Preflight: Answer{Status: 200, Header: app}, Events: Answer{Status: 405, Header: allow}, Admin: Answer{Status: 405, Header: app},
		Publish: passed, Subscribe: passed, Echo: passed, MQTT: passed,
	}}
}

// refusal is what the client makes of an answer.
func refusal(op, category, reason string, status int, text string) error {
	return &client.Error{Op: op, Category: client.Category(category), Reason: reason, Status: status, Text: text}
}

// TestSymptomsFromOutside is the symptom table of fastly-api.md, section 12.2, and
// of pubsub-app.md, section 9.3, without the platform's help.
func TestSymptomsFromOutside(t *testing.T) {
	hello := func(a Answer) func(*Sighting) {
		return func(s *Sighting) { s.App = AppSight{URL: s.App.URL, Hello: a} }
	}
	publish := func(err error) func(*Sighting) { return func(s *Sighting) { s.App.Publish.Err = err } }
	subscribe := func(err error) func(*Sighting) {
		return func(s *Sighting) { s.App.Subscribe.Err, s.App.Echo.Err = err, err }
	}
	cases := []struct {
		symptom    string
		seen       func(*Sighting)
		check, why string
	}{
		{"the name does not exist", hello(Answer{Err: &net.DNSError{Err: "no such host", Name: "x"}}), "app", "typo"},
		{"nothing answers", hello(Answer{Err: errors.New("connection refused")}), "app", "firewall"},
		{"308 to https", hello(Answer{Status: 308, Header: http.Header{"Location": {"https://x"}}}), "app", "without TLS"},
		{"unknown domain", hello(Answer{Status: 500, Body: "Fastly error: unknown domain: x"}), "app", "no active version"},
		{"configuration", hello(Answer{Status: 500, Header: good().App.Preflight.Header, Body: "Configuration process failed.\n"}), "app", "neither true nor false"},
		{"a loop", hello(Answer{Status: 503, Body: "Loop detected"}), "app", "self"},
		{"a crash", hello(Answer{Status: 500}), "app", "crashes"},
		{"another site", hello(Answer{Status: 200, Body: "<html>"}), "app", "another program"},
		{"both switches off", func(s *Sighting) { s.App.Events = Answer{Status: 404} }, "switches", "configuration"},
		{"no CORS", func(s *Sighting) { s.App.Preflight = Answer{Status: 404} }, "cors", "browsers"},
		{"an unknown key", publish(refusal("publish", "auth", "unknown_key", 500, "Auth process failed")), "signing-key", "does not have this key"},
		{"a bad signature", publish(refusal("publish", "auth", "invalid_token", 403, "Invalid token")), "signing-key", "line end"},
		{"publishing fails", publish(refusal("publish", "api", "publish_failed", 500, "Publish process failed")), "publish", "publish token is missing"},
		{"Fanout's proxy is refused", subscribe(refusal("subscribe", "api", "fanout_refused", 500, "Failed to authorize Fanout proxy.")), "subscribe", "another service"},
		{"the hand-over fails", subscribe(refusal("subscribe", "api", "platform", 500, "")), "subscribe", "Fanout is off"},
		{"a foreign page", subscribe(refusal("subscribe", "api", "protocol", 200, "")), "subscribe", "another site"},
		{"a stream that does not open", subscribe(errNotInTime), "subscribe", "holds it back"},
		{"no echo", func(s *Sighting) { s.App.Echo.Err = client.ErrNoEcho }, "round-trip", "proxy buffers"},
		{"MQTT alone fails", func(s *Sighting) { s.App.MQTT.Err = errors.New("bad handshake") }, "mqtt", "WebSockets"},
		{"nothing is retained", func(s *Sighting) {
			s.App.Retained = Try{Made: true, Err: refusal("publish", "api", "store_write", 500, "Failed to write message to storage")}
		}, "retained", "messages"},
	}
	for _, c := range cases {
		t.Run(c.symptom, func(t *testing.T) {
			s := good()
			c.seen(&s)
			var bad []Finding
			for _, f := range Diagnose(s) {
				if f.Status == StatusFail || f.Status == StatusWarn {
					bad = append(bad, f)
				}
			}
			if len(bad) != 1 || bad[0].Name != c.check || !strings.Contains(bad[0].Why, c.why) || bad[0].Fix == "" {
				t.Errorf("found %+v, want %s with %q", bad, c.check, c.why)
			}
		})
	}
}

func TestNothingIsWrongFromOutside(t *testing.T) {
	for _, f := range Diagnose(good()) {
		if f.Status == StatusFail || f.Status == StatusWarn {
			t.Errorf("%+v", f)
		}
	}
}

// TestFixConcernsTheService: the command is completed, and only ours.
func TestFixConcernsTheService(t *testing.T) {
	s := good()
	s.Fix = func(c string) string { return c + " -c chat" }
	s.App.Publish.Err = refusal("publish", "auth", "unknown_key", 500, "Auth process failed")
	s.App.Hello.At = s.Now.Add(time.Hour)
	fixes := map[string]string{}
	for _, f := range Diagnose(s) {
		fixes[f.Name] = f.Fix
	}
	if fixes["clock"] != fixClock(runtime.GOOS) || fixes["signing-key"] != "" {
		t.Errorf("%q", fixes)
	}
	s.App.Hello.At = s.Now
	for _, f := range Diagnose(s) {
		if f.Name == "signing-key" && f.Fix != "pubsubctl key create --save -c chat" {
			t.Errorf("%+v", f)
		}
	}
}

// noAPI is an API that does not answer.
type noAPI struct{ fastly.API }

func (noAPI) Self(context.Context) (fastly.Token, error) {
	return fastly.Token{}, &fastly.UnansweredError{Method: "GET", Path: "/tokens/self", Err: errors.New("connection refused")}
}

// TestUnreachableAPI is one finding, and what shows from outside is judged all the same.
func TestUnreachableAPI(t *testing.T) {
	s := good()
	s.Platform = Inspect(t.Context(), noAPI{}, Inspection{Endpoint: "https://api.fastly.com", Service: "s"})
	verdicts := map[string]Status{}
	for _, f := range Diagnose(s) {
		verdicts[f.Name] = f.Status
	}
	if verdicts["api"] != StatusFail || verdicts["api-token"] != StatusSkip || verdicts["fanout"] != StatusSkip || verdicts["round-trip"] != StatusOK {
		t.Errorf("%v", verdicts)
	}
}
