package fastlytest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const formType = "application/x-www-form-urlencoded"

// step is one request and what must come back.
type step struct {
	method, target, kind, body string
	status                     int
	text                       string // part of the body; empty matches all
}

func run(t *testing.T, s *Server, steps ...step) {
	t.Helper()
	for _, st := range steps {
		w, _ := send(s, st.method, st.target, st.kind, st.body)
		if w.Code != st.status || !strings.Contains(w.Body.String(), st.text) {
			t.Fatalf("%s %s %s: %d %s; want %d with %q", st.method, st.target, st.body, w.Code, w.Body, st.status, st.text)
		}
	}
}

// newService makes a Compute service and returns its id.
func newService(t *testing.T, s *Server) string {
	t.Helper()
	w, o := send(s, "POST", "/service", formType, "name=chat&type=wasm")
	id, _ := o["id"].(string)
	if w.Code != 200 || id == "" {
		t.Fatalf("create service: %d %s", w.Code, w.Body)
	}
	return id
}

func upload(t *testing.T, s *Server, target string) {
	t.Helper()
	w, _ := send(s, "PUT", target, "multipart/form-data; boundary=BOUNDARY", string(multipartBody(samplePackage("Pub/Sub"))))
	if w.Code != 200 {
		t.Fatalf("upload: %d %s", w.Code, w.Body)
	}
}

func TestVersions(t *testing.T) {
	s := New(Options{})
	v := "/service/" + newService(t, s) + "/version/"
	run(t, s,
		step{"PUT", v + "1", formType, "comment=mine", 200, `"comment":"mine"`},
		step{"PUT", v + "1/activate", "", "", 400, "no associated package"},
		step{"GET", v + "1/validate", "", "", 200, `"status":"error"`},
	)
	upload(t, s, v+"1/package")
	run(t, s,
		step{"POST", v + "1/backend", formType, "name=self&address=a.edgecompute.app", 200, `"port":80`},
		step{"POST", v + "1/backend", formType, "name=self&address=b.edgecompute.app", 409, "Duplicate backend: 'self'"},
		step{"POST", v + "1/domain", formType, "name=a.edgecompute.app", 200, ""},
		step{"POST", v + "1/domain", formType, "name=a.edgecompute.app", 409, "Duplicate domain"},
		step{"GET", v + "1/validate", "", "", 200, `"status":"ok"`},
		step{"PUT", v + "1/activate", "", "", 200, `"locked":true`},
		step{"PUT", v + "1", formType, "comment=x", 422, "is locked"},
		step{"POST", v + "1/backend", formType, "name=api&address=api.fastly.com", 422, "Version locked"},
		step{"PUT", v + "1/clone", "", "", 200, `"comment":"mine"`},
		step{"PUT", v + "1/clone", "", "", 200, `"number":3`},
		step{"PUT", v + "2/backend/self", formType, "override_host=&port=443&use_ssl=1", 200, `"override_host":null`},
		step{"GET", v + "1/backend/self", "", "", 200, `"port":80`},
		step{"PUT", v + "2/activate", "", "", 200, `"active":true`},
		step{"GET", v + "1", "", "", 200, `"active":false`},
		step{"DELETE", strings.TrimSuffix(v, "/version/"), "", "", 400, "active version"},
		step{"PUT", v + "1/activate", "", "", 200, ""},
		step{"PUT", v + "1/deactivate", "", "", 200, `"active":false`},
		step{"DELETE", strings.TrimSuffix(v, "/version/"), "", "", 200, `"status":"ok"`},
		step{"GET", v + "1", "", "", 404, "Couldn't find Service"},
	)
}

// TestPackageHashes: files_hash is over the contents in the order of their paths,
// hashsum over the archive, and size is the archive's.
func TestPackageHashes(t *testing.T) {
	archive := samplePackage("Pub/Sub")
	p, err := readPackage(archive)
	if err != nil {
		t.Fatal(err)
	}
	files, err := unpack(archive)
	if err != nil {
		t.Fatal(err)
	}
	content := sha512.Sum512(append(files["package/bin/main.wasm"], files["package/fastly.toml"]...))
	if whole := sha512.Sum512(archive); p.FilesHash != fmt.Sprintf("%x", content) || p.Hash != fmt.Sprintf("%x", whole) || p.Size != int64(len(archive)) {
		t.Errorf("%+v", p)
	}
	if p.Name != "Pub/Sub" || p.Language != "rust" || p.Authors[0] != "<oss@fastly.com>" {
		t.Errorf("manifest: %+v", p)
	}
}

