package grip

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// SigLife is how long a Grip-Sig is valid.
const SigLife = time.Hour

// Key is a Grip-Sig key: a shared secret (HS256), or half of an EC P-256 (ES256)
// or RSA (RS256) pair. It prints and logs as "[key]". The zero Key signs and
// verifies nothing.
type Key struct {
	m *keyMaterial // behind a pointer, so that no %v of a struct around it shows the secret
}

type keyMaterial struct {
	method jwt.SigningMethod
	sign   any // nil for a public key
	verify any
}

// Format prints "[key]" for every verb.
func (Key) Format(f fmt.State, _ rune) {
	// A State that fails reports it to the caller of Printf itself.
	_, _ = io.WriteString(f, "[key]")
}

// LogValue logs "[key]".
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// ParseKey reads a key as configuration gives it: "file:" and a path, which read
// resolves; "base64:" and the bytes in standard base64; anything else is the
// secret itself. Bytes that are a PEM block are half of a key pair, others a
// shared secret, which must not be empty. Errors never quote the key.
func ParseKey(config string, read func(path string) ([]byte, error)) (Key, error) {
	material := []byte(config)
	if path, ok := strings.CutPrefix(config, "file:"); ok {
		var err error
		if material, err = read(path); err != nil {
			return Key{}, fmt.Errorf("read grip key: %w", err)
		}
	} else if text, ok := strings.CutPrefix(config, "base64:"); ok {
		var err error
		if material, err = base64.StdEncoding.DecodeString(text); err != nil {
			return Key{}, errors.New("decode grip key: not base64")
		}
	}
	return newKey(material)
}

func newKey(material []byte) (Key, error) {
	if bytes.HasPrefix(bytes.TrimSpace(material), []byte("-----BEGIN")) {
		return pemKey(material)
	}
	if len(material) == 0 {
		return Key{}, errors.New("grip key is empty")
	}
	return Key{&keyMaterial{jwt.SigningMethodHS256, material, material}}, nil
}

// pemKey tries the four things a block can be; their parsers refuse each other's.
func pemKey(block []byte) (Key, error) {
	if k, err := jwt.ParseECPrivateKeyFromPEM(block); err == nil {
		return ecKey(&k.PublicKey, k)
	}
	if k, err := jwt.ParseECPublicKeyFromPEM(block); err == nil {
		return ecKey(k, nil)
	}
	if k, err := jwt.ParseRSAPrivateKeyFromPEM(block); err == nil {
		return Key{&keyMaterial{jwt.SigningMethodRS256, k, &k.PublicKey}}, nil
	}
	if k, err := jwt.ParseRSAPublicKeyFromPEM(block); err == nil {
		return Key{&keyMaterial{method: jwt.SigningMethodRS256, verify: k}}, nil
	}
	return Key{}, errors.New("grip key is neither an EC nor an RSA key in PEM")
}

// ecKey takes private as an interface, so that a missing half stays nil.
func ecKey(public *ecdsa.PublicKey, private any) (Key, error) {
	if public.Curve.Params().BitSize != jwt.SigningMethodES256.CurveBits {
		return Key{}, errors.New("grip key is not on curve P-256")
	}
	return Key{&keyMaterial{jwt.SigningMethodES256, private, public}}, nil
}

// Alg is the JWT algorithm the key is for: HS256, ES256, RS256, or "" for the
// zero Key.
func (k Key) Alg() string {
	if k.m == nil {
		return ""
	}
	return k.m.method.Alg()
}

// Signer produces Grip-Sig values. It may be used from any goroutine.
type Signer struct {
	issuer string
	key    Key
}

// NewSigner returns a Signer for one issuer. An empty issuer, or a key that
// cannot sign, is an error: without them a proxy sends no Grip-Sig, and that is
// for the caller to decide.
func NewSigner(issuer string, key Key) (*Signer, error) {
	switch {
	case issuer == "":
		return nil, errors.New("grip signer without an issuer")
	case key.m == nil || key.m.sign == nil:
		return nil, errors.New("grip signer without a key that can sign")
	}
	return &Signer{issuer, key}, nil
}

// Sign returns a token that names the issuer and is valid for SigLife from now,
// in whole seconds, and nothing else.
func (s *Signer) Sign(now time.Time) (string, error) {
	claims := jwt.MapClaims{"iss": s.issuer, "exp": now.Unix() + int64(SigLife/time.Second)}
	sig, err := jwt.NewWithClaims(s.key.m.method, claims).SignedString(s.key.m.sign)
	if err != nil {
		return "", fmt.Errorf("sign grip-sig: %w", err)
	}
	return sig, nil
}

// VerifySig checks a Grip-Sig: signed by the other half of key with the key's
// own algorithm, not expired at now, and from the issuer unless that is empty.
// There is no tolerance for clocks; a caller that wants some passes an earlier
// now. Errors do not quote the token.
func VerifySig(sig string, key Key, issuer string, now time.Time) error {
	if key.m == nil {
		return errors.New("verify grip-sig: no key")
	}
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{key.Alg()}), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now })}
	if issuer != "" {
		options = append(options, jwt.WithIssuer(issuer))
	}
	_, err := jwt.NewParser(options...).Parse(sig, func(*jwt.Token) (any, error) { return key.m.verify, nil })
	if err != nil {
		return fmt.Errorf("verify grip-sig: %w", err)
	}
	return nil
}
