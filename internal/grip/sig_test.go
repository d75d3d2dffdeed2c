package grip

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const sigSecret = "viceroy_dev_signing_key_dont_use_in_production"

// sigNow is any time with a fraction, which exp must not have.
func sigNow() time.Time { return time.Unix(1800000000, 999) }

func TestSignIsWhatFanoutSends(t *testing.T) {
	sig := signed(t, sigKey(t, sigSecret), "viceroy")
	parts := strings.Split(sig, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a compact JWT", sig)
	}
	for i, want := range []map[string]any{
		{"typ": "JWT", "alg": "HS256"},
		{"iss": "viceroy", "exp": 1800003600.0},
	} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("part %d: got %s, want %v", i, raw, want)
		}
	}
}

func signed(t *testing.T, key Key, issuer string) string {
	t.Helper()
	s, err := NewSigner(issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(sigNow())
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func sigKey(t *testing.T, config string) Key {
	t.Helper()
	k, err := ParseKey(config, func(string) ([]byte, error) { return nil, fs.ErrNotExist })
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVerifySig(t *testing.T) {
	key := sigKey(t, sigSecret)
	sig := signed(t, key, "viceroy")
	ec, ecPublic := ecPEM(t, elliptic.P256())
	for _, tt := range []struct {
		name, sig, issuer string
		key               Key
		now               time.Time
		ok                bool
	}{
		{"its own", sig, "viceroy", key, sigNow(), true},
		{"any issuer", sig, "", key, sigNow(), true},
		{"in its last second", sig, "viceroy", key, sigNow().Add(SigLife - time.Second), true},
		{"expired", sig, "viceroy", key, sigNow().Add(SigLife), false},
		{"another issuer", sig, "fastly:1", key, sigNow(), false},
		{"another key", sig, "viceroy", sigKey(t, "other"), sigNow(), false},
		{"another algorithm", sig, "viceroy", sigKey(t, ecPublic), sigNow(), false},
		{"a public key's text as a secret", signed(t, forgedKey(ecPublic), "viceroy"), "viceroy", sigKey(t, ecPublic), sigNow(), false},
		{"unsigned", "eyJhbGciOiJub25lIn0.eyJleHAiOjE5MDAwMDAwMDB9.", "", key, sigNow(), false},
		{"garbage", "x.y", "", key, sigNow(), false},
		{"empty", "", "", key, sigNow(), false},
		{"no key", sig, "viceroy", Key{}, sigNow(), false},
		{"a pair", signed(t, sigKey(t, ec), "fastly:1"), "fastly:1", sigKey(t, ecPublic), sigNow(), true},
		{"the private half verifies too", signed(t, sigKey(t, ec), "fastly:1"), "fastly:1", sigKey(t, ec), sigNow(), true},
	} {
		err := VerifySig(tt.sig, tt.key, tt.issuer, tt.now)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// forgedKey is what an attacker has who knows the public key only.
func forgedKey(text string) Key {
	k := Key{new(keyMaterial)}
	secret, err := newKey([]byte("x"))
	if err == nil {
		*k.m = *secret.m
		k.m.sign = []byte(text)
	}
	return k
}

func TestVerifySigWantsAnExpiry(t *testing.T) {
	key := sigKey(t, "secret")
	sig, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "x"}).SignedString([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifySig(sig, key, "x", sigNow()); err == nil || !strings.Contains(err.Error(), "exp") {
		t.Errorf("a token without exp: %v", err)
	}
}

func ecPEM(t *testing.T, curve elliptic.Curve) (private, public string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pemPair(t, k, &k.PublicKey)
}

func pemPair(t *testing.T, k, pub any) (private, public string) {
	t.Helper()
	priv, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: priv})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestParseKey(t *testing.T) {
	ec, ecPublic := ecPEM(t, elliptic.P256())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPrivate, rsaPublic := pemPair(t, rsaKey, &rsaKey.PublicKey)
	files := map[string]string{"ec.pem": ec, "ec.pub": ecPublic, "rsa.pem": rsaPrivate, "secret": "s\n"}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	for _, tt := range []struct {
		config, alg string
		signs       bool
	}{
		{"changeme", "HS256", true},
		{"base64:AAEC", "HS256", true},
		{"file:secret", "HS256", true},
		{"file:ec.pem", "ES256", true},
		{"file:ec.pub", "ES256", false},
		{ecPublic, "ES256", false},
		{"base64:" + base64.StdEncoding.EncodeToString([]byte(ec)), "ES256", true},
		{"file:rsa.pem", "RS256", true},
		{rsaPublic, "RS256", false},
	} {
		k, err := ParseKey(tt.config, read)
		if err != nil || k.Alg() != tt.alg {
			t.Errorf("%.20q: got %q, %v; want %s", tt.config, k.Alg(), err, tt.alg)
			continue
		}
		if _, err := NewSigner("i", k); (err == nil) != tt.signs {
			t.Errorf("%.20q: NewSigner: %v", tt.config, err)
		}
	}
	if err := VerifySig(signed(t, sigKey(t, rsaPrivate), "i"), sigKey(t, rsaPublic), "i", sigNow()); err != nil {
		t.Error(err)
	}
}

func TestParseKeyErrors(t *testing.T) {
	p384, _ := ecPEM(t, elliptic.P384())
	read := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	for _, config := range []string{"", "base64:", "base64:hunter2!", "file:absent", p384, "-----BEGIN hunter2", "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----\n"} {
		k, err := ParseKey(config, read)
		if err == nil {
			t.Errorf("%.20q was accepted as %s", config, k.Alg())
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
	if _, err := ParseKey("file:absent", read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want its cause", err)
	}
	if _, err := NewSigner("", sigKey(t, "k")); err == nil {
		t.Error("a signer without an issuer was made")
	}
	if _, err := NewSigner("i", Key{}); err == nil {
		t.Error("a signer without a key was made")
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	key := sigKey(t, "hunter2")
	signer, err := NewSigner("i", key)
	if err != nil {
		t.Fatal(err)
	}
	around := struct{ k Key }{key}
	asJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %d %x %v %+v %#v %v %s %s", key, key, key, key, key, key,
		signer, signer, around, around, key.LogValue(), asJSON)
	for _, secret := range []string{"hunter2", "68756e746572", "104 117 110"} {
		if strings.Contains(shown, secret) {
			t.Errorf("the key shows in %s", shown)
		}
	}
}