func TestTypeIsVCLUnlessGiven(t *testing.T) {
	s := New(Options{})
	run(t, s,
		step{"POST", "/service", formType, "name=old", 200, `"type":"vcl"`},
		step{"POST", "/service", formType, "name=old", 409, "taken"},
		step{"POST", "/service", "application/json", `{"name":"x"}`, 415, ""},
		step{"POST", "/resources/stores/kv", formType, "name=x", 415, ""},
		step{"GET", "/nowhere", "", "", 404, `{"msg":"Not found"}`},
		step{"POST", "/service/search", formType, "", 404, `{"msg":"Not found"}`},
	)
}

func TestFanout(t *testing.T) {
	s := New(Options{})
	p := "/enabled-products/v1/fanout/services/" + newService(t, s)
	run(t, s,
		step{"GET", p, "", "", 400, "no product on service"},
		step{"DELETE", p, "", "", 401, "not authorized"},
		step{"PUT", p, jsonType, "{}", 200, `"fanout"`},
		step{"PUT", p, jsonType, "null", 200, `"fanout"`},
		step{"GET", p, "", "", 200, ""},
		step{"DELETE", p, "", "", 204, ""},
	)
	if err := s.Preset("no-entitlement"); err != nil {
		t.Fatal(err)
	}
	run(t, s, step{"PUT", p, jsonType, "{}", 400, "not entitled to enable"})
}

func TestKVItems(t *testing.T) {
	s := New(Options{})
	_, o := send(s, "POST", "/resources/stores/kv", jsonType, `{"name":"k"}`)
	p := "/resources/stores/kv/" + o["id"].(string)
	run(t, s,
		step{"PUT", p + "/keys/a%2Fb%20c?add=true", "", "one", 200, ""},
		step{"PUT", p + "/keys/a%2Fb%20c?add=true", "", "two", 412, ""},
		step{"GET", p + "/keys/a%2Fb%20c", "", "", 200, "one"},
		step{"GET", p + "/keys", "", "", 200, `["a/b c"]`},
		step{"PUT", p + "/keys/a%23b", "", "x", 400, ""},
		step{"DELETE", p, "", "", 409, "not empty"},
		step{"DELETE", p + "/keys/none", "", "", 404, ""},
		step{"DELETE", p + "/keys/none?force=true", "", "", 204, ""},
		step{"DELETE", p + "/keys/a%2Fb%20c", "", "", 204, ""},
		step{"DELETE", p, "", "", 204, ""},
	)
}

