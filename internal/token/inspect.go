package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Signature is what is known about a token's signature.
type Signature string

// What can be known.
const (
	Good      Signature = "good"
	Bad       Signature = "bad"
	Unchecked Signature = "unchecked" // no key to check it with
)

// Report is all there is to tell about a token. Its JSON form is that of
// `token inspect`; it holds neither the token nor a key.
type Report struct {
	// Valid is set if the app, given the same keys, would accept the token.
	Valid bool `json:"valid"`
	// Reason says why it would not, Claim which claim is at fault, if one is.
	Reason string `json:"reason,omitempty"`
	Claim  string `json:"claim,omitempty"`
	// KeyID and Algorithm are the header's kid and alg.
	KeyID     string    `json:"key_id,omitempty"`
	Algorithm string    `json:"algorithm"`
	Signature Signature `json:"signature"`
	// Read and Write list topics, never nil; empty if the claim is absent or
	// unreadable.
	Read  []string `json:"read"`
	Write []string `json:"write"`
	// Subject is the sub claim.
	Subject string `json:"subject,omitempty"`
	// ExpiresAt is when the app takes the token to expire, AcceptedUntil the last
	// moment it accepts it; the zero Time means never. NotBefore is zero if absent.
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	AcceptedUntil time.Time `json:"accepted_until,omitzero"`
	NotBefore     time.Time `json:"not_before,omitzero"`
	// Warning is something the token's maker should know.
	Warning string `json:"warning,omitempty"`
	// Claims is the payload; numbers are json.Number.
	Claims map[string]any `json:"claims"`
}

// Inspect takes tok apart and reports whether it would be accepted at now and
// why not. keys may be nil: then the signature is not checked, and the token
// not called valid. It fails with an *Error only if there is nothing to report:
// no readable header or payload.
func Inspect(ctx context.Context, tok string, keys KeySource, now time.Time) (Report, error) {
	h, err := inspectHeader(tok)
	if err != nil {
		return Report{}, err
	}
	claims, payload, err := inspectPayload(tok)
	if err != nil {
		return Report{}, err
	}
	r := Report{KeyID: h.kid, Algorithm: h.alg, Claims: claims, Read: []string{}, Write: []string{}}
	r.describe(payload)
	var secret func(string) ([]byte, error)
	if keys != nil {
		secret = func(kid string) ([]byte, error) { return keys.Get(ctx, kid) }
	}
	r.Signature = signature(tok, h, secret)
	_, err = verify(tok, now, secret)
	r.judge(err)
	return r, nil
}

// inspectHeader is lenient about one thing: a token without a kid is readable.
func inspectHeader(tok string) (header, error) {
	h, err := readHeader(tok)
	if e, ok := errors.AsType[*Error](err); ok && e.Claim == "kid" && h.alg != "" {
		return h, nil
	}
	return h, err
}

func inspectPayload(tok string) (map[string]any, []byte, error) {
	p, err := split(tok)
	if err != nil {
		return nil, nil, err
	}
	payload, ok := decode(p.payload)
	if !ok {
		return nil, nil, invalid("", "payload is not unpadded URL-safe base64")
	}
	if err := eachMember(payload, func(string, []byte) error { return nil }); err != nil {
		return nil, nil, invalid("", "payload is %v", err)
	}
	claims := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&claims); err != nil {
		return nil, nil, invalid("", "payload is %v", errJSON)
	}
	return claims, payload, nil
}

// describe fills in the claims. If one has a wrong type none is filled in,
// since the app takes none of them.
func (r *Report) describe(payload []byte) {
	c, _, err := readClaims(payload)
	if err != nil {
		return
	}
	r.Read, r.Write = append(r.Read, c.Read...), append(r.Write, c.Write...)
	r.Subject, r.Warning = c.Subject, c.Warning.String()
	r.ExpiresAt, r.AcceptedUntil, r.NotBefore = c.Expires, c.AcceptedUntil(), c.NotBefore
}

func signature(tok string, h header, secret func(string) ([]byte, error)) Signature {
	if secret == nil || h.alg != "HS256" {
		return Unchecked
	}
	key, err := secret(h.kid)
	if err != nil {
		return Unchecked
	}
	if p, err := split(tok); err != nil || !p.signedWith(key) {
		return Bad
	}
	return Good
}

func (r *Report) judge(err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		r.Reason, r.Claim = e.Detail, e.Claim
		return
	}
	if r.Valid = r.Signature == Good; !r.Valid {
		r.Reason = "signature was not checked: no key was given"
	}
}
