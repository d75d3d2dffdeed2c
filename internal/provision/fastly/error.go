package fastly

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gofastly "github.com/fastly/go-fastly/v9/fastly"
)

// APIError is a refusal by the platform. It never holds a credential.
type APIError struct {
	// Method and Path are of the request.
	Method, Path string
	Status       int
	// Code, Title and Detail are what the answer says; each may be empty.
	Code, Title, Detail string
	RequestID           string
	// Reset is when the hourly budget is full again; zero if that was not said.
	Reset time.Time
	// Remaining is what is left of it; -1 if that was not said.
	Remaining int
}

// Error gives the platform's own words, or the status where it had none.
func (e *APIError) Error() string {
	return fmt.Sprintf("fastly refused %s %s with %d: %s", e.Method, e.Path, e.Status, e.Text())
}

// Text is the platform's own words on one line.
func (e *APIError) Text() string {
	switch {
	case e.Title == "" && e.Detail == "":
		return strings.ToLower(http.StatusText(e.Status))
	case e.Title == "" || e.Detail == "" || strings.EqualFold(e.Title, e.Detail):
		return e.Title + e.Detail
	}
	return e.Title + ": " + e.Detail
}

// says reports whether one of words is in what the answer says.
func (e *APIError) says(words ...string) bool {
	text := strings.ToLower(e.Title + " " + e.Detail)
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// asAPI finds the refusal in err; it is the zero APIError if there is none.
func asAPI(err error) APIError {
	var e *APIError
	if errors.As(err, &e) {
		return *e
	}
	return APIError{}
}

// NotFound reports that something is absent, or that the token may not see it;
// the platform does not tell these apart.
func NotFound(err error) bool {
	e := asAPI(err)
	return e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest && e.says("record not found", "couldn't find", "cannot find")
}

// Exists reports that something of this name is there already.
func Exists(err error) bool {
	e := asAPI(err)
	switch e.Status {
	case http.StatusConflict, http.StatusPreconditionFailed:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return e.says("already exists", "duplicate", "already been taken", "already taken")
	}
	return false
}

// Taken reports that a domain belongs to somebody else.
func Taken(err error) bool {
	e := asAPI(err)
	return e.Status/100 == 4 && e.says("already taken", "already been taken", "owned by another customer")
}

// ClassicRefused reports that the account makes domains by the versionless API only.
func ClassicRefused(err error) bool {
	e := asAPI(err)
	return e.Status/100 == 4 && e.says("classic domain", "deprecated")
}

// Locked reports that a version can no longer be changed.
func Locked(err error) bool {
	e := asAPI(err)
	return e.Status == http.StatusUnprocessableEntity && e.says("locked")
}

// RateLimited reports that the hourly budget is spent, and until when; reset is
// zero if that was not said.
func RateLimited(err error) (reset time.Time, limited bool) {
	e := asAPI(err)
	return e.Reset, e.Status == http.StatusTooManyRequests
}

// Entitlement reports that the account may not switch the product. The platform
// answers so to a bad token too: ask Self first.
func Entitlement(err error) bool {
	e := asAPI(err)
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden:
		return e.says("entitle", "not authorized", "trial", "purchase", "cannot be disabled", "cannot self-disable")
	}
	return false
}

// Refused reports that the platform answered, and will not do it; asking again, or
// later, changes nothing.
func Refused(err error) bool {
	status := asAPI(err).Status
	return status/100 == 4 && status != http.StatusTooManyRequests
}

// Expired reports that the token was good once; Unauthorized that it is not
// known, or may not do this.
func Expired(err error) bool { return asAPI(err).Status == http.StatusUnauthorized }

// Unauthorized reports that the token is not known, or may not do this.
func Unauthorized(err error) bool { return asAPI(err).Status == http.StatusForbidden }

// Auth reports that the credential is at fault, either way.
func Auth(err error) bool { return Expired(err) || Unauthorized(err) }

// UnansweredError is a request without an answer that could be read.
type UnansweredError struct {
	Method, Path string
	Err          error
}

// Error says which request and what came instead of an answer.
func (e *UnansweredError) Error() string {
	return fmt.Sprintf("no answer to %s %s: %v", e.Method, e.Path, e.Err)
}

// Unwrap gives the cause.
func (e *UnansweredError) Unwrap() error { return e.Err }

// Uncertain reports that a write may have taken effect although it failed: look
// before doing it again.
func Uncertain(err error) bool {
	var unanswered *UnansweredError
	return errors.As(err, &unanswered) || asAPI(err).Status >= http.StatusInternalServerError
}

// UntrustedKeyError says that a key for encrypting secrets cannot be trusted.
type UntrustedKeyError struct{ Reason string }

// Error gives the reason.
func (e *UntrustedKeyError) Error() string {
	return "the key for encrypting secrets cannot be trusted: " + e.Reason
}

// maxText bounds how much of an answer an error quotes.
const maxText = 300

// describe makes the errors of this package from what the library and the lane
// know of the last exchange.
func describe(err error, last exchange) error {
	if err == nil {
		return nil
	}
	var refused *gofastly.HTTPError
	if !errors.As(err, &refused) {
		if last.method == "" { // refused by the library before it was sent
			return err
		}
		return &UnansweredError{last.method, last.path, plainCause(err)}
	}
	e := &APIError{Method: last.method, Path: last.path, Status: refused.StatusCode, RequestID: last.requestID, Remaining: -1}
	if refused.RateLimitReset != nil {
		e.Reset = time.Unix(int64(*refused.RateLimitReset), 0)
	}
	if refused.RateLimitRemaining != nil {
		e.Remaining = *refused.RateLimitRemaining
	}
	if len(refused.Errors) > 0 && refused.Errors[0] != nil {
		o := refused.Errors[0]
		e.Code, e.Title, e.Detail = o.Code, short(o.Title), short(o.Detail)
		if o.Title == "Undefined error" { // the library's word for a body it cannot read
			e.Title = ""
		}
	}
	return e
}

// plainCause drops net/http's own prefix, which repeats method and address.
func plainCause(err error) error {
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) {
		if inner := wrapped.Unwrap(); inner != nil {
			return inner
		}
	}
	return err
}

// short is the gist of a text: the title of a page, or its beginning.
func short(s string) string {
	if _, rest, ok := strings.Cut(s, "<title>"); ok {
		s, _, _ = strings.Cut(rest, "</title>")
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return s
}
