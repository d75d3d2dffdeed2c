package provision

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// Commands that more than one check names.
const (
	fixKey          = "pubsubctl key create --save"
	fixPublishToken = "pubsubctl setup --only publish-token --publish-token env:PUBLISH_TOKEN"
	fixAddress      = "pubsubctl context show --resolved"
)

// Skew that is worth a word, and skew with which tokens are refused.
const (
	skewWarn = 30 * time.Second
	skewFail = 300 * time.Second
)

// appChecks are about what shows from outside.
func appChecks() []check {
	base := []string{"service", "activate", "domain", "package"}
	sending := []string{"clock", "config-items", "fanout", "backend-api", "secret-store", "publish-token", "kv-keys", "signing-key"}
	holding := []string{"clock", "config-items", "fanout", "backend-self", "kv-keys", "signing-key"}
	return []check{
		{name: "app", id: "D13", causes: append(base, "config-items"), judge: judgeHello},
		{name: "clock", id: "D01b", judge: judgeClock},
		{name: "switches", id: "D10b", needs: []string{"app"}, causes: []string{"config-items"}, judge: judgeSwitches},
		{name: "cors", id: "D18", needs: []string{"app"}, causes: []string{"config-items", "switches", "package"}, judge: judgeCORS},
		{name: "signing-key", id: "D12", needs: []string{"app"}, causes: []string{"clock", "config-items", "switches", "kv-keys"}, judge: judgeKey},
		{name: "publish", id: "D14", needs: []string{"app"}, causes: append(sending, "switches"), judge: judgePublish},
		{name: "subscribe", id: "D15", needs: []string{"app"}, causes: append(holding, "switches"), judge: judgeSubscribe},
		{name: "round-trip", id: "D16", needs: []string{"app", "publish", "subscribe"}, judge: judgeEcho},
		{name: "mqtt", id: "D16b", needs: []string{"app"}, causes: append(append(holding, sending...), "publish", "subscribe"), judge: judgeMQTT},
		{name: "retained", id: "D17", needs: []string{"app"}, causes: []string{"kv-messages", "publish", "subscribe"}, judge: judgeRetained},
	}
}

// judgeHello is about reaching the app at all.
func judgeHello(s *Sighting) Finding {
	a := s.App.Hello
	text := strings.TrimSpace(a.Body)
	switch {
	case s.App.URL == "":
		return failed("no address of a service is known", "the context has no url", "pubsubctl setup")
	case a.Err != nil:
		return unreachable(s, a.Err)
	case greets(a):
		return ok(fmt.Sprintf("%s answers in %d ms", s.App.URL, a.Took.Milliseconds()))
	case strings.Contains(a.Body, "unknown domain"):
		return failed("status 500: unknown domain", "no active version of any service has this domain; a change takes up to a minute to spread", "pubsubctl setup")
	case a.Status == http.StatusPermanentRedirect || a.Status == http.StatusMovedPermanently:
		return failed(fmt.Sprintf("status %d to %s", a.Status, a.Header.Get("Location")), "the service is asked without TLS", fixAddress)
	case strings.HasPrefix(text, "Configuration process failed"):
		return failed("status 500: "+text, "a switch in the config store is neither true nor false, or a store cannot be read", "pubsubctl setup --only config-store")
	case a.Status == http.StatusServiceUnavailable && strings.Contains(a.Body, "oop"):
		return failed("status 503: "+clip(text), "the backend self leads through other services", "pubsubctl setup --only backend-self")
	case a.Status >= 500 && !a.fromApp():
		return failed(fmt.Sprintf("status %d without the app's headers", a.Status), "the program crashes or was not reached", "pubsubctl setup --only package")
	}
	return failed(fmt.Sprintf("status %d, and not the app's greeting", a.Status), "another server or another program answers at this address", fixAddress)
}

// unreachable is about an address where nothing answers.
func unreachable(s *Sighting, err error) Finding {
	detail := s.App.URL + ": " + innermost(err)
	switch networkFault(err) {
	case "dns":
		return failed(detail, "the name does not exist: a typo, or the version with the domain was never activated", "pubsubctl setup")
	case "tls":
		return failed(detail, "the certificate is not for this name; a domain of your own needs a TLS subscription", fixAddress)
	}
	if s.Restart != "" {
		return failed(detail, "nothing listens there", s.Restart)
	}
	return failed(detail, "the service cannot be reached from here: a proxy, a firewall, or no network", fixAddress)
}

