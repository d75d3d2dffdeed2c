package cmd

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// asked is what a command asked of a service. It turns what came of it into a
// problem with the evidence and a way out.
type asked struct {
	verb   string   // "publish" or "subscribe"
	topics []string // the first is the one named where the service names none
	echo   bool     // the publisher subscribes too
	conn   connection
}

// problem explains err; what is not the client's, or is explained already,
// passes as it is.
func (a asked) problem(err error) error {
	if _, done := errors.AsType[ui.Problem](err); done {
		return err
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err
	}
	p := ui.Problem{Code: ui.Code(e.Code()), Chain: err}
	text, why, next := a.explain(e)
	p.Err, p.Why, p.Next = errors.New(text), why, next
	return p
}

func (a asked) explain(e *client.Error) (text, why, next string) {
	switch e.Category {
	case client.CategoryAuth:
		return a.explainAuth(e)
	case client.CategoryNetwork, client.CategoryTimeout:
		return a.explainNetwork(e)
	case client.CategoryUsage:
		return a.explainUsage(e)
	}
	return a.explainService(e)
}

// explainAuth is about the credential.
func (a asked) explainAuth(e *client.Error) (text, why, next string) {
	switch ui.Code(e.Code()) {
	case ui.AuthTopicNotGranted:
		return a.notGranted(e, "")
	case ui.AuthUnknownKey:
		id, _ := a.tokenReport()
		return fmt.Sprintf("the service does not know the signing key %s", quote(id.KeyID)),
			evidence(e) + "; a key made a moment ago may take a minute to be known", a.resolved()
	case ui.AuthInvalidToken:
		return a.invalidToken(e)
	case ui.AuthMissing:
		return "the service wants a token", evidence(e), a.mint()
	}
	return a.refusedToken(e)
}

// invalidToken is about a token that the service does not accept for any topic.
func (a asked) invalidToken(e *client.Error) (text, why, next string) {
	why = evidence(e)
	if reason := a.tokenFault(); reason != "" && e.Refusal() {
		why += "; " + reason // of an error made here it is the evidence already
	} else if reason != "" {
		why = reason
	}
	if a.conn.minted {
		return "the service does not accept tokens of key " + quote(a.conn.keyID), why + "; is its secret the right one?", a.resolved()
	}
	if r, ok := a.tokenReport(); ok && r.Claim == "exp" {
		return "the token has expired", why, a.mint()
	}
	return "the service does not accept the token", why, a.mint()
}

// refusedToken is about a refusal that names no reason, as all are over MQTT. The
// token itself may show one.
func (a asked) refusedToken(e *client.Error) (text, why, next string) {
	if a.tokenFault() != "" {
		return a.invalidToken(e)
	}
	topic, grant := e.Topic, pubsub.Grant{}
	if r, ok := a.tokenReport(); ok {
		grant = pubsub.Grant{Read: r.Read, Write: r.Write}
	}
	if topic != "" && (e.Op == "publish" && !grant.CanWrite(topic) || e.Op != "publish" && !grant.CanRead(topic)) {
		return a.notGranted(e, evidence(e)+"; ")
	}
	return "the service refuses the credential", evidence(e), a.mint()
}

// notGranted names the topic and what the token does grant. said is evidence
// that comes first.
func (a asked) notGranted(e *client.Error, said string) (text, why, next string) {
	topic := a.topics[0]
	if _, named, ok := strings.Cut(e.Text, "to topic: "); ok {
		topic = named
	} else if e.Topic != "" {
		topic = string(e.Topic)
	}
	why = evidence(e)
	if r, ok := a.tokenReport(); ok && e.Op == "publish" {
		why = said + "the token grants write to: " + topicList(r.Write)
	} else if ok {
		why = said + "the token grants read to: " + topicList(r.Read)
	}
	return fmt.Sprintf("not allowed to %s to %s", e.Op, quote(topic)), why, a.mint()
}

