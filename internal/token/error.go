package token

import "fmt"

// Outcome is how a token was turned down, as the app's answers distinguish it.
type Outcome uint8

// The outcomes.
const (
	// Invalid: the token is at fault.
	Invalid Outcome = iota + 1
	// AuthFailure: the key the token names could not be had, so nothing about the
	// token is known. The app answers as for an error of its own (Quirk Q11).
	AuthFailure
)

// String describes the outcome in a few words.
func (o Outcome) String() string {
	if o == AuthFailure {
		return "token cannot be checked"
	}
	return "token is invalid"
}

// Error says why a token was turned down. It is fit for a log: it quotes single
// values, cut to a bounded length, but never the token, a signature or a key.
type Error struct {
	Outcome Outcome
	// Claim is the member of the header or the payload that failed ("exp", "kid",
	// "alg"), "signature", or empty if the token as a whole is malformed.
	Claim string
	// Detail says what was wrong, with the value seen.
	Detail string
	// Err is what the key source said, only with AuthFailure.
	Err error
}

// Error joins outcome and detail.
func (e *Error) Error() string { return e.Outcome.String() + ": " + e.Detail }

// Unwrap gives the key source's error, if there is one.
func (e *Error) Unwrap() error { return e.Err }

func invalid(claim, format string, args ...any) error {
	return &Error{Outcome: Invalid, Claim: claim, Detail: fmt.Sprintf(format, args...)}
}

// quoteMax is how many bytes of a client's value an error may quote.
const quoteMax = 48

// short cuts a value a client chose, so that a log line stays a line.
func short(value string) string {
	if len(value) <= quoteMax {
		return value
	}
	return value[:quoteMax] + "..."
}
