package apptest

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// auth is credentials: items 16 to 32.
func auth() []item {
	return []item{
		{"16 no credential", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=test", nil, "bad-request", "Missing 'Authorization' header or 'auth' parameter")
		}},
		{"17 the auth parameter", Setup{}, func(t *testing.T, s *service) {
			s.open(t, "topic=test&auth="+TokenRW, nil)
			s.refused(t, "topic=test&auth=bad", rw, "forbidden", "Invalid token")
			s.refused(t, "topic=test&auth=", rw, "forbidden", "Invalid token")
		}},
		{"18 other schemes", Setup{}, func(t *testing.T, s *service) {
			const text = "Unsupported authorization scheme: "
			s.refused(t, "topic=test", header{"Authorization", "Basic x"}, "bad-request", text+"Basic")
			s.refused(t, "topic=test", header{"Authorization", "bearer " + TokenRW}, "bad-request", text+"bearer")
		}},
		{"19 a scheme alone", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=test", header{"Authorization", "Bearer"}, "bad-request", "Invalid 'Authorization' header")
		}},
		{"20 invalid tokens", Setup{}, invalidTokens},
		{"21 an unknown key", Setup{}, unknownKey},
		{"22 the time claims", Setup{}, timeClaims},
		{"23 no exp, and typ", Setup{}, func(t *testing.T, s *service) {
			s.open(t, "topic=test", bearer(TokenNoExp))
			s.open(t, "topic=test", bearer(withHeader(`{"alg":"HS256","typ":"at+jwt","kid":"test"}`)))
			s.open(t, "topic=test", bearer(withHeader(`{"alg":"HS256","kid":"test"}`)))
			s.refused(t, "topic=test", bearer(withHeader(`{"alg":"HS256","typ":"JOSE","kid":"test"}`)), "forbidden", "Invalid token")
		}},
		{"24 the shape of the topic claims", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=test", bearer(Claims(`{"x-fastly-read":"test"}`)), "forbidden", "Invalid token")
			s.refused(t, "topic=test", bearer(Claims(`{"x-fastly-read":[1]}`)), "forbidden", "Invalid token")
			s.refused(t, "topic=test", bearer(Claims(`{}`)), "forbidden", "Cannot subscribe to topic: test")
		}},
		{"25 a topic that is not listed", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=other", rw, "forbidden", "Cannot subscribe to topic: other")
			// Quirk Q48 is fixed: of several the first in order is named.
			s.refused(t, "topic=z&topic=test&topic=b", bearer(Reader("test")), "forbidden", "Cannot subscribe to topic: b")
		}},
		{"26 a publish takes no auth parameter", Setup{}, func(t *testing.T, s *service) {
			const text = "Missing 'Authorization' header\n"
			s.wantText(t, "POST", "/events?topic=test", "x", nil, 400, text)
			s.wantText(t, "POST", "/events?topic=test&auth="+TokenRW, "x", nil, 400, text)
		}},
		{"27 a publish refused", Setup{}, func(t *testing.T, s *service) {
			s.wantText(t, "POST", "/events?topic=test", "x", bearer(TokenR), 403, "Cannot publish to topic: test\n")
			s.wantText(t, "POST", "/events?topic=test", "x", bearer(TokenBadKid), 500, "Auth process failed\n")
			s.wantText(t, "POST", "/events?topic=test", "x", bearer("garbage"), 403, "Invalid token\n")
		}},
		{"28 a publish with another scheme", Setup{}, func(t *testing.T, s *service) {
			s.wantText(t, "POST", "/events?topic=test", "x", header{"Authorization", "Token x"}, 400, "Unsupported authorization scheme: Token\n")
			s.wantText(t, "POST", "/events?topic=test", "x", header{"Authorization", "x"}, 400, "Invalid 'Authorization' header\n")
		}},
		{"29 the Fastly-Key", Setup{}, fastlyKey},
		{"30 a stream outlives its token", Setup{}, outlives},
		{"32 no wildcards", Setup{}, func(t *testing.T, s *service) {
			for _, claim := range []string{"*", "te*", "TEST", "test "} {
				s.refused(t, "topic=test", bearer(Reader(claim)), "forbidden", "Cannot subscribe to topic: test")
			}
		}},
	}
}

