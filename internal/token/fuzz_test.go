package token

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func ourKey(*jwt.Token) (any, error) { return []byte(secret), nil }

// FuzzVerify throws any bytes at the verifier, as a whole token and as the
// header and payload of one that is signed well. What is accepted must be a
// token to golang-jwt too, leaving the times aside, and must be reported valid.
func FuzzVerify(f *testing.F) {
	for _, payload := range []string{
		`{}`, `{"exp":4102444800,"x-fastly-read":["test"],"x-fastly-write":["\ud83d\ude00"]}`,
		`{"exp":-1.5e3,"aud":["a"],"a":{"b":[true,false,null,0.1]}}`, `{"x-fastly-read":["a",1]}`,
	} {
		f.Add(vRW, goodHeader, payload)
	}
	f.Add(vBadKid, `{"alg":"HS256","kid":"test","crit":["x"],"x5c":[]}`, `{"sub":"\u0061"}`)
	f.Fuzz(func(t *testing.T, raw, header, payload string) {
		for _, tok := range []string{raw, sign(header, payload, secret)} {
			c, e := judge(tok, now)
			if e != nil {
				if c.Read != nil || e.Detail == "" || e.Outcome.String() == "" {
					t.Errorf("%q: %+v, %+v", tok, c, e)
				}
				continue
			}
			if _, err := jwt.Parse(tok, ourKey, jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"HS256"})); err != nil && c.KeyID == "test" {
				t.Errorf("%q is accepted, golang-jwt says %v", tok, err)
			}
			if r, err := Inspect(t.Context(), tok, testKeys(), now); err != nil || !r.Valid {
				t.Errorf("%q is accepted, but reported as %+v, %v", tok, r, err)
			}
		}
	})
}

// FuzzTimes compares the judgement of the times with golang-jwt's, which is the
// same as long as they fit 32 bits and are not 0, its word for absent.
func FuzzTimes(f *testing.F) {
	n := uint32(now.Unix())
	f.Add(n, n, n)
	f.Add(n-900, n+900, n+901)
	f.Add(uint32(1), uint32(math.MaxUint32), n)
	parser := jwt.NewParser(jwt.WithLeeway(15*time.Minute), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	f.Fuzz(func(t *testing.T, exp, nbf, iat uint32) {
		if exp == 0 || nbf == 0 || iat == 0 {
			t.Skip()
		}
		payload, err := json.Marshal(map[string]uint32{"exp": exp, "nbf": nbf, "iat": iat})
		if err != nil {
			t.Fatal(err)
		}
		tok := sign(goodHeader, string(payload), secret)
		_, theirs := parser.Parse(tok, ourKey)
		if _, ours := judge(tok, now); (ours == nil) != (theirs == nil) {
			t.Errorf("%s: ours %v, theirs %v", payload, ours, theirs)
		}
	})
}

// FuzzJSON holds the parser against encoding/json, which is looser: whatever it
// takes for an object, that one does too, and sees the same names in it.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":[{"c":"\n\u00e9"}],"a":-0.5E+1}`, "{\"\\ud83d\\ude00\" : null }\n", `{"a":truefalse}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		names := map[string]string{}
		if eachMember(doc, func(name string, raw []byte) error { names[name] = string(raw); return nil }) != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(doc, &want); err != nil || len(want) != len(names) {
			t.Fatalf("%q: %q, encoding/json has %q, %v", doc, names, want, err)
		}
		for name, raw := range want {
			if names[name] != string(raw) {
				t.Errorf("%q: %q is %q, encoding/json has %q", doc, name, names[name], raw)
			}
		}
	})
}