// judgeClock compares this machine's clock with the platform's, or the app's.
func judgeClock(s *Sighting) Finding {
	skew, known := s.skew()
	if !known {
		return skipped("nobody answered with the time")
	}
	detail := fmt.Sprintf("this machine is %v %s", skew.Abs().Round(time.Second), map[bool]string{true: "ahead", false: "behind"}[skew > 0])
	fix := fixClock(runtime.GOOS)
	switch {
	case skew.Abs() > skewFail:
		return failed(detail, "tokens signed here are not valid yet, or no longer", fix)
	case skew.Abs() > skewWarn:
		return warned(detail, "tokens are checked with a tolerance of 15 minutes only", fix)
	}
	return ok("within 30 s of the service")
}

// fixClock is the command that sets the clock right on an operating system.
func fixClock(goos string) string {
	switch goos {
	case "windows":
		return "w32tm /resync"
	case "darwin":
		return "sudo sntp -sS time.apple.com"
	}
	return "sudo timedatectl set-ntp true"
}

// skew is how far this machine's clock is ahead.
func (s *Sighting) skew() (time.Duration, bool) {
	if s.Platform != nil {
		if ahead, known := s.Platform.Door.skew(); known {
			return ahead, true
		}
	}
	return s.App.Hello.skew()
}

// judgeSwitches reads from the app's own answers what its configuration offers.
func judgeSwitches(s *Sighting) Finding {
	off := s.App.switchedOff()
	if len(off) == 0 {
		return ok("sse, http-publish and admin are on")
	}
	detail, fix := strings.Join(off, ", ")+" off", "pubsubctl setup --only config-store"
	for _, name := range off {
		fix += " --config-item " + name + "=true"
	}
	if len(off) == 1 && off[0] == "admin" {
		return warned(detail, "keys are made through the API only; that is a choice one may make", fix)
	}
	return failed(detail, "the service's configuration switches it off", fix)
}

// switchedOff names the switches that show to be off.
func (a AppSight) switchedOff() []string {
	var off []string
	if a.Events.Status == http.StatusNotFound || !a.Events.allows(http.MethodGet) {
		off = append(off, "sse")
	}
	if a.Events.Status == http.StatusNotFound || !a.Events.allows(http.MethodPost) {
		off = append(off, "http-publish")
	}
	if a.Admin.Status == http.StatusNotFound {
		off = append(off, "admin")
	}
	return off
}

// judgeCORS is about browsers.
func judgeCORS(s *Sighting) Finding {
	a := s.App.Preflight
	switch {
	case a.Err != nil:
		return failed(innermost(a.Err), "the app did not answer a preflight", fixAddress)
	case a.Status != http.StatusOK || !a.fromApp():
		return failed(fmt.Sprintf("status %d to OPTIONS /events", a.Status), "browsers on other sites cannot use the service", "pubsubctl setup --only package")
	}
	return ok("browsers may use it from any site")
}

// judgeKey is about the key that tokens are signed with.
func judgeKey(s *Sighting) Finding {
	p, id := s.Platform, s.App.KeyID
	if p != nil && p.KeysErr == nil && p.KeyStore != "" && len(p.Keys) == 0 {
		return failed("the service has no signing key", "without one no token is valid", fixKey)
	}
	if !s.App.Publish.Made && !s.App.Subscribe.Made {
		if id == "" && p != nil {
			return failed("the context has no signing key", "pubsubctl cannot sign tokens for this service", fixKey)
		}
		return skipped("neither a key nor a token to try")
	}
	return judgeCredential(s, id)
}

// judgeCredential tells what the app thought of the token.
func judgeCredential(s *Sighting, id string) Finding {
	name := "key " + id
	if id == "" {
		name = "the token given"
	}
	tried := false
	for _, t := range []Try{s.App.Publish, s.App.Subscribe} {
		e, is := errors.AsType[*client.Error](t.Err)
		// The app looks at the token before it publishes or stores.
		tried = tried || t.Made && (t.Err == nil || isReason(t.Err, "publish_failed"))
		if !is || e.Category != client.CategoryAuth {
			continue
		}
		switch e.Reason {
		case "topic_not_granted":
			return ok(name + " is valid")
		case "unknown_key":
			return failed(name+": "+said(t.Err), "the service does not have this key; one made a moment ago takes up to a minute to be known", fixKey)
		case "invalid_token":
			return failed(name+": "+said(t.Err), "the secret is not the service's (a line end too many, or decoded from hex), or a clock is wrong", fixKey)
		}
		return failed(name+": "+said(t.Err), "the service refuses the credential", fixKey)
	}
	if !tried {
		return skipped(name + ": the app did not get to look at it")
	}
	return ok(name + " is accepted")
}