func TestKVKeysComeInPages(t *testing.T) {
	s := New(Options{})
	_, o := send(s, "POST", "/resources/stores/kv", jsonType, `{"name":"k"}`)
	id := o["id"].(string)
	const n = 2500
	for i := range n {
		if err := s.PutKVItem(id, strconv.Itoa(i), []byte("v"), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	seen, next, pages := map[string]bool{}, "", 0
	for {
		_, o := send(s, "GET", "/resources/stores/kv/"+id+"/keys?cursor="+next, "", "")
		pages++
		for _, k := range o["data"].([]any) {
			seen[k.(string)] = true
		}
		if next, _ = o["meta"].(object)["next_cursor"].(string); next == "" {
			break
		}
	}
	if len(seen) != n || pages != 3 {
		t.Errorf("%d keys in %d pages, want %d in 3", len(seen), pages, n)
	}
}

func TestSecrets(t *testing.T) {
	s := New(Options{})
	_, o := send(s, "POST", "/resources/stores/secret", jsonType, `{"name":"k"}`)
	id := o["id"].(string)
	p := "/resources/stores/secret/" + id + "/secrets"
	body := func(secret string) string {
		sealed, key := seal(s, DefaultToken, secret)
		b, _ := json.Marshal(object{"name": "publish-token", "secret": sealed, "client_key": key})
		return string(b)
	}
	again := body("first")
	run(t, s,
		step{"PATCH", p, jsonType, body("x"), 404, ""},
		step{"POST", p, jsonType, again, 200, `"digest"`},
		step{"POST", p, jsonType, body("x"), 409, "already exists"},
		step{"PUT", p, jsonType, again, 400, "client key"}, // good once
		step{"GET", p + "/publish-token", "", "", 200, ""},
	)
	first := s.Snapshot().SecretStore(id).Secret("publish-token")
	run(t, s, step{"PUT", p, jsonType, body("first"), 200, `"recreated":true`})
	second := s.Snapshot().SecretStore(id).Secret("publish-token")
	if string(second.Value) != "first" || !second.Encrypted {
		t.Errorf("the secret is %q, encrypted %v", second.Value, second.Encrypted)
	}
	if bytes.Equal(first.Digest, second.Digest) {
		t.Error("the digest is not salted")
	}
	w, _ := send(s, "GET", p, "", "")
	if strings.Contains(w.Body.String(), base64.StdEncoding.EncodeToString([]byte("first"))) || strings.Contains(w.Body.String(), "first") {
		t.Errorf("the list tells the secret: %s", w.Body)
	}
}

func TestClientKeys(t *testing.T) {
	now := longAgo
	s := New(Options{Now: func() time.Time { return now }})
	signed := func() bool {
		_, o := send(s, "POST", "/resources/stores/secret/client-key", "", "")
		public, _ := base64.StdEncoding.DecodeString(o["public_key"].(string))
		sig, _ := base64.StdEncoding.DecodeString(o["signature"].(string))
		_, key := send(s, "GET", "/resources/stores/secret/signing-key", "", "")
		if got, want := key["signing_key"], base64.StdEncoding.EncodeToString(s.SigningKey()); got != want {
			t.Errorf("the signing key is %v, not %s", got, want)
		}
		return ed25519.Verify(s.SigningKey(), public, sig)
	}
	old := s.SigningKey()
	if !signed() {
		t.Error("the client key's signature is wrong")
	}
	if err := s.Preset("signing-key-rotated"); err != nil {
		t.Fatal(err)
	}
	if !signed() || old.Equal(s.SigningKey()) {
		t.Error("the signing key did not rotate")
	}
	_, o := send(s, "POST", "/resources/stores/secret", jsonType, `{"name":"k"}`)
	sealed, key := seal(s, DefaultToken, "late")
	now = now.Add(clientKeyLife)
	b, _ := json.Marshal(object{"name": "n", "secret": sealed, "client_key": key})
	run(t, s, step{"POST", "/resources/stores/secret/" + o["id"].(string) + "/secrets", jsonType, string(b), 400, "expired"})
}

func TestTokens(t *testing.T) {
	s := New(Options{Now: func() time.Time { return longAgo }})
	id := newService(t, s)
	for _, token := range []Token{
		{Value: "reads", Scope: "global:read"}, {Value: "purges", Scope: "purge_select", Services: []string{id}},
		{Value: "elsewhere", Services: []string{"other"}}, {Value: "late", Expires: longAgo}, {Value: "user", Role: "user"},
		{Value: "engineer", Role: "engineer"},
	} {
		s.AddToken(token)
	}
	cases := []struct {
		key, method, target string
		status              int
	}{
		{"", "GET", "/tokens/self", 403},
		{"unknown", "GET", "/tokens/self", 403},
		{"late", "GET", "/tokens/self", 401},
		{"reads", "GET", "/service/" + id, 200},
		{"reads", "POST", "/service", 403},
		{"purges", "GET", "/tokens/self", 200},
		{"purges", "GET", "/service/" + id, 403},
		{"elsewhere", "GET", "/service/" + id, 404},
		{"elsewhere", "POST", "/service", 403},
		{"elsewhere", "GET", "/resources/stores/config", 200},
		{"user", "POST", "/service", 403},
		{"user", "GET", "/service/" + id, 200},
		{"engineer", "PUT", "/service/" + id, 200},
		{DefaultToken, "POST", "/tokens", 403}, // not in sudo mode
	}
	for _, c := range cases {
		w, _ := send(s, c.method, c.target, formType, "name=x", "Fastly-Key", c.key)
		if w.Code != c.status {
			t.Errorf("%q %s %s: %d %s, want %d", c.key, c.method, c.target, w.Code, w.Body, c.status)
		}
	}
}

func TestSudoAndAutomationTokens(t *testing.T) {
	now := longAgo
	s := New(Options{OTP: "123456", Now: func() time.Time { return now }})
	id := newService(t, s)
	const login = "username=user%40example.com&password=password"
	if w, _ := send(s, "POST", "/sudo", formType, login); w.Code != 400 {
		t.Errorf("sudo without the one-time password: %d", w.Code)
	}
	if w, _ := send(s, "POST", "/sudo", formType, login, "Fastly-OTP", "123456"); w.Code != 200 {
		t.Fatalf("sudo: %d %s", w.Code, w.Body)
	}
	for i := range 101 {
		body := `{"name":"t` + strconv.Itoa(i) + `","role":"engineer","scope":"purge_select","services":["` + id + `"],"tls_access":false}`
		if w, _ := send(s, "POST", "/automation-tokens", jsonType, body); w.Code != 200 {
			t.Fatalf("create: %d %s", w.Code, w.Body)
		}
	}
	w, o := send(s, "GET", "/automation-tokens?page=2", "", "")
	data, meta := o["data"].([]any), o["meta"].(object)
	if len(data) != 1 || meta["total_pages"] != 2.0 || w.Header().Get("Link") != "" {
		t.Errorf("page 2 has %d tokens, meta %v, Link %q", len(data), meta, w.Header().Get("Link"))
	}
	if one := data[0].(object); one["scopes"] != "purge_select" || one["scope"] != nil {
		t.Errorf("the list has %v", one)
	}
	run(t, s, step{"POST", "/tokens", formType, "name=u&scope=purge_select&services%5B%5D=" + id, 200, `"services":["` + id + `"]`})
	now = now.Add(sudoLife)
	run(t, s, step{"POST", "/tokens", formType, "name=u", 403, "Sudo"})
	for preset, target := range map[string]string{"sso-account": "/sudo", "no-superuser": "/automation-tokens"} {
		if err := s.Preset(preset); err != nil {
			t.Fatal(err)
		}
		kind, body := formType, login
		if target != "/sudo" {
			kind, body = jsonType, "{}"
		}
		if w, _ := send(s, "POST", target, kind, body, "Fastly-OTP", "123456"); w.Code != 403 {
			t.Errorf("%s: %d %s", preset, w.Code, w.Body)
		}
	}
}

func TestPublishEndpoint(t *testing.T) {
	s := New(Options{})
	id := newService(t, s)
	s.AddToken(Token{Value: "purges", Scope: "purge_select", Services: []string{id}})
	s.AddToken(Token{Value: "reads", Scope: "global:read"})
	const item = `{"items":[{"channel":"s:a","formats":{"http-stream":{"content":":x"}}}]}`
	try := func(path, auth string) int {
		w, _ := send(s, "POST", "/service/"+id+path, jsonType, item, "Authorization", auth)
		return w.Code
	}
	if got := try("/publish/", "Bearer purges"); got != 400 {
		t.Errorf("with Fanout off: %d", got)
	}
	send(s, "PUT", "/enabled-products/v1/fanout/services/"+id, jsonType, "{}")
	for _, c := range []struct {
		path, auth string
		status     int
	}{
		{"/publish/", "Bearer purges", 200}, {"/publish", "Bearer purges", 404}, {"/publish/", "Bearer reads", 403},
		{"/publish/", "Bearer nobody", 403}, {"/publish/", "Basic purges", 403},
	} {
		if got := try(c.path, c.auth); got != c.status {
			t.Errorf("%s with %s: %d, want %d", c.path, c.auth, got, c.status)
		}
	}
	if got := s.Published(); len(got) != 1 || got[0].Service != id || string(got[0].Body) != item {
		t.Errorf("published: %v", got)
	}
}

func TestRateLimit(t *testing.T) {
	now := time.Date(2025, 1, 1, 10, 20, 0, 0, time.UTC)
	s := New(Options{HourlyWrites: 2, Now: func() time.Time { return now }})
	id := newService(t, s)
	w, _ := send(s, "PUT", "/service/"+id, formType, "comment=a")
	reset := strconv.FormatInt(now.Truncate(time.Hour).Add(time.Hour).Unix(), 10)
	if got := w.Header().Get("Fastly-RateLimit-Remaining"); got != "0" {
		t.Errorf("%s left", got)
	}
	w, _ = send(s, "PUT", "/service/"+id, formType, "comment=b")
	if w.Code != 429 || w.Header().Get("Fastly-RateLimit-Reset") != reset {
		t.Errorf("third write: %d, reset %s, want %s", w.Code, w.Header().Get("Fastly-RateLimit-Reset"), reset)
	}
	if w, _ := send(s, "GET", "/service/"+id, "", ""); w.Code != 200 || w.Header().Get("Fastly-RateLimit-Remaining") != "" {
		t.Errorf("reading: %d", w.Code)
	}
	if w, _ := send(s, "POST", "/resources/stores/config", formType, "name=a"); w.Code != 200 || w.Header().Get("Fastly-RateLimit-Remaining") != "" {
		t.Errorf("stores are not counted: %d", w.Code)
	}
	now = now.Add(time.Hour)
	if w, _ := send(s, "PUT", "/service/"+id, formType, "comment=b"); w.Code != 200 {
		t.Errorf("in the next hour: %d", w.Code)
	}
	if s.Snapshot().Service("chat").Comment != "b" {
		t.Error("the refused write or the last one went wrong")
	}
}

func TestTakenDomains(t *testing.T) {
	s := New(Options{TakenDomains: []string{"taken.edgecompute.app"}})
	d := "/service/" + newService(t, s) + "/version/1/domain"
	if err := s.Preset("domain-taken=2"); err != nil {
		t.Fatal(err)
	}
	_, o := send(s, "POST", "/service", formType, "name=second&type=wasm")
	other := "/service/" + o["id"].(string) + "/version/1/domain"
	run(t, s,
		step{"POST", d, formType, "name=a.edgecompute.app", 400, "already taken by another customer"},
		step{"POST", d, formType, "name=b.edgecompute.app", 400, "already taken by another customer"},
		step{"POST", d, formType, "name=c.edgecompute.app", 200, ""},
		step{"POST", d, formType, "name=taken.edgecompute.app", 400, "by another customer"},
		step{"POST", other, formType, "name=c.edgecompute.app", 400, "is already taken by service"},
		step{"POST", newDomains, jsonType, `{"fqdn":"c.edgecompute.app"}`, 400, "fqdn has already been taken"},
	)
	if err := s.Preset("no-classic-domains"); err != nil {
		t.Fatal(err)
	}
	run(t, s,
		step{"POST", d, formType, "name=www.example.com", 400, "deprecated"},
		step{"POST", newDomains, jsonType, `{"fqdn":"www.example.com"}`, 201, `"description":null`},
	)
}

func TestSameSeedSameIDs(t *testing.T) {
	life := func(seed uint64) []byte {
		s := New(Options{Seed: seed, Now: func() time.Time { return longAgo }})
		w, _ := send(s, http.MethodPost, "/service", formType, "name=a&type=wasm")
		return w.Body.Bytes()
	}
	if !bytes.Equal(life(1), life(1)) || bytes.Equal(life(1), life(2)) {
		t.Error("ids do not follow from the seed")
	}
}

// TestBounds: an account does not grow without end, and odd numbers in queries
// do no harm.
func TestBounds(t *testing.T) {
	s := New(Options{})
	d := "/service/" + newService(t, s) + "/version/1/domain"
	for i := range 10 {
		run(t, s, step{"POST", d, formType, "name=a" + strconv.Itoa(i) + ".edgecompute.app", 200, ""})
	}
	run(t, s,
		step{"POST", d, formType, "name=b.edgecompute.app", 400, "Exceeding max number of domains: 10"},
		step{"GET", "/service?page=9223372036854775807&per_page=9", "", "", 200, ""},
		step{"GET", "/service?page=999999&per_page=-1", "", "", 200, "[]"},
		step{"GET", "/resources/stores/kv?limit=0&cursor=x", "", "", 200, ""},
	)
}

// TestRequestsAtOnce is for the race detector: everything is behind one mutex.
func TestRequestsAtOnce(t *testing.T) {
	s := New(Options{})
	id := newService(t, s)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				send(s, "PUT", "/service/"+id+"/version/1/clone", "", "")
				send(s, "POST", "/resources/stores/config", formType, "name="+strconv.Itoa(i))
				s.Snapshot()
				s.Deployed()
				s.Purges(id, DefaultToken)
				s.Requests()
			}
		})
	}
	all.Wait()
	if n := len(s.Snapshot().Service("chat").Versions); n != 161 {
		t.Errorf("%d versions, want 161", n)
	}
}