// mint is the command that makes a token which does.
func (a asked) mint() string {
	flags := []string{" --read "}
	switch {
	case a.verb == "publish" && a.echo:
		flags = []string{" --read ", " --write "}
	case a.verb == "publish":
		flags = []string{" --write "}
	}
	line := "pubsubctl token mint"
	for _, t := range a.topics {
		for _, f := range flags {
			line += f + pasteWord(t)
		}
	}
	return a.conn.next(line)
}

// resolved is the command that shows what is in force, and from where.
func (a asked) resolved() string { return a.conn.next("pubsubctl context show --resolved") }

// tokenReport reads the token that was sent, without judging it.
func (a asked) tokenReport() (token.Report, bool) {
	tok, err := a.conn.token()
	if err != nil {
		return token.Report{}, false
	}
	r, err := token.Inspect(context.Background(), tok, nil, time.Now())
	return r, err == nil
}

// tokenFault is what is wrong with the token as far as it shows without its key.
func (a asked) tokenFault() string {
	tok, err := a.conn.token()
	if err != nil {
		return ""
	}
	r, err := token.Inspect(context.Background(), tok, nil, time.Now())
	if e, ok := errors.AsType[*token.Error](err); ok {
		return e.Detail
	}
	if r.Claim == "" {
		return ""
	}
	return r.Reason
}

// explainNetwork is about the way to the service.
func (a asked) explainNetwork(e *client.Error) (text, why, next string) {
	host := a.conn.url
	cause := innermost(e)
	switch e.Reason {
	case "request":
		return fmt.Sprintf("no answer from %s within %s", host, ui.FormatDuration(a.conn.timeout)), "", ""
	case "silent":
		return fmt.Sprintf("the connection to %s went silent", host), "not even a keep-alive or the answer to a ping arrived in time", ""
	case "closed":
		return fmt.Sprintf("the connection to %s was closed", host), cause, ""
	case "tls":
		return a.explainTLS(e)
	}
	if dns, ok := errors.AsType[*net.DNSError](e); ok {
		cause = "the name " + dns.Name + " cannot be resolved: " + dns.Err
	}
	if config.OnLoopback(host) {
		return fmt.Sprintf("cannot reach %s", host), cause, relayAt(host)
	}
	return fmt.Sprintf("cannot reach %s", host), cause, a.resolved()
}

// explainTLS is about a service that does not speak TLS, or not with a certificate
// that can be accepted.
func (a asked) explainTLS(e *client.Error) (text, why, next string) {
	host, why := a.conn.url, strings.TrimPrefix(innermost(e), "x509: ")
	if _, plain := errors.AsType[tls.RecordHeaderError](e); plain {
		return fmt.Sprintf("%s does not speak TLS", host), why, a.at("http" + strings.TrimPrefix(host, "https"))
	}
	text, next = fmt.Sprintf("the certificate of %s is not ", host), a.resolved()
	if _, ok := errors.AsType[x509.UnknownAuthorityError](e); ok {
		return text + "trusted", why, trust(runtime.GOOS, a.at(host))
	}
	if named, ok := errors.AsType[x509.HostnameError](e); ok {
		// A name from a certificate nobody vouches for is not one to send a token
		// to, unless it is this machine's.
		if u, err := url.Parse(host); err == nil && config.OnLoopback(host) && named.Certificate.VerifyHostname("localhost") == nil {
			u.Host = net.JoinHostPort("localhost", cmp.Or(u.Port(), "443"))
			next = a.at(u.String())
		}
		return strings.TrimSuffix(text, "not ") + "for another name", why, next
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](e); ok && invalid.Reason == x509.Expired {
		return text + "valid now", why, "date -u"
	}
	return text + "acceptable", why, next
}

// trust is how a certificate comes to be trusted on a system, for command to work.
// Only where Go itself verifies does it read SSL_CERT_FILE; macOS and Windows do
// it by what is in their stores.
func trust(goos, command string) string {
	switch goos {
	case "darwin", "ios":
		return "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db CERT.pem"
	case "windows":
		return "certutil -user -addstore Root CERT.pem"
	}
	return "SSL_CERT_FILE=CERT.pem " + command
}

// at is the command for another address of the service.
func (a asked) at(url string) string {
	return a.conn.next("pubsubctl " + a.verb + " --url " + url + " " + pasteWord(a.topics[0]))
}