// judgePublish is about getting a message out.
func judgePublish(s *Sighting) Finding {
	with, admin := s.App.Publish, s.App.AsAdmin
	switch {
	case !with.Made && !admin.Made:
		return skipped("no credential to publish with")
	case isReason(with.Err, "topic_not_granted") && !admin.Made:
		return skipped(notGranted)
	case with.Made && with.Err == nil:
		return ok(fmt.Sprintf("published in %d ms", with.Took.Milliseconds()))
	case !with.Made && admin.Err == nil:
		return ok(fmt.Sprintf("published in %d ms with a Fastly-Key", admin.Took.Milliseconds()))
	case with.Made && admin.Made && admin.Err == nil:
		return failed(said(with.Err), "publishing works with a Fastly-Key and not with a token: the key is the trouble", fixKey)
	}
	err := with.Err
	if !with.Made || admin.Made && admin.Err != nil && !isReason(admin.Err, "refused") {
		err = admin.Err
	}
	return judgePublishError(s, err)
}

// judgePublishError is about a publish that no credential helps.
func judgePublishError(s *Sighting, err error) Finding {
	if !isReason(err, "publish_failed") && !isReason(err, "platform") {
		return failed(said(err), "", "pubsubctl doctor")
	}
	switch {
	case s.Restart != "":
		return failed(said(err), "the relay was told to do without a publish token", s.Restart)
	case s.Platform == nil:
		return failed(said(err), "the publish token is missing, expired, or another service's; or the backend api is missing, or Fanout is off; with an API token doctor tells which", fixPublishToken)
	case isReason(err, "platform"):
		return failed(said(err), "the publish token holds a character that no header may hold, such as a line end", fixPublishToken)
	}
	return failed(said(err), "the stored publish token is expired, revoked, or may not purge this service", fixPublishToken)
}

// notGranted is why a token that was given proves nothing.
const notGranted = "the token given does not allow the topic of the probe"

// judgeSubscribe is about holding a stream.
func judgeSubscribe(s *Sighting) Finding {
	t := s.App.Subscribe
	switch {
	case !t.Made:
		return skipped("no credential to subscribe with")
	case isReason(t.Err, "topic_not_granted"):
		return skipped(notGranted)
	case t.Err == nil:
		return ok("an event stream opens")
	}
	const self = "pubsubctl setup --only backend-self"
	e, _ := errors.AsType[*client.Error](t.Err)
	switch {
	case e == nil || e.Category == client.CategoryTimeout:
		return failed(said(t.Err), "the stream did not open: something between here and the service holds it back", fixAddress)
	case e.Reason == "fanout_refused":
		return failed(said(t.Err), "the backend self leads to another service", self)
	case e.Reason == "platform" && e.Status >= 500:
		return failed(said(t.Err), "Fanout is off, or the backend self is missing or wrong", "pubsubctl setup")
	case e.Reason == "platform" || e.Reason == "protocol":
		return failed(said(t.Err), "the backend self leads to another site", self)
	case e.Category == client.CategoryAuth:
		return failed(said(t.Err), "the service refuses the credential", fixKey)
	}
	return failed(said(t.Err), "", self)
}

// judgeEcho is about a message that makes the whole way.
func judgeEcho(s *Sighting) Finding {
	t := s.App.Echo
	switch {
	case !t.Made:
		return skipped("no credential to try with")
	case isReason(t.Err, "topic_not_granted") || isReason(t.Err, "refused") && s.App.KeyID == "":
		return skipped(notGranted)
	case t.Err == nil:
		return ok(fmt.Sprintf("a message came back in %.1f ms", float64(t.Took.Microseconds())/1000))
	}
	return failed(said(t.Err), "the service takes the message and the stream does not get it: it is published to another service, or a proxy buffers", "pubsubctl setup")
}

// judgeMQTT is the same over MQTT.
func judgeMQTT(s *Sighting) Finding {
	t := s.App.MQTT
	switch {
	case isReason(s.App.Publish.Err, "publish_failed"):
		return skipped("nothing can come back while publishing fails")
	case !t.Made:
		return skipped("no credential to try with")
	case isReason(t.Err, "topic_not_granted") || isReason(t.Err, "refused") && s.App.KeyID == "":
		return skipped(notGranted)
	case t.Err == nil:
		return ok(fmt.Sprintf("a message came back in %.1f ms", float64(t.Took.Microseconds())/1000))
	}
	return failed(said(t.Err), "the same works over HTTP: a proxy may not pass WebSockets", fixAddress)
}

// judgeRetained is about stored messages.
func judgeRetained(s *Sighting) Finding {
	t := s.App.Retained
	switch {
	case !t.Made:
		return skipped("stores a message; --deep does it")
	case t.Err != nil && s.Platform != nil && s.Platform.leftOut():
		return skipped("there is no store for messages, on purpose")
	case t.Err == nil:
		return ok(fmt.Sprintf("a stored message came back in %d ms", t.Took.Milliseconds()))
	}
	return failed(said(t.Err), "the store messages is missing, or holds an item that is not the app's", "pubsubctl setup --only kv-messages")
}
