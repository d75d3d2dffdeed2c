package token

import (
	"fmt"
	"maps"
	"math"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// MintOptions says what a new token holds and who signs it.
type MintOptions struct {
	// KeyID names the signing key; Secret is its value, used byte for byte. Both
	// are required.
	KeyID  string
	Secret []byte
	// Read and Write list the topics the token is for, exactly. Nil leaves the
	// claim out, which allows none.
	Read, Write []string
	// Subject is the sub claim; empty leaves it out.
	Subject string
	// Expires is when the token expires, in whole seconds; the app accepts it for
	// pubsub.Grace longer. The zero Time makes a token that never expires.
	Expires time.Time
	// Extra has further claims. It may set iss, aud, jti, nonce, nbf and iat, but
	// not what the fields above set.
	Extra map[string]any
}

// Mint makes a token that the app accepts, as far as the token itself decides:
// HS256, typ JWT, with kid. It refuses what the app would refuse whatever the
// time: an exp beyond 32 bits, claims of the wrong type, text that is not
// UTF-8, a key id that no store can hold, or an empty secret.
func Mint(o MintOptions) (string, error) {
	if err := o.check(); err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, o.claims())
	t.Header["kid"] = o.KeyID
	tok, err := t.SignedString(o.Secret)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	// Extra claims may have any type, so the result is read as the app reads it.
	if err := readable(tok); err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return tok, nil
}

func (o *MintOptions) check() error {
	switch {
	case !pubsub.LegalKey(o.KeyID):
		return fmt.Errorf("key id %q cannot be in a key store", short(o.KeyID))
	case len(o.Secret) == 0:
		return fmt.Errorf("key %q has an empty secret", o.KeyID)
	case !o.Expires.IsZero() && (o.Expires.Unix() < 0 || o.Expires.Unix() > math.MaxUint32):
		return fmt.Errorf("expiry %s is outside what 32 bits hold, 1970 to February 2106", o.Expires.UTC().Format(time.RFC3339))
	}
	for _, s := range append(append([]string{o.Subject}, o.Read...), o.Write...) {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8", short(s))
		}
	}
	for _, name := range []string{"exp", "sub", ReadClaim, WriteClaim} {
		if _, taken := o.Extra[name]; taken {
			return fmt.Errorf("extra claim %s has a field of its own", name)
		}
	}
	return nil
}

func (o *MintOptions) claims() jwt.MapClaims {
	c := jwt.MapClaims{}
	maps.Copy(c, o.Extra)
	if o.Read != nil {
		c[ReadClaim] = o.Read
	}
	if o.Write != nil {
		c[WriteClaim] = o.Write
	}
	if o.Subject != "" {
		c["sub"] = o.Subject
	}
	if !o.Expires.IsZero() {
		c["exp"] = o.Expires.Unix()
	}
	return c
}

// readable reports why the app could not read tok, leaving the times aside.
func readable(tok string) error {
	h, err := readHeader(tok)
	if err != nil {
		return err
	}
	p, err := split(tok)
	if err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	payload, _ := decode(p.payload)
	_, _, err = readClaims(payload)
	return err
}
