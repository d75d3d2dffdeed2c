package provision

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// maxQuote is how much of a foreign text a finding quotes, in bytes.
const maxQuote = 120

// clip bounds a text of somebody else's and keeps it on one line.
func clip(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxQuote {
		return text
	}
	cut := maxQuote
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// innermost is the last sentence of an error's chain.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return clip(err.Error())
		}
		err = next
	}
}

// said quotes what the service answered, or why there was no answer.
func said(err error) string {
	e, is := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		return ""
	case !is:
		return innermost(err)
	case e.Condition != "":
		return e.Condition + ": " + clip(e.Text)
	case e.Status != 0 && e.Text != "" && !strings.ContainsRune(e.Text, '<'):
		return fmt.Sprintf("status %d: %s", e.Status, clip(e.Text))
	case e.Status != 0:
		return fmt.Sprintf("status %d", e.Status)
	}
	return innermost(err)
}

// isReason reports whether err is the client's, for this reason.
func isReason(err error, reason string) bool {
	e, is := errors.AsType[*client.Error](err)
	return is && e.Reason == reason
}

// networkFault is "dns", "tls" or nothing.
func networkFault(err error) string {
	if _, is := errors.AsType[*net.DNSError](err); is {
		return "dns"
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	if unknown || host || invalid || record {
		return "tls"
	}
	return ""
}
