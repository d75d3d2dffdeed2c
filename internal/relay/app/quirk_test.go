package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
)

// wantWarning looks for one line that has all the parts, and no other warning:
// an oddity is worth one line, beside the one that says what was refused.
func wantWarning(t *testing.T, b *bench, parts ...string) {
	t.Helper()
	log := b.logs()
	found, warnings := 0, 0
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "level=WARN") {
			continue
		}
		if containsAll(line, parts) {
			found++
		} else if strings.Contains(line, "msg=refused") {
			continue
		}
		warnings++
	}
	if found != 1 || warnings != 1 {
		t.Errorf("%d of %d warnings have %q, want one and no other:\n%s", found, warnings, parts, log)
	}
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

func wantNoWarning(t *testing.T, b *bench) {
	t.Helper()
	if log := b.logs(); strings.Contains(log, "level=WARN") {
		t.Errorf("a warning in:\n%s", log)
	}
}

func TestQuirk1StoredMessageMissesPlainStreams(t *testing.T) {
	b := newBench(t)
	b.fanout.listeners["s:test"], b.fanout.listeners["d:test"] = 3, 3
	b.ask(t, "POST", "/events?topic=test&retain=true", "x", asAdmin, good)
	wantNoWarning(t, b)
	b.fanout.listeners["d:test"] = 1
	b.ask(t, "POST", "/events?topic=test&retain=true", "x", asAdmin, good)
	wantWarning(t, b, "not sent to plain streams", "topic=test", "count=2")
}

func TestQuirk5PaddedVersions(t *testing.T) {
	b := newBench(t)
	b.shelf.slots["test"] = slot(1, 3, "x")
	resp := b.ask(t, "GET", "/events?topic=test&durable=true", "", asAdmin, good)
	wantBody(t, resp, 200, opened+"event: message\nid: test:               1-3\ndata: x\n\n")
	wantChannels(t, resp, "s:test", "", "d:test", "1-3")
	resp = b.ask(t, "GET", "/events?topic=test", "", asAdmin, good, "Last-Event-ID", "test:               1-3")
	wantStreamError(t, resp, "bad-request", `Last-Event-ID part not a valid version: [               1-3]\n`)
}

func TestQuirk6RawTopicWarns(t *testing.T) {
	b := newBench(t)
	for _, topic := range []string{"a%2Fb", "a+b"} {
		b.ask(t, "POST", "/events?topic="+topic, "x", "Authorization", "Bearer "+apptest.TokenRW)
		wantWarning(t, b, "not percent-decoded", topic)
	}
	b.ask(t, "POST", "/events?topic=a/b", "x", asAdmin, good)
	wantNoWarning(t, b)
}

func TestQuirk7RawParameters(t *testing.T) {
	b := newBench(t)
	b.shelf.slots["test"] = slot(generation, 1, "one")
	wantBody(t, b.ask(t, "GET", "/events?topic=test&durable=%74rue", "", asAdmin, good), 200, opened)
	wantStreamError(t, b.ask(t, "GET", "/events?topic=test&auth=%20"+apptest.TokenRW, ""), "forbidden", "Invalid token")
}

func TestQuirk8TooManyTopics(t *testing.T) {
	b := newBench(t)
	query := "/events?topic=" + strings.Join(strings.Split("abcdefghi", ""), "&topic=")
	wantBody(t, b.ask(t, "GET", query, "", asAdmin, good), 200, opened)
	wantStreamError(t, b.ask(t, "GET", query+"&topic=j", ""), "bad-request", "Too many topics")
}

func TestQuirk9ErrorsAreStreams(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events", "")
	wantStreamError(t, resp, "bad-request", "Missing 'topic' parameter")
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type is %q", ct)
	}
}

func TestQuirk10ResumeIDIsJudgedOnPlainStreams(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events?topic=test&lastEventId=foo", "")
	wantStreamError(t, resp, "bad-request", `Last-Event-ID part missing ':'\n`)
}

func TestQuirk11UnknownKey(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events?topic=test&auth="+apptest.TokenBadKid, "")
	wantStreamError(t, resp, "internal-server-error", "Auth process failed")
	wantWarning(t, b, "refused", "internal-server-error: ", "nope")
}

func TestQuirk12GraceWarns(t *testing.T) {
	b := newBench(t)
	for want, tok := range map[string]string{
		"never expires": apptest.TokenNoExp,
		"expired":       mint(time.Now().Add(-10 * time.Minute)),
	} {
		wantBody(t, b.ask(t, "GET", "/events?topic=test&auth="+tok, ""), 200, opened)
		wantWarning(t, b, want)
	}
	wantBody(t, b.ask(t, "GET", "/events?topic=test&auth="+apptest.TokenRW, ""), 200, opened)
	wantNoWarning(t, b)
}

func TestQuirk13ExpWraps(t *testing.T) {
	b := newBench(t)
	wantStreamError(t, b.ask(t, "GET", "/events?topic=test&auth="+apptest.TokenWrap, ""), "forbidden", "Invalid token")
	wantWarning(t, b, "refused", "forbidden: ", "9999999999")
	tok := apptest.Claims(`{"exp":8397411895,"x-fastly-read":["test"]}`) // wraps to 4102444599, in 2099
	wantBody(t, b.ask(t, "GET", "/events?topic=test&auth="+tok, ""), 200, opened)
	wantWarning(t, b, "32 bits")
}

