package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The vectors of the pubsub-app contract, section 13.
const (
	vRW      = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdLCJ4LWZhc3RseS13cml0ZSI6WyJ0ZXN0Il19.SVUBAA3a9csKuaT6IgsIocSWZ337KW02X-gd-PZw6FE"
	vR       = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.ljDu4B6RMv3xAVdth_lNtccsl_qURmsAERzpbUFG79c"
	vNoExp   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJ4LWZhc3RseS1yZWFkIjpbInRlc3QiXX0.61ZAwRUxOR5axlEzvAtY-27EIYcFksqRQyBSuo1yMak"
	vExpired = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjE3MDAwMDAwMDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.iaJ5jNeYnCU-uk6_9Rcln2HtrNhW6qJPbdVYzpU6Xqg"
	vWrap    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ.eyJleHAiOjk5OTk5OTk5OTksIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.jUXsOFq5cXA2-VLWsoeL5pt9VOTjZEQxqSZohx1gDhg"
	vNoKid   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.zUenYR2BXHQGsfDHAkOBZP0C6Vd_zf5s-q0_FOrbFHU"
	vBadKid  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im5vcGUifQ.eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdfQ.gNL7NRDN9QVzV6ynUpR9k4HFNAyudZsDpMKPDkUvYww"
)

const secret = "notasecret"

// now is a moment inside a second, in November 2026.
var now = time.Unix(1_795_000_000, 500_000_000)

func testKeys() Keys { return Keys{"test": []byte(secret), "empty": {}} }

// sign makes a token of any header and payload, well formed or not.
func sign(header, payload, key string) string {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + enc.EncodeToString(mac.Sum(nil))
}

const goodHeader = `{"alg":"HS256","typ":"JWT","kid":"test"}`

func judge(tok string, at time.Time) (Claims, *Error) {
	c, err := NewVerifier(testKeys()).Verify(context.Background(), tok, at)
	e, _ := errors.AsType[*Error](err)
	return c, e
}

// check verifies tok at now. An empty claim wants it accepted; "-" wants a
// refusal that names no claim.
func check(t *testing.T, tok string, outcome Outcome, claim string) {
	t.Helper()
	_, e := judge(tok, now)
	switch {
	case outcome == 0 && e != nil:
		t.Errorf("refused: %v", e)
	case outcome != 0 && (e == nil || e.Outcome != outcome || e.Claim != strings.TrimPrefix(claim, "-")):
		t.Errorf("got %+v, want outcome %d for claim %q", e, outcome, claim)
	}
}

func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, tok string
		outcome   Outcome
		claim     string
	}{
		{"T_RW", vRW, 0, ""},
		{"T_R", vR, 0, ""},
		{"item 23, T_NOEXP", vNoExp, 0, ""},
		{"item 20, T_EXPIRED", vExpired, Invalid, "exp"},
		{"item 20, T_WRAP", vWrap, Invalid, "exp"},
		{"item 20, T_NOKID", vNoKid, Invalid, "kid"},
		{"item 21, T_BADKID", vBadKid, AuthFailure, "kid"},
		{"item 21, T_BADKID with a broken signature", vBadKid + "x", AuthFailure, "kid"},
		{"item 21, T_BADKID, header only", vBadKid[:strings.IndexByte(vBadKid, '.')], AuthFailure, "kid"},
		{"item 20, garbage", "garbage", Invalid, "-"},
		{"empty", "", Invalid, "-"},
		{"item 20, wrong signature", vRW[:len(vRW)-3] + "AAA", Invalid, "signature"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.tok, c.outcome, c.claim) })
	}
}

