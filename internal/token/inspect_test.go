package token

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestInspectJSON(t *testing.T) {
	r, err := Inspect(t.Context(), vR, testKeys(), now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	const want = `{"valid":true,"key_id":"test","algorithm":"HS256","signature":"good","read":["test"],"write":[],` +
		`"expires_at":"2100-01-01T00:00:00Z","accepted_until":"2100-01-01T00:15:00Z",` +
		`"claims":{"exp":4102444800,"x-fastly-read":["test"]}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestInspectVerdict(t *testing.T) {
	keys := testKeys()
	for _, c := range []struct {
		name, tok string
		keys      KeySource
		valid     bool
		claim     string
		reason    string
		signature Signature
	}{
		{"valid", vRW, keys, true, "", "", Good},
		{"no keys given", vRW, nil, false, "", "not checked", Unchecked},
		{"no keys given, expired", vExpired, nil, false, "exp", "was 26388h ago", Unchecked},
		{"expired", vExpired, keys, false, "exp", "was 26388h ago", Good},
		{"wrapped", vWrap, keys, false, "exp", "counts as 1410065407", Good},
		{"no kid", vNoKid, keys, false, "kid", "no kid", Unchecked},
		{"unknown key", vBadKid, keys, false, "kid", "not a known key", Unchecked},
		{"another key", vRW, Keys{"test": []byte("x")}, false, "signature", "does not match", Bad},
		{"other algorithm", sign(`{"alg":"HS512","kid":"test"}`, `{}`, secret), keys, false, "alg", "HS512", Unchecked},
		{"claim of the wrong type", sign(goodHeader, `{"x-fastly-read":"a"}`, secret), keys, false, ReadClaim, "not an array", Good},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Inspect(t.Context(), c.tok, c.keys, now)
			if err != nil || r.Valid != c.valid || r.Claim != c.claim || r.Signature != c.signature {
				t.Errorf("got %+v, %v", r, err)
			}
			if !strings.Contains(r.Reason, c.reason) || (r.Reason == "") != c.valid {
				t.Errorf("reason %q, want %q", r.Reason, c.reason)
			}
			if r.Read == nil || r.Write == nil {
				t.Error("a list is nil")
			}
		})
	}
}

func TestInspectTellsOfRefusedTokens(t *testing.T) {
	r, err := Inspect(t.Context(), vWrap, testKeys(), now)
	if err != nil || len(r.Read) != 1 || r.ExpiresAt.Unix() != 1410065407 || !r.AcceptedUntil.Equal(r.ExpiresAt.Add(15*time.Minute)) {
		t.Errorf("got %+v, %v", r, err)
	}
	if r.Warning != ExpiryWraps.String() || r.Claims["exp"] != json.Number("9999999999") {
		t.Errorf("warning %q, claims %v", r.Warning, r.Claims)
	}
}

func TestInspectRefuses(t *testing.T) {
	for _, c := range []struct{ name, tok string }{
		{"garbage", "garbage"},
		{"empty", ""},
		{"two parts", vRW[:strings.LastIndexByte(vRW, '.')]},
		{"header that is no object", sign(`[]`, `{}`, secret)},
		{"payload that is no object", sign(goodHeader, `[]`, secret)},
		{"payload that is no base64", strings.Replace(vRW, ".ey", ".!!", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r, err := Inspect(t.Context(), c.tok, testKeys(), now); err == nil {
				t.Errorf("got %+v", r)
			}
		})
	}
}