func withHeader(head string) string { return Sign(head, `{"x-fastly-read":["test"]}`, "notasecret") }

func invalidTokens(t *testing.T, s *service) {
	for name, tok := range map[string]string{
		"expired":         TokenExpired,
		"exp wraps":       TokenWrap,
		"no kid":          TokenNoKid,
		"garbage":         "garbage",
		"empty":           "",
		"wrong signature": Sign(usualHeader, `{"x-fastly-read":["test"]}`, "another"),
		"alg HS512":       withHeader(`{"alg":"HS512","typ":"JWT","kid":"test"}`),
		"alg none":        withHeader(`{"alg":"none","typ":"JWT","kid":"test"}`),
		"alg hs256":       withHeader(`{"alg":"hs256","typ":"JWT","kid":"test"}`),
		"a space before":  "%20" + TokenRW,
	} {
		t.Run(name, func(t *testing.T) {
			s.refused(t, "topic=test&auth="+tok, nil, "forbidden", "Invalid token")
		})
	}
	s.refused(t, "topic=test", header{"Authorization", "Bearer  " + TokenRW}, "forbidden", "Invalid token")
}

func unknownKey(t *testing.T, s *service) {
	headOnly := Sign(`{"alg":"HS256","kid":"nope"}`, "{}", "x")
	for _, tok := range []string{
		TokenBadKid,
		Sign(`{"alg":"HS256","kid":"nope"}`, "not json", "another"),
		headOnly[:len("eyJhbGciOiJIUzI1NiIsImtpZCI6Im5vcGUifQ")],
		Sign(`{"alg":"HS256","kid":""}`, "{}", ""),
	} {
		s.refused(t, "topic=test", bearer(tok), "internal-server-error", "Auth process failed")
	}
}

func timeClaims(t *testing.T, s *service) {
	now := time.Now().Unix()
	at := func(claim string, offset int64) header {
		return bearer(Claims(fmt.Sprintf(`{"%s":%d,"x-fastly-read":["test"]}`, claim, now+offset)))
	}
	s.open(t, "topic=test", at("exp", -800))
	s.open(t, "topic=test", at("nbf", 800))
	s.open(t, "topic=test", at("iat", 800))
	s.refused(t, "topic=test", at("exp", -1000), "forbidden", "Invalid token")
	s.refused(t, "topic=test", at("nbf", 1000), "forbidden", "Invalid token")
	s.refused(t, "topic=test", at("iat", 1000), "forbidden", "Invalid token")
}

func fastlyKey(t *testing.T, s *service) {
	st := s.open(t, "topic=any", admin)
	s.mark(t, "any", st)
	s.open(t, "topic=any&auth=bad", admin)
	bad := header{"Fastly-Key", "bad"}
	s.refused(t, "topic=any", bad, "bad-request", "Missing 'Authorization' header or 'auth' parameter")
	s.wantText(t, "POST", "/events?topic=any", "x", bad, 400, "Missing 'Authorization' header\n")
	s.open(t, "topic=test", append(bad, rw...))
}

// outlives opens a stream with a token in the last seconds of its grace, waits
// until new streams are refused, and sees the old one still deliver.
func outlives(t *testing.T, s *service) {
	tok := Claims(fmt.Sprintf(`{"exp":%d,"x-fastly-read":["test"]}`, time.Now().Unix()-898))
	st := s.open(t, "topic=test&durable=true", bearer(tok))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the token never expired")
		}
		if s.do(t, http.MethodGet, "/events?topic=x&auth="+tok, "", nil).body == invalidToken {
			break
		}
	}
	s.mark(t, "test", st)
	s.publish(t, "topic=test&retain=true", "stored")
	eventID(t, st.next(t), "test", 1, "stored")
}

const invalidToken = "event: stream-error\ndata: {\"condition\":\"forbidden\",\"text\":\"Invalid token\"}\n\n"
