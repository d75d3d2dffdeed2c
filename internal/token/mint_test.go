package token

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestMintedTokenIsAccepted(t *testing.T) {
	tok, err := Mint(MintOptions{
		KeyID: "test", Secret: []byte(secret), Subject: "me", Expires: now.Add(time.Hour),
		Read: []string{"a", `b"<&>é`}, Write: []string{},
		Extra: map[string]any{"aud": []string{"x"}, "nbf": now.Unix(), "room": 7},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, e := judge(tok, now)
	if e != nil || c.KeyID != "test" || c.Subject != "me" || c.Expires.Unix() != now.Unix()+3600 || c.NotBefore.Unix() != now.Unix() {
		t.Errorf("got %+v, %v", c, e)
	}
	if !slices.Equal(c.Read, []string{"a", `b"<&>é`}) || c.Write == nil || len(c.Write) != 0 {
		t.Errorf("read %q, write %q", c.Read, c.Write)
	}
	parsed, err := jwt.Parse(tok, func(*jwt.Token) (any, error) { return []byte(secret), nil },
		jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithExpirationRequired())
	if err != nil || parsed.Header["typ"] != "JWT" || parsed.Header["alg"] != "HS256" || parsed.Claims.(jwt.MapClaims)["room"] != 7.0 {
		t.Errorf("golang-jwt reads %+v, %v", parsed, err)
	}
}

func TestMintLeavesOut(t *testing.T) {
	tok, err := Mint(MintOptions{KeyID: "test", Secret: []byte(secret), Expires: time.Unix(math.MaxUint32, 0)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Inspect(t.Context(), tok, testKeys(), now)
	if err != nil || !r.Valid || len(r.Claims) != 1 || r.Claims["exp"] == nil {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestMintRefuses(t *testing.T) {
	good := func() MintOptions {
		return MintOptions{KeyID: "test", Secret: []byte("a-secret-of-ours"), Read: []string{"a"}}
	}
	for _, c := range []struct {
		name, want string
		spoil      func(*MintOptions)
	}{
		{"no key id", `key id ""`, func(o *MintOptions) { o.KeyID = "" }},
		{"key id that no store can hold", `key id "a#b"`, func(o *MintOptions) { o.KeyID = "a#b" }},
		{"no secret", "empty secret", func(o *MintOptions) { o.Secret = nil }},
		{"exp beyond 32 bits", "2106-02-07T06:28:16Z", func(o *MintOptions) { o.Expires = time.Unix(math.MaxUint32+1, 0) }},
		{"exp before 1970", "1969-12-31T23:59:59Z", func(o *MintOptions) { o.Expires = time.Unix(-1, 0) }},
		{"topic that is not UTF-8", `"\xff" is not UTF-8`, func(o *MintOptions) { o.Write = []string{"\xff"} }},
		{"exp among the extras", "extra claim exp", func(o *MintOptions) { o.Extra = map[string]any{"exp": 1} }},
		{"read among the extras", "extra claim x-fastly-read", func(o *MintOptions) { o.Extra = map[string]any{ReadClaim: []string{"b"}} }},
		{"extra of the wrong type", "iss is not a string", func(o *MintOptions) { o.Extra = map[string]any{"iss": 1} }},
		{"extra that is no JSON", "json", func(o *MintOptions) { o.Extra = map[string]any{"x": math.NaN()} }},
		{"too long", "at most 1000000 work", func(o *MintOptions) { o.Extra = map[string]any{"x": strings.Repeat("x", 800_000)} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good()
			c.spoil(&o)
			tok, err := Mint(o)
			if tok != "" || err == nil || !strings.HasPrefix(err.Error(), "mint token: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want %q", tok, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "a-secret-of-ours") {
				t.Errorf("%q quotes the key", err)
			}
		})
	}
}