func TestQuirk35CarriageReturnWarns(t *testing.T) {
	b := newBench(t)
	b.ask(t, "POST", "/events?topic=test", "a\rb", asAdmin, good)
	if got := string(onlyItem(t, b).HTTPStream.Content); got != "event: message\ndata: a\rb\n\n" {
		t.Errorf("content is %q", got)
	}
	wantWarning(t, b, "carriage return", "topic=test")
}

// Item 110 among them: what becomes of names on their way through a header.
func TestQuirk36NamesThatBend(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		topic    string
		durable  bool
		channels []string
		warning  string
	}{
		{"a%3Bb", false, []string{"s:a", ""}, "semicolon"},
		{"a%2Cb", false, []string{"s:a", "", "b", ""}, "comma"},
		{"a%2Cb", true, []string{"s:a", "", "b", "none", "d:a", ""}, "comma"},
		{"a&topic=a%3Bb", false, []string{"s:a", ""}, "semicolon"},
		{"room:1", true, []string{"s:room:1", "", "d:room:1", "none"}, "colon"},
		{"test+", true, []string{"s:test", "", "d:test", "none"}, "space"},
		{"+test", false, []string{"s: test", ""}, "space"},
		{"a%3Bb*", false, []string{"s:a", ""}, "match exactly; it holds a semicolon"},
	} {
		t.Run(c.topic, func(t *testing.T) {
			query := "/events?topic=" + c.topic
			if c.durable {
				query += "&durable=true"
			}
			wantChannels(t, b.ask(t, "GET", query, "", asAdmin, good), c.channels...)
			wantWarning(t, b, "topic name misleads", c.warning)
		})
	}
	b.ask(t, "GET", "/events?topic=room:1", "", asAdmin, good)
	wantNoWarning(t, b)
}

// What a name adds to the header may be more than the proxy can read; then no
// origin answered.
func TestQuirk36NameTheProxyCannotRead(t *testing.T) {
	b := newBench(t)
	resp, err := b.Request(t.Context(), request("GET", "/events?topic=a%3Bb%3D%22x", "", asAdmin, good))
	if err == nil {
		t.Errorf("got %+v", resp)
	}
}

func TestQuirk37NonASCIITopic(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events?topic=%C3%A9", "", asAdmin, good)
	wantBody(t, resp, 200, opened)
	wantChannels(t, resp, "s:é", "")
	wantNoWarning(t, b)
	resp = b.ask(t, "GET", "/events?topic=%C3%A9&durable=true", "", asAdmin, good)
	wantChannels(t, resp, "s:é", "", "d:é", "none")
	wantWarning(t, b, "topic name misleads", "ASCII")
	if resp := b.followUp(t, "d:é", "none"); resp.Status != 500 || resp.Instruct != nil {
		t.Errorf("the follow-up is answered by %+v", resp)
	}
}

func TestQuirk38NoSwitchForMQTT(t *testing.T) {
	b := newBench(t)
	b.SetConfig(map[string]string{"mqtt": "nonsense"})
	wantBody(t, b.ask(t, "GET", "/mqtt", ""), 405, "Method Not Allowed\n")
}

func TestQuirk39CORSOnEverything(t *testing.T) {
	b := newBench(t)
	for _, target := range []string{"/", "/events", "/events?topic=test", "/mqtt", "/admin/keys", "/nope"} {
		for _, method := range []string{"GET", "POST", "OPTIONS", "HEAD", "PUT"} {
			resp := b.ask(t, method, target, "")
			if h := resp.Header; h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("%s %s: header is %v", method, target, h)
			}
			if method == "HEAD" && len(resp.Body) > 0 {
				t.Errorf("HEAD %s has a body", target)
			}
		}
	}
}

func TestQuirk40OptionsHaveNoRoute(t *testing.T) {
	b := newBench(t)
	wantBody(t, b.ask(t, "OPTIONS", "/mqtt", ""), 405, "Method Not Allowed\n")
	wantBody(t, b.ask(t, "OPTIONS", "/admin/keys", ""), 405, "Method Not Allowed\n")
}

// Quirk Q44 is fixed: a WebSocket handshake on /events publishes nothing.
func TestQuirk44HandshakePublishesNothing(t *testing.T) {
	b := newBench(t)
	b.ask(t, "GET", "/events?topic=test", "", "Authorization", "Bearer "+apptest.TokenRW, "Connection", "Upgrade", "Upgrade", "websocket")
	if len(b.fanout.items) != 0 {
		t.Error("a handshake published a message")
	}
}

// Quirk Q48 is fixed: the first topic in order is named.
func TestQuirk48FirstTopicIsNamed(t *testing.T) {
	b := newBench(t)
	resp := b.ask(t, "GET", "/events?topic=z&topic=test&topic=b&auth="+apptest.TokenRW, "")
	wantStreamError(t, resp, "forbidden", "Cannot subscribe to topic: b")
}