func TestAcceptedClaims(t *testing.T) {
	c, _ := judge(vRW, now)
	g := c.Grant()
	if c.KeyID != "test" || !g.CanRead("test") || !g.CanWrite("test") || g.CanRead("other") || c.Warning != 0 {
		t.Errorf("T_RW gives %+v", c)
	}
	if want := time.Unix(4102444800, 0); !c.Expires.Equal(want) || !c.AcceptedUntil().Equal(want.Add(15*time.Minute)) {
		t.Errorf("expires %v, accepted until %v", c.Expires, c.AcceptedUntil())
	}
	c, _ = judge(vNoExp, now)
	if c.Warning != NoExpiry || !c.Expires.IsZero() || !c.AcceptedUntil().IsZero() || c.Write != nil {
		t.Errorf("T_NOEXP gives %+v", c)
	}
}

// TestHeaderRules goes through steps 1 to 6 of the contract's 3.2.
func TestHeaderRules(t *testing.T) {
	for _, c := range []struct {
		name, header string
		outcome      Outcome
		claim        string
	}{
		{"typ absent", `{"alg":"HS256","kid":"test"}`, 0, ""},
		{"typ null", `{"alg":"HS256","kid":"test","typ":null}`, 0, ""},
		{"typ in lower case", `{"alg":"HS256","kid":"test","typ":"jwt"}`, 0, ""},
		{"item 23, typ at+jwt", `{"alg":"HS256","kid":"test","typ":"at+jwt"}`, 0, ""},
		{"item 23, typ JOSE", `{"alg":"HS256","kid":"test","typ":"JOSE"}`, Invalid, "typ"},
		{"typ empty", `{"alg":"HS256","kid":"test","typ":""}`, Invalid, "typ"},
		{"typ of another type", `{"alg":"HS256","kid":"test","typ":1}`, Invalid, "typ"},
		{"item 20, alg none", `{"alg":"none","kid":"test"}`, Invalid, "alg"},
		{"item 20, alg HS512", `{"alg":"HS512","kid":"test"}`, Invalid, "alg"},
		{"alg in lower case", `{"alg":"hs256","kid":"test"}`, Invalid, "alg"},
		{"alg absent", `{"kid":"test"}`, Invalid, "alg"},
		{"alg null", `{"alg":null,"kid":"test"}`, Invalid, "alg"},
		{"alg absent beats an unknown key", `{"kid":"nope"}`, Invalid, "alg"},
		{"a bad alg does not beat an unknown key", `{"alg":"none","kid":"nope"}`, AuthFailure, "kid"},
		{"kid null", `{"alg":"HS256","kid":null}`, Invalid, "kid"},
		{"kid numeric", `{"alg":"HS256","kid":1}`, Invalid, "kid"},
		{"kid empty", `{"alg":"HS256","kid":""}`, AuthFailure, "kid"},
		{"kid escaped", `{"alg":"HS256","kid":"\u0074est"}`, 0, ""},
		{"kid twice", `{"alg":"HS256","kid":"test","kid":"test"}`, Invalid, "kid"},
		{"kid twice, one spelled with an escape", `{"alg":"HS256","kid":"test","\u006bid":"test"}`, Invalid, "kid"},
		{"names in another case are unknown", `{"alg":"HS256","kid":"test","KID":1,"Typ":"JOSE"}`, 0, ""},
		{"unknown members", `{"alg":"HS256","kid":"test","b64":false,"x":{"y":[1,{}]},"x":null}`, 0, ""},
		{"optional members", `{"alg":"HS256","kid":"test","cty":"a","jku":"b","jwk":"c","x5u":"d","x5t":"e","x5t#S256":"f","crit":["g"],"x5c":[]}`, 0, ""},
		{"optional members null", `{"alg":"HS256","kid":"test","cty":null,"jku":null,"jwk":null,"x5u":null,"x5t":null,"x5t#S256":null,"crit":null,"x5c":null}`, 0, ""},
		{"cty of another type", `{"alg":"HS256","kid":"test","cty":1}`, Invalid, "cty"},
		{"jwk an object", `{"alg":"HS256","kid":"test","jwk":{}}`, Invalid, "jwk"},
		{"jku of another type", `{"alg":"HS256","kid":"test","jku":true}`, Invalid, "jku"},
		{"x5u of another type", `{"alg":"HS256","kid":"test","x5u":[]}`, Invalid, "x5u"},
		{"x5t of another type", `{"alg":"HS256","kid":"test","x5t":1}`, Invalid, "x5t"},
		{"x5t#S256 of another type", `{"alg":"HS256","kid":"test","x5t#S256":1}`, Invalid, "x5t#S256"},
		{"crit a string", `{"alg":"HS256","kid":"test","crit":"exp"}`, Invalid, "crit"},
		{"crit of numbers", `{"alg":"HS256","kid":"test","crit":[1]}`, Invalid, "crit"},
		{"x5c a string", `{"alg":"HS256","kid":"test","x5c":"a"}`, Invalid, "x5c"},
		{"crit is ignored", `{"alg":"HS256","kid":"test","crit":["unheard-of"]}`, 0, ""},
		{"an array", `["HS256"]`, Invalid, "-"},
		{"a string", `"HS256"`, Invalid, "-"},
		{"empty", ``, Invalid, "-"},
		{"bytes behind", `{"alg":"HS256","kid":"test"}x`, Invalid, "-"},
		{"white space around", " \t\r\n{ \"alg\" : \"HS256\" , \"kid\" : \"test\" } ", 0, ""},
		{"as long as may be", longHeader(6144), 0, ""},
		{"too long", longHeader(6145), Invalid, "-"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, sign(c.header, `{}`, secret), c.outcome, c.claim) })
	}
}

