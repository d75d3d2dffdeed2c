package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Category says what kind of thing went wrong; callers map it to exit codes.
type Category string

// The categories an Error can have.
const (
	CategoryUsage    Category = "usage"     // the call cannot be carried out as written
	CategoryConfig   Category = "config"    // the client's settings cannot work
	CategoryAuth     Category = "auth"      // the credential is missing, unusable or does not grant this
	CategoryNotFound Category = "not_found" // the service has no such route
	CategoryNetwork  Category = "network"   // the service could not be reached, or the connection broke
	CategoryTimeout  Category = "timeout"   // no answer in time
	CategoryAPI      Category = "api"       // the service, or what stands in front of it, refused or failed
	CategoryInternal Category = "internal"  // a mistake in this program
)

// ErrSilent is the cause when a stream sent no byte for the liveness limit.
var ErrSilent = errors.New("no byte for too long")

var (
	errTimeout   = errors.New("no answer in time")
	errNoOpen    = errors.New("the stream did not begin with stream-open")
	errNotStream = errors.New("the answer is not an event stream")
)

// Error is why a publish or a subscription failed, with the evidence.
type Error struct {
	// Op is "publish" or "subscribe".
	Op string
	// Category and Reason together are the stable code, "auth.topic_not_granted".
	Category Category
	Reason   string
	// Status is the HTTP status of the answer; 0 means there was none.
	Status int
	// Condition is that of a stream-error, or the packet and reason code with
	// which MQTT refuses, such as "SUBACK 0x87"; else empty.
	Condition string
	// Topic is the one refused, if that is known.
	Topic pubsub.Topic
	// Text is what the service said, at most some 200 bytes, neither escaped
	// nor trusted.
	Text string
	// Retryable reports whether the same call may succeed later.
	Retryable bool
	// Sent reports whether the service may have acted on the request before it
	// failed; repeating a publish may then deliver it twice.
	Sent bool
	// Err is the cause below, or nil.
	Err error
}

// Code is category.reason.
func (e *Error) Code() string { return string(e.Category) + "." + e.Reason }

