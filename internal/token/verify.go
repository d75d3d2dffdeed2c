package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Limits of the app on what a client sends, in bytes.
const (
	headerMax = 8192
	tokenMax  = 1_000_000
)

// rawURL is the only base64 a token may use: URL-safe, unpadded, no loose bits.
var rawURL = base64.RawURLEncoding.Strict()

// KeySource hands out signing keys. Its methods are called from any goroutine.
type KeySource interface {
	// Get returns the secret of a key. Whatever the error, the token that names
	// the key cannot be checked.
	Get(ctx context.Context, kid string) ([]byte, error)
	// Generation changes whenever any key does.
	Generation() uint64
}

// Verifier judges tokens as the app does and remembers those it accepted. Its
// methods may be called from any goroutine.
type Verifier struct {
	keys  KeySource
	cache *cache
}

// NewVerifier returns a Verifier that takes its keys from keys.
func NewVerifier(keys KeySource) *Verifier {
	return &Verifier{keys: keys, cache: newCache()}
}

// Verify returns what tok says if the app would accept it at now, else an
// *Error. Checks are made in the app's order (pubsub-app contract, 3.2), so that a
// token with several faults gets the app's answer: an unknown key comes before
// a bad signature. ctx bounds the look-up of the key.
func (v *Verifier) Verify(ctx context.Context, tok string, now time.Time) (Claims, error) {
	generation := v.keys.Generation()
	if c := v.cache.get(tok, generation, now.Unix()); c != nil {
		return *c, nil
	}
	c, err := verify(tok, now, func(kid string) ([]byte, error) { return v.keys.Get(ctx, kid) })
	if err != nil {
		return Claims{}, err
	}
	v.cache.put(tok, generation, c)
	return c, nil
}

// verify makes all the checks. A nil secret leaves out the key and the
// signature.
func verify(tok string, now time.Time, secret func(kid string) ([]byte, error)) (Claims, error) {
	h, err := readHeader(tok)
	if err != nil {
		return Claims{}, err
	}
	var key []byte
	if secret != nil {
		if key, err = secret(h.kid); err != nil {
			return Claims{}, unknownKey(h.kid, err)
		}
	}
	p, err := split(tok)
	if err != nil {
		return Claims{}, err
	}
	if err := h.check(); err != nil {
		return Claims{}, err
	}
	if secret != nil && !p.signedWith(key) {
		return Claims{}, invalid("signature", "signature does not match key %q", short(h.kid))
	}
	return p.claims(h.kid, now)
}

func unknownKey(kid string, err error) error {
	return &Error{
		Outcome: AuthFailure,
		Claim:   "kid",
		Detail:  fmt.Sprintf("kid %q is not a known key: %v", short(kid), err),
		Err:     err,
	}
}

// header is what matters of a token's header.
type header struct {
	kid, alg, typ string
	hasTyp        bool
}

// readHeader reads the first part of tok (steps 1 and 2 of the contract's 3.2).
// A header without a kid is returned along with the error.
func readHeader(tok string) (header, error) {
	part, _, _ := strings.Cut(tok, ".")
	if len(part) > headerMax {
		return header{}, invalid("", "header has %d characters, at most %d work", len(part), headerMax)
	}
	doc, ok := decode(part)
	if !ok {
		return header{}, invalid("", "header is not unpadded URL-safe base64")
	}
	m, err := readMembers("header", doc, headerMember)
	if err != nil {
		return header{}, err
	}
	if m[alg] == nil {
		return header{}, invalid("alg", "header has no alg")
	}
	h := header{kid: m.str(kid), alg: m.str(alg), typ: m.str(typ), hasTyp: !m.absent(typ)}
	if m.absent(kid) {
		return h, invalid("kid", "header has no kid")
	}
	return h, nil
}

// check judges type and algorithm (steps 5 and 6).
func (h header) check() error {
	if t := strings.ToUpper(h.typ); h.hasTyp && t != "JWT" && !strings.HasSuffix(t, "+JWT") {
		return invalid("typ", "typ is %q, only JWT works", short(h.typ))
	}
	if h.alg != "HS256" {
		return invalid("alg", "alg is %q, only HS256 works", short(h.alg))
	}
	return nil
}

// parts is a token cut up, each part still encoded.
type parts struct{ signed, payload, signature string }

// split cuts tok in three (step 4).
func split(tok string) (parts, error) {
	if len(tok) > tokenMax {
		return parts{}, invalid("", "token has %d bytes, at most %d work", len(tok), tokenMax)
	}
	if n := strings.Count(tok, ".") + 1; n != 3 {
		return parts{}, invalid("", "token has %d parts, not 3", n)
	}
	first, last := strings.IndexByte(tok, '.'), strings.LastIndexByte(tok, '.')
	return parts{signed: tok[:last], payload: tok[first+1 : last], signature: tok[last+1:]}, nil
}

// signedWith checks the signature (step 7). The key is used as it is stored:
// not decoded, not trimmed, and of any length.
func (p parts) signedWith(key []byte) bool {
	given, ok := decode(p.signature)
	if !ok {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(p.signed))
	return hmac.Equal(mac.Sum(nil), given)
}

// claims reads and judges the payload (steps 8 and 9).
func (p parts) claims(kid string, now time.Time) (Claims, error) {
	payload, ok := decode(p.payload)
	if !ok {
		return Claims{}, invalid("", "payload is not unpadded URL-safe base64")
	}
	c, m, err := readClaims(payload)
	if err != nil {
		return Claims{}, err
	}
	if err := c.checkTimes(m, now); err != nil {
		return Claims{}, err
	}
	c.KeyID = kid
	return c, nil
}

// decode decodes one part. The standard decoder would skip line ends.
func decode(part string) ([]byte, bool) {
	if strings.IndexByte(part, '\n') >= 0 || strings.IndexByte(part, '\r') >= 0 {
		return nil, false
	}
	b, err := rawURL.DecodeString(part)
	return b, err == nil
}