// longHeader is a good header of n bytes; 6144 are 8192 characters of base64.
func longHeader(n int) string {
	const h = `{"alg":"HS256","kid":"test","pad":""}`
	return h[:len(h)-2] + strings.Repeat("p", n-len(h)) + h[len(h)-2:]
}

// TestShapeRules goes through steps 4, 7 and 8.
func TestShapeRules(t *testing.T) {
	good := sign(goodHeader, `{"sub":"??>"}`, secret)
	signed, signature := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.')+1:]
	for _, c := range []struct {
		name, tok string
		outcome   Outcome
		claim     string
	}{
		{"good", good, 0, ""},
		{"the alphabet matters", strings.ReplaceAll(strings.ReplaceAll(good, "-", "+"), "_", "/"), Invalid, "signature"},
		{"two parts", signed, Invalid, "-"},
		{"four parts", good + ".", Invalid, "-"},
		{"no signature", signed + ".", Invalid, "signature"},
		{"short signature", good[:len(good)-4], Invalid, "signature"},
		{"padding", good + "=", Invalid, "signature"},
		{"leading space", " " + good, Invalid, "-"},
		{"trailing space", good + " ", Invalid, "signature"},
		{"line end in the signature", signed + ".\n" + signature, Invalid, "signature"},
		{"line end in the header", "\n" + good, Invalid, "-"},
		{"loose bits in the signature", good[:len(good)-1] + looser(good[len(good)-1]), Invalid, "signature"},
		{"padding in the header", "e30=.e30.", Invalid, "-"},
		{"hex-decoded key", sign(goodHeader, `{}`, "\x00"), Invalid, "signature"},
		{"trailing newline in the key", sign(goodHeader, `{}`, secret+"\n"), Invalid, "signature"},
		{"empty key works", sign(`{"alg":"HS256","kid":"empty"}`, `{}`, ""), 0, ""},
		{"as long as may be", longToken(1_000_000), 0, ""},
		{"too long", longToken(1_000_001), Invalid, "-"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, c.tok, c.outcome, c.claim) })
	}
}

// looser is the base64 character with the lowest bit set: for the last one of
// 43 that bit does not count, and must be zero.
func looser(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}