// Error gives one line with what is known; it never holds a credential.
func (e *Error) Error() string {
	switch {
	case e.Condition != "":
		return fmt.Sprintf("%s: %s: %s", e.Op, e.Condition, e.Text)
	case e.Status != 0 && e.Text != "":
		return fmt.Sprintf("%s: status %d: %s", e.Op, e.Status, e.Text)
	case e.Status != 0:
		return fmt.Sprintf("%s: status %d", e.Op, e.Status)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refusal reports whether the service understood the request and said no, so
// that asking again in the same words is pointless.
func (e *Error) Refusal() bool {
	return (e.Status != 0 || e.Condition != "") && !e.Retryable
}

// verdict is how one text of the app is to be understood.
type verdict struct {
	category  Category
	reason    string
	retryable bool
}

// judgeText finds the meaning of a text of the app; both surfaces use the same
// words. The second result is false for a text it does not know.
func judgeText(text string) (verdict, bool) {
	for _, k := range [...]struct {
		prefix string
		verdict
	}{
		{"Cannot publish to topic", verdict{CategoryAuth, "topic_not_granted", false}},
		{"Cannot subscribe to topic", verdict{CategoryAuth, "topic_not_granted", false}},
		{"Invalid token", verdict{CategoryAuth, "invalid_token", false}},
		// An unknown key id reads as a server error. A key made a moment ago may
		// not be visible everywhere yet, so trying again is right.
		{"Auth process failed", verdict{CategoryAuth, "unknown_key", true}},
		{"Missing 'Authorization'", verdict{CategoryAuth, "missing", false}},
		{"Invalid 'Authorization'", verdict{CategoryAuth, "invalid_header", false}},
		{"Unsupported authorization", verdict{CategoryAuth, "invalid_header", false}},
		{"Last-Event-ID part", verdict{CategoryAPI, "resume_refused", false}},
		{"Message size exceeds", verdict{CategoryAPI, "too_large", false}},
		{"Configuration process failed", verdict{CategoryAPI, "configuration", true}},
		{"Failed to authorize Fanout proxy", verdict{CategoryAPI, "fanout_refused", false}},
		{"Failed to write message to storage", verdict{CategoryAPI, "store_write", true}},
		{"Failed to read message from storage", verdict{CategoryAPI, "store_read", true}},
		{"Publish process failed", verdict{CategoryAPI, "publish_failed", true}},
	} {
		if strings.HasPrefix(text, k.prefix) {
			return k.verdict, true
		}
	}
	return verdict{}, false
}

// judgeStatus is the meaning of a status whose text says nothing.
func judgeStatus(status int) verdict {
	switch {
	case status == http.StatusNotFound:
		return verdict{CategoryNotFound, "no_route", false}
	case status == http.StatusMethodNotAllowed:
		return verdict{CategoryAPI, "switched_off", false}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return verdict{CategoryAuth, "refused", false}
	case status >= 500 || status == http.StatusTooManyRequests:
		return verdict{CategoryAPI, "server_error", true}
	}
	return verdict{CategoryAPI, "bad_request", false}
}

// refused makes the error for an answer of any server that is not a success.
func refused(op string, resp *http.Response) *Error {
	text, _ := readText(resp.Body) // the status is known; of the text, what did arrive is enough
	e := &Error{Op: op, Status: resp.StatusCode, Sent: true, Text: text}
	v, known := judgeText(e.Text)
	if !known {
		v = judgeStatus(e.Status)
	}
	if !fromApp(resp.Header) {
		// The app never got to answer, or this is another server altogether;
		// its words are not the app's.
		v = verdict{CategoryAPI, "platform", e.Status >= 500 || e.Status == http.StatusTooManyRequests}
	}
	e.Category, e.Reason, e.Retryable = v.category, v.reason, v.retryable
	return e
}

// refusedByEvent makes the error for a stream-error event.
func refusedByEvent(op, condition, text string) *Error {
	e := &Error{Op: op, Status: http.StatusOK, Condition: clip(condition), Text: clip(strings.TrimRight(text, "\r\n")), Sent: true}
	v, known := judgeText(e.Text)
	if !known {
		v = judgeCondition(condition)
	}
	e.Category, e.Reason = v.category, v.reason
	// The condition alone decides about trying again (rule 15.2).
	e.Retryable = condition == conditionServer
	return e
}

const conditionServer = "internal-server-error"

func judgeCondition(condition string) verdict {
	switch condition {
	case "forbidden":
		return verdict{category: CategoryAuth, reason: "refused"}
	case conditionServer:
		return verdict{category: CategoryAPI, reason: "server_error"}
	}
	return verdict{category: CategoryAPI, reason: "bad_request"}
}

// broken makes the error for a request or a stream that failed below HTTP.
// The caller's own end of the context passes through as it is.
func broken(ctx context.Context, op string, err error) error {
	cause := context.Cause(ctx)
	if cause != nil && !errors.Is(cause, errTimeout) && !errors.Is(cause, ErrSilent) {
		return cause
	}
	if cause != nil {
		err = cause
	}
	e := &Error{Op: op, Category: CategoryNetwork, Retryable: true, Sent: !dialFailed(err), Err: err}
	e.Reason = networkReason(err)
	if e.Reason == "request" {
		e.Category = CategoryTimeout
	}
	if e.Reason == "tls" {
		e.Retryable = false
	}
	return e
}

func networkReason(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	var hung hungUp
	switch {
	case errors.Is(err, errTimeout):
		return "request"
	case errors.Is(err, ErrSilent):
		return "silent"
	case errors.As(err, &dns):
		return "dns"
	case isTLS(err):
		return "tls"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &hung), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "closed"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return "request"
	}
	return "failed"
}

func isTLS(err error) bool {
	var (
		unknown   x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verifying *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &verifying) || errors.As(err, &record)
}

// dialFailed reports whether nothing was sent because no connection was made.
func dialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
