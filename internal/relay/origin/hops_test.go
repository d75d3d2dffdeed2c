package origin

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// signedBy is the Grip-Sig of a proxy in front.
func signedBy(t *testing.T, key grip.Key) string {
	t.Helper()
	signer, err := grip.NewSigner("front", key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestForwardedForFollowsItsRule(t *testing.T) {
	given := []string{"1.1.1.1", "2.2.2.2", "3.3.3.3"}
	for _, c := range []struct {
		rule ForwardedFor
		in   []string
		want string
	}{
		{ForwardedFor{}, given, "1.1.1.1, 2.2.2.2, 3.3.3.3"},
		{ForwardedFor{Append: true}, given, "1.1.1.1, 2.2.2.2, 3.3.3.3, 9.9.9.9"},
		{ForwardedFor{Append: true}, nil, "9.9.9.9"},
		{ForwardedFor{Truncate: true}, given, ""},
		{ForwardedFor{Truncate: true, Keep: 2}, given, "2.2.2.2, 3.3.3.3"},
		{ForwardedFor{Truncate: true, Keep: 7}, given, "1.1.1.1, 2.2.2.2, 3.3.3.3"},
		{ForwardedFor{Truncate: true, Keep: 1, Append: true}, []string{"1.1.1.1,2.2.2.2 , 3.3.3.3"}, "3.3.3.3, 9.9.9.9"},
		{ForwardedFor{Truncate: true, Append: true}, []string{"6.6.6.6"}, "9.9.9.9"},
	} {
		if got := strings.Join(c.rule.apply(c.in, "9.9.9.9:81"), "|"); got != c.want {
			t.Errorf("%+v of %q: %q, want %q", c.rule, c.in, got, c.want)
		}
	}
}

// A proxy in front that is trusted has its own rule; both leave a name in CDN-Loop,
// in requests as in sockets (grip.md, 1.3 items 3 and 8).
func TestHopsAreAdded(t *testing.T) {
	key := testKey(t, "upstream")
	sig := signedBy(t, key)
	o := Options{UpstreamKey: key, CDNLoop: "relay", ForwardedFor: ForwardedFor{Truncate: true, Append: true}, ForwardedForTrusted: ForwardedFor{Append: true}}
	r := newRig(t, gripOrigin("x"), o, "* ORIGIN")
	want := func(n int, loop, chain string) {
		t.Helper()
		h := r.request(n).header
		if got := strings.Join(h["Cdn-Loop"], "|"); got != loop {
			t.Errorf("request %d: CDN-Loop %q, want %q", n, got, loop)
		}
		if got := strings.Join(h["X-Forwarded-For"], "|"); !regexp.MustCompile("^" + chain + "$").MatchString(got) {
			t.Errorf("request %d: X-Forwarded-For %q, want %q", n, got, chain)
		}
	}
	r.do(get("/", "X-Forwarded-For: 6.6.6.6"))
	want(0, "relay", `127\.0\.0\.1`)
	r.do(get("/", "CDN-Loop: a", "CDN-Loop: b", "X-Forwarded-For: 6.6.6.6", "Grip-Sig: "+sig))
	want(1, "a, b, relay", `6\.6\.6\.6, 127\.0\.0\.1`)
}

func TestHopsOfSockets(t *testing.T) {
	key := testKey(t, "upstream")
	sig := signedBy(t, key)
	o := Options{UpstreamKey: key, CDNLoop: "relay", ForwardedFor: ForwardedFor{Append: true}}
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, o, "* ORIGIN,over_http")
	c := r.dial()
	c.send(get("/", strings.TrimSuffix(handshakeHead, "\n")))
	c.reply()
	if h := r.request(0).header; h.Get("CDN-Loop") != "relay" || h.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("origin got %v", h)
	}
	c = r.dial()
	c.send(get("/", strings.TrimSuffix(handshakeHead, "\n"), "Grip-Sig: "+sig, "X-Forwarded-For: 6.6.6.6"))
	c.reply()
	if h := r.request(1).header; h.Get("X-Forwarded-For") != "6.6.6.6" {
		t.Errorf("through a proxy that is trusted the origin got %v", h)
	}
}

func TestCORSOnEveryRoute(t *testing.T) {
	r := newRig(t, gripOrigin("x"), Options{CORS: true}, "* ORIGIN")
	if resp, _ := r.do(get("/", "Origin: http://page.test")); resp.Header.Get("Access-Control-Allow-Origin") != "http://page.test" {
		t.Errorf("client got %v", resp.Header)
	}
}