// longToken is a good token of n bytes, or of the next number that works out.
// The space in the header lets a million work out.
func longToken(n int) string {
	pad := (n-len(sign(goodHeader+" ", `{"p":""}`, secret)))/4*3 - 3
	for {
		if tok := sign(goodHeader+" ", `{"p":"`+strings.Repeat("p", pad)+`"}`, secret); len(tok) >= n {
			return tok
		}
		pad++
	}
}

// TestPayloadRules goes through step 9 and conformance item 24.
func TestPayloadRules(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		outcome       Outcome
		claim         string
	}{
		{"empty object", `{}`, 0, ""},
		{"item 24, read a string", `{"x-fastly-read":"test"}`, Invalid, ReadClaim},
		{"item 24, read of numbers", `{"x-fastly-read":[1]}`, Invalid, ReadClaim},
		{"read mixed", `{"x-fastly-read":["a",null]}`, Invalid, ReadClaim},
		{"read null", `{"x-fastly-read":null}`, Invalid, ReadClaim},
		{"read an object", `{"x-fastly-read":{}}`, Invalid, ReadClaim},
		{"read nested", `{"x-fastly-read":[["a"]]}`, Invalid, ReadClaim},
		{"read empty", `{"x-fastly-read":[]}`, 0, ""},
		{"write a string", `{"x-fastly-write":"test"}`, Invalid, WriteClaim},
		{"write null", `{"x-fastly-write":null}`, Invalid, WriteClaim},
		{"write a number", `{"x-fastly-write":7}`, Invalid, WriteClaim},
		{"read twice", `{"x-fastly-read":[],"x-fastly-read":[]}`, Invalid, ReadClaim},
		{"exp twice", `{"exp":4102444800,"exp":4102444800}`, Invalid, "exp"},
		{"unknown twice", `{"a":1,"a":2}`, 0, ""},
		{"strings", `{"iss":"a","sub":"b","jti":"c","nonce":"d","aud":"e"}`, 0, ""},
		{"nulls", `{"iss":null,"sub":null,"jti":null,"nonce":null}`, 0, ""},
		{"audiences", `{"aud":["a","b"]}`, 0, ""},
		{"iss a number", `{"iss":1}`, Invalid, "iss"},
		{"sub a number", `{"sub":1}`, Invalid, "sub"},
		{"jti an array", `{"jti":["a"]}`, Invalid, "jti"},
		{"nonce a boolean", `{"nonce":true}`, Invalid, "nonce"},
		{"aud a number", `{"aud":1}`, Invalid, "aud"},
		{"aud of numbers", `{"aud":["a",1]}`, Invalid, "aud"},
		{"aud null", `{"aud":null}`, Invalid, "aud"},
		{"not an object", `[]`, Invalid, "-"},
		{"not JSON", `{"a":}`, Invalid, "-"},
		{"trailing comma", `{"a":1,}`, Invalid, "-"},
		{"not UTF-8", "{\"a\":\"\xff\"}", Invalid, "-"},
		{"half a surrogate pair", `{"a":"\ud800"}`, Invalid, "-"},
		{"a bad escape", `{"a":"\x"}`, Invalid, "-"},
		{"a control character", "{\"a\":\"\x01\"}", Invalid, "-"},
		{"a number beyond a float", `{"a":1e999}`, Invalid, "-"},
		{"leading zero", `{"a":01}`, Invalid, "-"},
		{"deep enough", `{"a":` + strings.Repeat("[", 126) + strings.Repeat("]", 126) + `}`, 0, ""},
		{"too deep", `{"a":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`, Invalid, "-"},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, sign(goodHeader, c.payload, secret), c.outcome, c.claim) })
	}
}