// relayAt is the command that starts a relay at an address of this machine.
func relayAt(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Port() == "" || u.Host == defaultListen {
		return "pubsubctl relay"
	}
	return "pubsubctl relay --listen " + u.Host
}

// explainUsage is about requests that were not sent.
func (a asked) explainUsage(e *client.Error) (text, why, next string) {
	switch ui.Code(e.Code()) {
	case ui.UsageTopicNotPlain:
		return fmt.Sprintf("topic %s cannot be published over HTTP", quote(a.topics[0])),
			"the service reads the topic unencoded, so only letters, digits and -._~/:@!$*(),;=? can be named; over MQTT any topic can",
			a.conn.next("pubsubctl publish --transport mqtt " + pasteWord(a.topics[0]) + " BODY")
	case ui.UsageTooManyTopics:
		return fmt.Sprintf("one event stream carries at most %d topics", pubsub.MaxStreamTopics), innermost(e), ""
	}
	return innermost(e), "", ""
}

// explainService is about what the service, or the platform before it, said.
func (a asked) explainService(e *client.Error) (text, why, next string) {
	look := "curl -i " + a.conn.url + "/"
	why = evidence(e)
	switch ui.Code(e.Code()) {
	case ui.APIPlatform:
		if strings.HasPrefix(a.conn.url, "http://") && strings.Contains(e.Text, "HTTP request to an HTTPS server") {
			return "the service at " + a.conn.url + " speaks TLS only", why, a.at("https" + strings.TrimPrefix(a.conn.url, "http"))
		}
		return "the answer does not come from the Pub/Sub app", why + " without the app's headers" + a.platformGuess(e.Status), look
	case ui.APIProtocol:
		return "the answer is not one of the Pub/Sub app", innermost(e), look
	case ui.NotFoundRoute:
		return a.conn.url + " has no Pub/Sub API", why + "; the path is wrong, or the service has sse and http-publish switched off", look
	case ui.APISwitchedOff:
		return "the service does not offer to " + a.verb + " over HTTP", why + "; its configuration switches it off", look
	case ui.APIConfiguration:
		return "the service's configuration is broken", why + "; a switch is neither true nor false, or a store cannot be read", look
	case ui.APIFanoutRefused:
		return "the service refuses its own Fanout proxy", why + "; its backend self leads to another service", look
	case ui.APIPublishFailed:
		return "the service could not publish", why + "; its publish-token is missing or wrong, or Fanout is off", ""
	case ui.APIStoreWrite:
		if !pubsub.LegalKey("r:" + a.topics[0]) {
			return "the service cannot store a message of this topic", why + "; the name is longer than 1,022 bytes or has one of # ; ? ^ |, which no store takes", ""
		}
		return "the service could not store the message", why + "; the messages store is missing, or the topic is written more than once a second", ""
	case ui.APIStoreRead:
		return "the service could not read a stored message", why, ""
	case ui.ConfigBadURL:
		return innermost(e), "", a.resolved()
	}
	if e.Topic != "" {
		return "the service refused to " + e.Op + " to " + quote(string(e.Topic)), why, ""
	}
	return "the service refused to " + a.verb, why, ""
}

// platformGuess is what an answer of the platform usually means (doctor table).
func (a asked) platformGuess(status int) string {
	switch {
	case a.verb == "subscribe" && (status == 502 || status == 503):
		return "; the backend self may point to the wrong host or lack TLS"
	case a.verb == "subscribe" && status >= 500:
		return "; the backend self may be missing, or Fanout not enabled"
	case status >= 500:
		return "; the app crashed or was not reached"
	}
	return "; another server answers at this address"
}

// evidence quotes what the service said.
func evidence(e *client.Error) string {
	text := strings.TrimSpace(e.Text)
	switch {
	case e.Condition != "":
		return e.Condition + ": " + text
	case text != "" && !strings.ContainsRune(text, '<'):
		return fmt.Sprintf("status %d: %s", e.Status, text)
	case e.Status != 0:
		return fmt.Sprintf("status %d", e.Status)
	}
	return innermost(e)
}
