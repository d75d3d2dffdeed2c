package apptest

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"testing"
)

// routes is which path answers what: items 33 to 40.
func routes() []item {
	return []item{
		{"33 the root", Setup{}, func(t *testing.T, s *service) {
			s.wantText(t, "GET", "/", "", nil, 200, "Hello from Fastly Pub/Sub!\n")
			s.wantText(t, "DELETE", "/", "", nil, 200, "Hello from Fastly Pub/Sub!\n")
			s.wantText(t, "HEAD", "/", "", nil, 200, "")
		}},
		{"34 other paths", Setup{}, func(t *testing.T, s *service) {
			for _, path := range []string{"/nope", "/events/", "/EVENTS", "/mqtt/", "/event%73", "/admin", "/admin/keys/"} {
				s.wantText(t, "GET", path, "", nil, 404, "Not Found\n")
			}
		}},
		{"35 other methods", Setup{}, func(t *testing.T, s *service) {
			for _, method := range []string{"PUT", "DELETE", "PATCH"} {
				s.notAllowed(t, method, "/events", "OPTIONS, GET, POST")
			}
			a := s.wantText(t, "HEAD", "/events", "", nil, 405, "")
			checkHeader(t, a.header, "Allow", "OPTIONS, GET, POST")
		}},
		{"36 OPTIONS", Setup{}, func(t *testing.T, s *service) {
			a := s.wantText(t, "OPTIONS", "/events", "", nil, 200, "")
			checkHeader(t, a.header, "Content-Type", "", "Vary", "")
		}},
		{"37 plain HTTP on mqtt", Setup{}, plainMQTT},
		{"38 other methods on keys", Setup{}, func(t *testing.T, s *service) {
			s.notAllowed(t, "GET", "/admin/keys", "POST")
			s.notAllowed(t, "OPTIONS", "/admin/keys", "POST")
		}},
		{"39 keys without Fastly-Key", Setup{}, func(t *testing.T, s *service) {
			const text = "Fastly-Key header invalid or not specified\n"
			s.wantText(t, "POST", "/admin/keys", "", nil, 401, text)
			s.wantText(t, "POST", "/admin/keys", "", header{"Fastly-Key", "bad"}, 401, text)
		}},
		{"40 a new key", Setup{}, newKey},
		{"2.3 a client's Grip-Sig", Setup{}, func(t *testing.T, s *service) {
			const text = "Failed to authorize Fanout proxy.\n"
			sig := append(header{"Grip-Sig", "x"}, rw...)
			s.wantText(t, "GET", "/events?topic=test", "", sig, 500, text)
			s.wantText(t, "GET", "/mqtt", "", sig, 500, text)
			s.wantText(t, "POST", "/mqtt", "", sig, 500, text)
			s.wantText(t, "POST", "/events?topic=test", "x", sig, 200, "Published\n")
		}},
	}
}

// switched is what the config store switches: items 41 and 42.
func switched() []item {
	return []item{
		{"41 sse off", config("sse", "false"), func(t *testing.T, s *service) {
			s.notAllowed(t, "GET", "/events?topic=test", "OPTIONS, POST")
			s.publish(t, "topic=test", "x")
			s.wantText(t, "OPTIONS", "/events", "", nil, 200, "")
		}},
		{"41 http-publish off", config("http-publish", "false"), func(t *testing.T, s *service) {
			s.notAllowed(t, "POST", "/events?topic=test", "OPTIONS, GET")
			s.open(t, "topic=test", rw)
		}},
		{"41 both off", config("sse", "false", "http-publish", "false"), func(t *testing.T, s *service) {
			for _, method := range []string{"GET", "POST", "OPTIONS", "PUT"} {
				s.wantText(t, method, "/events?topic=test", "", rw, 404, "Not Found\n")
			}
		}},
		{"41 admin off", config("admin", "false"), func(t *testing.T, s *service) {
			s.wantText(t, "POST", "/admin/keys", "", admin, 404, "Not Found\n")
		}},
		{"41 mqtt cannot be off", config("mqtt", "false"), plainMQTT}, // Quirk Q38
		{"42 a bad switch", config("sse", "1"), func(t *testing.T, s *service) {
			for _, path := range []string{"/", "/events?topic=test", "/mqtt", "/admin/keys", "/nope"} {
				s.wantText(t, "GET", path, "", nil, 500, "Configuration process failed.\n")
			}
		}},
	}
}

func config(items ...string) Setup {
	c := make(map[string]string)
	for i := 0; i < len(items); i += 2 {
		c[items[i]] = items[i+1]
	}
	return Setup{Config: c}
}

func (s *service) notAllowed(t *testing.T, method, target, allow string) {
	t.Helper()
	a := s.wantText(t, method, target, "", nil, 405, "Method Not Allowed\n")
	checkHeader(t, a.header, "Allow", allow)
}

func plainMQTT(t *testing.T, s *service) {
	for _, method := range []string{"GET", "OPTIONS", "PUT"} { // OPTIONS: Quirk Q40
		s.notAllowed(t, method, "/mqtt", "POST")
	}
	s.wantText(t, "POST", "/mqtt", "x", header{"Content-Type", "text/plain"}, 406, "Not Acceptable\n")
}

func newKey(t *testing.T, s *service) {
	a := s.do(t, "POST", "/admin/keys?x=y", "ignored", admin)
	checkHeader(t, a.header, "Content-Type", "application/json")
	if form := regexp.MustCompile(`^\{"id":"[0-9a-f]{8}","value":"[0-9a-f]{40}"\}$`); a.status != 200 || !form.MatchString(a.body) {
		t.Fatalf("%d %q", a.status, a.body)
	}
	var key struct{ ID, Value string }
	if err := json.Unmarshal([]byte(a.body), &key); err != nil {
		t.Fatal(err)
	}
	if sum := sha1.Sum([]byte(key.Value)); hex.EncodeToString(sum[:4]) != key.ID {
		t.Errorf("id %s is not the hash of its value", key.ID)
	}
	tok := Sign(`{"alg":"HS256","typ":"JWT","kid":"`+key.ID+`"}`, `{"x-fastly-read":["test"]}`, key.Value)
	s.open(t, "topic=test", bearer(tok))
}