// TestTimeRules goes through 3.3 and conformance item 22.
func TestTimeRules(t *testing.T) {
	at := func(offset int64) string { return fmt.Sprint(now.Unix() + offset) }
	const wrap = int64(1) << 32
	for _, c := range []struct {
		name, claim, value string
		ok                 bool
	}{
		{"item 22, exp 800 s ago", "exp", at(-800), true},
		{"item 22, exp 1000 s ago", "exp", at(-1000), false},
		{"item 22, nbf in 800 s", "nbf", at(800), true},
		{"item 22, nbf in 1000 s", "nbf", at(1000), false},
		{"item 22, iat in 800 s", "iat", at(800), true},
		{"item 22, iat in 1000 s", "iat", at(1000), false},
		{"exp 899.5 s ago", "exp", at(-899), true},
		{"exp 900.5 s ago", "exp", at(-900), false},
		{"nbf in 899.5 s", "nbf", at(900), true},
		{"nbf in 900.5 s", "nbf", at(901), false},
		{"iat in 899.5 s", "iat", at(900), true},
		{"iat in 900.5 s", "iat", at(901), false},
		{"no maximum age", "iat", "1", true},
		{"exp zero", "exp", "0", false},
		{"exp wraps into the past", "exp", "9999999999", false},
		{"exp wraps to the future", "exp", at(wrap + 60), true},
		{"exp wraps twice", "exp", at(2*wrap + 60), true},
		{"exp in milliseconds is an arbitrary time, 2096 here", "exp", "1795000000000", true},
		{"largest exp", "exp", "4294967295", true},
		{"one more is 1970", "exp", "4294967296", false},
		{"negative exp is far ahead", "exp", "-1", true},
		{"negative nbf is far ahead", "nbf", "-1", false},
		{"least integer is 1970", "exp", "-9223372036854775808", false},
		{"greatest integer", "exp", "18446744073709551615", true},
		{"beyond 64 bits", "exp", "18446744073709551616", true},
		{"float", "exp", at(60) + ".9", true},
		{"float is cut off", "exp", at(-901) + ".9", false},
		{"float with an exponent", "exp", "4.1024448e9", true},
		{"negative float is zero", "exp", "-1.5", false},
		{"negative zero", "nbf", "-0", true},
		{"huge float", "exp", "1e300", true},
		{"impossible float", "exp", "1e400", false},
		{"string", "exp", `"4102444800"`, false},
		{"boolean", "exp", "true", false},
		{"null exp", "exp", "null", false},
		{"null nbf", "nbf", "null", false},
		{"null iat", "iat", "null", false},
		{"array", "exp", "[4102444800]", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, e := judge(sign(goodHeader, fmt.Sprintf(`{%q:%s}`, c.claim, c.value), secret), now)
			if (e == nil) != c.ok || e != nil && e.Claim != c.claim && c.value != "1e400" {
				t.Errorf("%s %s: %v", c.claim, c.value, e)
			}
		})
	}
}

