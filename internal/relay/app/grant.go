package app

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// refusal is why a request gets no further. An event stream renders it as a
// stream-error event, a publish as a status and a line of text.
type refusal struct {
	status int    // 400, 403 or 500; 0 stands for a crash of the app
	text   string // what the client reads
	cause  string // what the log says; holds no part of a credential
	err    error  // for the log, if the store or the publisher failed
}

// condition is the status in the words of a stream-error event.
func (f *refusal) condition() string {
	switch f.status {
	case http.StatusBadRequest:
		return "bad-request"
	case http.StatusForbidden:
		return "forbidden"
	}
	return "internal-server-error"
}

func badRequest(text, cause string) *refusal {
	return &refusal{status: http.StatusBadRequest, text: text, cause: cause}
}

func forbidden(text, cause string) *refusal {
	return &refusal{status: http.StatusForbidden, text: text, cause: cause}
}

func failed(text, cause string, err error) *refusal {
	return &refusal{status: http.StatusInternalServerError, text: text, cause: cause, err: err}
}

// crashed is the refusal of a request that the app does not survive.
func crashed(cause string) *refusal { return &refusal{cause: cause} }

// digests hashes the accepted Fastly-Key values, so that comparing takes the
// same time whatever their lengths.
func digests(keys []string) [][sha256.Size]byte {
	var d [][sha256.Size]byte
	for _, k := range keys {
		if k != "" {
			d = append(d, sha256.Sum256([]byte(k)))
		}
	}
	return d
}

// admin reports whether the request carries an accepted Fastly-Key. One that is
// not accepted counts as absent (section 3.6).
func (a *App) admin(h http.Header) bool {
	key := h["Fastly-Key"]
	if len(key) == 0 {
		return false
	}
	got, found := sha256.Sum256([]byte(key[0])), 0
	for i := range a.admins {
		found |= subtle.ConstantTimeCompare(got[:], a.admins[i][:])
	}
	return found == 1
}

// bearer takes the token out of the Authorization header: everything behind
// the first space, untrimmed. missing is the text for a request without one.
func bearer(h http.Header, missing string) (string, *refusal) {
	auth := h["Authorization"]
	if len(auth) == 0 {
		return "", badRequest(missing, "no credential")
	}
	if !visible(auth[0]) {
		return "", crashed("the Authorization header has a byte outside visible ASCII")
	}
	scheme, tok, ok := strings.Cut(auth[0], " ")
	if !ok {
		return "", badRequest("Invalid 'Authorization' header", "the Authorization header has no space")
	}
	if scheme != "Bearer" {
		return "", badRequest("Unsupported authorization scheme: "+scheme, "the authorization scheme is not exactly Bearer")
	}
	return tok, nil
}

// visible reports whether the app can read a header value as text at all: the
// library it uses refuses what is not ASCII or is a control character.
func visible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c < ' ' && c != '\t' {
			return false
		}
	}
	return true
}

// verify turns a token into what it allows, and warns about a token that lives
// by an oddity.
func (a *App) verify(ctx context.Context, r *fanout.Request, tok string, now time.Time) (pubsub.Grant, *refusal) {
	claims, err := a.verifier.Verify(ctx, tok, now)
	if err != nil {
		return pubsub.Grant{}, refusedToken(err)
	}
	if odd(&claims, now) && a.warns(ctx) && a.mentioned.first(tok, now) {
		a.warnClaims(ctx, peerOf(r), &claims, now)
	}
	return claims.Grant(), nil
}

// refusedToken tells a token that is wrong from one that could not be judged.
// An unknown key id is of the second kind (Quirk Q11).
func refusedToken(err error) *refusal {
	var bad *token.Error
	if !errors.As(err, &bad) {
		return failed("Auth process failed", "the token could not be judged", err)
	}
	if bad.Outcome == token.AuthFailure {
		return failed("Auth process failed", bad.Detail, bad.Err)
	}
	return forbidden("Invalid token", bad.Detail)
}