// The exact edges, which a check of whole seconds cannot tell apart.
func TestTimeEdges(t *testing.T) {
	edge := time.Unix(2_000_000_000, 0)
	for _, c := range []struct {
		name, payload string
		at            time.Time
		ok            bool
	}{
		{"last moment of exp", `{"exp":2000000000}`, edge.Add(15 * time.Minute), true},
		{"just past it", `{"exp":2000000000}`, edge.Add(15*time.Minute + 1), false},
		{"first moment of nbf", `{"nbf":2000000000}`, edge.Add(-15 * time.Minute), true},
		{"just before it", `{"nbf":2000000000}`, edge.Add(-15*time.Minute - 1), false},
		{"first moment of iat", `{"iat":2000000000}`, edge.Add(-15 * time.Minute), true},
		{"just before that", `{"iat":2000000000}`, edge.Add(-15*time.Minute - 1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, e := judge(sign(goodHeader, c.payload, secret), c.at); (e == nil) != c.ok {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestExpiryWarnings(t *testing.T) {
	for _, c := range []struct {
		payload string
		want    Warning
	}{
		{`{"exp":4102444800}`, 0},
		{`{"exp":4294967295}`, 0},
		{`{"iat":1}`, NoExpiry},
		{`{"exp":8589934591}`, ExpiryWraps},
		{`{"exp":-1}`, ExpiryWraps},
	} {
		t.Run(c.payload, func(t *testing.T) {
			got, e := judge(sign(goodHeader, c.payload, secret), now)
			if e != nil || got.Warning != c.want || (got.Warning.String() == "") != (c.want == 0) {
				t.Errorf("got %v (%v), want %v", got.Warning, e, c.want)
			}
		})
	}
}

func TestDetails(t *testing.T) {
	for _, c := range []struct{ name, tok, want string }{
		{"expired", vExpired, "token is invalid: exp 1700000000 was 26388h ago, accepted until 15m after"},
		{"just expired", sign(goodHeader, `{"exp":1794999000}`, secret), "token is invalid: exp 1794999000 was 16m41s ago, accepted until 15m after"},
		{"wrapped", vWrap, "token is invalid: exp 9999999999 (counts as 1410065407) was 106926h ago, accepted until 15m after"},
		{"early", sign(goodHeader, `{"nbf":1795003600}`, secret), "token is invalid: nbf 1795003600 is 1h0m ahead, accepted from 15m before"},
		{"unknown key", vBadKid, `token cannot be checked: kid "nope" is not a known key: no such key`},
		{"algorithm", sign(`{"alg":"HS512","kid":"test"}`, `{}`, secret), `token is invalid: alg is "HS512", only HS256 works`},
		{"type of a claim", sign(goodHeader, `{"x-fastly-read":"test"}`, secret), "token is invalid: x-fastly-read is not an array of strings"},
		{"audience", sign(goodHeader, `{"aud":1}`, secret), "token is invalid: aud is not a string or an array of strings"},
		{"time", sign(goodHeader, `{"exp":"1"}`, secret), "token is invalid: exp is not a number"},
		{"signature", vRW[:len(vRW)-4], `token is invalid: signature does not match key "test"`},
		{"long values are cut", sign(`{"alg":"HS256","kid":"`+strings.Repeat("k", 999)+`"}`, `{}`, secret),
			`token cannot be checked: kid "` + strings.Repeat("k", 48) + `..." is not a known key: no such key`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, e := judge(c.tok, now); e == nil || e.Error() != c.want {
				t.Errorf("got  %v\nwant %s", e, c.want)
			}
		})
	}
}

// A key source may fail for any reason; what it said stays reachable.
func TestKeySourceErrorIsAuthFailure(t *testing.T) {
	broken := errors.New("store is missing")
	_, err := NewVerifier(failing{broken}).Verify(t.Context(), vRW, now)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Outcome != AuthFailure || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Get(context.Context, string) ([]byte, error) { return nil, f.err }
func (failing) Generation() uint64                            { return 0 }

// No message may quote a token, its signature or the key.
func TestErrorsKeepSecrets(t *testing.T) {
	for _, tok := range []string{vRW + "x", vExpired, vWrap, vNoKid, vBadKid, "garbage-in-a-log", vRW[:len(vRW)-4], vRW + ".x"} {
		_, e := judge(tok, now)
		if e == nil {
			t.Fatalf("%q is accepted", tok)
		}
		for part := range strings.SplitSeq(tok, ".") {
			if len(part) > 1 && strings.Contains(e.Error(), part) {
				t.Errorf("%q quotes %q", e, part)
			}
		}
		if strings.Contains(e.Error(), secret) {
			t.Errorf("%q quotes the key", e)
		}
	}
}

func TestReadListsAreExact(t *testing.T) {
	c, e := judge(sign(goodHeader, `{"x-fastly-read":["*","te*","a\"b","","é"],"x-fastly-write":[]}`, secret), now)
	if e != nil || !slices.Equal(c.Read, []string{"*", "te*", `a"b`, "", "é"}) || c.Write == nil || c.Grant().CanRead("test") {
		t.Errorf("item 32: got %+v, %v", c, e)
	}
}
